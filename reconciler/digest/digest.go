// Package digest names content: a Digest is the SHA-256 of bytes, and canonical
// JSON (RFC 8785) gives structured values bytes to be named by. It is pure.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
)

// Digest is "sha256:" and 64 lower-case hex digits; the zero value names nothing.
type Digest string

const prefix = "sha256:"

// Of names bytes.
func Of(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(prefix + hex.EncodeToString(sum[:]))
}

// FromSum names content whose 32-byte SHA-256 is already known.
func FromSum(sum []byte) Digest { return Digest(prefix + hex.EncodeToString(sum)) }

// Parse checks s, with or without its "sha256:".
func Parse(s string) (Digest, error) {
	h := strings.TrimPrefix(s, prefix)
	raw, err := hex.DecodeString(h)
	if err != nil || len(raw) != sha256.Size || strings.ToLower(h) != h {
		return "", fmt.Errorf("%q is no SHA-256 digest: want sha256: and 64 lower-case hex digits", s)
	}
	return Digest(prefix + h), nil
}

// Hex is the digest without its prefix.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), prefix) }

// Short is the first twelve hex digits, for people.
func (d Digest) Short() string {
	h := d.Hex()
	if len(h) > 12 {
		return h[:12]
	}
	return h
}

// Copy copies src to dst and names what went through; the size is in bytes.
func Copy(dst io.Writer, src io.Reader) (Digest, int64, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(dst, h)}, struct{ io.Reader }{src}, make([]byte, 1<<20))
	return FromSum(h.Sum(nil)), n, err
}

// Reader names what src yields, in constant memory.
func Reader(src io.Reader) (Digest, int64, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{src}, make([]byte, 1<<20))
	return FromSum(h.Sum(nil)), n, err
}

// Canonical is v as canonical JSON: keys sorted, numbers and strings in one
// spelling, no white space (RFC 8785). Values that JSON cannot hold are an error.
func Canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	if raw[0] == '{' || raw[0] == '[' {
		return jsoncanonicalizer.Transform(raw)
	}
	// The canonicaliser takes only objects and arrays at the top.
	out, err := jsoncanonicalizer.Transform(slices.Concat([]byte{'['}, raw, []byte{']'}))
	if err != nil {
		return nil, err
	}
	return out[1 : len(out)-1], nil
}

// JSON names v by its canonical JSON.
func JSON(v any) (Digest, error) {
	b, err := Canonical(v)
	if err != nil {
		return "", err
	}
	return Of(b), nil
}
