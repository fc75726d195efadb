// Large objects come in pieces side by side, and stay where they were cut off.

package transfer

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	large   = 64 << 20 // bytes; what is smaller comes as one
	abreast = 8        // pieces of one object that are under way at once
)

// gather fetches object o as oid, going on with what half has of it.
func (r *Remote) gather(ctx context.Context, into *dvccache.Batch, half *dvccache.PartialObject, oid dvc.OID, o port.Object, m *moving) (dvccache.Sum, error) {
	const name = "object"
	from := &download.Place{Absent: fault.Missing, Jobs: abreast, Pieces: true}
	from.Open = func(ctx context.Context, f port.SourceFile, at, n int64) (io.ReadCloser, error) {
		body, _, err := r.Bucket.Get(ctx, o.Key, port.Range{Offset: at, Length: n, ETag: f.ETag})
		return body, err
	}
	look := port.Snapshot{Token: o.Key, Files: []port.SourceFile{{Path: name, Size: o.Size, ETag: o.ETag, Version: o.Version, Modified: o.Modified}}}
	path := filepath.Join(half.Dir, name)
	if st, err := os.Stat(path); err != nil || st.Size() != o.Size { // it has its name when all of it has come
		var told atomic.Int64
		if err := from.Fetch(ctx, look, half.Dir, func(done, _ int64) { m.hears(done - told.Swap(done)) }); err != nil {
			half.Close()
			return dvccache.Sum{}, err
		}
	}
	sum, err := into.Adopt(ctx, path, oid)
	if fault.Of(err) == fault.Cancelled && err != nil {
		half.Close()
	} else {
		half.Remove()
	}
	return sum, err
}
