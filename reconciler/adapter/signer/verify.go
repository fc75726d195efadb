// Verifying: by sigstore-go, against a list of keys that is closed. Nothing here
// takes a key that is not on the list, and no list is empty.

package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/pem"
	"errors"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Trusted is a key that is trusted in one role of one controller.
type Trusted struct {
	Name string // the controller's in the trust file
	Role port.Role
	PEM  []byte // public key, ECDSA P-256
}

type verifier struct {
	who      map[string]port.Identity // by hint
	material root.TrustedMaterial
}

// NewVerifier trusts exactly keys. An empty list, a key of another kind, and a key
// that stands for two roles or two controllers are Invalid.
func NewVerifier(keys []Trusted) (port.Verifier, error) {
	const way = "name the controller's keys in trust.yaml; vishwa keys generate makes them"
	if len(keys) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "verify: no key is trusted"), way)
	}
	v := verifier{who: map[string]port.Identity{}}
	known := map[string]*root.ExpiringKey{}
	for _, t := range keys {
		if t.Name == "" || !slices.Contains(Roles, t.Role) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "verify: a trusted key has the name %q and the role %q", t.Name, t.Role), way)
		}
		public, encoded, err := parsePublic(t.PEM)
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "verify: key %s of %s: %w", t.Role, t.Name, err), way)
		}
		hint := Hint(encoded)
		if other, ok := v.who[hint]; ok {
			return nil, fault.WithHint(fault.New(fault.Invalid, "verify: one key is both %s of %s and %s of %s", other.Role, other.Name, t.Role, t.Name), way)
		}
		load, err := signature.LoadVerifier(public, crypto.SHA256)
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "verify: key %s of %s: %w", t.Role, t.Name, err), way)
		}
		v.who[hint] = port.Identity{Name: t.Name, Role: t.Role, Key: hint}
		known[hint] = root.NewExpiringKey(load, time.Time{}, time.Time{})
	}
	v.material = root.NewTrustedPublicKeyMaterialFromMapping(known)
	return v, nil
}

func parsePublic(text []byte) (*ecdsa.PublicKey, []byte, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, errors.New("is not one public key in PEM")
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(text)
	if err != nil {
		return nil, nil, errors.New("is not a public key in PEM")
	}
	return strong(public)
}

// Verify implements port.Verifier. It is safe for use by several goroutines.
func (v verifier) Verify(ctx context.Context, raw []byte) ([]byte, port.Identity, error) {
	if err := ctx.Err(); err != nil {
		return nil, port.Identity{}, err
	}
	statement, by, err := v.verify(raw)
	if err != nil {
		return nil, port.Identity{}, fault.WithHint(err, "do not use what it covers; vishwa ledger verify and vishwa explain tell where it came from")
	}
	return statement, by, nil
}

func (v verifier) verify(raw []byte) ([]byte, port.Identity, error) {
	b, err := decode(raw)
	if err != nil {
		return nil, port.Identity{}, fault.New(fault.Denied, "verify: the bundle %w", err)
	}
	by, ok := v.who[b.hint]
	if !ok {
		return nil, port.Identity{}, fault.New(fault.Denied, "verify: signed by a key that is not trusted (%.12q)", b.hint)
	}
	entity, err := bundle.NewBundle(b.proto())
	if err != nil {
		return nil, port.Identity{}, fault.New(fault.Denied, "verify: the bundle is invalid: %w", err)
	}
	sig, err := entity.SignatureContent()
	if err != nil {
		return nil, port.Identity{}, fault.New(fault.Denied, "verify: the bundle is invalid: %w", err)
	}
	key, err := entity.VerificationContent()
	if err != nil {
		return nil, port.Identity{}, fault.New(fault.Denied, "verify: the bundle is invalid: %w", err)
	}
	if err := verify.VerifySignature(sig, key, v.material); err != nil {
		return nil, port.Identity{}, fault.New(fault.Denied, "verify: the signature of %s's key %s does not hold", by.Name, by.Role)
	}
	if err := attest.CheckFrame(b.payload); err != nil {
		return nil, port.Identity{}, fault.New(fault.Denied, "verify: the signed statement %w", err)
	}
	return b.payload, by, nil
}
