// Signing: an in-toto statement goes into a DSSE envelope, and that into a
// Sigstore bundle v0.3, by sigstore-go.

package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Sign implements port.Signer.
func (k *Keys) Sign(ctx context.Context, role port.Role, statement []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := attest.CheckFrame(statement); err != nil {
		return nil, fault.New(fault.Invalid, "sign: the statement %w", err)
	}
	p, err := k.pair(ctx, role)
	if err != nil {
		return nil, err
	}
	b, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: attest.PayloadType}, p, sign.BundleOptions{Context: ctx})
	if err != nil {
		return nil, fmt.Errorf("sign with key %s: %w", role, err)
	}
	envelope := b.GetDsseEnvelope()
	return sealed{envelope.GetPayload(), envelope.GetSignatures()[0].GetSig(), p.hint}.encode(), nil
}

// pair is a sigstore-go Keypair.
var _ sign.Keypair = (*pair)(nil)

func (p *pair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

func (p *pair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

func (p *pair) GetHint() []byte                  { return []byte(p.hint) }
func (p *pair) GetKeyAlgorithm() string          { return "ECDSA" }
func (p *pair) GetPublicKey() crypto.PublicKey   { return p.public }
func (p *pair) GetPublicKeyPem() (string, error) { return string(p.pem), nil }

func (p *pair) SignData(_ context.Context, data []byte) (sig, sum []byte, err error) {
	d := sha256.Sum256(data)
	sig, err = p.SignMessage(bytes.NewReader(data))
	return sig, d[:], err
}
