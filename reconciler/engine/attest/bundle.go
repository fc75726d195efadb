// Reading the one spelling of a bundle that Vishwa writes, and checking its signature with nothing but a
// list of keys: for a program that is small, and has no library of signatures.

package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
)

// BundleType is the media type of a Sigstore bundle v0.3.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Canonical JSON (RFC 8785) of a Sigstore bundle around a DSSE envelope: there is one spelling, so that no
// byte of it can be changed unseen, be it white space, a key twice, a field that nobody checks or base64 in another form.
const (
	beforePayload = `{"dsseEnvelope":{"payload":"`
	beforeSig     = `","payloadType":"` + PayloadType + `","signatures":[{"sig":"`
	beforeHint    = `"}]},"mediaType":"` + BundleType + `","verificationMaterial":{"publicKey":{"hint":"`
	afterHint     = `"}}}`
)

// Bundle is what a bundle holds.
type Bundle struct {
	Payload []byte
	Sig     []byte
	Hint    string // of the key
}

var base64Strict = base64.StdEncoding.Strict()

// Encode writes the bundle.
func (s Bundle) Encode() []byte {
	b := []byte(beforePayload)
	b = base64Strict.AppendEncode(b, s.Payload)
	b = append(b, beforeSig...)
	b = base64Strict.AppendEncode(b, s.Sig)
	b = append(b, beforeHint...)
	b = append(b, s.Hint...)
	return append(b, afterHint...)
}

// ParseBundle reads what Encode wrote. It checks no signature.
func ParseBundle(raw []byte) (s Bundle, err error) {
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
	if s.Payload, err = base64Strict.AppendDecode(nil, payload); err != nil {
		return s, fmt.Errorf("has a payload that is not base64: %w", err)
	}
	if s.Sig, err = base64Strict.AppendDecode(nil, sig); err != nil {
		return s, fmt.Errorf("has a signature that is not base64: %w", err)
	}
	s.Hint = string(hint)
	return s, nil
}

// Hint names a key in a bundle: hex of the SHA-256 of its PEM, as the model signing specification has it.
func Hint(publicPEM []byte) string {
	sum := sha256.Sum256(publicPEM)
	return hex.EncodeToString(sum[:])
}

// Verify returns the statement of a bundle that one of keys signed, which are ECDSA P-256 in PEM. No key is trusted besides.
// https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
func Verify(raw []byte, keys [][]byte) ([]byte, error) {
	b, err := ParseBundle(raw)
	if err != nil {
		return nil, fmt.Errorf("the bundle %w", err)
	}
	for _, key := range keys {
		if Hint(key) != b.Hint {
			continue
		}
		public, err := publicKey(key)
		if err != nil {
			return nil, err
		}
		signed := []byte("DSSEv1 " + strconv.Itoa(len(PayloadType)) + " " + PayloadType + " " + strconv.Itoa(len(b.Payload)) + " ")
		sum := sha256.Sum256(append(signed, b.Payload...))
		if !ecdsa.VerifyASN1(public, sum[:], b.Sig) {
			return nil, errors.New("the signature does not hold")
		}
		if err := CheckFrame(b.Payload); err != nil {
			return nil, fmt.Errorf("the signed statement %w", err)
		}
		return b.Payload, nil
	}
	return nil, fmt.Errorf("it is signed by a key that is not trusted (%.12q)", b.Hint)
}

func publicKey(text []byte) (*ecdsa.PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("a trusted key is not one public key in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("a trusted key cannot be read")
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, errors.New("a trusted key is not of ECDSA P-256")
	}
	return public, nil
}
