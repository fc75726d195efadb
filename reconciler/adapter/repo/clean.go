// What Git calls clean: a file of the checkout that git status does not name reads as the
// file of the commit, whatever its bytes are on disk. Line ends, encodings, $Id$ and
// filters make them others, and no change; a sparse checkout leaves them out.

package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// clean is what Git says of a checkout at one moment: that of the first question.
type clean struct {
	repo *Repo
	once sync.Once
	err  error

	head    *tree           // nil: the checkout's bytes are the commit's, where it has not changed
	changed map[string]bool // files that are not as in the commit
	absent  map[string]bool // files that a sparse checkout leaves out, and the folders above them

	links func() (map[string]bool, error) // the submodules of the index
}

func newClean(r *Repo) *clean {
	return &clean{repo: r, links: sync.OnceValues(func() (map[string]bool, error) {
		out, err := r.place.Own.Ask(context.Background(), nil, "ls-files", "--stage", "-z")
		if err != nil {
			return nil, err
		}
		return submodules(out), nil
	})}
}

// link tells whether a folder is a submodule of the index, initialised or not.
func (c *clean) link(name string) (bool, error) {
	if c.repo.place.Own == nil {
		return false, nil
	}
	links, err := c.links()
	return links[name], err
}

// submodules are what git ls-files --stage lists with a submodule's mode (git-ls-files(1)).
func submodules(out []byte) map[string]bool {
	names := map[string]bool{}
	for _, line := range nulled(out) {
		if fields, name, ok := strings.Cut(line, "\t"); ok && strings.HasPrefix(fields, "160000 ") {
			names[name] = true
		}
	}
	return names
}

// as is the commit's tree where the file of it stands for the checkout's; nil where what
// is on disk counts.
func (c *clean) as(name string) (*tree, error) {
	if err := c.load(); err != nil || c.head == nil || c.changed[name] {
		return nil, err
	}
	if n, err := c.head.find("stat", name); err != nil || n.IsDir() {
		return nil, nil //nolint:nilerr // Git does not keep it
	}
	return c.head, nil
}

// left is the commit's tree where a sparse checkout left the file or folder out.
func (c *clean) left(name string) *tree {
	if err := c.load(); err != nil || !c.absent[name] {
		return nil
	}
	return c.head
}

func (c *clean) load() error {
	c.once.Do(func() {
		ctx := context.Background()
		sparse, err := c.repo.sparse(ctx)
		if err == nil && !sparse {
			var may bool
			if may, err = c.repo.converts(ctx); err == nil && !may {
				return
			}
		}
		if err == nil {
			err = c.ask(ctx, sparse)
		}
		if c.err = err; err != nil {
			c.head = nil
		}
	})
	return c.err
}

// ask has Git compare the checkout with its newest commit.
func (c *clean) ask(ctx context.Context, sparse bool) error {
	c.repo.mu.Lock()
	sha, err := c.repo.config.ResolveRevision(plumbing.Revision("HEAD"))
	c.repo.mu.Unlock()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil // there is no commit yet
	}
	if err != nil {
		return gitstore.Damaged("read HEAD: %w", err)
	}
	at, err := c.repo.Open(ctx, sha.String())
	if err != nil {
		return err
	}
	out, err := c.repo.place.Own.Ask(ctx, nil, "status", "--porcelain=v2", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=all")
	if err != nil {
		return err
	}
	if c.changed, err = changes(out); err != nil {
		return err
	}
	if sparse {
		if out, err = c.repo.place.Own.Ask(ctx, nil, "ls-files", "-t", "-z"); err != nil {
			return err
		}
		c.absent = skipped(out)
	}
	c.head = at.(*tree)
	return nil
}

// changes are the files that git status names (git-status(1), porcelain format 2).
func changes(out []byte) (map[string]bool, error) {
	before := map[byte]int{'1': 8, 'u': 10} // fields that stand before the name
	names := map[string]bool{}
	for _, line := range nulled(out) {
		n := before[line[0]]
		fields := strings.SplitN(line, " ", n+1)
		if n == 0 || len(fields) != n+1 {
			return nil, fault.New(fault.Internal, "read git status: %q is not known", line)
		}
		names[fields[n]] = true
	}
	return names, nil
}

// skipped are the files that are not to be in the checkout (git-ls-files(1), tag S), and
// the folders above them.
func skipped(out []byte) map[string]bool {
	names := map[string]bool{}
	for _, line := range nulled(out) {
		if name, ok := strings.CutPrefix(line, "S "); ok {
			for p := name; p != "." && !names[p]; p = path.Dir(p) {
				names[p] = true
			}
		}
	}
	return names
}

// Unwatched are the files whose changes git status does not show: those that git update-index
// marked skip-worktree (git-ls-files(1), tag S) or assume-unchanged (a tag in lower case).
func (r *Repo) Unwatched(ctx context.Context) (names []string, err error) {
	if r.place.Own == nil || r.root == nil {
		return nil, nil
	}
	if sparse, err := r.sparse(ctx); err != nil || sparse {
		return nil, err // there the mark says that a file is left out
	}
	out, err := r.place.Own.Ask(ctx, nil, "ls-files", "-v", "-z")
	if err != nil {
		return nil, err
	}
	for _, line := range nulled(out) {
		if tag, name, ok := strings.Cut(line, " "); ok && (tag == "S" || tag != strings.ToUpper(tag)) {
			names = append(names, name)
		}
	}
	return names, nil
}

func nulled(out []byte) []string {
	return slices.DeleteFunc(strings.Split(string(out), "\x00"), func(s string) bool { return s == "" })
}

func (r *Repo) sparse(ctx context.Context) (bool, error) {
	set, err := r.place.Own.Settings(ctx)
	return set.On("core.sparsecheckout"), err
}

// converts tells whether a file of the checkout may hold other bytes than Git keeps:
// without line ends to convert and without attributes (gitattributes(5)), none does.
func (r *Repo) converts(ctx context.Context) (bool, error) {
	set, err := r.place.Own.Settings(ctx)
	if err != nil {
		return false, err
	}
	if set.On("core.autocrlf") {
		return true, nil
	}
	user := gitremote.Home(set.Last("core.attributesfile"))
	if user == "" {
		base := os.Getenv("XDG_CONFIG_HOME")
		if base == "" {
			base = gitremote.Home("~/.config")
		}
		user = filepath.Join(base, "git", "attributes")
	}
	for _, file := range []string{filepath.Join(r.place.Work, ".gitattributes"), filepath.Join(r.place.Common, "info", "attributes"), user, "/etc/gitattributes"} {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
	}
	out, err := r.place.Own.Ask(ctx, nil, "ls-files", "-z", "--", ":(top,glob)**/.gitattributes")
	if err != nil {
		return false, fmt.Errorf("look for .gitattributes: %w", err)
	}
	return len(out) > 0, nil
}
