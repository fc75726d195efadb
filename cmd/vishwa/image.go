// vishwa image: container images are declared by digest, and this writes it.

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) imageVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Pin the container images that runs are carried out in", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.imagePinVerb())
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
			ref := schemas.ProjectRef
			if args[0] != string(ref.Kind) {
				var err error
				if ref, err = schemas.ParseRef(args[0]); err != nil {
					return usage(cmd, err)
				}
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
