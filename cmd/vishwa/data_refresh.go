// vishwa data refresh: what changed at its source becomes a changed pin, proposed as its
// declaration says.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) dataRefresh() *cobra.Command {
	var format string
	var r refreshing
	cmd := &cobra.Command{
		Use: "refresh [REF...]", Short: "Look at sources that can change, and propose the pins of what has moved",
		Long: `Looks at the sources of datasets that can change, or of those that are named. If a
source differs from its pin, Vishwa downloads, checks and profiles it. Its new pin is
proposed: as a commit on the branch vishwa/refresh/BRANCH/NAME, ready
for a pull request, or, where the declaration says refresh: {propose: commit}, as a
commit on this branch. The work tree stays as it is in the first case. The same data is
proposed once.

A pin that no commit has yet is written into the work tree; with --in-place, so is any
other. Private addresses (over HTTP, as an S3 endpoint or as a broker of Kafka) are read
only if --allow names them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				ref, err := schemas.ParseRef(arg)
				if err != nil {
					return usage(cmd, err)
				}
				r.options.Refs = append(r.options.Refs, ref)
			}
			all, err := r.all(cmd.Context(), a)
			a.teller.end()
			if format == "json" { // also of those beside one that failed
				if all == nil {
					all = []app.Refreshed{}
				}
				return errors.Join(err, a.json(all))
			}
			for _, one := range all {
				r.refreshed(one)
			}
			if len(all) == 0 && err == nil {
				fmt.Fprintln(a.out, "No dataset has a source that moves by itself: one with a pin does.")
			}
			return err
		},
	}
	cmd.Flags().StringSliceVar(&r.options.Allow, "allow", nil, "read from this private `HOST` or network")
	cmd.Flags().BoolVar(&r.inPlace, "in-place", false, "write the pins into the work tree, and commit nothing")
	cmd.Flags().BoolVar(&r.push, "push", false, "push the data to its remote, and the commit to the remote of this clone")
	formats(cmd, &format, "text", "json")
	return cmd
}

// refreshed says what became of one dataset.
func (r *refreshing) refreshed(one app.Refreshed) {
	out := r.cli.out
	switch {
	case one.Waits != "":
		fmt.Fprintf(out, "%s: has moved, and is left for now: %s\n", one.Ref, one.Waits)
		return
	case !one.Moved && one.Proposed != nil:
		fmt.Fprintf(out, "%s: is proposed already, on %s\n", one.Ref, one.Proposed.Branch)
		return
	case !one.Moved:
		fmt.Fprintf(out, "%s: has not moved\n", one.Ref)
		return
	}
	rows := ""
	if one.Rows >= 0 {
		rows = ", " + plural.Of(one.Rows, "row")
	}
	fmt.Fprintf(out, "%s: %s, %s%s, pinned by %s\n", one.Ref, plural.Of(one.Files, "file"), bytesOf(one.Size), rows, one.Pin)
	for _, w := range one.Warnings {
		fmt.Fprintf(out, "  warning: %s\n", w)
	}
	switch {
	case one.Proposed == nil:
		fmt.Fprintln(out, "  Next: vishwa data push, and commit the pin.")
	case r.push:
		fmt.Fprintf(out, "  Pushed to %s as %.7s, with its data.\n", one.Proposed.Branch, one.Proposed.SHA)
	case strings.HasPrefix(one.Proposed.Branch, app.Proposals): // the data of another branch is no push's of this one
		fmt.Fprintf(out, "  Committed to %s as %.7s. Next: vishwa data refresh --push %s, which pushes it with its data.\n", one.Proposed.Branch, one.Proposed.SHA, one.Ref)
	default:
		fmt.Fprintf(out, "  Committed to %s as %.7s. Next: vishwa data push, and git push %s %s.\n", one.Proposed.Branch, one.Proposed.SHA, r.remote(), one.Proposed.Branch)
	}
}

// refreshing is one call of the verb.
type refreshing struct {
	options       app.RefreshOptions
	inPlace, push bool

	cli  *cli
	work *data.Workspace
	root string // of the work tree
	s    *station
}

func (r *refreshing) all(ctx context.Context, a *cli) (out []app.Refreshed, err error) {
	if r.cli = a; r.inPlace && r.push {
		return nil, fault.WithHint(fault.New(fault.Invalid, "what is written in place is not pushed"), "leave out --push or --in-place")
	}
	if r.work, err = a.workspace(0); err != nil {
		return nil, err
	}
	r.root = r.work.Root()
	if r.s, err = a.open(ctx, reading); err != nil {
		return nil, err
	}
	defer r.s.close()
	if err := r.pushable(ctx); err != nil {
		return nil, err
	}
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	r.options.Env, r.options.Store, r.options.Serving = env, r.s.Store, r.s.Paths.Serving()
	r.options.Heard = a.teller.showProgress
	r.options.Tell = func(line string) {
		a.teller.end()
		fmt.Fprintln(a.err, line)
	}
	head, err := r.s.Repo.Head(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := r.committed(ctx, head.SHA)
	if err != nil {
		return nil, err
	}
	here := r.options
	here.Due = func(d schemas.Declaration) bool { return r.inPlace || !kept[d.Ref()] || direct(d) }
	if out, err = app.Refresh(ctx, r.work, here); err != nil {
		return out, err
	}
	if r.inPlace {
		return out, nil
	}
	for i := range out {
		if out[i].Moved && kept[out[i].Ref] {
			if err := r.commit(ctx, &out[i], head.Branch); err != nil {
				return out, err
			}
		}
	}
	more, err := r.propose(ctx, head.SHA, head.Branch, kept)
	return append(out, more...), err
}

func direct(d schemas.Declaration) bool { return d.Spec.(schemas.Data).Data().Source.Refresh.Direct() }

// committed are the datasets whose pins a commit has.
func (r *refreshing) committed(ctx context.Context, sha string) (map[schemas.Ref]bool, error) {
	tree, err := r.s.Repo.Open(ctx, sha)
	if err != nil {
		return nil, err
	}
	decls, problems := schemas.Load(ctx, tree)
	if len(problems) > 0 {
		return nil, nil // it is being mended here: pins are written in place
	}
	out := map[schemas.Ref]bool{}
	for _, d := range decls {
		given, ok := d.Spec.(schemas.Data)
		if !ok || !given.Data().Source.Mutable() {
			continue
		}
		spec := given.Data()
		pinned, err := data.Pinned(tree, filepath.ToSlash(filepath.Clean(spec.Source.Pin)))
		if err != nil {
			return nil, err
		}
		out[d.Ref()] = pinned != nil
	}
	return out, nil
}

// propose puts pins on branches of their own.
func (r *refreshing) propose(ctx context.Context, sha, base string, kept map[schemas.Ref]bool) ([]app.Refreshed, error) {
	o := r.options
	o.Due = func(d schemas.Declaration) bool { return kept[d.Ref()] && !direct(d) }
	if len(o.Refs) > 0 {
		o.Refs = nil
		for _, ref := range r.options.Refs {
			if kept[ref] {
				o.Refs = append(o.Refs, ref)
			}
		}
		if len(o.Refs) == 0 {
			return nil, nil
		}
	}
	p := r.proposer(sha, base, "refresh")
	if name, email := r.s.Repo.Person(); name != "" {
		p.For = name + " <" + email + ">"
	}
	out, failed := p.Propose(ctx, o)
	for _, err := range failed[min(1, len(failed)):] {
		fmt.Fprintf(r.cli.err, "vishwa: %v\n  %s\n", err, fault.WayOut(err))
	}
	if len(failed) > 0 {
		return out, failed[0]
	}
	return out, nil
}

// proposer proposes changes of base, which is at sha, and works in a folder of that name.
func (r *refreshing) proposer(sha, base, folder string) *app.Proposer {
	return &app.Proposer{
		Repo: r.s.Repo, Base: base, Head: sha, Dir: filepath.Join(r.s.Paths.State, folder, "here"), Checkout: r.work, Push: r.push,
		Tip: r.tip, Move: r.move,
	}
}

// commit records a pin that was written in place, and nothing else of the work tree.
func (r *refreshing) commit(ctx context.Context, one *app.Refreshed, branch string) error {
	files := []string{one.Pin}
	if beside := filepath.Join(filepath.Dir(one.Pin), ".gitignore"); exists(filepath.Join(r.work.Root(), beside)) {
		files = append(files, beside)
	}
	if _, err := r.git(ctx, append([]string{"add", "--"}, files...)...); err != nil {
		return err
	}
	if _, err := gitIn(ctx, r.work.Root(), app.PinText(*one).Message(), append([]string{"commit", "--quiet", "--only", "--file=-", "--"}, files...)...); err != nil {
		return err
	}
	sha, err := r.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	one.Proposed = &app.Proposed{Branch: branch, SHA: strings.TrimSpace(sha)}
	if !r.push {
		return nil
	}
	if _, err := r.work.Push(ctx, "", []string{filepath.Join(r.work.Root(), one.Pin)}); err != nil {
		return err
	}
	_, err = r.git(ctx, "push", "--quiet", r.remote(), "HEAD:refs/heads/"+branch)
	return err
}

func (r *refreshing) git(ctx context.Context, args ...string) (string, error) {
	return gitIn(ctx, r.root, "", args...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
