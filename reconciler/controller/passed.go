// What a worker notes of a pass that has ended: when it is tried again, and who has to know.

package controller

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller/turn"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// outcome is how a pass ended.
type outcome struct {
	err       error
	took      time.Duration
	schedules []string
	wakes     time.Time // when something of it may go on by itself; zero: nothing waits for a time
	lane      *lane     // where it had its slot
}

func (w *worker) passed(log *slog.Logger, i item, o outcome) {
	o.lane.slots.release(o.lane)
	now := w.c.now()
	if errors.Is(o.err, turn.ErrStranger) || errors.Is(o.err, turn.ErrKnown) {
		log.Debug("pass moves to another lane", "reason", o.err)
		w.agenda.move(i, errors.Is(o.err, turn.ErrStranger))
		return
	}
	tries := w.agenda.tasks[i].tries + 1
	wait := Next(o.err, tries)
	if wait > 0 {
		wait = w.c.spread(wait)
	}
	w.agenda.end(i, wait, now)
	w.c.metrics.passed(i.kind(), o.took, o.err)
	kind := fault.Of(o.err)
	switch {
	case o.err == nil:
		log.Info("pass done", "took", o.took.String())
	case wait == 0:
		log.Info("pass done, waits for a person", "took", o.took.String(), "kind", kind.String(), "reason", o.err, "hint", fault.WayOut(o.err))
	case kind == fault.Cancelled && w.c.stopping():
		log.Info("pass handed back", "took", o.took.String())
	default:
		log.Log(context.Background(), severity(kind, tries), "pass failed", "took", o.took.String(), "kind", kind.String(), "error", o.err, "hint", fault.WayOut(o.err), "tries", tries, "again", wait.String())
	}
	if i.branch != "" && wait == 0 {
		for _, err := range w.calendar.set(i.branch, o.schedules, now) {
			log.Warn("a schedule is left out", "error", err, "hint", fault.WayOut(err))
		}
		w.calendar.wake(i.branch, o.wakes, now)
	}
}

// lasting is after how many tries in a row nobody believes any more that it passes by itself.
const lasting = 8

// severity of what failed for the tries-th time in a row: what passes by itself needs
// nobody's eyes, as long as it does.
func severity(kind fault.Kind, tries int) slog.Level {
	switch kind {
	case fault.Conflict, fault.Transient, fault.Cancelled:
		if tries >= lasting {
			return slog.LevelError
		}
	}
	switch kind {
	case fault.Conflict:
		return slog.LevelInfo
	case fault.Transient, fault.Cancelled:
		return slog.LevelWarn
	default:
		return slog.LevelError
	}
}
