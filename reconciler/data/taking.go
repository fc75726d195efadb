// Reading files into the cache, several side by side: each is named in one pass, and one
// that changes while it is read is begun anew.

package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// taking reads files and has the cache keep them, several side by side.
type taking struct {
	w      *Workspace
	what   string // is done, for people
	abs    string
	before *dvccache.Memory
	sums   []dvccache.FileState
	batch  *dvccache.Batch
	total  int64
	read   atomic.Int64
	done   atomic.Int64 // files that were read, and their bytes
	bytes  atomic.Int64
	began  []int64 // when each file was begun to be read, in nanoseconds; zero: not read now
}

// settled tells whether how a file stood can be relied on later. Of what was not read now it could when it was remembered.
func (j *taking) settled(i int) bool {
	n := j.began[i]
	return n == 0 || j.sums[i].Settled(time.Unix(0, n))
}

// atOnce is how many bytes are made durable together.
const atOnce = 8 << 30

// some takes in the files between two places of their list.
func (j *taking) some(ctx context.Context, files []found, from, to int) error {
	g, ctx := routine.WithContext(ctx)
	var next atomic.Int64
	next.Store(int64(from))
	for range min(to-from, max(2, runtime.NumCPU())) {
		g.Start(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= to {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return fault.New(fault.Cancelled, "add: %w", err)
				}
				if err := j.file(ctx, i, files[i]); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// tries is how often a file that changes while it is read is begun anew.
const tries = 3

func (j *taking) file(ctx context.Context, i int, f found) error {
	if k, ok := j.before.Get(f.path); ok && k.Stamp == f.stamp && k.Whole() && j.w.cache.Has(k.Sums().OID) {
		j.sums[i] = k
		return nil
	}
	at, size := j.abs, f.stamp.Size
	if f.path != "" {
		at += "/" + f.path
	}
	for range tries {
		began := j.w.o.Env.Now()
		stamp, sum, err := j.once(ctx, at, size)
		if err != nil {
			return err
		}
		if stamp == nil { // it changed under the read
			if st, err := os.Stat(at); err == nil {
				size = st.Size()
			}
			continue
		}
		j.began[i] = began.UnixNano()
		j.w.reportProgress(j.what, j.done.Add(1), j.bytes.Add(size))
		k, ok := dvccache.Know(*stamp, sum)
		if !ok {
			return fault.New(fault.Internal, "%s: its name cannot be remembered", at)
		}
		j.sums[i] = k
		j.read.Add(1)
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "%s keeps changing while it is read", at), "end what writes to it, and add it again")
}

// once reads a file. A nil stamp says that it changed meanwhile.
func (j *taking) once(ctx context.Context, at string, size int64) (*dvccache.Stamp, dvccache.Sum, error) {
	if size <= dvccache.InMemory {
		stamp, sum, err := j.small(at, size)
		return stamp, sum, gone(at, err)
	}
	f, err := os.Open(at)
	if err != nil {
		return nil, dvccache.Sum{}, gone(at, err)
	}
	defer f.Close()
	before, err := stamped(f)
	if err != nil {
		return nil, dvccache.Sum{}, err
	}
	var sum dvccache.Sum
	if sum, err = j.batch.Take(ctx, f, ""); err != nil {
		return nil, sum, err
	}
	after, err := stamped(f)
	if err != nil || after != before || sum.Size != before.Size {
		return nil, sum, err // what was taken in is content that nobody points to
	}
	return &before, sum, nil
}

// pieces are what small files are read into.
var pieces = sync.Pool{New: func() any { b := make([]byte, dvccache.InMemory+1); return &b }}

// small reads a file as one piece: its bytes are written to the cache only where it does
// not have them.
func (j *taking) small(at string, size int64) (*dvccache.Stamp, dvccache.Sum, error) {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	n, before, after, err := dvccache.ReadSmall(at, size, *buf)
	if err != nil || before != after || int64(n) != before.Size {
		return nil, dvccache.Sum{}, err
	}
	if err := j.w.standsIn(at, (*buf)[:n]); err != nil {
		return nil, dvccache.Sum{}, err
	}
	sum := dvccache.SumOf((*buf)[:n])
	return &before, sum, j.batch.TakeBytes((*buf)[:n], sum)
}

// gone says what keeps a file from being read.
func gone(at string, err error) error {
	switch {
	case err == nil, fault.Of(err) != fault.Internal:
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fault.WithHint(fault.New(fault.Conflict, "%s went while it was added", at), "add it again")
	case errors.Is(err, fs.ErrPermission):
		return fault.WithHint(fault.New(fault.Denied, "read %s: %w", at, err), "make it readable")
	}
	return artifact.Disk(fmt.Errorf("read %s: %w", at, err), at)
}

func stamped(f *os.File) (dvccache.Stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return dvccache.Stamp{}, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	return dvccache.StampOf(&st), nil
}
