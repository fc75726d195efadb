// A trigger has an id, by which one finds in the logs and on the ledger what it led to.

package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
)

type triggerKey struct{}

// WithTrigger says in ctx what made the controller look.
func WithTrigger(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, triggerKey{}, id)
}

// Trigger is the id of what made the controller look, or several with commas
// between where they were joined; "" outside of a pass.
func Trigger(ctx context.Context) string {
	id, _ := ctx.Value(triggerKey{}).(string)
	return id
}

// maxJoined bounds the ids that are kept of triggers that lead to one pass: the first tell most.
const maxJoined = 4

func joined(ids []string, more ...string) []string {
	for _, id := range more {
		if id != "" && len(ids) < maxJoined && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// id makes an id that is short enough to be read out.
func (c *Controller) id() string { return fmt.Sprintf("%08x", uint32(c.rand())) }

// Correlated is h with the trigger's id in every line that is logged with a pass's context.
func Correlated(h slog.Handler) slog.Handler { return correlated{h} }

type correlated struct{ slog.Handler }

func (h correlated) Handle(ctx context.Context, r slog.Record) error {
	if id := Trigger(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("trigger", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h correlated) WithAttrs(attrs []slog.Attr) slog.Handler {
	return correlated{h.Handler.WithAttrs(attrs)}
}

func (h correlated) WithGroup(name string) slog.Handler { return correlated{h.Handler.WithGroup(name)} }
