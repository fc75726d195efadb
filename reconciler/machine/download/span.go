// The piece of a file that one body fills, and telling how far all of them are.

package download

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// span is from at to end of a file of size; below zero: unknown.
type span struct {
	part          *part
	at, end, size int64
	first         bool // it begins at the file's safe bytes, and advances them
	complete      atomic.Bool
}

// write puts b where the span stands. More than was sighted is Conflict.
func (s *span) write(b []byte, f port.SourceFile) error {
	if s.end >= 0 && s.at+int64(len(b)) > s.end {
		return fault.WithHint(fault.New(fault.Conflict, "%s is longer than the %d bytes that were seen", Quoted(f.Path), f.Size), "run the command again: it looks at the source anew")
	}
	if _, err := s.part.f.WriteAt(b, s.at); err != nil {
		return artifact.Disk(err, s.part.s.dir)
	}
	s.at += int64(len(b))
	if s.first && s.at-s.part.safe >= often {
		return s.part.reached(s.at)
	}
	return nil
}

// told counts bytes for the caller, never backwards.
type told struct {
	mu          sync.Mutex
	done, total int64
	tell        func(done, total int64)
}

func newTold(files []port.SourceFile, tell func(done, total int64)) *told {
	t := &told{tell: tell}
	for _, f := range files {
		if f.Size < 0 {
			t.total = -1
			break
		}
		t.total += f.Size
	}
	return t
}

func (t *told) add(n int64) {
	if t.tell == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += n
	t.tell(t.done, t.total)
}

// sum names the bytes of a file that has come.
func Sum(ctx context.Context, at string) (digest.Digest, error) {
	in, err := os.Open(at)
	if err != nil {
		return "", artifact.Disk(err, at)
	}
	defer in.Close()
	d, _, err := artifact.Sum(ctx, in)
	return d, artifact.Disk(err, at)
}
