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
			near := nearby{open: func(dir string) (*os.File, error) {
				f, err := os.Open(j.abs + "/" + dir)
				return f, gone(j.abs+"/"+dir, err)
			}}
			defer near.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= to {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return fault.New(fault.Cancelled, "add: %w", err)
				}
				if err := j.file(ctx, i, files[i], &near); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// tries is how often a file that changes while it is read is begun anew.
const tries = 3

func (j *taking) file(ctx context.Context, i int, f found, near *nearby) error {
	if k, ok := j.before.Get(f.path); ok && k.Stamp == f.stamp && k.Whole() && j.batch.Has(k) {
		j.sums[i] = k
		return nil
	}
	at := dvccache.Spot{Name: j.abs}
	if f.path != "" {
		var err error
		if at, err = near.spot(f.path); err != nil {
			return err
		}
	}
	for before, try := f.stamp, 0; try <= tries; try++ {
		began := j.w.o.Env.Now()
		k, after, err := j.once(ctx, at, before)
		if err != nil {
			return gone(at.String(), err)
		}
		if after != before { // it changed since it was looked at: what was taken in is content that nobody points to
			if before, err = at.Look(); err != nil {
				return gone(at.String(), err)
			}
			continue
		}
		j.sums[i], j.began[i] = k, began.UnixNano()
		j.w.reportProgress(j.what, j.done.Add(1), j.bytes.Add(k.Size))
		j.read.Add(1)
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "%s keeps changing while it is read", at), "end what writes to it, and add it again")
}

// once reads a file that stands as before says, and tells how it stands afterwards.
func (j *taking) once(ctx context.Context, at dvccache.Spot, before dvccache.Stamp) (k dvccache.FileState, after dvccache.Stamp, err error) {
	if before.Size <= dvccache.InMemory {
		return j.small(at, before)
	}
	f, err := at.Open()
	if err != nil {
		return k, after, err
	}
	defer f.Close()
	sum, err := j.batch.Take(ctx, f, "")
	if err != nil {
		return k, after, err
	}
	k, ok := dvccache.Know(before, sum)
	if !ok {
		return k, after, fault.New(fault.Internal, "%s: its name cannot be remembered", at)
	}
	if sum.Size != before.Size {
		return k, dvccache.Stamp{}, nil
	}
	after, err = stamped(f)
	return k, after, err
}

// pieces are what small files are read into.
var pieces = sync.Pool{New: func() any { b := make([]byte, dvccache.InMemory+1); return &b }}

// small reads a file as one piece: its bytes are written to the cache only where it does
// not have them.
func (j *taking) small(at dvccache.Spot, before dvccache.Stamp) (k dvccache.FileState, after dvccache.Stamp, err error) {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	n, after, err := dvccache.ReadSmall(at, before.Size, *buf)
	if err != nil || after != before {
		return k, after, err
	}
	if int64(n) != before.Size {
		return k, dvccache.Stamp{}, nil
	}
	if err := j.w.standsIn(at, (*buf)[:n]); err != nil {
		return k, after, err
	}
	k = dvccache.Named(before, (*buf)[:n])
	return k, after, j.batch.TakeBytes((*buf)[:n], k)
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
