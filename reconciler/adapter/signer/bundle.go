// A bundle as sigstore-go takes it, and as it is written: see attest.Bundle.

package signer

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"github.com/vishwaops/vishwa/reconciler/engine/attest"
)

const mediaType = attest.BundleType

// sealed is what a bundle holds.
type sealed struct {
	payload []byte
	sig     []byte
	hint    string
}

func (s sealed) encode() []byte {
	return attest.Bundle{Payload: s.payload, Sig: s.sig, Hint: s.hint}.Encode()
}

func decode(raw []byte) (sealed, error) {
	b, err := attest.ParseBundle(raw)
	return sealed{b.Payload, b.Sig, b.Hint}, err
}

// proto is the bundle as sigstore-go takes it.
func (s sealed) proto() *protobundle.Bundle {
	return &protobundle.Bundle{
		MediaType: mediaType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: s.hint}},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: s.payload, PayloadType: attest.PayloadType,
			Signatures: []*protodsse.Signature{{Sig: s.sig}},
		}},
	}
}

// Hint names a key in a bundle: hex of the SHA-256 of its PEM, as the model
// signing specification has it.
func Hint(publicPEM []byte) string { return attest.Hint(publicPEM) }

func encodePublic(k *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
