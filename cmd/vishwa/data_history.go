// Data of revisions: which trees a command of vishwa data is about, beside the work
// tree.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// history is which revisions are meant, as the flags say.
type history struct {
	repo.History
	date string
}

func (h *history) flags(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVarP(&h.Branches, "all-branches", "a", false, what+" the tips of all branches")
	cmd.Flags().BoolVarP(&h.Tags, "all-tags", "T", false, what+" all tags")
	cmd.Flags().BoolVarP(&h.All, "all-commits", "A", false, what+" all commits")
}

// some tells whether any revision is meant.
func (h *history) some() bool {
	return h.Branches || h.Tags || h.All || h.Revision != "" || h.date != ""
}

func (h *history) check() error {
	if h.Last != 0 && h.Revision == "" && !h.Branches {
		return fault.WithHint(fault.New(fault.Invalid, "--num counts the commits of a branch or a revision, and none is named"), "add -a or --rev")
	}
	if h.date == "" {
		return nil
	}
	at, err := time.ParseInLocation("2006-01-02", h.date, time.Local)
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%q is not a date", h.date), "write it as 2026-01-31")
	}
	h.Since = at
	return nil
}

// inGit is the DVC repository's Git repository, and where in it the former is.
func inGit(w *data.Workspace) (*repo.Repo, string, error) {
	r, err := repo.Open(w.Root(), repo.Options{})
	if err != nil {
		return nil, "", err
	}
	top, err := filepath.EvalSymlinks(r.Dir())
	if err != nil {
		return nil, "", errors.Join(fault.New(fault.Denied, "find %s: %w", r.Dir(), err), r.Close())
	}
	below, err := filepath.Rel(top, w.Root())
	if err != nil {
		return nil, "", errors.Join(fault.WithHint(fault.New(fault.Invalid, "find %s: %w", w.Root(), err), "run it in a clone of the repository that holds the data"), r.Close())
	}
	return r, filepath.ToSlash(below), nil
}

// treeAt is the tree of a revision of the Git repository that the data is in.
func (a *cli) treeAt(ctx context.Context, w *data.Workspace, revision string) (fs.FS, error) {
	r, below, err := inGit(w)
	if err != nil {
		return nil, err
	}
	sha, err := r.Resolve(revision)
	if err != nil {
		return nil, err
	}
	tree, err := r.Open(ctx, sha)
	if err != nil {
		return nil, err
	}
	return fs.Sub(tree, below)
}

// trees are the work tree and those of h.
func trees(ctx context.Context, w *data.Workspace, h *history) data.Revisions {
	return func(yield func(data.Tree, error) bool) {
		if !yield(data.Tree{Name: "the work tree", FS: os.DirFS(w.Root())}, nil) || !h.some() {
			return
		}
		r, below, err := inGit(w)
		if err != nil {
			yield(data.Tree{}, err)
			return
		}
		defer r.Close()
		all, err := r.Commits(ctx, h.History)
		if err != nil {
			yield(data.Tree{}, err)
			return
		}
		for _, sha := range all {
			tree, err := r.Open(ctx, sha)
			if err == nil {
				if _, missing := fs.Stat(tree, below); missing != nil {
					continue // from before the data's repository was made
				}
				tree, err = fs.Sub(tree, below)
			}
			if !yield(data.Tree{Name: "commit " + sha[:12], FS: tree}, err) || err != nil {
				return
			}
		}
	}
}

