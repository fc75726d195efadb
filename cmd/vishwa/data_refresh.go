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

A pin that no commit has yet is written into the work tree, as is any with --in-place.
Private addresses are not read, over HTTP, as an S3 endpoint or as a broker of Kafka, but where
--allow names them.`,
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
				a.refreshed(one, r.push)
			}
			return err
		},
	}
	cmd.Flags().StringSliceVar(&r.options.Allow, "allow", nil, "read from this private `HOST` or network")
	cmd.Flags().BoolVar(&r.inPlace, "in-place", false, "write the pins into the work tree, and commit nothing")
	cmd.Flags().BoolVar(&r.push, "push", false, "push the data to its remote, and the commit to origin")
	formats(cmd, &format, "text", "json")
	return cmd
}

// refreshed says what became of one dataset.
func (a *cli) refreshed(r app.Refreshed, pushed bool) {
	switch {
	case r.Waits != "":
		fmt.Fprintf(a.out, "%s: has moved, and is left for now: %s\n", r.Ref, r.Waits)
		return
	case !r.Moved && r.Proposed != nil:
		fmt.Fprintf(a.out, "%s: is proposed already, on %s\n", r.Ref, r.Proposed.Branch)
		return
	case !r.Moved:
		fmt.Fprintf(a.out, "%s: has not moved\n", r.Ref)
		return
	}
	rows := ""
	if r.Rows >= 0 {
		rows = ", " + plural.Of(r.Rows, "row")
	}
	fmt.Fprintf(a.out, "%s: %s, %s%s, pinned by %s\n", r.Ref, plural.Of(r.Files, "file"), bytesOf(r.Size), rows, r.Pin)
	for _, w := range r.Warnings {
		fmt.Fprintf(a.out, "  warning: %s\n", w)
	}
	switch {
	case r.Proposed == nil:
		fmt.Fprintln(a.out, "  Next: vishwa data push, and commit the pin.")
	case pushed:
		fmt.Fprintf(a.out, "  Pushed to %s as %.7s, with its data.\n", r.Proposed.Branch, r.Proposed.SHA)
	case strings.HasPrefix(r.Proposed.Branch, app.Proposals): // the data of another branch is no push's of this one
		fmt.Fprintf(a.out, "  Committed to %s as %.7s. Next: vishwa data refresh --push %s, which pushes it with its data.\n", r.Proposed.Branch, r.Proposed.SHA, r.Ref)
	default:
		fmt.Fprintf(a.out, "  Committed to %s as %.7s. Next: vishwa data push, and git push origin %s.\n", r.Proposed.Branch, r.Proposed.SHA, r.Proposed.Branch)
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
	if err := r.pushable(ctx); err != nil {
		return nil, err
	}
	if r.s, err = a.open(ctx, reading); err != nil {
		return nil, err
	}
	defer r.s.close()
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

// pushable tells what pushes that there is nowhere to push to.
func (r *refreshing) pushable(ctx context.Context) error {
	if !r.push {
		return nil
	}
	if _, err := r.git(ctx, "remote", "get-url", "origin"); err != nil {
		return fault.WithHint(fault.New(fault.Missing, "there is no remote origin to push to"), "name it: git remote add origin URL; or leave out --push")
	}
	return nil
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
		fmt.Fprintf(r.cli.err, "vishwa: %v\n  %s\n", err, wayOut(err))
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

// tip is what the branch is at: at origin, where it is pushed to.
func (r *refreshing) tip(ctx context.Context, branch string) (string, error) {
	if !r.push {
		return r.s.Repo.Branch(branch)
	}
	said, err := r.git(ctx, "ls-remote", "origin", "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	sha, _, there := strings.Cut(said, "\t")
	if !there {
		return "", nil
	}
	_, err = r.git(ctx, "fetch", "--quiet", "origin", "refs/heads/"+branch)
	return sha, err
}

func (r *refreshing) move(ctx context.Context, branch, was, sha string) error {
	if !r.push {
		return r.s.Repo.SetBranch(ctx, branch, was, sha)
	}
	_, err := r.git(ctx, "push", "--quiet", "--force-with-lease=refs/heads/"+branch+":"+was, "origin", sha+":refs/heads/"+branch)
	return err
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
	_, err = r.git(ctx, "push", "--quiet", "origin", "HEAD:refs/heads/"+branch)
	return err
}

func (r *refreshing) git(ctx context.Context, args ...string) (string, error) {
	return gitIn(ctx, r.root, "", args...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
