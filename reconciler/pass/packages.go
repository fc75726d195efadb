// Packages: what is kept where others fetch it, as it is looked at and as it is signed.

package pass

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// observePackage asks for what the ledger says was packed, where it is declared to be. A pull
// request asks nobody: what it declares would say who is asked, and with whose credentials.
func observePackage(ctx context.Context, w *Snapshot, eyes Observers, ref schemas.Ref) (func(), error) {
	n, last := w.Graph.Node(ref), w.Facts.Latest[ref]
	if n == nil || w.Base != nil || eyes.Packager == nil || last == nil || last.Action != ledger.Pack || last.Package == nil {
		return nil, nil
	}
	spec, ok := n.Decl.Spec.(schemas.Packs)
	if !ok || spec.Packs().OCI.Repository != last.Package.Repository {
		return nil, nil // it is to be packed elsewhere
	}
	oci := spec.Packs().OCI
	registry, _, _ := strings.Cut(oci.Repository, "/")
	var state port.PackageState
	err := eyes.silent.of(registry)
	if err == nil {
		err = eyes.ask(ctx, ref, func() (err error) {
			state, err = eyes.Packager.Inspect(ctx, port.Registry{Repository: oci.Repository, PlainHTTP: oci.PlainHTTP}, *last.Package, oci.Tags)
			return err
		})
		if err != nil && !broken(err) {
			eyes.silent.note(ctx, registry)
		}
	}
	why := openly(ctx, err)
	return func() {
		if err == nil {
			w.Packages[ref] = state
			return
		}
		// One registry that does not answer does not blind the pass to the rest. Whether the
		// package is there is found out when it is acted on.
		w.Unobservable[ref], w.Openly[ref] = unobserved(err), plan.NotKnown+": "+why
	}, nil
}

// Attest verifies a released model, and signs its package by the digests of its manifests. The
// bundles are in the store; was has those of an earlier time.
func (d *stepServices) Attest(ctx context.Context, m *ledger.Model, p port.Packed, was *port.Packed) (bundles [][]byte, err error) {
	by, err := d.Signer.Verify(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("verify the model before it is packed: %w", err)
	}
	if why := d.world.revokedBy(d.world.Trust, by); why != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "the model is signed by %s, which is revoked: %s", by, *why), "train the model again: a controller that is trusted signs it")
	}
	if kept := d.attested(ctx, p, was); kept != nil {
		return kept, nil
	}
	manifests := p.Manifests()
	came, _, err := d.Signer.readStatement(ctx, m.Provenance)
	if err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	is, err := attest.StatePackage(p.Repository, manifests)
	if err != nil {
		return nil, err
	}
	from, err := attest.StatePackageProvenance(came, p.Repository, manifests)
	if err != nil {
		return nil, err
	}
	for _, statement := range [][]byte{is, from} {
		b, err := d.Signer.Statement(ctx, port.Build, statement)
		if err != nil {
			return nil, fmt.Errorf("sign the package: %w", err)
		}
		if _, err := d.putBytes(ctx, b); err != nil {
			return nil, fmt.Errorf("keep the bundle of a package: %w", err)
		}
		bundles = append(bundles, b)
	}
	for _, name := range []digest.Digest{m.Signature, m.Provenance} {
		b, err := artifact.ReadAll(ctx, d.Store, name)
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, b)
	}
	return bundles, nil
}

// attested are the bundles of the very same package from before; nil where one is not to be
// had, or is signed by a key that is trusted no more.
func (d *stepServices) attested(ctx context.Context, p port.Packed, was *port.Packed) (bundles [][]byte) {
	if was == nil || was.Digest != p.Digest || was.Repository != p.Repository {
		return nil
	}
	for _, e := range was.Evidence {
		b, err := artifact.ReadAll(ctx, d.Store, e.Bundle)
		if err != nil {
			return nil
		}
		_, by, err := d.Signer.Verifier.Verify(ctx, b)
		if err != nil || d.world.revokedBy(d.world.Trust, by.Name) != nil {
			return nil
		}
		bundles = append(bundles, b)
	}
	return bundles
}
