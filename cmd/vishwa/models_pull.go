// vishwa models pull: a released model into a folder, from where it is packed or from the
// store, and verified before it appears.

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) modelsPullVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "pull REF|oci://HOST/NAME@DIGEST DIR",
		Short: "Download a released model to a folder, verified",
		Long: `Bring a released model to DIR, a new folder. A package (package/NAME, or its address in a
registry, by digest or with a tag) comes from the registry; model/NAME and deployment/NAME
come from the store. Signatures are checked against the build keys of trust.yaml first, then
every byte, and then the folder appears, with the model's signature in it and its provenance
next to it. Credentials for a registry come from Docker's configuration and its credential
helpers, or from VISHWA_OCI_REGISTRY, VISHWA_OCI_USERNAME and VISHWA_OCI_PASSWORD.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			from, packed, err := s.packageNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !packed {
				return a.pullFromStore(cmd.Context(), s, args[0], args[1])
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			who, err := s.Vouching(cmd.Context())
			if err != nil {
				return err
			}
			v, report, err := app.PullPackage(cmd.Context(), env, who, app.Pull{From: from, To: args[1]})
			if err != nil {
				return err
			}
			a.pulled(report, args[1], "from "+v.Reference)
			return nil
		},
	}
}

func (a *cli) pulled(r signer.Report, dir, from string) {
	fmt.Fprintf(a.out, "Pulled %s %s to %s: %s, %d bytes, verified, signed by %s\n", r.Name, from, dir, plural.Of(r.Files, "file"), r.Size, r.By.Name)
}

// packageNamed is the package that name means: an address, or what a ref's newest entry packed.
// False: it is something else.
func (s *station) packageNamed(ctx context.Context, name string) (app.PackageRef, bool, error) {
	if from, is, err := app.ParsePackageRef(name); is || err != nil {
		return from, true, err
	}
	ref, err := schemas.ParseRef(name)
	if err != nil || !ref.Kind.Traits().Packs {
		return app.PackageRef{}, false, nil
	}
	var decls []schemas.Declaration
	if in, err := s.Intent(ctx); err == nil { // of what is no longer declared, the address alone is known
		decls = in.Decls
	}
	from, err := s.PackageOf(ctx, ref, decls)
	return from, true, err
}

func (a *cli) pullFromStore(ctx context.Context, s *station, name, to string) error {
	ref, err := schemas.ParseRef(name)
	if err != nil {
		return fault.WithHint(fault.New(fault.Missing, "%s is neither a ref nor the address of a package", name), "name package/NAME, model/NAME, deployment/NAME, or oci://HOST/NAME@DIGEST")
	}
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	e := inForce(ctx, s, facts, ref)
	if e == nil {
		e = facts.Latest[ref]
	}
	if t := ref.Kind.Traits(); !t.Releases && !t.Serves && !t.Packs {
		return fault.WithHint(fault.New(fault.Invalid, "%s is neither a model, a deployment nor a package, and no other has a released model", ref), "vishwa status lists what is declared")
	}
	if e == nil || e.Model == nil {
		return fault.WithHint(fault.New(fault.Missing, "%s has released no model", ref), "vishwa status lists the models, packages and deployments")
	}
	who, err := s.Vouching(ctx)
	if err != nil {
		return err
	}
	to = filepath.Clean(to)
	if err := layOut(ctx, s, e.Model, laid{dir: to, beside: filepath.Dir(to)}); err != nil {
		return s.absent(e, "the model", err)
	}
	signature, provenance, err := signer.ReadModel(to)
	if err != nil {
		return err
	}
	report, err := signer.VerifyModel(ctx, who, to, signature, provenance)
	if err != nil {
		os.RemoveAll(to) // what does not hold is not left to be used
		os.Remove(signer.ProvenancePath(to))
		return err
	}
	a.pulled(report, to, "from the store")
	return nil
}
