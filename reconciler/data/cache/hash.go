// Both names of content in one pass: MD5, which is DVC's, and SHA-256, which is what
// Vishwa trusts. Large files are hashed by two goroutines over the same buffers.
package cache

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/adapter/content"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
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
	var both sync.WaitGroup
	both.Go(func() { h.md5.Write(p) })
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
	var under sync.WaitGroup
	defer under.Wait()
	for now, next := *first, *second; ; now, next = next, now {
		n, err := io.ReadFull(r, now)
		under.Wait()
		if n > 0 {
			piece := now[:n]
			if n < small {
				_, _ = h.Write(piece)
			} else {
				under.Go(func() { _, _ = h.Write(piece) })
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

// SumFile names a file. Legacy takes carriage returns out of text first, as DVC 2 did.
func SumFile(path string, legacy bool) (Sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return Sum{}, fault.Hint(fault.New(fault.Denied, "read %s: %w", path, err), "make it readable")
	}
	defer f.Close()
	var r io.Reader = f
	if legacy {
		if r, err = withoutReturns(f); err != nil {
			return Sum{}, content.Disk(fmt.Errorf("read %s: %w", path, err), path)
		}
	}
	s, err := copyHashed(nil, r)
	if err != nil {
		return s, content.Disk(fmt.Errorf("read %s: %w", path, err), path)
	}
	return s, nil
}

// withoutReturns is r without the carriage returns of its line ends, where r is text as DVC 2
// saw it: no NUL in the first 512 bytes, and at most three in ten of them unprintable
// (dvc/istextfile.py).
func withoutReturns(r io.Reader) (io.Reader, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), r)
	odd := 0
	for _, c := range head[:n] {
		if c == 0 {
			return whole, nil
		}
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\b' || c > 0x7e {
			odd++
		}
	}
	if n > 0 && odd*10 > n*3 {
		return whole, nil
	}
	return &plainLines{r: bufio.NewReaderSize(whole, 64<<10)}, nil
}

// plainLines leaves out each carriage return before a line feed.
type plainLines struct{ r *bufio.Reader }

func (p *plainLines) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c, err := p.r.ReadByte()
		if err != nil {
			if n > 0 && err == io.EOF {
				return n, nil
			}
			return n, err
		}
		if c == '\r' {
			if next, err := p.r.Peek(1); err == nil && next[0] == '\n' {
				continue
			}
		}
		b[n] = c
		n++
	}
	return n, nil
}
