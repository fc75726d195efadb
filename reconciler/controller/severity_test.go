// What a log calls an error: what needs somebody's eyes at once, and what was to pass by
// itself and did not.

package controller

import (
	"log/slog"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestWhatDoesNotPassByItselfIsAnError(t *testing.T) {
	for _, c := range []struct {
		kind  fault.Kind
		tries int
		want  slog.Level
	}{
		{fault.Corrupt, 1, slog.LevelError}, // a refused ledger
		{fault.Denied, 1, slog.LevelError},
		{fault.Newer, 1, slog.LevelError},
		{fault.Internal, 1, slog.LevelError},
		{fault.Conflict, 1, slog.LevelInfo},
		{fault.Conflict, lasting, slog.LevelError}, // two ledgers that went on apart
		{fault.Transient, 1, slog.LevelWarn},
		{fault.Transient, lasting - 1, slog.LevelWarn},
		{fault.Transient, lasting, slog.LevelError},
		{fault.Cancelled, lasting, slog.LevelError},
	} {
		if got := severity(c.kind, c.tries); got != c.want {
			t.Errorf("%s, try %d: %s, want %s", c.kind, c.tries, got, c.want)
		}
	}
}
