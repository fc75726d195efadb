// A bundle has one spelling here: its JSON is these four pieces of text around
// payload, signature and hint. So no byte of it can be changed unseen, be it white
// space, a key twice, a field that nobody checks or base64 in another form, and
// reading the ten thousand bundles of a ledger costs little beside their signatures.

package signer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"github.com/vishwaops/vishwa/reconciler/engine/attest"
)

const mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Canonical JSON (RFC 8785) of a Sigstore bundle around a DSSE envelope.
const (
	beforePayload = `{"dsseEnvelope":{"payload":"`
	beforeSig     = `","payloadType":"` + attest.PayloadType + `","signatures":[{"sig":"`
	beforeHint    = `"}]},"mediaType":"` + mediaType + `","verificationMaterial":{"publicKey":{"hint":"`
	afterHint     = `"}}}`
)

// sealed is what a bundle holds.
type sealed struct {
	payload []byte
	sig     []byte
	hint    string
}

var base64Strict = base64.StdEncoding.Strict()

func (s sealed) encode() []byte {
	b := []byte(beforePayload)
	b = base64Strict.AppendEncode(b, s.payload)
	b = append(b, beforeSig...)
	b = base64Strict.AppendEncode(b, s.sig)
	b = append(b, beforeHint...)
	b = append(b, s.hint...)
	return append(b, afterHint...)
}

func decode(raw []byte) (s sealed, err error) {
	rest, ok1 := bytes.CutPrefix(raw, []byte(beforePayload))
	payload, rest, ok2 := bytes.Cut(rest, []byte(beforeSig))
	sig, rest, ok3 := bytes.Cut(rest, []byte(beforeHint))
	hint, ok4 := bytes.CutSuffix(rest, []byte(afterHint))
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return s, errors.New("is not a Sigstore bundle v0.3 in the one spelling that Vishwa writes")
	}
	if bytes.ContainsAny(raw, "\r\n") { // base64 decoders skip them
		return s, errors.New("is broken into lines")
	}
	if s.payload, err = base64Strict.AppendDecode(nil, payload); err != nil {
		return s, fmt.Errorf("has a payload that is not base64: %w", err)
	}
	if s.sig, err = base64Strict.AppendDecode(nil, sig); err != nil {
		return s, fmt.Errorf("has a signature that is not base64: %w", err)
	}
	s.hint = string(hint)
	return s, nil
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
func Hint(publicPEM []byte) string {
	sum := sha256.Sum256(publicPEM)
	return hex.EncodeToString(sum[:])
}

func encodePublic(k *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
