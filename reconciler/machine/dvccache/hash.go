// Both names of content in one pass: MD5, which is DVC's, and SHA-256, which is what
// Vishwa trusts. Large files are hashed by two goroutines over the same buffers.

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
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Sum is what content is named.
type Sum struct {
	OID    dvc.OID
	SHA256 digest.Digest
	Size   int64 // bytes
}

const (
	block = 1 << 20 // bytes that are read at once
	small = 1 << 18 // up to this size hashing side by side costs more than it gives
)

var blocks = sync.Pool{New: func() any { b := make([]byte, block); return &b }}

// hasher takes both sums of what is written to it.
type hasher struct {
	md5, sha hash.Hash
	n        int64
}

func newHasher() *hasher { return &hasher{md5: md5.New(), sha: sha256.New()} }

func (h *hasher) Write(p []byte) (int, error) {
	h.n += int64(len(p))
	if len(p) < small {
		h.md5.Write(p)
		h.sha.Write(p)
		return len(p), nil
	}
	var both routine.Set
	both.Start(func() { h.md5.Write(p) })
	h.sha.Write(p)
	both.Wait()
	return len(p), nil
}

func (h *hasher) sum() Sum {
	return Sum{dvc.OID(hex.EncodeToString(h.md5.Sum(nil))), digest.FromSum(h.sha.Sum(nil)), h.n}
}

// copyHashed copies r to w, which may be nil, and names what went through. The next
// block is read while the one before is hashed.
func copyHashed(w io.Writer, r io.Reader) (Sum, error) {
	h := newHasher()
	first, second := blocks.Get().(*[]byte), blocks.Get().(*[]byte)
	defer blocks.Put(first)
	defer blocks.Put(second)
	var under routine.Set
	defer under.Wait()
	for now, next := *first, *second; ; now, next = next, now {
		n, err := io.ReadFull(r, now)
		under.Wait()
		if n > 0 {
			piece := now[:n]
			if n < small {
				_, _ = h.Write(piece)
			} else {
				under.Start(func() { _, _ = h.Write(piece) })
			}
			if w != nil {
				if _, err := w.Write(piece); err != nil {
					return Sum{}, err
				}
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			under.Wait()
			return h.sum(), nil
		default:
			return Sum{}, err
		}
	}
}

// SumOf names bytes.
func SumOf(p []byte) Sum {
	m := md5.Sum(p)
	s := sha256.Sum256(p)
	return Sum{dvc.OID(hex.EncodeToString(m[:])), digest.FromSum(s[:]), int64(len(p))}
}

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
