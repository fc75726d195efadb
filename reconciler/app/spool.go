// A spool of numbers: a file that nobody else sees, for what a window and its reference hold beyond
// what fits memory.

package app

import (
	"os"

	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// mostSpooled bounds what the numbers of one measurement take, both sides together.
const mostSpooled = 16 << 30

// spool is a file without a name.
type spool struct {
	file *os.File
	n    int64 // bytes
}

var _ sample.Spool = (*spool)(nil)

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

// Append keeps raw.
func (s *spool) Append(raw []byte) (int64, error) {
	at := s.n
	if s.n += int64(len(raw)); s.n > mostSpooled {
		return 0, fault.WithHint(fault.New(fault.Invalid, "the numbers of the window and its reference take more than %d GiB", mostSpooled>>30), "narrow the window, or name fewer columns in spec.columns")
	}
	if _, err := s.file.WriteAt(raw, at); err != nil {
		return 0, fault.WithHint(fault.New(fault.Transient, "keep numbers on disk: %w", err), "free some room on the disk of the cache")
	}
	return at, nil
}

// Read fills into; several may read at once.
func (s *spool) Read(at int64, into []byte) error {
	if _, err := s.file.ReadAt(into, at); err != nil {
		return fault.New(fault.Transient, "read numbers from disk: %w", err)
	}
	return nil
}
