// Logs of runs elsewhere: pieces below the run's prefix while it is under way, one object of the
// store once it has ended.

package runner

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
)

// Logs reads the pieces that the worker has written; once it has ended, the whole log.
func (r *remote) Logs(ctx context.Context, key digest.Digest, offset int64) ([]byte, error) {
	dir, err := attempt.Dir(r.Dir, key)
	if err == nil && offset < 0 {
		err = fault.New(fault.Invalid, "read log: offset %d is negative", offset)
	}
	if err != nil {
		return nil, err
	}
	a, err := attempt.Newest(dir, r.Seal)
	if err != nil {
		return nil, err
	}
	if res, err := a.Result(); err == nil && res.Log != "" {
		return r.logs.Kept(ctx, r.Store, res.Log, offset)
	}
	var l launch
	if err := a.ReadSealed(attempt.OrderFile, &l); err != nil {
		return nil, err
	}
	return r.piece(ctx, a, l, offset)
}

// piece is what is there of a log from offset: the piece that begins there, or the rest of
// the one that covers it.
func (r *remote) piece(ctx context.Context, a attempt.Attempt, l launch, offset int64) ([]byte, error) {
	if !r.logs.Due(a.Dir, offset, r.Env.Now()) {
		return nil, nil
	}
	raw, err := r.staged(ctx, a, l, dispatch.LogName(offset), mostPiece)
	if err == nil {
		r.logs.Noted(a.Dir, offset, len(raw), r.Env.Now())
		return raw, nil
	}
	if fault.Of(err) != fault.Missing {
		return nil, fmt.Errorf("read log: %w", err)
	}
	if offset == 0 || r.logs.Follows(a.Dir, offset) { // the next piece is not there yet
		r.logs.Noted(a.Dir, offset, 0, r.Env.Now())
		return nil, nil
	}
	shelf, prefix, err := r.shelf(a, l)
	if err != nil {
		return nil, err
	}
	last := int64(-1)
	for o, err := range shelf.List(ctx, prefix+dispatch.LogPrefix) {
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		var at int64
		if _, err := fmt.Sscanf(strings.TrimPrefix(o.Key, prefix+dispatch.LogPrefix), "%d", &at); err == nil && at <= offset && offset < at+o.Size {
			last = at
		}
	}
	if last < 0 {
		return nil, nil
	}
	raw, err = r.staged(ctx, a, l, dispatch.LogName(last), mostPiece)
	if err != nil || int64(len(raw)) <= offset-last {
		return nil, err
	}
	return raw[offset-last:], nil
}

// mostPiece bounds a piece of a log that is read, in bytes.
const mostPiece = 8 << 20
