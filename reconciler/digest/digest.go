// Package digest names content: a Digest is the SHA-256 of bytes, and canonical
// JSON (RFC 8785) gives structured values bytes to be named by. It is pure.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"
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
		return "", fmt.Errorf("%q is not a SHA-256 digest: want sha256: and 64 lower-case hex digits", s)
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
	n, err := pour(io.MultiWriter(dst, h), src, make([]byte, small))
	return FromSum(h.Sum(nil)), n, err
}

// Reader names what src yields, in constant memory.
func Reader(src io.Reader) (Digest, int64, error) {
	return ReaderThrough(src, make([]byte, small))
}

// ReaderThrough is Reader with room for what is read at a time: whoever reads many small files has it made once.
func ReaderThrough(src io.Reader, room []byte) (Digest, int64, error) {
	h := sha256.New()
	n, err := pour(h, src, room)
	return FromSum(h.Sum(nil)), n, err
}

const small, large = 16 << 10, 1 << 20 // bytes

// pour copies with a small buffer, and with a large one where there is much: most
// files are small, and there are many of them.
func pour(dst io.Writer, src io.Reader, room []byte) (int64, error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, io.LimitReader(src, large), room)
	if err != nil || n < large {
		return n, err
	}
	more, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, large))
	return n + more, err
}

// JSON names v by its canonical JSON.
func JSON(v any) (Digest, error) { return new(Namer).JSON(v) }

// List names a list of objects as JSON does, by one of them after another: the list is never written whole, nor held.
func List(list iter.Seq[Members]) (Digest, error) {
	h := sha256.New()
	h.Write([]byte{'['})
	var r room
	r.made()
	first := true
	for members := range list {
		out, err := r.members(r.out[:0], members, 1)
		if err != nil {
			return "", err
		}
		if r.out = out; !first {
			h.Write([]byte{','})
		}
		first = false
		h.Write(out)
	}
	h.Write([]byte{']'})
	return FromSum(h.Sum(nil)), nil
}
