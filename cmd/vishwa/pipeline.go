// vishwa init --github and --jenkins: the pipelines, written beside what is there.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/templates"
)

// pipelines are what init is asked to write.
type pipelines struct {
	github, jenkins bool
	branch, action  string
}

var (
	// A branch's name stands in YAML, Groovy and a shell's text as it is.
	pipelineBranch = lazyregexp.New(`^[A-Za-z0-9_][-A-Za-z0-9_./]*$`)
	wholeCommit    = lazyregexp.New(`^[0-9a-f]{40}$`)
)

func (a *cli) pipelines(dir string, p pipelines) error {
	r, err := repo.Open(dir, repo.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Bare() {
		return fault.WithHint(fault.New(fault.Invalid, "a bare repository has no folder to write to"), "run this in a clone")
	}
	if p.branch, err = trackedBranch(r.Dir(), p.branch); err != nil {
		return err
	}
	unpinned := false
	files := []struct {
		wanted bool
		path   string
		make   func() ([]byte, error)
	}{
		{p.github, ".github/workflows/vishwa.yml", func() ([]byte, error) {
			commit, err := actionCommit(p.action)
			if err != nil {
				return nil, err
			}
			unpinned = commit == templates.NoCommit
			return templates.Workflow(templates.Pipeline{Branch: p.branch, Action: "vishwaops/vishwa/.github/actions/vishwa@" + commit})
		}},
		{p.jenkins, "Jenkinsfile", func() ([]byte, error) { return templates.Jenkinsfile(templates.Pipeline{Branch: p.branch}) }},
	}
	for _, f := range files {
		if !f.wanted {
			continue
		}
		if _, err := os.Lstat(filepath.Join(r.Dir(), f.path)); err == nil {
			fmt.Fprintf(a.out, "%s already exists, and stays as it is.\n", f.path)
			continue
		}
		raw, err := f.make()
		if err != nil {
			return err
		}
		if err := writeNew(r.Dir(), f.path, raw); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "Wrote %s for the branch %s.\n", f.path, p.branch)
	}
	if unpinned {
		fmt.Fprintf(a.out, `
The workflow lacks the commit of Vishwa's action, as this program does not know the
commit that it was built from. Put it in place of %.7s..., in three places:

  git ls-remote https://github.com/vishwaops/vishwa HEAD

or remove the file and give it: vishwa init --github --action COMMIT

`, templates.NoCommit)
	}
	fmt.Fprint(a.out, `Next:

  export VISHWA_KEYS=$HOME/vishwa-ci-keys   # keys of the pipeline's own, apart from yours
  vishwa keys generate --name ci            # asks for a password; adds them to trust.yaml
  tar -C "$VISHWA_KEYS" -cz . | base64      # the value of the secret VISHWA_KEYS_ARCHIVE
  git add -A && git commit -m "Reconcile in continuous integration"

The files say which secrets to set.
`)
	return nil
}

// trackedBranch is the branch that was given, or the one that HEAD is on, born or not.
func trackedBranch(dir, given string) (string, error) {
	if given == "" {
		r, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
		if err != nil {
			return "", fault.WithHint(fault.New(fault.Invalid, "open %s: %w", dir, err), "run it in a clone of the repository, or name the branch with --branch")
		}
		head, err := r.Storer.Reference(plumbing.HEAD)
		if err != nil || !head.Target().IsBranch() {
			return "", fault.WithHint(fault.New(fault.Invalid, "no branch is checked out"), "name the tracked branch: --branch main")
		}
		given = head.Target().Short()
	}
	if !pipelineBranch.MatchString(given) || plumbing.NewBranchReferenceName(given).Validate() != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%q is not a branch that a pipeline can name", given), "give one of letters, digits, hyphens, dots and slashes: --branch main")
	}
	return given, nil
}

// actionCommit is the commit that was given, or the one that this program was built
// from, or templates.NoCommit where that is not known.
func actionCommit(given string) (string, error) {
	if given != "" {
		if !wholeCommit.MatchString(given) {
			return "", fault.WithHint(fault.New(fault.Invalid, "%q is not a whole commit", given), "give all 40 hexadecimal digits: what is pinned by less can be moved")
		}
		return given, nil
	}
	if wholeCommit.MatchString(builtFrom) {
		return builtFrom, nil
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		revision, changed := "", false
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.modified":
				changed = s.Value == "true"
			}
		}
		if wholeCommit.MatchString(revision) && !changed {
			return revision, nil
		}
	}
	return templates.NoCommit, nil
}

// writeNew writes a file that is not there, and follows no link out of dir.
func writeNew(dir, path string, raw []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write %s: %w", path, err), "%s", cmp.Or(fault.OfSystem(err), "let this user write it, and see that no link or file is where a folder is needed"))
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "make the folder of %s: %w", path, err), "let this user make it, and see that no link or file is where a folder is needed")
	}
	f, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fault.WithHint(fault.New(fault.Conflict, "%s has just been written by somebody else", path), "look at it, and run the command again")
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write %s: %w", path, err), "%s", cmp.Or(fault.OfSystem(err), "let this user write it, and see that no link or file is where a folder is needed"))
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write %s: %w", path, err), "%s", cmp.Or(fault.OfSystem(err), "let this user write it, and see that no link or file is where a folder is needed"))
	}
	return nil
}
