// Package repo is the Git repository: the revisions that declare what is wanted, read
// straight from their trees, what came before them, and how the checkout differs.
package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options choose what of a repository is looked at.
type Options struct {
	Branch string // the tracked branch; without it, whatever HEAD is on
	Remote string // the remote that names the repository; without it, the one that Git would go by
	// URL is where the remote is, for a clone of our own: nothing of the clone's own
	// configuration acts then, and no objects outside of it are read.
	URL string
}

// Repo is a Git repository. It is safe for concurrent use.
type Repo struct {
	opts    Options
	place   gitstore.Place
	root    *os.Root   // of the work tree; nil where the repository is bare
	mu      sync.Mutex // go-git's storage is not for several goroutines at once
	store   *gitstore.Store
	counted sync.Map          // content of Git LFS that is what it is named: OID -> fs.FileInfo
	config  *gogit.Repository // refs and revisions; it knows no configuration
}

var _ port.Repo = (*Repo)(nil)

// Open finds the repository that dir is in, as git does: in dir or a folder
// above it. None is Missing.
func Open(dir string, opts Options) (*Repo, error) {
	if opts.Branch != "" {
		if err := gitstore.CheckName("branch", opts.Branch); err != nil {
			return nil, err
		}
	}
	p, err := gitstore.Find(dir)
	if err != nil {
		return nil, err
	}
	if p.URL = opts.URL; p.URL == "" {
		p.Own = &gitremote.Clone{Dir: cmp.Or(p.Work, p.Git), Git: p.Common}
		if err := p.Own.Check(context.Background()); err != nil {
			return nil, err
		}
		if opts.Remote == "" {
			if opts.Remote, err = p.Own.Usual(context.Background(), checkedOut(p)); err != nil {
				return nil, err
			}
		}
	}
	opts.Remote = cmp.Or(opts.Remote, gitremote.Origin)
	if err := gitstore.CheckName("remote", opts.Remote); err != nil {
		return nil, err
	}
	p.Remote = opts.Remote
	store := p.Open(cache.NewObjectLRU(32 * cache.MiByte))
	r, err := gogit.Open(unconfigured{store}, nil)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open Git repository %s: %w", p.Common, err), "git -C %s fsck says what is wrong with it", p.Common)
	}
	repo := &Repo{opts: opts, place: p, store: store, config: r}
	if p.Work != "" {
		if repo.root, err = os.OpenRoot(p.Work); err != nil {
			return nil, fault.New(fault.Internal, "open work tree: %w", err)
		}
	}
	return repo, nil
}

// checkedOut is the branch that HEAD names; "" where it names none.
func checkedOut(p gitstore.Place) string {
	head, err := os.ReadFile(filepath.Join(p.Git, "HEAD"))
	name, ok := strings.CutPrefix(strings.TrimSpace(string(head)), "ref: refs/heads/")
	if err != nil || !ok {
		return ""
	}
	return name
}

// Place is where the repository is on this machine.
func (r *Repo) Place() gitstore.Place { return r.place }

// Close lets go of the work tree.
func (r *Repo) Close() error {
	if r.root == nil {
		return nil
	}
	return r.root.Close()
}

// rest lets go of what is known of where packs have their objects, a hundred bytes of memory each: who has compared a checkout asks
// for few of them from then on, and mostly for none. Where one is asked for, it is found out anew.
func (r *Repo) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store.Reindex()
}

// Dir is the top of the checkout, or of the repository itself where it is bare.
func (r *Repo) Dir() string {
	if r.place.Work == "" {
		return r.place.Common
	}
	return r.place.Work
}

// unconfigured is a repository whose configuration nobody reads.
type unconfigured struct{ *gitstore.Store }

func (unconfigured) Config() (*config.Config, error) { return config.NewConfig(), nil }

// Head is the tracked revision. A repository without commits, or without the
// tracked branch, is Missing.
func (r *Repo) Head(ctx context.Context) (port.Revision, error) {
	if err := ctx.Err(); err != nil {
		return port.Revision{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	name := plumbing.HEAD
	if r.opts.Branch != "" {
		name = plumbing.NewBranchReferenceName(r.opts.Branch)
	}
	ref, err := r.store.Reference(name)
	branch := r.opts.Branch
	if err == nil && ref.Type() == plumbing.SymbolicReference {
		name, branch = ref.Target(), ref.Target().Short()
		ref, err = r.store.Reference(name)
	}
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return port.Revision{}, fault.WithHint(fault.New(fault.Missing, "%s has no commit on %s", r.Dir(), name.Short()), "commit your declarations first")
	}
	if err != nil {
		return port.Revision{}, gitstore.Damaged("read %s: %w", name, err)
	}
	c, err := r.commit(ref.Hash().String())
	if err != nil {
		return port.Revision{}, err
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return port.Revision{
		SHA: c.Hash.String(), Branch: branch, Subject: subject,
		Author: fmt.Sprintf("%s <%s>", c.Author.Name, c.Author.Email), Time: c.Committer.When,
	}, nil
}

// ID names the repository wherever it is cloned: by its remote where it has one,
// else by its place on this machine.
func (r *Repo) ID() digest.Digest {
	if url := gitremote.Canonical(r.remote(r.opts.Remote)); url != "" {
		return digest.Of([]byte(url))
	}
	return digest.Of([]byte(r.place.Common))
}

// Formerly is the ID that the repository had before it had a remote; "" where it
// still has it, or where this clone has no branch ledger, and so did nothing.
func (r *Repo) Formerly(ledger string) digest.Digest {
	r.mu.Lock()
	_, err := r.store.Reference(plumbing.NewBranchReferenceName(ledger))
	r.mu.Unlock()
	if before := digest.Of([]byte(r.place.Common)); err == nil && before != r.ID() {
		return before
	}
	return ""
}

// RemoteURL is where the remote is, without credentials; no such remote is "".
func (r *Repo) RemoteURL(name string) string { return gitremote.Redact(r.remote(name)) }

// remote is the remote's URL as configured, which may hold credentials.
func (r *Repo) remote(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.place.Address(name)
}
