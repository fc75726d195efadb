// How a revision of the user's clone stands against the remote: on its own branch, on
// another one, or nowhere there. The remote told its branches when the ledger was read,
// so that no question is asked for it; what it did not tell, the clone last saw of it.

package repo

import (
	"bytes"
	"context"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Standing is how a revision stands against a remote.
type Standing struct {
	Remote  string // its name; "": the clone has no remote, and nothing is said
	Tracked string // the branch that the remote calls its own; "": not known
	On      bool   // the revision is on that branch
	Tip     bool   // and is the newest there
	Known   bool   // the remote has the revision, on whatever branch or tag
}

// advertised is what a remote told that it has.
type advertised struct {
	own  string                   // the branch that its HEAD names
	refs map[string]plumbing.Hash // by their whole names
}

// hears keeps what the remote told; the caller holds the lock.
func (l *Ledger) hears(adv *packp.AdvRefs) {
	l.told = &advertised{refs: map[string]plumbing.Hash{}}
	if adv == nil {
		return // it has nothing yet
	}
	for name, at := range adv.References {
		l.told.refs[name] = at
	}
	for name, at := range adv.Peeled {
		l.told.refs[name+"^{}"] = at
	}
	for _, link := range adv.Capabilities.Get(capability.SymRef) {
		if to, ok := strings.CutPrefix(link, "HEAD:refs/heads/"); ok {
			l.told.own = to
		}
	}
}

// Standing tells how the commit sha stands against the remote that the ledger is kept on
// or, where that has the ledger alone, against the one that the clone is of.
func (l *Ledger) Standing(ctx context.Context, sha string) (Standing, error) {
	l.mu.Lock()
	told, remote := l.told, l.opts.Remote
	l.mu.Unlock()
	if l.place.own == nil || l.repo.remote(remote) == "" {
		return Standing{}, nil
	}
	if told == nil || !told.code(l.branch) && l.repo.opts.Remote != remote && l.repo.remote(l.repo.opts.Remote) != "" {
		if told != nil {
			remote = l.repo.opts.Remote
		}
		seen, err := l.repo.lastSeen(remote)
		if err != nil {
			return Standing{}, err
		}
		told = seen
	}
	s := Standing{Remote: remote, Tracked: told.own}
	if plumbing.NewBranchReferenceName(s.Tracked) == l.branch { // the first that was pushed, and nobody's choice
		s.Tracked = ""
	}
	last, err := l.repo.lastSeen(remote)
	if err != nil {
		return s, err
	}
	at := plumbing.NewHash(sha)
	if s.Tracked != "" {
		name := plumbing.NewBranchReferenceName(s.Tracked).String()
		s.Tip = told.refs[name] == at
		if s.On, err = l.repo.reachable(ctx, at, told.refs[name], last.refs[name]); err != nil {
			return s, err
		}
	}
	if s.Known = s.On; s.Known {
		return s, nil
	}
	var tips []plumbing.Hash
	for name, tip := range told.refs {
		if tip == at {
			s.Known = true
			return s, nil
		}
		if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			tips = append(tips, tip, last.refs[name])
		}
	}
	s.Known, err = l.repo.reachable(ctx, at, tips...)
	return s, err
}

// Published is the commit that the remote's own branch is at, as far as this clone has seen
// it; "" where that is not known. One is false where the clone has no remote.
func (l *Ledger) Published() (sha string, one bool, err error) {
	l.mu.Lock()
	told, remote := l.told, l.opts.Remote
	l.mu.Unlock()
	if l.place.own == nil || l.repo.remote(remote) == "" {
		return "", false, nil
	}
	last, err := l.repo.lastSeen(remote)
	if err != nil {
		return "", true, err
	}
	if told == nil || told.own == "" {
		told = last
	}
	name := plumbing.NewBranchReferenceName(told.own).String()
	for _, at := range []plumbing.Hash{told.refs[name], last.refs[name]} {
		l.repo.mu.Lock()
		here := !at.IsZero() && l.repo.store.HasEncodedObject(at) == nil
		l.repo.mu.Unlock()
		if here {
			return at.String(), true, nil
		}
	}
	return "", true, nil
}

// code tells whether there is any branch but the ledger's.
func (a *advertised) code(ledger plumbing.ReferenceName) bool {
	for name := range a.refs {
		if strings.HasPrefix(name, "refs/heads/") && name != ledger.String() {
			return true
		}
	}
	return false
}

// lastSeen is what the clone knows of a remote's branches, by the names that they have there.
func (r *Repo) lastSeen(remote string) (*advertised, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &advertised{refs: map[string]plumbing.Hash{}}
	all, err := r.config.References()
	if err != nil {
		return out, fault.New(fault.Corrupt, "list branches: %w", err)
	}
	defer all.Close()
	below := "refs/remotes/" + remote + "/"
	return out, all.ForEach(func(ref *plumbing.Reference) error {
		switch name, ok := strings.CutPrefix(ref.Name().String(), below); {
		case !ok:
		case name == "HEAD":
			out.own = strings.TrimPrefix(ref.Target().String(), below)
		case ref.Type() == plumbing.HashReference:
			out.refs["refs/heads/"+name] = ref.Hash()
		}
		return nil
	})
}

// reachable tells whether sha is one of tips or came before one, of those that the clone
// has. Git tells it at once, however long the history and however many the tips.
func (r *Repo) reachable(ctx context.Context, sha plumbing.Hash, tips ...plumbing.Hash) (bool, error) {
	var in bytes.Buffer
	in.WriteString(sha.String() + "\n")
	r.mu.Lock()
	for _, tip := range tips {
		if tip == sha {
			r.mu.Unlock()
			return true, nil
		}
		if !tip.IsZero() && r.store.HasEncodedObject(tip) == nil {
			in.WriteString("^" + tip.String() + "\n")
		}
	}
	r.mu.Unlock()
	if in.Len() <= len(sha.String())+1 {
		return false, nil
	}
	out, err := r.place.own.Ask(ctx, in.Bytes(), "rev-list", "--max-count=1", "--stdin")
	return err == nil && len(bytes.TrimSpace(out)) == 0, err
}
