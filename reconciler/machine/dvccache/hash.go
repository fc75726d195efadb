// Both names of content in one pass: MD5, which is DVC's, and SHA-256, which is what
// Vishwa trusts. Large files are hashed on two processors, one sum on each.

package dvccache

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
)

// Sum is what content is named.
type Sum struct {
	OID    dvc.OID
	SHA256 digest.Digest
	Size   int64 // bytes
}

const (
	block = 256 << 10 // bytes that are read at once: they stay in a core's cache
	ahead = 16        // blocks of which MD5, the slower of both, may not have taken its sum yet
)

var blocks = sync.Pool{New: func() any { b := make([]byte, block); return &b }}

// copyHashed copies r to w, which may be nil, and names what went through.
func copyHashed(w io.Writer, r io.Reader) (Sum, error) {
	m, s := md5.New(), sha256.New()
	b := blocks.Get().(*[]byte)
	n, last, err := next(w, r, s, b)
	if err == nil && !last {
		return copyMore(w, r, m, s, b)
	}
	m.Write((*b)[:n])
	blocks.Put(b)
	return nameOf(m, s, int64(n)), err
}

// copyMore goes on behind the first block. MD5 takes twice as long as SHA-256: it has a processor of its own, and who reads, writes and takes
// the other sum is ahead of it.
func copyMore(w io.Writer, r io.Reader, m, s hash.Hash, b *[]byte) (Sum, error) {
	full, done := make(chan []byte, ahead), make(chan error, 1)
	finish := sync.OnceFunc(func() { close(full) })
	defer finish()
	fault.Go(func() {
		for b := range full {
			m.Write(b)
			b = b[:cap(b)]
			blocks.Put(&b)
		}
		done <- nil
	}, func(err error) { done <- err })
	size, n, last, err := int64(0), len(*b), false, error(nil)
	for {
		size += int64(n)
		select {
		case full <- (*b)[:n]:
		case fell := <-done: // nobody takes any more, and the sum is that of a part
			return Sum{}, fell
		}
		if last || err != nil {
			break
		}
		b = blocks.Get().(*[]byte)
		n, last, err = next(w, r, s, b)
	}
	finish()
	if fell := <-done; err == nil {
		err = fell
	}
	return nameOf(m, s, size), err
}

// next reads a block, writes it and adds it to a sum; last says that nothing follows.
func next(w io.Writer, r io.Reader, s hash.Hash, b *[]byte) (n int, last bool, err error) {
	n, err = io.ReadFull(r, *b)
	switch err {
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		last = true
	default:
		return 0, false, err
	}
	s.Write((*b)[:n])
	if w != nil && n > 0 {
		if _, err := w.Write((*b)[:n]); err != nil {
			return 0, false, err
		}
	}
	return n, last, nil
}

func nameOf(m, s hash.Hash, size int64) Sum {
	return Sum{dvc.OID(hex.EncodeToString(m.Sum(nil))), digest.FromSum(s.Sum(nil)), size}
}

// SumOf names bytes.
func SumOf(p []byte) Sum { return FileState{Stamp{Size: int64(len(p))}, sumOf(p)}.Sums() }

// sumOf is both sums, one behind the other.
func sumOf(p []byte) (sum [48]byte) {
	m, s := md5.Sum(p), sha256.Sum256(p)
	copy(sum[:], m[:])
	copy(sum[16:], s[:])
	return sum
}

// Named is what is known of bytes that stand as at says.
func Named(at Stamp, p []byte) FileState { return FileState{at, sumOf(p)} }

// SumFile names a file. Legacy gives it DVC 2's name.
func SumFile(ctx context.Context, path string, legacy bool) (Sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return Sum{}, fault.WithHint(fault.New(fault.Denied, "read %s: %w", path, err), "make it readable")
	}
	defer f.Close()
	var w io.Writer
	old := NewLegacySum()
	if legacy {
		w = old
	}
	s, err := copyHashed(w, ended.Reader(ctx, f, "read"))
	if err != nil {
		return s, artifact.Disk(fmt.Errorf("read %s: %w", path, err), path)
	}
	if legacy {
		s.OID = old.OID()
	}
	return s, nil
}

// bare is a name without what marks a directory's manifest.
func bare(oid dvc.OID) dvc.OID { return dvc.OID(strings.TrimSuffix(string(oid), ".dir")) }
