// What a run logged by the tools of others, as it is kept beside its entry.

package pass

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Logged is what a run logged by the tools of others; nil where it logged nothing, or the store has it
// no more.
func Logged(ctx context.Context, store port.Store, run *ledger.Run) (*tracking.Document, error) {
	if run == nil || run.Tracking == nil {
		return nil, nil
	}
	i := slices.IndexFunc(run.Tracking.Files, func(f digest.File) bool { return f.Path == port.TrackingFile })
	if i < 0 {
		return nil, fault.New(fault.Corrupt, "what a run logged holds no %s", port.TrackingFile)
	}
	name := run.Tracking.Files[i].Digest
	in, err := store.Get(ctx, name)
	if err != nil && fault.Of(err) == fault.Missing {
		return nil, nil
	}
	var raw []byte
	if err == nil {
		defer in.Close()
		raw, err = io.ReadAll(io.LimitReader(in, tracking.MostSize+1))
	}
	if err != nil {
		return nil, fmt.Errorf("read what a run logged, %s: %w", name.Short(), err)
	}
	d, err := tracking.Decode(raw)
	return &d, err
}
