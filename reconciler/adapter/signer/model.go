// A released model: its folder, with the model signature inside where others'
// programs look for it, and its provenance beside the folder, where it is no file
// of the model.

package signer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// SignaturePath is where a released model's signature lies, ProvenancePath where
// its provenance does; dir is the model's folder.
func SignaturePath(dir string) string  { return filepath.Join(dir, attest.SignatureFile) }
func ProvenancePath(dir string) string { return filepath.Clean(dir) + ".provenance.sigstore.json" }

// SignModel signs model, and how it came to be, with the key of role Build. Both
// are bundles. No file is read: a model is signed by the digests it is stored under.
func SignModel(ctx context.Context, s port.Signer, model port.Artifact, from attest.Provenance) (signature, provenance []byte, err error) {
	if model.Files == nil || model.Files.Digest() != model.Digest {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "sign model %s: it is not a folder, or not the one that its digest names", model.Name), "vishwa ledger verify tells whether the record was changed; train the model again to have it recorded anew")
	}
	said, err := attest.StateModel(model.Name, model.Files)
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "sign model %s: %w", model.Name, err), "let the training write only the model's own files into its model directory")
	}
	came, err := attest.StateProvenance(from, model)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "sign model %s: %w", model.Name, err)
	}
	if signature, err = s.Sign(ctx, port.Build, said); err != nil {
		return nil, nil, fmt.Errorf("sign model %s: %w", model.Name, err)
	}
	if provenance, err = s.Sign(ctx, port.Build, came); err != nil {
		return nil, nil, fmt.Errorf("sign provenance of %s: %w", model.Name, err)
	}
	return signature, provenance, nil
}

// WriteModel lays a released model out at dst: the verified files and their
// signature, and the provenance beside them. dst is absent or an empty folder.
func WriteModel(ctx context.Context, store port.Store, r Released, dst string) error {
	if err := artifact.Checkout(ctx, store, r.Model, dst); err != nil {
		return err
	}
	err := errors.Join(
		create(SignaturePath(dst), file{r.Signature, 0o444}),
		create(ProvenancePath(dst), file{r.Provenance, 0o444}))
	if err == nil {
		return nil
	}
	os.RemoveAll(dst) // half a release must not be taken for one
	if errors.Is(err, fs.ErrExist) {
		return fault.WithHint(fault.New(fault.Conflict, "write model: %s already exists", filepath.Base(ProvenancePath(dst))), "name a folder that is not there yet")
	}
	return artifact.Disk(fmt.Errorf("write model: %w", err), filepath.Dir(dst))
}

// Released is a model with its bundles.
type Released struct {
	Model      port.Artifact
	Signature  []byte
	Provenance []byte
}

// ReadModel reads the two bundles of the released model in dir.
func ReadModel(dir string) (signature, provenance []byte, err error) {
	for path, into := range map[string]*[]byte{SignaturePath(dir): &signature, ProvenancePath(dir): &provenance} {
		*into, err = os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil, fault.WithHint(fault.New(fault.Missing, "read model: %s is not there", filepath.Base(path)), "name the folder of a released model; its provenance file is next to the folder")
		case err != nil:
			return nil, nil, artifact.Disk(fmt.Errorf("read model: %w", err), dir)
		}
	}
	return signature, provenance, nil
}

// Report lists what VerifyModel checked.
type Report struct {
	Checks     []Check           `json:"checks"`
	By         port.Identity     `json:"by"`     // who signed the model
	Digest     digest.Digest     `json:"digest"` // of the model's manifest as found on disk
	Files      int               `json:"files"`
	Paths      []string          `json:"-"`    // of the files, in order
	Size       int64             `json:"size"` // bytes
	Root       digest.Digest     `json:"root"` // of the model signature
	Name       string            `json:"name"`
	Provenance attest.Provenance `json:"-"`
}

// Check is one of them.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// OK tells whether all checks were made and passed.
func (r Report) OK() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return len(r.Checks) > 0
}

func (r *Report) add(name string, err error, detail string, args ...any) bool {
	c := Check{Name: name, OK: err == nil, Detail: fmt.Sprintf(detail, args...)}
	if err != nil {
		c.Detail = err.Error()
	}
	r.Checks = append(r.Checks, c)
	return err == nil
}

// VerifyModel checks the model's files in dir against both bundles. The Report
// lists every check; where one fails the error is Denied, and nothing of the
// model may be used.
func VerifyModel(ctx context.Context, v port.Verifier, dir string, signature, provenance []byte) (Report, error) {
	var r Report
	found, err := released(ctx, dir)
	if err != nil {
		return r, err
	}
	r.Digest, r.Files, r.Size = found.Digest(), len(found), found.Size()
	for _, f := range found {
		r.Paths = append(r.Paths, f.Path)
	}

	said, by, err := verifyBuild(ctx, v, signature)
	if fault.Of(err) == fault.Cancelled {
		return r, err
	}
	r.By = by
	if r.add("model signature", err, "signed by %s, key %s (%.12s)", by.Name, by.Role, by.Key) {
		m, err := attest.ParseModel(said)
		r.Name, r.Root = m.Name, m.Root
		if err == nil {
			err = differ(m.Differences(found))
		}
		r.add("files", err, "%s, %d bytes, each as it was signed", plural.Of(r.Files, "file"), r.Size)
	}

	came, maker, err := verifyBuild(ctx, v, provenance)
	if fault.Of(err) == fault.Cancelled {
		return r, err
	}
	if r.add("provenance signature", err, "signed by %s, key %s (%.12s)", maker.Name, maker.Role, maker.Key) {
		r.Provenance, err = attest.CheckProvenance(came, found)
		p := r.Provenance
		if r.add("provenance", err, "these files came from %s candidate %s at revision %.12s", p.Ref, p.Candidate, p.Revision) {
			if p.Controller != maker.Name {
				err = fmt.Errorf("it names the builder %s, but %s signed it", p.Controller, maker.Name)
			}
			r.add("builder", err, "built and signed by %s", maker.Name)
		}
	}
	if r.OK() {
		return r, nil
	}
	for _, c := range r.Checks {
		if !c.OK {
			return r, fault.WithHint(fault.New(fault.Denied, "verify model: %s: %s", c.Name, c.Detail), "do not use this model; vishwa apply lays out the one that was signed")
		}
	}
	return r, fault.WithHint(fault.New(fault.Denied, "verify model: nothing could be checked"), "do not use this model; vishwa apply lays out the one that was signed")
}

// released is what lies in a model's folder, without the signature itself.
func released(ctx context.Context, dir string) (digest.Manifest, error) {
	all, err := artifact.Walk(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("verify model: %w", err)
	}
	found := digest.Manifest{}
	for _, f := range all {
		if f.Path != attest.SignatureFile {
			found = append(found, f)
		}
	}
	return found, nil
}

func verifyBuild(ctx context.Context, v port.Verifier, bundle []byte) ([]byte, port.Identity, error) {
	statement, by, err := v.Verify(ctx, bundle)
	if err == nil && by.Role != port.Build {
		return nil, by, fault.WithHint(fault.New(fault.Denied, "verify: signed with %s's key %s, want its key %s", by.Name, by.Role, port.Build), "do not use it: models and provenance are signed by a build key of trust.yaml, and no other key counts")
	}
	return statement, by, err
}

func differ(names []string) error {
	const most = 10
	if len(names) == 0 {
		return nil
	}
	text := names[0]
	for _, n := range names[1:min(len(names), most)] {
		text += "; " + n
	}
	if len(names) > most {
		text += fmt.Sprintf("; and %d more", len(names)-most)
	}
	return errors.New(text)
}
