// Package witness holds the adapters that keep checkpoints of a ledger. Bucket is
// the store's: an object a checkpoint, never changed and never taken away,
//
//	<prefix>/<ledger>/<thousands>/<rest>-<hash>   named so that the newest comes first
//
// in the byte order of names, in which a bucket is listed.
package witness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	few     = 8       // checkpoints that are looked at
	largest = 8 << 10 // bytes of one
	folder  = 1000    // checkpoints
)

// Bucket keeps checkpoints of the ledger origin below prefix.
func Bucket(b port.Bucket, prefix, origin string) port.Witness {
	if prefix != "" {
		prefix += "/"
	}
	return bucket{b, prefix + digest.Of([]byte(origin)).Hex()[:32] + "/"}
}

type bucket struct {
	port.Bucket
	prefix string
}

// name counts down, so that more entries come first.
func (b bucket) name(count int64, raw []byte) string {
	left := math.MaxInt64 - count
	return fmt.Sprintf("%s%016d/%03d-%s", b.prefix, left/folder, left%folder, digest.Of(raw).Hex()[:16])
}

// Newest implements port.Witness.
func (b bucket) Newest(ctx context.Context) (out [][]byte, err error) {
	for o, err := range b.List(ctx, b.prefix) {
		if err != nil {
			if fault.Of(err) == fault.Missing {
				return nil, nil
			}
			return nil, fmt.Errorf("list checkpoints: %w", err)
		}
		raw, err := b.readCheckpoint(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("read checkpoint %s: %w", o.Key, err)
		}
		if out = append(out, raw); len(out) == few {
			break
		}
	}
	return out, nil
}

// readCheckpoint is at most one byte more than a checkpoint may have: then it is none.
func (b bucket) readCheckpoint(ctx context.Context, o port.Object) ([]byte, error) {
	r, _, err := b.Get(ctx, o.Key, port.Range{Length: min(o.Size, largest+1)})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, largest+1))
}

// Keep implements port.Witness.
func (b bucket) Keep(ctx context.Context, count int64, raw []byte) error {
	_, err := b.Put(ctx, b.name(count, raw), bytes.NewReader(raw), int64(len(raw)))
	return err
}
