// Package repo is the Git repository: the revisions that declare what is wanted,
// read straight from their trees, and the ledger branch that records what was
// done. It reads and writes Git's objects without a work tree.
package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options choose what of a repository is looked at.
type Options struct {
	Branch string // the tracked branch; without it, whatever HEAD is on
	Remote string // the remote that names the repository; without it, origin
	// URL is where the remote is, for a clone of our own: nothing of the clone's own
	// configuration acts then, and no objects outside of it are read.
	URL string
}

// Repo is a Git repository. It is safe for concurrent use.
type Repo struct {
	opts    Options
	place   place
	root    *os.Root   // of the work tree; nil where the repository is bare
	mu      sync.Mutex // go-git's storage is not for several goroutines at once
	store   *store
	counted sync.Map          // content of Git LFS that is what it is named: OID -> fs.FileInfo
	config  *gogit.Repository // refs and revisions; it knows no configuration
}

var _ port.Repo = (*Repo)(nil)

// place is where the parts of a repository are.
type place struct {
	work   string           // the checkout; empty for a bare repository
	git    string           // HEAD and index, a linked worktree's own
	common string           // objects, branches and configuration
	own    *gitremote.Clone // the user's clone, as Git sees it; nil: ours, whose configuration nobody reads
}

// largeObject is the size, in bytes, above which a file is not held in memory.
const largeObject = 16 << 20

// Open finds the repository that dir is in, as git does: in dir or a folder
// above it. None is Missing.
func Open(dir string, opts Options) (*Repo, error) {
	if opts.Branch != "" {
		if err := checkName("branch", opts.Branch); err != nil {
			return nil, err
		}
	}
	if opts.Remote == "" {
		opts.Remote = "origin"
	}
	if err := checkName("remote", opts.Remote); err != nil {
		return nil, err
	}
	p, err := find(dir)
	if err != nil {
		return nil, err
	}
	if opts.URL == "" {
		p.own = &gitremote.Clone{Dir: cmp.Or(p.work, p.git), Git: p.common}
		if err := p.own.Check(context.Background()); err != nil {
			return nil, err
		}
	}
	store := p.storage(cache.NewObjectLRU(32 * cache.MiByte))
	r, err := gogit.Open(unconfigured{store}, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "open Git repository %s: %w", p.common, err)
	}
	repo := &Repo{opts: opts, place: p, store: store, config: r}
	if p.work != "" {
		if repo.root, err = os.OpenRoot(p.work); err != nil {
			return nil, fault.New(fault.Internal, "open work tree: %w", err)
		}
	}
	return repo, nil
}

// Close lets go of the work tree.
func (r *Repo) Close() error {
	if r.root == nil {
		return nil
	}
	return r.root.Close()
}

// Dir is the top of the checkout, or of the repository itself where it is bare.
func (r *Repo) Dir() string {
	if r.place.work == "" {
		return r.place.common
	}
	return r.place.work
}

// unconfigured is a repository whose configuration nobody reads.
type unconfigured struct{ *store }

func (unconfigured) Config() (*config.Config, error) { return config.NewConfig(), nil }

func find(dir string) (place, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return place{}, fmt.Errorf("find Git repository: %w", err)
	}
	if start, err = filepath.EvalSymlinks(start); errors.Is(err, fs.ErrNotExist) {
		return place{}, fault.WithHint(fault.New(fault.Missing, "%s does not exist", dir), "give the folder of a Git repository")
	} else if err != nil {
		return place{}, fault.New(fault.Invalid, "find Git repository: %w", err)
	}
	for at := start; ; at = filepath.Dir(at) {
		dot := filepath.Join(at, ".git")
		switch info, err := os.Stat(dot); {
		case err == nil && info.IsDir() && isGitDir(dot):
			return common(place{work: at, git: dot})
		case err == nil && info.Mode().IsRegular():
			return linked(at, dot)
		case isGitDir(at):
			return common(place{git: at})
		}
		if filepath.Dir(at) == at {
			return place{}, fault.WithHint(fault.New(fault.Missing, "%s is not in a Git repository", start),
				"run git init, commit your declarations, and try again")
		}
	}
}

func isGitDir(dir string) bool {
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err != nil {
		return false
	}
	if _, err := os.Stat(filepath.Join(dir, "commondir")); err == nil {
		return true
	}
	for _, sub := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// linked follows the .git file of a linked worktree or a submodule.
func linked(work, file string) (place, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return place{}, fault.New(fault.Invalid, "read %s: %w", file, err)
	}
	to, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "gitdir: ")
	if !ok {
		return place{}, fault.New(fault.Invalid, "%s is not a Git repository: it does not say gitdir", file)
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(work, to)
	}
	if !isGitDir(to) {
		return place{}, fault.WithHint(fault.New(fault.Missing, "%s names %s, which is not a Git repository", file, to), "run git worktree repair")
	}
	return common(place{work: work, git: filepath.Clean(to)})
}

func common(p place) (place, error) {
	p.common = p.git
	b, err := os.ReadFile(filepath.Join(p.git, "commondir"))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return place{}, fault.New(fault.Invalid, "open Git repository: %w", err)
	}
	to := strings.TrimSpace(string(b))
	if !filepath.IsAbs(to) {
		to = filepath.Join(p.git, to)
	}
	p.common = filepath.Clean(to)
	if !isGitDir(p.common) {
		return place{}, fault.WithHint(fault.New(fault.Missing, "%s names %s, which is not a Git repository", p.git, to), "run git worktree repair")
	}
	return p, nil
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_./]*$`)

// checkName refuses what git would, and what a program could take for an option.
func checkName(what, name string) error {
	if !plainName.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "//") ||
		strings.HasSuffix(name, "/") || plumbing.ReferenceName("refs/heads/"+name).Validate() != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%q is not a name for a %s", name, what),
			"use letters, digits, hyphens and single slashes, and begin with a letter")
	}
	return nil
}

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
		return port.Revision{}, fault.New(fault.Corrupt, "read %s: %w", name, err)
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
	return digest.Of([]byte(r.place.common))
}

// Formerly is the ID that the repository had before it had a remote; "" where it
// still has it, or where this clone has no such ledger, and so did nothing.
func (r *Repo) Formerly(branch string) digest.Digest {
	if branch == "" {
		branch = UsualBranch
	}
	r.mu.Lock()
	_, err := r.store.Reference(plumbing.NewBranchReferenceName(branch))
	r.mu.Unlock()
	if before := digest.Of([]byte(r.place.common)); err == nil && before != r.ID() {
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
	if r.opts.URL != "" {
		if name == r.opts.Remote {
			return r.opts.URL
		}
		return ""
	}
	u, _ := r.place.own.Remote(name)
	return u.Fetch
}
