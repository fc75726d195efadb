// A large file read in pieces side by side, and how much of it that makes safe.

package download

import (
	"context"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// abreast reads the pieces of a large file side by side.
func (r *run) abreast(ctx context.Context, p *part, f port.SourceFile) error {
	var spans []*span
	for at := p.safe; at < f.Size; at += Piece {
		spans = append(spans, &span{part: p, at: at, end: min(at+Piece, f.Size), size: f.Size})
	}
	g, ctx := routine.WithContext(ctx)
	g.SetLimit(r.Jobs)
	front := &front{part: p, spans: spans}
	for _, to := range spans {
		if ctx.Err() != nil {
			break
		}
		g.Start(func() error {
			if err := r.stream(ctx, f, to); err != nil {
				return err
			}
			return front.advance(false)
		})
	}
	err := g.Wait()
	if err == nil && ctx.Err() != nil && front.at(true) < f.Size {
		err = fault.New(fault.Cancelled, "read %s: %w", Quoted(f.Path), ctx.Err())
	}
	if err != nil && kept(err) {
		if kerr := front.advance(true); kerr != nil {
			return kerr
		}
	}
	return err
}

// front is how far a file has come without a gap.
type front struct {
	mu    sync.Mutex
	part  *part
	spans []*span
	next  int // the first span that is not complete
}

// at is where the gap begins. Within a piece that is not complete it can be told only
// when nobody writes to it any more.
func (a *front) at(ended bool) int64 {
	for a.next < len(a.spans) && a.spans[a.next].complete.Load() {
		a.next++
	}
	switch {
	case a.next < len(a.spans) && ended:
		return a.spans[a.next].at
	case a.next == 0:
		return a.part.safe
	}
	return a.spans[a.next-1].end
}

// advance makes what has come without a gap safe, where it is much or where it is
// the last occasion.
func (a *front) advance(last bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := a.at(last); n-a.part.safe >= often || last && n >= worth {
		return a.part.reached(n)
	}
	return nil
}
