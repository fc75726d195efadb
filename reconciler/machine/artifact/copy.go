// Package artifact moves files and folders in and out of a port.Store. It stands
// below the adapters because runner, server and sandbox all lay out the same
// artifacts, and because the rules of doing so safely should exist once: nothing
// through a symbolic link, nothing that is not listed, nothing half-written.
package artifact

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// chunk is large enough that hand-over costs nothing beside hashing, and small
// enough to stay in a core's cache.
const chunk = 256 << 10

// depth is how many chunks may be under way between reading and hashing.
const depth = 4

var chunks = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// Copy copies src to dst, names what went through and tells its size in bytes.
// Hashing runs beside reading and writing, so that the slower of them sets the
// pace and not their sum; memory is constant. It ends early where ctx does.
func Copy(ctx context.Context, dst io.Writer, src io.Reader) (digest.Digest, int64, error) {
	b := chunks.Get().(*[]byte)
	n, err := fill(ctx, src, *b)
	if err != nil { // all of it in one chunk, or unreadable: not worth a goroutine
		sum := sha256.Sum256((*b)[:n])
		if err == io.EOF {
			_, err = dst.Write((*b)[:n])
		}
		chunks.Put(b)
		return digest.FromSum(sum[:]), int64(n), err
	}

	h := sha256.New()
	full, done := make(chan *[]byte, depth), make(chan error, 1)
	fault.Go(func() {
		for b := range full {
			h.Write(*b)
			*b = (*b)[:cap(*b)]
			chunks.Put(b)
		}
		done <- nil
	}, func(err error) { done <- err })
	var size int64
	for {
		*b = (*b)[:n]
		if _, werr := dst.Write(*b); werr != nil {
			err = werr
		}
		size += int64(n)
		select {
		case full <- b:
		case fell := <-done: // nobody takes any more, and the sum is that of a part
			return "", size, fell
		}
		if err != nil {
			break
		}
		b = chunks.Get().(*[]byte)
		n, err = fill(ctx, src, *b)
		if n == 0 && err != nil {
			chunks.Put(b)
			break
		}
	}
	close(full)
	if fell := <-done; fell != nil {
		return "", size, fell
	}
	if err == io.EOF {
		err = nil
	}
	return digest.FromSum(h.Sum(nil)), size, err
}

// Sum names what a file of this machine holds and tells its size in bytes, in constant memory; it ends early where ctx does. Reading such a
// file takes a tenth of the time of hashing it, and handing over between two processors takes as long: it is read and hashed by turns.
func Sum(ctx context.Context, file io.Reader) (digest.Digest, int64, error) {
	b := chunks.Get().(*[]byte)
	defer chunks.Put(b)
	h, size := sha256.New(), int64(0)
	for {
		n, err := fill(ctx, file, *b)
		h.Write((*b)[:n])
		size += int64(n)
		switch {
		case err == io.EOF:
			return digest.FromSum(h.Sum(nil)), size, nil
		case err != nil:
			return "", size, err
		}
	}
}

// fill reads until b is full; io.EOF says that src has ended, with the last bytes in b.
func fill(ctx context.Context, src io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		if err = ctx.Err(); err != nil {
			return n, err
		}
		var m int
		m, err = src.Read(b[n:])
		n += m
	}
	return n, err
}
