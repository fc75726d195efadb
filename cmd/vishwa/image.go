// vishwa image: container images are declared by digest, and this writes it.

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) imageVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Pin the container images of runs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.imagePinVerb(), a.imageRefreshVerb())
	return cmd
}

func (a *cli) imagePinVerb() *cobra.Command {
	var format string
	var platforms []string
	cmd := &cobra.Command{
		Use:   "pin REF [IMAGE]",
		Short: "Write an image into its declaration by digest",
		Long: `Ask the registry what the tag of an image names now, and write that into the declaration,
as name:tag@sha256:... Comments and all else in the file stay as they are.

REF is a transform or a training, or project for spec.defaults.image. With IMAGE, that
image is written; without it, the tag that is declared is looked up again. An image for
several machines is pinned as a whole. Credentials come from Docker's configuration and
its credential helpers, or from VISHWA_OCI_REGISTRY, VISHWA_OCI_USERNAME and
VISHWA_OCI_PASSWORD.

The image is part of the key: what ran in another one is run again.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := imageRef(cmd, args[0])
			if err != nil {
				return err
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			root := a.dir
			if r, err := repo.Open(a.dir, repo.Options{}); err == nil && r.Bare() {
				return fault.WithHint(fault.New(fault.Invalid, "there is no work tree to write into"), "run it in a clone")
			} else if err == nil {
				root = r.Dir()
			} else if fault.Of(err) != fault.Missing {
				return err
			}
			o := app.ImageOptions{Env: env, Ref: ref, Platforms: platforms}
			if len(args) > 1 {
				o.Image = args[1]
			}
			p, err := app.PinImage(cmd.Context(), root, o)
			if err != nil {
				return err
			}
			if format == "json" {
				return a.json(p)
			}
			if !p.Moved {
				fmt.Fprintf(a.out, "%s: has not moved: %s\n", args[0], p.Image)
				return nil
			}
			fmt.Fprintf(a.out, "%s: %s (%s), in %s\n", args[0], p.Image, strings.Join(p.Platforms, ", "), p.Pos.File)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&platforms, "platform", nil, "refuse an image that has nothing for this `PLATFORM`, such as linux/amd64")
	formats(cmd, &format, "text", "json")
	return cmd
}

// imageRef is what names an image: a declaration, or the project.
func imageRef(cmd *cobra.Command, arg string) (schemas.Ref, error) {
	if arg == string(schemas.ProjectRef.Kind) {
		return schemas.ProjectRef, nil
	}
	ref, err := schemas.ParseRef(arg)
	if err != nil {
		return ref, usage(cmd, err)
	}
	return ref, nil
}

func (a *cli) imageRefreshVerb() *cobra.Command {
	var format string
	r := refreshing{cli: a}
	cmd := &cobra.Command{
		Use: "refresh [REF...]", Short: "Propose the images that the declared tags name now",
		Long: `Ask registries what the tags of the declared images name now, or those of the images that
are named by REF: a transform, a training, a deployment, or project for
spec.defaults.image. What has moved is proposed, all in one commit on the branch
vishwa/images/BRANCH, ready for a pull request. The same images are proposed once, and the
work tree stays as it is.

The controller does this by itself, as spec.images.schedule of the Project says.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := app.ImageRefresh{}
			for _, arg := range args {
				ref, err := imageRef(cmd, arg)
				if err != nil {
					return err
				}
				o.Refs = append(o.Refs, ref)
			}
			out, err := r.images(cmd.Context(), o)
			if err != nil {
				return err
			}
			if format == "json" {
				return a.json(out)
			}
			for _, m := range out.Images {
				fmt.Fprintf(a.out, "%s: %s (%s)\n", app.ImageOwner(m.Ref), m.Image, strings.Join(m.Platforms, ", "))
			}
			switch {
			case out.Proposed == nil:
				fmt.Fprintf(a.out, "%s looked at; none has moved.\n", plural.Of(int64(out.Seen), "image"))
			case out.Already:
				fmt.Fprintf(a.out, "Proposed already, on %s.\n", out.Proposed.Branch)
			case r.push:
				fmt.Fprintf(a.out, "Pushed to %s as %.7s.\n", out.Proposed.Branch, out.Proposed.SHA)
			default:
				fmt.Fprintf(a.out, "Committed to %s as %.7s. Next: git push %s %s, and open a pull request.\n", out.Proposed.Branch, out.Proposed.SHA, r.remote(), out.Proposed.Branch)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&r.push, "push", false, "push the commit to the remote of this clone")
	formats(cmd, &format, "text", "json")
	return cmd
}

// images proposes what has moved on a branch of its own.
func (r *refreshing) images(ctx context.Context, o app.ImageRefresh) (out app.RefreshedImages, err error) {
	if r.s, err = r.cli.open(ctx, reading); err != nil {
		return out, err
	}
	defer r.s.close()
	r.root = r.s.Repo.Dir()
	if err = r.pushable(ctx); err != nil {
		return out, err
	}
	if o.Env, err = r.cli.env(); err != nil {
		return out, err
	}
	head, err := r.s.Repo.Head(ctx)
	if err != nil {
		return out, err
	}
	p := &app.Proposer{Repo: r.s.Repo, Base: head.Branch, Head: head.SHA, Tip: r.tip, Move: r.move}
	if name, email := r.s.Repo.Person(); name != "" {
		p.For = name + " <" + email + ">"
	}
	return p.ProposeImages(ctx, o)
}
