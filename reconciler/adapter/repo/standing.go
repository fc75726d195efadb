// How a revision of the user's clone stands against the remote: on its own branch, on
// another one, or nowhere there. The remote told its branches when the ledger was read,
// so that no question is asked for it; what it did not tell, the clone last saw of it.
// Where pushes go to another repository (remote.NAME.pushurl), that is all that is known.

package repo

import (
	"bytes"
	"context"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// Standing is how a revision stands against a remote.
type Standing struct {
	Remote  string // its name; "": the clone has no remote, and nothing is said
	Tracked string // the branch that the remote calls its own; "": not known
	On      bool   // the revision is on that branch
	Tip     bool   // and is the newest there
	Known   bool   // the remote has the revision, on whatever branch or tag
}

// Standing tells how the commit sha stands against the remote that the ledger is kept on
// or, where that has the ledger alone, against the one that the clone is of.
func (r *Repo) Standing(ctx context.Context, sha string, kept gitremote.Keeping) (Standing, error) {
	told, remote, ledger := kept.Heard, kept.Remote, plumbing.NewBranchReferenceName(kept.Branch)
	if r.place.Own == nil || r.remote(remote) == "" {
		return Standing{}, nil
	}
	if apart, err := r.pushesElsewhere(remote); err != nil {
		return Standing{}, err
	} else if apart {
		told = nil
	}
	if told == nil || !code(told, ledger) && r.place.Remote != remote && r.remote(r.place.Remote) != "" {
		if told != nil {
			remote = r.place.Remote
		}
		seen, err := r.lastSeen(remote)
		if err != nil {
			return Standing{}, err
		}
		told = seen
	}
	s := Standing{Remote: remote, Tracked: told.Own}
	if plumbing.NewBranchReferenceName(s.Tracked) == ledger { // the first that was pushed, and nobody's choice
		s.Tracked = ""
	}
	last, err := r.lastSeen(remote)
	if err != nil {
		return s, err
	}
	at := plumbing.NewHash(sha)
	if s.Tracked != "" {
		name := plumbing.NewBranchReferenceName(s.Tracked).String()
		s.Tip = told.Refs[name] == at
		if s.On, err = r.reachable(ctx, at, told.Refs[name], last.Refs[name]); err != nil {
			return s, err
		}
	}
	if s.Known = s.On; s.Known {
		return s, nil
	}
	var tips []plumbing.Hash
	for name, tip := range told.Refs {
		if tip == at {
			s.Known = true
			return s, nil
		}
		if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			tips = append(tips, tip, last.Refs[name])
		}
	}
	s.Known, err = r.reachable(ctx, at, tips...)
	return s, err
}

// Published is the commit that the remote's own branch is at, as far as this clone has seen
// it; "" where that is not known. One is false where the clone has no remote.
func (r *Repo) Published(kept gitremote.Keeping) (sha string, one bool, err error) {
	told, remote := kept.Heard, kept.Remote
	if r.place.Own == nil || r.remote(remote) == "" {
		return "", false, nil
	}
	apart, err := r.pushesElsewhere(remote)
	if err != nil {
		return "", true, err
	}
	last, err := r.lastSeen(remote)
	if err != nil {
		return "", true, err
	}
	own := ""
	if !apart && told != nil {
		own = ownBranch(told, kept.Branch)
	}
	if own == "" {
		told, own = last, ownBranch(last, kept.Branch)
	}
	name := plumbing.NewBranchReferenceName(own).String()
	for _, at := range []plumbing.Hash{told.Refs[name], last.Refs[name]} {
		r.mu.Lock()
		here := !at.IsZero() && r.store.HasEncodedObject(at) == nil
		r.mu.Unlock()
		if here {
			return at.String(), true, nil
		}
	}
	return "", true, nil
}

// pushesElsewhere tells whether what is pushed to a remote goes to another repository than
// is fetched from: the ledger is there, and what its remote told is no word of the other's branches.
func (r *Repo) pushesElsewhere(remote string) (bool, error) {
	at, err := r.place.Own.Remote(remote)
	return gitremote.Canonical(at.Fetch) != gitremote.Canonical(at.Push), err
}

// ownBranch is the branch that a remote calls its own: what its HEAD names, or, where that is no branch that is known, as after the first push
// into a bare repository, main or master, whichever there is. "" where that does not tell.
func ownBranch(told *gitremote.Heard, ledger string) string {
	is := func(name string) bool {
		_, there := told.Refs[plumbing.NewBranchReferenceName(name).String()]
		return there && name != ledger
	}
	main, master := is("main"), is("master")
	switch {
	case is(told.Own):
		return told.Own
	case main && !master:
		return "main"
	case master && !main:
		return "master"
	}
	return ""
}

// code tells whether there is any branch but the ledger's.
func code(told *gitremote.Heard, ledger plumbing.ReferenceName) bool {
	for name := range told.Refs {
		if strings.HasPrefix(name, "refs/heads/") && name != ledger.String() {
			return true
		}
	}
	return false
}

// lastSeen is what the clone knows of a remote's branches, by the names that they have there.
func (r *Repo) lastSeen(remote string) (*gitremote.Heard, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &gitremote.Heard{Refs: map[string]plumbing.Hash{}}
	all, err := r.config.References()
	if err != nil {
		return out, gitstore.Damaged("list branches: %w", err)
	}
	defer all.Close()
	below := "refs/remotes/" + remote + "/"
	return out, all.ForEach(func(ref *plumbing.Reference) error {
		switch name, ok := strings.CutPrefix(ref.Name().String(), below); {
		case !ok:
		case name == "HEAD":
			out.Own = strings.TrimPrefix(ref.Target().String(), below)
		case ref.Type() == plumbing.HashReference:
			out.Refs["refs/heads/"+name] = ref.Hash()
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
	out, err := r.place.Own.Ask(ctx, in.Bytes(), "rev-list", "--max-count=1", "--stdin")
	return err == nil && len(bytes.TrimSpace(out)) == 0, err
}
