// Packages of models: who packs them, and how one is verified and brought back.

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/packager"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// packs opens the packager. What is looked at for a pull request has none: it declares which
// registry is asked, with this machine's credentials, and nobody has reviewed that.
func (h *Repository) packs(o Options, kept port.Store, envs sandbox.Environments) port.Packager {
	if o.Isolation != nil {
		return nil
	}
	out := packager.OCI(packager.Options{Env: o.Env, Store: kept, Envs: envs})
	if o.Packages != nil {
		out = wrap.PackagingTo(out, *o.Packages)
	}
	return wrap.PackagingWhere(out, func(ctx context.Context, at port.Registry) error {
		return h.agreed(ctx, o).registry(at)
	})
}

// PackageRef names a package in a registry.
type PackageRef struct {
	At        port.Registry
	Reference string // digest or tag
}

func (r PackageRef) String() string {
	if strings.HasPrefix(r.Reference, "sha256:") {
		return r.At.Repository + "@" + r.Reference
	}
	return r.At.Repository + ":" + r.Reference
}

const ociScheme = "oci://"

// ParsePackageRef reads oci://registry.example.com/team/churn@sha256:..., or :tag. False: text
// begins otherwise.
func ParsePackageRef(text string) (r PackageRef, is bool, err error) {
	rest, is := strings.CutPrefix(text, ociScheme)
	if !is {
		return r, false, nil
	}
	name, reference, pinned := strings.Cut(rest, "@")
	if colon := strings.LastIndex(name, ":"); !pinned && colon > strings.LastIndex(name, "/") {
		name, reference = name[:colon], name[colon+1:]
	}
	d, wrong := digest.Parse(reference)
	if reference == "" || pinned && (wrong != nil || string(d) != reference) {
		return r, true, fault.WithHint(fault.New(fault.Invalid, "%q does not name a package", text), "write oci://registry.example.com/team/churn@sha256:..., as vishwa status prints it, or a tag after a colon")
	}
	return PackageRef{port.Registry{Repository: name}, reference}, true, nil
}

// VerifiedPackage is a package whose signatures hold. Its bytes have not been read.
type VerifiedPackage struct {
	Reference  string          `json:"reference"` // by digest
	Digest     digest.Digest   `json:"digest"`
	Model      string          `json:"model"`
	By         port.Identity   `json:"by"`
	Checks     []signer.Check  `json:"checks"`
	Manifests  []digest.Digest `json:"manifests"`
	statements map[string][]signedBundle
	found      port.PackageFound
}

// signedBundle is a bundle that a controller's build key signed.
type signedBundle struct {
	raw, statement []byte
	by             port.Identity
}

// VerifyPackage reads a package's manifests and what is attached to it, and holds them against
// the keys of whoever vouches. Where a check fails the error is Denied, and nothing of the package may
// be used.
func VerifyPackage(ctx context.Context, env port.Env, who port.Verifier, ref PackageRef) (v VerifiedPackage, err error) {
	v.found, err = packager.Reader(env).Read(ctx, ref.At, ref.Reference)
	if err != nil {
		return v, err
	}
	v.Digest, v.Model, v.Manifests = v.found.Digest, v.found.Name, v.found.Manifests
	v.Reference = ref.At.Repository + "@" + string(v.Digest)
	v.statements = map[string][]signedBundle{}
	absent := "nothing that a build key of trust.yaml signed is attached"
	for _, raw := range v.found.Evidence {
		statement, by, err := who.Verify(ctx, raw)
		if fault.Of(err) == fault.Cancelled && err != nil {
			return v, err
		}
		if without := (lapsed{}); errors.As(err, &without) {
			absent = without.Error()
		}
		if err != nil || by.Role != port.Build {
			continue // anybody may attach something
		}
		if kind, err := attest.PredicateOf(raw); err == nil {
			v.statements[kind] = append(v.statements[kind], signedBundle{raw, statement, by})
		}
	}
	check := func(name, kind string, holds func(signedBundle) error) {
		c := signer.Check{Name: name, Detail: absent}
		for _, b := range v.statements[kind] {
			if err := holds(b); err != nil {
				c.Detail = err.Error()
				continue
			}
			c.OK, c.Detail, v.By = true, fmt.Sprintf("signed by %s, key %s (%.12s)", b.by.Name, b.by.Role, b.by.Key), b.by
			break
		}
		v.Checks = append(v.Checks, c)
	}
	check("package signature", attest.SignType, func(b signedBundle) error {
		of, err := attest.CheckPackage(b.statement, v.Digest)
		if err == nil && of != ref.At.Repository && !strings.HasPrefix(ref.Reference, "sha256:") {
			// Whoever can write there could let a tag name any package that was ever signed.
			err = fmt.Errorf("it was signed as a package of %s; name a copy by its digest", of)
		}
		return err
	})
	check("package provenance", attest.ProvenanceType, func(b signedBundle) error {
		_, err := attest.CheckPackageProvenance(b.statement, v.Digest)
		return err
	})
	check("model signature", attest.ModelSignature, func(b signedBundle) error { _, err := attest.ParseModel(b.statement); return err })
	for _, c := range v.Checks {
		if !c.OK {
			return v, fault.WithHint(fault.New(fault.Denied, "verify package %s: %s: %s", v.Reference, c.Name, c.Detail),
				"do not use this package; name one that this repository's controllers packed, as vishwa status prints it")
		}
	}
	return v, nil
}

