// Reading is where tampering shows: bytes are hashed on the way and held against
// their name before the end is reported.

package store

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"os"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

type reader struct {
	f    *os.File
	end  func() error // asked at every chunk: has the caller gone?
	copy func(w io.Writer) (digest.Digest, int64, error)
	name digest.Digest
	h    hash.Hash
	n    int64
	err  error // final
}

func newReader(ctx context.Context, f *os.File, name digest.Digest) *reader {
	return &reader{
		f: f, name: name, h: sha256.New(), end: ctx.Err,
		copy: func(w io.Writer) (digest.Digest, int64, error) { return artifact.Copy(ctx, w, f) },
	}
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.err = r.end(); r.err != nil {
		return 0, r.err
	}
	n, err := r.f.Read(p)
	r.h.Write(p[:n])
	r.n += int64(n)
	if err == io.EOF && digest.FromSum(r.h.Sum(nil)) != r.name {
		err = tampered(r.name, r.f.Name())
	}
	r.err = err
	return n, err
}

// WriteTo serves io.Copy: from the beginning, hashing and copying go side by side.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	if r.n > 0 || r.err != nil {
		return io.Copy(w, struct{ io.Reader }{r})
	}
	got, n, err := r.copy(w)
	r.n = n
	switch {
	case err != nil:
		r.err = err
	case got != r.name:
		r.err = tampered(r.name, r.f.Name())
	default:
		r.err = io.EOF
		return n, nil
	}
	return n, r.err
}

// ReadAt serves those who have read to the end, and so know what the bytes are.
func (r *reader) ReadAt(p []byte, off int64) (int, error) { return r.f.ReadAt(p, off) }

func (r *reader) Close() error { return r.f.Close() }

func tampered(name digest.Digest, path string) error {
	return fault.WithHint(fault.New(fault.Corrupt, "%s: its bytes in the store are not what they are named", name),
		"remove %s; then restore it from a copy, or run vishwa apply, which makes it again where a step needs it", path)
}
