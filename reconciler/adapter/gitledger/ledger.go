// Package gitledger keeps the ledger in Git: a branch of one signed commit an entry, which
// many write side by side, and places outside of it that hold it to what it has come to.
// What is there is checked before it becomes a fact, and the remote's word goes before this clone's.
package gitledger

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitchain"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options say where the ledger is and whose word counts. Verifier is
// needed always; Signer and SSH to append.
type Options struct {
	Branch  string // without it, vishwa/ledger
	Remote  string // without it, the place's own; where there is no such remote the ledger stays local
	Offline bool   // leave the remote alone: read and append here, to be pushed on the next occasion

	Signer   port.Signer
	Verifier port.Verifier
	SSH      func() (ssh.Signer, error) // signs commits; asked for on the first append
	// Trusted are the keys that may sign commits; without any, commits' own
	// signatures are left to git verify-commit.
	Trusted map[string][]ssh.PublicKey // by the names of their controllers
	// Credentials log in to a remote over HTTP, asked for at each dial, as tokens
	// expire; without them, the URL's own user and the SSH agent do. They are for
	// Options.URL, and need it.
	Credentials func(ctx context.Context) (user, password string, err error)

	// Fence has each push done only with a ref at a value: the lease, as its holder
	// left it. Held tells whether there is one to push with; without it, entries that
	// wait here wait on. Nil: anybody may push.
	Fence func(push func(ref, sha string) error) error
	Held  func() bool

	Paces gitremote.Paces

	Name, Email string // of the commits' author; without them, Vishwa <vishwa@localhost>
	// Controller is the name under which checkpoints are signed, by SSH's key; "" signs none.
	Controller string
	// Witnesses are asked what the ledger must hold, and told what it has come to hold.
	Witnesses []Witness
	// Memory is the file in which this machine notes what it has seen; without it, it
	// goes by the clone alone.
	Memory string
	// Stands and Then judge controllers of other times, as in ledger.Trust.
	Stands func(controller string, seq int64, at time.Time) error
	Then   func(e ledger.Entry) *ledger.Trust
	Log    *slog.Logger // nil: nothing is logged

	CacheDir string // where folded facts are kept; without it, they are folded each time
	// Wrote is told each commit that is made here, before anybody else can see it, with
	// the one before it, "" for the first; may be nil.
	Wrote func(before, commit string)
	Now   func() time.Time
	Rand  func() float64 // in [0,1), spreads out attempts; without it, math/rand's
}

// Ledger is the ledger of one clone. It is safe for concurrent use, and any
// number of processes and clones may write side by side.
type Ledger struct {
	opts     Options
	place    gitstore.Place
	refs     gitstore.Refs
	branch   plumbing.ReferenceName // refs/heads/vishwa/ledger
	tracking plumbing.ReferenceName // refs/remotes/origin/vishwa/ledger: what the remote was last seen to hold

	mu      sync.Mutex
	objects gitchain.Chain
	signer  ssh.Signer
	loaded  bool          // the cache was looked at
	facts   *ledger.Facts // of all entries up to at
	at      plumbing.Hash
	saved   int64 // entries in the cache
	size    int   // of the cache, in bytes
	behind  int   // bytes of entries that it lags behind
	claims  claims
	told    atomic.Pointer[gitremote.Heard] // what the remote said that it has; nil: it was not asked

	url    string   // of a remote that the clone has no name for; see Ref
	logins sync.Map // which Git's helpers gave, and the remote took: address -> *githttp.BasicAuth
}

// UsualBranch is the ledger's branch where a project names no other.
const UsualBranch = "vishwa/ledger"

// Open is the ledger of the repository at place. Nothing is read yet.
func Open(place gitstore.Place, opts Options) (*Ledger, error) {
	if opts.Branch == "" {
		opts.Branch = UsualBranch
	}
	if opts.Remote == "" {
		opts.Remote = cmp.Or(place.Remote, gitremote.Origin)
	}
	if opts.Name == "" {
		opts.Name, opts.Email = "Vishwa", "vishwa@localhost"
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Rand == nil {
		opts.Rand = rand.Float64
	}
	if opts.Verifier == nil || opts.Now == nil {
		return nil, fault.New(fault.Internal, "open ledger: it needs a verifier and a clock")
	}
	if err := gitstore.CheckName("branch", opts.Branch); err != nil {
		return nil, err
	}
	if err := gitstore.CheckName("remote", opts.Remote); err != nil {
		return nil, err
	}
	o := gitchain.Chain{Objects: place.Objects()}
	return &Ledger{
		opts: opts, place: place, objects: o, refs: gitstore.Refs{Place: place, Store: o.Store, Now: opts.Now}, facts: &ledger.Facts{},
		branch:   plumbing.NewBranchReferenceName(opts.Branch),
		tracking: plumbing.NewRemoteReferenceName(opts.Remote, opts.Branch),
	}, nil
}

// Remote is where the ledger is fetched from and pushed to, without
// credentials; "" where it stays in this clone.
func (l *Ledger) Remote() string {
	if l.place.Own == nil {
		return gitremote.Redact(l.place.Address(l.opts.Remote))
	}
	at, _ := l.place.Own.Remote(l.opts.Remote)
	return gitremote.Redact(at.Push)
}

// Branch is the ledger's branch, without refs/heads/.
func (l *Ledger) Branch() string { return l.opts.Branch }

// Facts is what the ledger knows. With a remote, the remote's entries are taken
// in and entries made while it was gone are pushed first; a remote that does not
// answer is Transient. Entries new to this clone are verified. A ledger that was
// rewritten is Corrupt, and one that two clones continued apart is a Conflict.
func (l *Ledger) Facts(ctx context.Context) (*ledger.Facts, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	unlock, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := l.load(); err != nil {
		return nil, err
	}
	if err := l.recall(ctx); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	if err := l.sync(ctx); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	if err := l.remember(); err != nil {
		return nil, err
	}
	if err := l.save(); err != nil {
		return nil, err
	}
	return l.facts.Clone(), nil
}

func (l *Ledger) trust(ctx context.Context) ledger.Trust {
	t := ledger.Trust{Bundle: func(b []byte) ([]byte, port.Identity, error) { return l.opts.Verifier.Verify(ctx, b) }}
	if len(l.opts.Trusted) > 0 {
		t.Commit = func(c ledger.Commit) (string, error) { return gitstore.VerifyCommit(c, l.opts.Trusted) }
	}
	t.Stands, t.Then = l.opts.Stands, l.opts.Then
	return t
}

func (l *Ledger) rewritten(how, back string) error {
	return fault.WithHint(fault.New(fault.Corrupt, "the ledger was rewritten: %s", how),
		"find out who did it: %s; if it was meant, forget what was seen: git update-ref -d %s and remove %s",
		back, l.tracking, l.cacheFile())
}

func orNone(h plumbing.Hash) string {
	if h.IsZero() {
		return "nothing"
	}
	return h.String()
}

func (l *Ledger) cacheFile() string {
	if l.opts.CacheDir == "" {
		return "no cache"
	}
	return filepath.Join(l.opts.CacheDir, "ledger-"+l.cacheName()+".facts")
}

// hears keeps what the remote told.
func (l *Ledger) hears(adv *packp.AdvRefs) { l.told.Store(gitremote.Hear(adv)) }

// Keeping is where the ledger is kept, and what the remote told there that it has. It waits for nothing: places that the ledger asks while
// it is read want to know.
func (l *Ledger) Keeping() gitremote.Keeping {
	return gitremote.Keeping{Remote: l.opts.Remote, Branch: l.opts.Branch, Heard: l.told.Load()}
}
