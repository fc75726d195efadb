// Sealing: a released model carries a signature over its files and the provenance
// of its training, and both are held against the stored bytes before it is served.

package pass

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// ModelSigner signs and checks models with the keys of a controller.
type ModelSigner struct {
	Store    port.Store
	Verifier port.Verifier
	// Sign returns an OMS bundle over the model's files and a SLSA provenance bundle.
	Sign func(ctx context.Context, model port.Artifact, p attest.Provenance) (signature, provenance []byte, err error)
	// Statement wraps a statement in a bundle that a controller's key signed.
	Statement func(ctx context.Context, role port.Role, statement []byte) ([]byte, error)
}

// Verify holds a released model against both of its bundles and says who signed
// it. The bytes of its files are held against their digests where they are read.
func (s ModelSigner) Verify(ctx context.Context, m *ledger.Model) (by string, err error) {
	defer func() {
		if fault.Of(err) == fault.Denied {
			err = fault.Advise(err, "do not use this model: vishwa explain model/NAME tells where it came from; train it again to have it signed anew")
		}
	}()
	statement, by, err := s.readStatement(ctx, m.Signature)
	if err != nil {
		return "", fmt.Errorf("model signature: %w", err)
	}
	signed, err := attest.ParseModel(statement)
	if err != nil {
		return "", fault.New(fault.Denied, "model signature: %w", err)
	}
	if d := signed.Differences(m.Artifact.Files); len(d) > 0 {
		return "", fault.New(fault.Denied, "model signature: it is of other files: %s", strings.Join(d, "; "))
	}
	if statement, _, err = s.readStatement(ctx, m.Provenance); err != nil {
		return "", fmt.Errorf("provenance: %w", err)
	}
	if _, err := attest.CheckProvenance(statement, m.Artifact.Files); err != nil {
		return "", fault.New(fault.Denied, "provenance: %w", err)
	}
	return by, nil
}

// readStatement is the statement of a stored bundle that a build key has signed.
func (s ModelSigner) readStatement(ctx context.Context, name digest.Digest) (statement []byte, by string, err error) {
	raw, err := artifact.ReadAll(ctx, s.Store, name)
	if err != nil {
		return nil, "", err
	}
	statement, id, err := s.Verifier.Verify(ctx, raw)
	if err != nil {
		return nil, "", err
	}
	if id.Role != port.Build {
		return nil, "", fault.New(fault.Denied, "it is signed by the %s key of %s; want the build key", id.Role, id.Name)
	}
	return statement, "controller:" + id.Name, nil
}
