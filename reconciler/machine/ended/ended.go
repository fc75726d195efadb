// Package ended has reading end where nobody waits for it any more: no file knows of a context,
// and io.Reader takes none.
package ended

import (
	"context"
	"io"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Reader is r, read until ctx ends: then it is Cancelled, in what it was doing.
func Reader(ctx context.Context, r io.Reader, doing string) io.Reader { return &reader{ctx, r, doing} }

type reader struct {
	ctx   context.Context
	r     io.Reader
	doing string
}

func (e *reader) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, fault.New(fault.Cancelled, "%s: %w", e.doing, err)
	}
	return e.r.Read(p)
}