// PullPackage brings a package to dst, a folder that is not there or empty, with its signature
// in it and its provenance beside it. Signatures are held first, then each byte, and then the
// folder appears.
func PullPackage(ctx context.Context, env port.Env, who port.Verifier, pull Pull) (v VerifiedPackage, report signer.Report, err error) {
	if v, err = VerifyPackage(ctx, env, who, pull.From); err != nil {
		return v, report, err
	}
	dst := filepath.Clean(pull.To)
	if err := free(dst); err != nil {
		return v, report, err
	}
	parent := filepath.Dir(dst)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return v, report, artifact.Disk(fmt.Errorf("pull: %w", err), parent)
	}
	tmp, err := os.MkdirTemp(parent, ".partial-")
	if err != nil {
		return v, report, artifact.Disk(fmt.Errorf("pull: %w", err), parent)
	}
	defer os.RemoveAll(tmp)
	at := filepath.Join(tmp, "model")
	if err := v.unpack(ctx, env, pull.From.At, at); err != nil {
		return v, report, artifact.Disk(err, parent)
	}
	signature, provenance, err := v.bundles(ctx, at)
	if err != nil {
		return v, report, err
	}
	if report, err = signer.VerifyModel(ctx, who, at, signature, provenance); err != nil {
		return v, report, err
	}
	return v, report, artifact.Disk(appear(at, dst, signature, provenance), parent)
}

// Pull is what is brought, and where to.
type Pull struct {
	From PackageRef
	To   string
}

// free tells whether a model may be laid out at dst.
func free(dst string) error {
	for _, at := range []string{dst, signer.ProvenancePath(dst)} {
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) || err == nil && at == dst && info.IsDir() && os.Remove(at) == nil {
			continue // only an empty folder can be removed so
		}
		if err != nil {
			return artifact.Disk(fmt.Errorf("pull: %w", err), filepath.Dir(dst))
		}
		return fault.WithHint(fault.New(fault.Conflict, "pull: %s already exists", at), "name a folder that is not there yet")
	}
	return nil
}

func appear(at, dst string, signature, provenance []byte) error {
	if err := os.WriteFile(signer.SignaturePath(at), signature, 0o444); err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	if err := os.WriteFile(signer.ProvenancePath(dst), provenance, 0o444); err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	if err := os.Rename(at, dst); err != nil {
		os.Remove(signer.ProvenancePath(dst))
		return fmt.Errorf("pull: %w", err)
	}
	return nil
}

// unpack lays the files out at dir, which nobody looks at yet.
func (v VerifiedPackage) unpack(ctx context.Context, env port.Env, at port.Registry, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return packager.Reader(env).Unpack(ctx, at, v.found, func(name string, _ int64, content io.Reader) error {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		w, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{w}, content, make([]byte, 1<<20))
		return errors.Join(err, w.Close())
	})
}

// bundles are those of the model that was unpacked at dir, among what is attached.
func (v VerifiedPackage) bundles(ctx context.Context, dir string) (signature, provenance []byte, err error) {
	files, err := artifact.Walk(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	pick := func(kind string, of func(statement []byte) bool) []byte {
		all := v.statements[kind]
		if i := slices.IndexFunc(all, func(b signedBundle) bool { return of(b.statement) }); i >= 0 {
			return all[i].raw
		}
		return nil
	}
	signature = pick(attest.ModelSignature, func(s []byte) bool {
		m, err := attest.ParseModel(s)
		return err == nil && len(m.Differences(files)) == 0
	})
	provenance = pick(attest.ProvenanceType, func(s []byte) bool {
		_, err := attest.CheckProvenance(s, files)
		return err == nil
	})
	if signature == nil || provenance == nil || files.Digest() != v.found.Model {
		return nil, nil, fault.WithHint(fault.New(fault.Denied, "pull %s: its files are others than those that were signed", v.Reference), "do not use this package; have vishwa apply pack the model again")
	}
	return signature, provenance, nil
}

// PackageOf is where the ledger says that the package of ref is; Missing: it was never packed.
func (h *Repository) PackageOf(ctx context.Context, ref schemas.Ref, decls []schemas.Declaration) (PackageRef, error) {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return PackageRef{}, err
	}
	e := facts.Latest[ref]
	if e == nil || e.Package == nil {
		return PackageRef{}, fault.WithHint(fault.New(fault.Missing, "%s was never packed", ref), "vishwa status lists the packages; vishwa apply makes those that are due")
	}
	out := PackageRef{port.Registry{Repository: e.Package.Repository}, string(e.Package.Digest)}
	for _, d := range decls {
		if spec, ok := d.Spec.(schemas.Packs); ok && d.Ref() == ref && spec.Packs().OCI.Repository == out.At.Repository {
			out.At.PlainHTTP = spec.Packs().OCI.PlainHTTP
		}
	}
	return out, nil
}
