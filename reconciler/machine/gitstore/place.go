// Package gitstore is a Git repository on this machine: its objects and its refs, as Git
// lays them out, read and written one by one without a work tree and without Git's program.
// What they mean is for who reads them: a revision, the ledger.
package gitstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
)

// Place is where the parts of a repository are.
type Place struct {
	Work   string           // the checkout; empty for a bare repository
	Git    string           // HEAD and index, a linked worktree's own
	Common string           // objects, branches and configuration
	Own    *gitremote.Clone // the user's clone, as Git sees it; nil: ours, whose configuration nobody reads

	// Remote is the remote that names the repository. URL is where it is, for a clone of our
	// own: nothing of the clone's own configuration acts then, and no objects outside of it are read.
	Remote, URL string
}

// Address is where a remote is fetched from as configured, which may hold credentials; "" is no such remote.
func (p Place) Address(name string) string {
	if p.Own != nil {
		u, _ := p.Own.Remote(name)
		return u.Fetch
	}
	if name == p.Remote {
		return p.URL
	}
	return ""
}

// Find is the repository that dir is in, as git finds it: in dir or a folder above it. None is Missing.
func Find(dir string) (Place, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return Place{}, fmt.Errorf("find Git repository: %w", err)
	}
	if start, err = filepath.EvalSymlinks(start); errors.Is(err, fs.ErrNotExist) {
		return Place{}, fault.WithHint(fault.New(fault.Missing, "%s does not exist", dir), "give the folder of a Git repository")
	} else if err != nil {
		return Place{}, fault.WithHint(fault.New(fault.Invalid, "find Git repository: %w", err), "give the folder of a Git repository that this user may read")
	}
	for at := start; ; at = filepath.Dir(at) {
		dot := filepath.Join(at, ".git")
		switch info, err := os.Stat(dot); {
		case err == nil && info.IsDir() && IsGitDir(dot):
			return common(Place{Work: at, Git: dot})
		case err == nil && info.Mode().IsRegular():
			return linked(at, dot)
		case IsGitDir(at):
			return common(Place{Git: at})
		}
		if filepath.Dir(at) == at {
			return Place{}, fault.WithHint(fault.New(fault.Missing, "%s is not in a Git repository", start),
				"go to the folder of your project, or name it with -C; vishwa init NAME begins one; if this is one, run git init and commit it")
		}
	}
}

// IsGitDir tells whether dir is laid out as a repository.
func IsGitDir(dir string) bool {
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
func linked(work, file string) (Place, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Place{}, fault.WithHint(fault.New(fault.Invalid, "read %s: %w", file, err), "let this user read it: it names the repository of this work tree")
	}
	to, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "gitdir: ")
	if !ok {
		return Place{}, fault.WithHint(fault.New(fault.Invalid, "%s is not a Git repository: it does not say gitdir", file), "run git worktree repair, or git submodule update --init, in the repository that it belongs to")
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(work, to)
	}
	if !IsGitDir(to) {
		return Place{}, fault.WithHint(fault.New(fault.Missing, "%s names %s, which is not a Git repository", file, to), "run git worktree repair")
	}
	return common(Place{Work: work, Git: filepath.Clean(to)})
}

func common(p Place) (Place, error) {
	p.Common = p.Git
	b, err := os.ReadFile(filepath.Join(p.Git, "commondir"))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return Place{}, fault.WithHint(fault.New(fault.Invalid, "open Git repository: %w", err), "let this user read the repository")
	}
	to := strings.TrimSpace(string(b))
	if !filepath.IsAbs(to) {
		to = filepath.Join(p.Git, to)
	}
	p.Common = filepath.Clean(to)
	if !IsGitDir(p.Common) {
		return Place{}, fault.WithHint(fault.New(fault.Missing, "%s names %s, which is not a Git repository", p.Git, to), "run git worktree repair")
	}
	return p, nil
}

var plainName = lazyregexp.New(`^[A-Za-z0-9_][-A-Za-z0-9_./]*$`)

// CheckName refuses what git would, and what a program could take for an option.
func CheckName(what, name string) error {
	if !plainName.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "//") ||
		strings.HasSuffix(name, "/") || plumbing.ReferenceName("refs/heads/"+name).Validate() != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%q is not a name for a %s", name, what),
			"use letters, digits, hyphens and single slashes, and begin with a letter")
	}
	return nil
}
