// The reconciler: every port that a pass uses, wired by the caller.

package pass

import (
	"context"
	"io/fs"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/pass/repeats"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Reconciler is a repository with the ports that reconcile it.
type Reconciler struct {
	Observers
	Worktree fs.FS // nil: a bare repository
	// Watch is Worktree again, and a question about all that was read of it: does a
	// revision hold the same bytes? Without it, both are read whole.
	Watch func() (tree fs.FS, same func(ctx context.Context, sha string) (bool, error))
	// Unwatched are the files of the work tree whose changes Git was told not to show; nil:
	// nobody can tell.
	Unwatched func(ctx context.Context) ([]string, error)
	Runner    port.Runner
	Signer    ModelSigner
	// Data has the data that pointers name.
	Data port.DataFetcher
	// WorkData tells how data that pointers name stands in the work tree; nil: there is none.
	WorkData WorkData
	// Hands lists who had a hand in each commit that came after from, up to to.
	Hands func(ctx context.Context, from, to string) ([]port.Hand, error)
	// Parents lists what was committed to a branch by itself, its first parents, from head
	// on back, newest first, at most n.
	Parents func(ctx context.Context, head string, n int) ([]string, error)
	// Landed lists who moved the tracked branch since it was at a commit, as the forge noted it, as github:LOGIN: what their commits say
	// of their authors proves nothing. Nil: nobody notes it. Missing: not all of it is told.
	Landed func(ctx context.Context, since string) ([]string, error)
	// Between lists the commits of a span, on whatever line; nil: nobody can tell.
	Between func(ctx context.Context, s port.Span) ([]string, error)
	// Tips lists the commits that the tracked branch was at, as the forge noted them, the newest
	// first and back to since or further; one that cannot tell is Missing. Nil: there is no forge.
	Tips func(ctx context.Context, since string) ([]string, error)
	// Beside says where on this machine that was which the ledger calls machine, and the way to what it
	// made; "" where that was no other folder of this machine. Nil: nobody knows.
	Beside func(machine string) (where, way string)
	// Lock lets one pass at a time act; it waits, and says so through tell. Acting
	// goes on under held, which ends where the lock is lost.
	Lock func(ctx context.Context, tell func(string)) (held context.Context, unlock func(), err error)
	// Lease lets one controller at a time act on the repository, wherever it runs; nil:
	// there is but one. It waits as Lock does.
	Lease func(ctx context.Context, tell func(string)) (held context.Context, release func(), err error)
	// Isolation is what would keep a run of this repository apart from this machine; nil: not
	// known. It may be asked of the machine, and is asked where an environment wants it.
	Isolation func(ctx context.Context) *port.Isolation
	// Ready tells, of each of places of project, what will keep anything from being begun there, as far as that is known without asking there; of
	// a package its registries are asked. Denied: the owner of this machine does not let it. Unasked: they were not. Nil: not known.
	Ready func(ctx context.Context, project *schemas.Project, places []Place) []error
	// Bounds are what the declarations may use of what is this machine's; nil: all of it.
	Bounds port.Bounds
	// Remote is where the repository comes from, without credentials; for provenance.
	Remote string
	Actor  Actor
	// PullRequest says for which pull request the reconciler works; nil: for the tracked branch.
	PullRequest *ledger.PullRequest
	Tried       bool // the revision is a merge that is only tried
	// Pushers are who pushed to that pull request, as github:LOGIN.
	Pushers []string
	// PushersUnknown says that the forge does not tell them.
	PushersUnknown bool
	Trigger        string // of this pass, for the ledger
	Version        string // of Vishwa
	Now            func() time.Time
	Tell           func(execute.Event)
	Parallel       int
	Prices         price.Prices   // what runners and resources cost; none: nothing is said of cost
	State          string         // the folder that runs are kept below; see execute.Config
	Repeats        *repeats.Known // what the process has recorded of failures; nil: nothing yet
}

// Actor is the controller that acts, by its name in the trust file.
type Actor struct{ Name string }

func (a Actor) String() string { return "controller:" + a.Name }

// Head opens the tracked revision.
func (h *Reconciler) Head(ctx context.Context) (port.Revision, *Intent, error) {
	rev, err := h.Repo.Head(ctx)
	if err != nil {
		return rev, nil, err
	}
	in, err := h.at(ctx, rev)
	if err == nil {
		in.Branch = rev.Branch
	}
	return rev, in, err
}

func (h *Reconciler) at(ctx context.Context, rev port.Revision) (*Intent, error) {
	tree, err := h.Repo.Open(ctx, rev.SHA)
	if err != nil {
		return nil, err
	}
	return Read(ctx, tree)
}

// Preview looks at the work tree, where there is one, and says whether it is the
// revision's.
func (h *Reconciler) Preview(ctx context.Context) (*Snapshot, error) {
	rev, err := h.Repo.Head(ctx)
	if err != nil {
		return nil, err
	}
	if h.Worktree == nil {
		in, err := h.at(ctx, rev)
		if err != nil {
			return nil, err
		}
		return Observe(ctx, in, rev, h.Observers)
	}
	// The ledger is folded while the declarations are read.
	type folded struct {
		facts *ledger.Facts
		err   error
	}
	book := make(chan folded, 1)
	fault.Go(func() {
		facts, err := h.Ledger.Facts(ctx)
		book <- folded{facts, err}
	}, func(err error) { book <- folded{err: err} })
	in, same, err := h.readWorktree(ctx, rev)
	f := <-book
	if err != nil {
		return nil, err
	}
	w, err := observe(ctx, in, rev, h.Observers, func() (*ledger.Facts, error) { return f.facts, f.err })
	if err != nil {
		return nil, err
	}
	w.preview = true
	if !same {
		// The revision may be broken where the work tree mends it.
		head, err := h.at(ctx, rev)
		w.Dirty = err != nil || len(Differences(head, in)) > 0
	}
	return w, nil
}

// readWorktree is what the work tree declares. Same is that it was read from the
// very bytes of rev; where it is false, the two may still mean the same.
func (h *Reconciler) readWorktree(ctx context.Context, rev port.Revision) (in *Intent, same bool, err error) {
	if h.Watch == nil {
		in, err = Read(ctx, h.Worktree)
		return in, false, err
	}
	tree, asked := h.Watch()
	if in, err = Read(ctx, tree); err != nil {
		return nil, false, err
	}
	same, err = asked(ctx, rev.SHA)
	in.Tree = h.Worktree // what is read from here on is nobody's question
	return in, same, err
}

// Differences names the declarations, rules and trust that are not the same in
// two trees, by what they mean: a comment makes none.
func Differences(a, b *Intent) (out []string) {
	if a.Policy.Digest() != b.Policy.Digest() {
		out = append(out, "policy")
	}
	switch {
	case (a.Trust == nil) != (b.Trust == nil), a.Trust != nil && a.Trust.Digest() != b.Trust.Digest():
		out = append(out, "trust")
	}
	if a.Graph.Digest() == b.Graph.Digest() {
		return out
	}
	was, errA := digest.JSON(a.Project)
	now, errB := digest.JSON(b.Project)
	if errA != nil || errB != nil || was != now {
		out = append(out, "project")
	}
	keys := func(in *Intent) map[schemas.Ref]string {
		m := map[schemas.Ref]string{}
		for _, n := range in.Graph.Nodes {
			key, err := n.Recipe.Key()
			if err != nil {
				continue
			}
			m[n.Ref] = string(key)
			for _, name := range sorted(n.Inputs) {
				m[n.Ref] += " " + name + "=" + n.Inputs[name].String()
			}
		}
		return m
	}
	old, fresh := keys(a), keys(b)
	for _, n := range b.Graph.Nodes {
		if old[n.Ref] != fresh[n.Ref] {
			out = append(out, n.Ref.String())
		}
		delete(old, n.Ref)
	}
	for _, n := range a.Graph.Nodes {
		if _, gone := old[n.Ref]; gone {
			out = append(out, n.Ref.String())
		}
	}
	return out
}