func (a *cli) dataGC() *cobra.Command {
	var workspace, dry, force bool
	var k data.Kept
	var h history
	var projects []string
	var skip bool
	var jobs int
	cmd := &cobra.Command{
		Use: "gc", Short: "Remove what nothing points to, from the cache and with -c from remotes", Args: cobra.NoArgs,
		Long: `What the work tree points to is always kept, and what the revisions that are named
point to. Everything else is counted, and removed once you say so.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := scope(workspace, k, &h); err != nil {
				return usage(cmd, err)
			}
			w, err := a.workspace(jobs)
			if err != nil {
				return err
			}
			if h.past() {
				if err := entire(w); err != nil {
					return err
				}
			}
			if k.Trees, err = a.keptBy(cmd.Context(), w, &h, projects); err != nil {
				return err
			}
			if skip {
				k.Pass = func(err error) { fmt.Fprintf(a.err, "passed over: %v\n", err) }
			}
			u, err := w.Unused(cmd.Context(), k)
			if err != nil {
				return err
			}
			return a.collect(cmd.Context(), u, dry, force)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&workspace, "workspace", "w", false, "keep what the work tree points to, and nothing else that is not named")
	h.flags(cmd, "keep")
	f.StringVar(&h.Revision, "rev", "", "keep `REVISION`")
	f.IntVarP(&h.Last, "num", "n", 0, "keep the last `N` commits of --rev and -a; 1 where it is not given")
	f.StringVar(&h.date, "date", "", "keep commits of `YYYY-MM-DD` and later")
	f.BoolVarP(&k.Cloud, "cloud", "c", false, "remove from the remote too")
	f.StringVarP(&k.Remote, "remote", "r", "", "`NAME` instead of the default remote")
	f.BoolVar(&k.NotInRemote, "not-in-remote", false, "keep only what the remote does not have")
	f.StringArrayVarP(&projects, "projects", "p", nil, "keep what the repository at `PATH` needs, too; may be repeated")
	f.BoolVar(&skip, "skip-failed", false, "pass over pins that cannot be read, and let their files go")
	f.BoolVar(&dry, "dry", false, "tell what would go, and remove nothing")
	f.BoolVarP(&force, "force", "f", false, "do not ask")
	jobsFlag(cmd, &jobs)
	return cmd
}

// scope checks that the flags say what is kept.
func scope(workspace bool, k data.Kept, h *history) error {
	switch {
	case !workspace && !h.some():
		return fault.WithHint(fault.New(fault.Invalid, "gc needs to know what is kept"), "say so: -w for the work tree, -a branches, -T tags, -A all commits, --rev or --date")
	case k.Remote != "" && !k.Cloud && !k.NotInRemote:
		return fault.WithHint(fault.New(fault.Invalid, "--remote is for --cloud and --not-in-remote"), "add -c to collect in the remote")
	case k.Cloud && k.NotInRemote:
		return fault.WithHint(fault.New(fault.Invalid, "--cloud and --not-in-remote contradict each other"), "choose one")
	}
	return h.check()
}

// past tells whether commits are meant beside the tips of branches and tags.
func (h *history) past() bool { return h.All || h.date != "" || h.Last > 1 }

// entire refuses a clone that does not have all commits: what those need that are not
// here would go.
func entire(w *data.Workspace) error {
	r, _, err := inGit(w)
	if err != nil {
		return err
	}
	defer r.Close()
	shallow, err := r.Shallow()
	if err == nil && shallow {
		err = fault.WithHint(fault.New(fault.Invalid, "the clone is shallow: commits that are not here may need what would be removed"), "fetch them: git fetch --unshallow")
	}
	return err
}

// keptBy are the trees of this repository and of projects.
func (a *cli) keptBy(ctx context.Context, w *data.Workspace, h *history, projects []string) (data.Revisions, error) {
	all := []*data.Workspace{w}
	for _, p := range a.paths(projects) {
		env, err := a.env()
		if err != nil {
			return nil, err
		}
		other, err := data.Open(p, data.Options{Env: env})
		if err != nil {
			return nil, err
		}
		all = append(all, other)
	}
	return func(yield func(data.Tree, error) bool) {
		for _, w := range all {
			for t, err := range trees(ctx, w, h) {
				if w != all[0] {
					t.Name += " of " + w.Root()
				}
				if !yield(t, err) {
					return
				}
			}
		}
	}, nil
}

// collect tells what goes, asks, and removes it.
func (a *cli) collect(ctx context.Context, u *data.Unused, dry, force bool) error {
	did := "would go"
	tell := func() {
		fmt.Fprintf(a.out, "%s %s, %s; %d kept\n", plural.Of(u.Objects, "object"), did, bytesOf(u.Bytes), u.Kept)
		for _, r := range u.Remotes {
			fmt.Fprintf(a.out, "remote %s: %s %s, %s; %d kept\n", r.Name, plural.Of(r.Objects, "object"), did, bytesOf(r.Bytes), r.Kept)
		}
	}
	switch {
	case dry:
		tell()
		return nil
	case u.Empty(): // nothing but what was left half-written goes
	case !force && !a.terminal:
		tell()
		return fault.WithHint(fault.New(fault.Held, "nobody is at a terminal to say whether they may be removed"), "remove them without asking: -f")
	case !force:
		tell()
		if !a.sure("Remove them?") {
			fmt.Fprintln(a.out, "Nothing was removed.")
			return nil
		}
	}
	if err := u.Remove(ctx); err != nil {
		return err
	}
	did = "removed"
	tell()
	return nil
}
