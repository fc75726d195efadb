// vishwa verify: a model against its signature and its provenance, with what was
// checked and how others can check it.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) verifyVerb() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "verify PATH|REF|oci://HOST/NAME@DIGEST",
		Short: "Verify a released model: its files, its signature, its provenance",
		Long: `Verify a released model: every file against the signature (OMS v1.0) and against the
provenance (SLSA v1), both by a build key that trust.yaml names. A REF (model/NAME or
deployment/NAME) is verified in the store; --out DIR also lays the release out, with
what cosign and model_signing need to verify the same files without Vishwa. A PATH is
a folder laid out so.

A package (package/NAME, or its address in a registry, by digest or with a tag) is checked
against what is attached to it there: the signature of its digest, its provenance and the
signature of the model. Only the registry is asked. The files are not read: vishwa models
pull checks each of them. With --out DIR, DIR gets what cosign needs to verify the same.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			if from, packed, err := s.packageNamed(cmd.Context(), args[0]); packed {
				if err != nil {
					return err
				}
				return a.verifyPackage(cmd.Context(), s, from, shownAs{format, out})
			}
			at, done, err := a.released(cmd.Context(), s, args[0], out)
			if err != nil {
				return err
			}
			defer done()
			return a.verify(cmd.Context(), s, at, format)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().StringVar(&out, "out", "", "lay the release out in `DIR`, a new folder")
	return cmd
}

// laid is a release laid out on disk.
type laid struct {
	dir     string // the model's folder
	beside  string // the folder that holds it, with the public key and the trusted root; "" where there is none
	passing bool   // removed when the command ends
}

// released finds the release that name means: a folder, or what a ref's newest
// entry released, laid out at out or for the time of the command.
func (a *cli) released(ctx context.Context, s *station, name, out string) (laid, func(), error) {
	nothing := func() {}
	ref, notRef := schemas.ParseRef(name)
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if _, sigErr := os.Stat(signer.SignaturePath(name)); sigErr == nil || notRef != nil {
			return laid{dir: name, beside: filepath.Dir(filepath.Clean(name))}, nothing, nil
		}
	}
	if notRef != nil {
		return laid{}, nothing, fault.WithHint(fault.New(fault.Missing, "%s is neither a folder nor a ref", name), "name a released model's folder, model/NAME or deployment/NAME")
	}
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return laid{}, nothing, err
	}
	e := inForce(ctx, s, facts, ref)
	if e == nil {
		e = facts.Latest[ref]
	}
	if t := ref.Kind.Traits(); !t.Releases && !t.Serves && !t.Packs {
		return laid{}, nothing, fault.WithHint(fault.New(fault.Invalid, "%s is neither a model, a deployment nor a package, and no other has a released model", ref), "vishwa status lists what is declared")
	}
	if e == nil || e.Model == nil {
		return laid{}, nothing, fault.WithHint(fault.New(fault.Missing, "%s has released no model", ref), "vishwa status lists the models and deployments")
	}
	at := laid{beside: out}
	done := nothing
	if out == "" {
		if at.beside, err = os.MkdirTemp("", "vishwa-verify-"); err != nil {
			return laid{}, nothing, artifact.Disk(err, os.TempDir())
		}
		at.passing = true
		done = func() { os.RemoveAll(at.beside) }
	}
	at.dir = filepath.Join(at.beside, "model")
	if err := layOut(ctx, s, e.Model, at); err != nil {
		done()
		return laid{}, nothing, s.absent(e, "the model", err)
	}
	return at, done, nil
}

func layOut(ctx context.Context, s *station, m *ledger.Model, at laid) error {
	if err := os.MkdirAll(at.beside, 0o755); err != nil {
		return artifact.Disk(err, filepath.Dir(at.beside))
	}
	r := signer.Released{Model: m.Artifact}
	var err error
	if r.Signature, err = artifact.ReadAll(ctx, s.Store, m.Signature); err != nil {
		return err
	}
	if r.Provenance, err = artifact.ReadAll(ctx, s.Store, m.Provenance); err != nil {
		return err
	}
	return signer.WriteModel(ctx, s.Store, r, at.dir)
}

// offer writes what others' programs need beside the model: the public key that
// signed it and an empty trusted root.
func offer(s *station, at laid, by port.Identity) error {
	if s.Trust == nil {
		return nil
	}
	for path, raw := range map[string][]byte{
		filepath.Join(at.beside, "build.pub"):            s.Trust.Controllers[by.Name].Keys[port.Build],
		filepath.Join(at.beside, signer.TrustedRootFile): []byte(signer.TrustedRoot),
	} {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return artifact.Disk(err, at.beside)
		}
		_, err = f.Write(raw)
		if err := errors.Join(err, f.Close()); err != nil {
			return artifact.Disk(err, at.beside)
		}
	}
	return nil
}

func (a *cli) showChecks(all []signer.Check) {
	for _, c := range all {
		mark := "ok  "
		if !c.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(a.out, "%s %s: %s\n", mark, c.Name, indent(c.Detail))
	}
}

// shownAs is how what was verified is shown, and where what others need goes.
type shownAs struct{ format, out string }

func (a *cli) verifyPackage(ctx context.Context, s *station, from app.PackageRef, to shownAs) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	who, err := s.Vouching(ctx)
	if err != nil {
		return err
	}
	v, failed := app.VerifyPackage(ctx, env, who, from)
	if failed != nil && len(v.Checks) == 0 {
		return failed
	}
	if to.format == "json" {
		return errors.Join(failed, a.json(v))
	}
	a.showChecks(v.Checks)
	if failed != nil {
		return failed
	}
	fmt.Fprintf(a.out, "Verified: the package of %s, %s\n", v.Model, v.Reference)
	if err := a.recordedPackage(ctx, s, v.Digest); err != nil {
		return err
	}
	if to.out == "" {
		fmt.Fprintln(a.out, "Its files were not read: vishwa models pull holds each of them.")
		return nil
	}
	if err := os.MkdirAll(to.out, 0o755); err != nil {
		return artifact.Disk(err, filepath.Dir(to.out))
	}
	if err := offer(s, laid{beside: to.out}, v.By); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "The same with cosign:")
	o := signer.Offered{PublicKey: filepath.Join(to.out, "build.pub"), TrustedRoot: filepath.Join(to.out, signer.TrustedRootFile)}
	for _, line := range signer.PackageCommands(o, v.Reference) {
		fmt.Fprintf(a.out, "  %s\n", line)
	}
	return nil
}

// recordedPackage says what the ledger knows of a package: an old one is as well signed as the
// newest, and a tag may name it.
func (a *cli) recordedPackage(ctx context.Context, s *station, d digest.Digest) error {
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	for e := range facts.Made() {
		if e.Package == nil || e.Package.Digest != d {
			continue
		}
		fmt.Fprintf(a.out, "Packed as %s in entry %d.", e.Ref, e.Seq)
		if last := facts.Latest[e.Ref]; last != nil && last.Package != nil && last.Package.Digest != d {
			fmt.Fprintf(a.out, " It is not the newest: entry %d packed %s.", last.Seq, last.Package.Digest)
		}
		fmt.Fprintln(a.out)
		return nil
	}
	fmt.Fprintln(a.out, "The ledger of this repository does not have it.")
	return nil
}

func (a *cli) verify(ctx context.Context, s *station, at laid, format string) error {
	signature, provenance, err := signer.ReadModel(at.dir)
	if err != nil {
		return err
	}
	who, err := s.Vouching(ctx)
	if err != nil {
		return err
	}
	report, failed := signer.VerifyModel(ctx, who, at.dir, signature, provenance)
	if format == "json" {
		if err := a.json(report); err != nil {
			return err
		}
		return failed
	}
	a.showChecks(report.Checks)
	if failed != nil {
		return failed
	}
	fmt.Fprintf(a.out, "Verified: %s, %s, %d bytes, %s\n", report.Name, plural.Of(report.Files, "file"), report.Size, report.Digest)
	if at.passing {
		fmt.Fprintln(a.out, "To check it without Vishwa, lay it out with --out DIR: the commands are printed then.")
		return nil
	}
	if err := offer(s, at, report.By); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "The same with other programs:")
	o := signer.Offered{Dir: at.dir, PublicKey: filepath.Join(at.beside, "build.pub"), TrustedRoot: filepath.Join(at.beside, signer.TrustedRootFile)}
	for _, line := range signer.Commands(o, report) {
		fmt.Fprintf(a.out, "  %s\n", line)
	}
	return nil
}
