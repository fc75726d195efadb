// A spool of numbers: a file that nobody else sees, for what a window and its reference hold beyond
// what fits memory.

package app

import (
	"encoding/binary"
	"math"
	"os"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// mostSpooled bounds the numbers of one measurement, both sides together: 16 GiB of disk.
const mostSpooled = 2 << 30

// spool is a file without a name.
type spool struct {
	file *os.File
	n    int64
	raw  []byte
}

var _ watch.Spool = (*spool)(nil)

// newSpool makes one in dir; it is gone when it is closed, or when this process is.
func newSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "make room for numbers: %w", err), "make %s writable", dir)
	}
	f, err := os.CreateTemp(dir, "numbers-")
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "make room for numbers: %w", err), "make %s writable", dir)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fault.New(fault.Invalid, "make room for numbers: %w", err)
	}
	return &spool{file: f}, nil
}

func (s *spool) Close() error { return s.file.Close() }

// Append keeps values.
func (s *spool) Append(values []float64) (int64, error) {
	at := s.n
	if s.n += int64(len(values)); s.n > mostSpooled {
		return 0, fault.WithHint(fault.New(fault.Invalid, "the window and its reference have more than %d numbers", mostSpooled), "narrow the window, or name fewer columns in spec.columns")
	}
	s.raw = slices.Grow(s.raw[:0], 8*len(values))[:8*len(values)]
	for i, v := range values {
		binary.LittleEndian.PutUint64(s.raw[8*i:], math.Float64bits(v))
	}
	if _, err := s.file.WriteAt(s.raw, at*8); err != nil {
		return 0, fault.WithHint(fault.New(fault.Transient, "keep numbers on disk: %w", err), "free some room on the disk of the cache")
	}
	return at, nil
}

// Read fills into; several may read at once.
func (s *spool) Read(at int64, into []float64) error {
	raw := make([]byte, 8*min(len(into), 8192))
	for len(into) > 0 {
		n := min(len(into), len(raw)/8)
		if _, err := s.file.ReadAt(raw[:8*n], at*8); err != nil {
			return fault.New(fault.Transient, "read numbers from disk: %w", err)
		}
		for i := range n {
			into[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
		at, into = at+int64(n), into[n:]
	}
	return nil
}
