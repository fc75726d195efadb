package main

import (
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestWhatARunWaitsForIsBesideItsLog(t *testing.T) {
	began := time.Date(2026, 5, 1, 10, 20, 30, 0, time.UTC)
	for want, run := range map[string]port.Run{
		"under way": {State: port.Waiting},
		"under way since 2026-05-01T10:20:30Z; waits: position 3 in queue team-a": {State: port.Waiting, Started: began, Reason: "position 3 in queue team-a"},
		"under way since 2026-05-01T10:20:30Z":                                    {State: port.Running, Started: began},
		"under way since 2026-05-01T10:20:30Z; now: 40% done":                     {State: port.Running, Started: began, Reason: "40% done"},
	} {
		if got := underWay(run); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
