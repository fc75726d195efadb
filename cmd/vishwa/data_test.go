package main

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data"
)

// TestProgressIsToldNowAndThen: a million files are not a million lines.
func TestProgressIsToldNowAndThen(t *testing.T) {
	for _, c := range []struct {
		name              string
		terminal, verbose bool
		lines, draws      int
	}{
		{"a pipe", false, false, 0, 0},
		{"a pipe, verbose", false, true, 1 + 19, 0},
		{"a terminal", true, false, 0, 499},
	} {
		var out strings.Builder
		now := time.Unix(1e9, 0)
		w := &teller{w: &out, now: func() time.Time { return now }, terminal: c.terminal, verbose: c.verbose}
		w.tell(data.Progress{What: "adding data", Files: 100_000, Bytes: 1 << 20, Ahead: true})
		for i := range int64(100_000) { // in 100 s
			w.tell(data.Progress{What: "adding data", Files: i, Bytes: i})
			now = now.Add(time.Millisecond)
		}
		w.end()
		said := out.String()
		if n := strings.Count(said, "\n"); n != c.lines {
			t.Errorf("%s: %d lines, want %d", c.name, n, c.lines)
		}
		if n := strings.Count(said, "of 100000 files"); c.terminal && n != c.draws {
			t.Errorf("%s: drawn %d times, want %d", c.name, n, c.draws)
		}
		if c.terminal && !strings.HasSuffix(said, "\r\x1b[K") {
			t.Errorf("%s: something stays: %q", c.name, said[len(said)-20:])
		}
	}
}
