// Logs of runs elsewhere: pieces below the run's prefix while it is under way, one object of the
// store once it has ended.

package runner

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
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
	raw, err := r.staged(ctx, a, l, dispatch.LogName(offset), dispatch.MostPiece)
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
	raw, err = r.staged(ctx, a, l, dispatch.LogName(last), dispatch.MostPiece)
	if err != nil || int64(len(raw)) <= offset-last {
		return nil, err
	}
	return raw[offset-last:], nil
}

// keepLog gives a result without a log the one that its worker streamed, before that is cleared
// away. It is evidence, and not worth a run: an error is one that may not be there at the next try.
func (r *remote) keepLog(ctx context.Context, a attempt.Attempt, l launch, res *port.Result) error {
	if res.Log != "" || l.Job.External != nil {
		return nil
	}
	shelf, prefix, err := r.shelf(a, l)
	if err != nil {
		return err
	}
	in, err := dispatch.Streamed(ctx, shelf, prefix, r.Log)
	if in == nil && err == nil {
		return nil
	}
	if err == nil {
		defer in.Close()
		end := &work.End{}
		if res.Log, _, err = r.Store.Put(ctx, io.TeeReader(in, end)); err == nil {
			res.Tail = dispatch.Tail(end.Lines())
			return nil
		}
		res.Log = ""
	}
	switch fault.Of(err) {
	case fault.Transient, fault.Cancelled:
		return fmt.Errorf("keep the log of %s: %w", l.Job.Ref, err)
	}
	r.Env.Log.Warn("the log of a run that left no result could not be kept", "run", l.Name, "error", err)
	return nil
}
