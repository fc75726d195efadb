package main

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAFetchIsToldByItsShare: at a terminal in bytes and percent, and elsewhere in a line at
// most, before it begins.
func TestAFetchIsToldByItsShare(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		lack     int64
		want     string
	}{
		{"a terminal", true, 2 << 30, "\r\x1b[Kfetching: 512.0 MiB of 2.0 GiB (25%)\r\x1b[Kfetching: 2.0 GiB of 2.0 GiB (100%)\r\x1b[K"},
		{"a pipe", false, 2 << 30, "fetching: 3 files, 2.0 GiB\n"},
		{"a pipe, little", false, 1 << 20, ""},
	} {
		var out strings.Builder
		now := time.Unix(1e9, 0)
		w := &teller{w: &out, now: func() time.Time { return now }, terminal: c.terminal}
		w.showProgress(data.Progress{What: "fetching", Files: 3, Bytes: c.lack, Ahead: true})
		for _, bytes := range []int64{0, 512 << 20, 3 << 30} {
			w.showProgress(data.Progress{What: "fetching", Bytes: bytes, Of: 2 << 30})
			now = now.Add(time.Second)
		}
		w.end()
		if out.String() != c.want {
			t.Errorf("%s: %q, want %q", c.name, out.String(), c.want)
		}
	}
	(*teller)(nil).end()
}

// TestTheBarShowsWhatIsFetched: beside the steps that are under way, until it is there.
func TestTheBarShowsWhatIsFetched(t *testing.T) {
	var out strings.Builder
	p := &progress{w: &out, now: time.Now, bar: true}
	p.start(2)
	shown := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wipe()
		out.Reset()
		p.draw()
		return out.String()
	}
	p.fetching(data.Progress{What: "fetching raw", Bytes: 256 << 10, Of: 1 << 20})
	if got := shown(); !strings.Contains(got, "0/2 fetching raw 256.0 KiB of 1.0 MiB (25%)") {
		t.Errorf("%q", got)
	}
	p.fetching(data.Progress{What: "fetching raw", Bytes: 1 << 20, Of: 1 << 20})
	if got := shown(); strings.Contains(got, "fetching") {
		t.Errorf("it is there, and %q", got)
	}
	p.stop()
	quiet := &progress{w: &out, now: time.Now}
	out.Reset()
	quiet.start(1)
	quiet.fetching(data.Progress{What: "fetching raw", Bytes: 1, Of: 2})
	if quiet.stop(); out.String() != "" {
		t.Errorf("a pipe has %q", out.String())
	}
}

// TestWhatGoesOnInSilenceIsTold: in a pipe, where no bar runs, and ever more seldom.
func TestWhatGoesOnInSilenceIsTold(t *testing.T) {
	var out strings.Builder
	begin := time.Unix(1_800_000_000, 0)
	now := begin
	p := &progress{w: &out, now: func() time.Time { return now }, logs: true}
	p.start(2)
	p.stop() // the test is its clock
	tells := func(after time.Duration) string {
		now = begin.Add(after)
		out.Reset()
		p.remind(now)
		return out.String()
	}
	if got := tells(time.Hour); got != "" {
		t.Errorf("nothing is under way, and %q", got)
	}
	now = begin
	ref := schemas.Ref{Kind: schemas.KindTraining, Name: "price", Output: "line"}
	p.showEvent(execute.Event{Ref: ref, Kind: execute.Began, Time: now, Text: "never made"})
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{29 * time.Second, ""}, {30 * time.Second, "30s"}, {89 * time.Second, ""}, {90 * time.Second, "1m30s"}, {3 * time.Minute, ""}, {4 * time.Minute, "4m0s"}, {time.Hour, "1h0m0s"},
	} {
		want := c.want
		if want != "" {
			want = "  training/price:line: goes on, for " + want + " now\n"
		}
		if got := tells(c.after); got != want {
			t.Errorf("after %s: %q", c.after, got)
		}
	}
	p.showEvent(execute.Event{Ref: ref, Kind: execute.Output, Time: now, Text: "epoch 1"})
	if got := tells(time.Hour + 30*time.Second); got != "  training/price:line: goes on, for 1h0m30s now\n" {
		t.Errorf("after a line: %q", got)
	}
	p.showEvent(execute.Event{Ref: ref, Kind: execute.Ended, Time: now})
	if got := tells(3 * time.Hour); got != "" {
		t.Errorf("it has ended, and %q", got)
	}
}

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
		w.showProgress(data.Progress{What: "adding data", Files: 100_000, Bytes: 1 << 20, Ahead: true})
		for i := range int64(100_000) { // in 100 s
			w.showProgress(data.Progress{What: "adding data", Files: i, Bytes: i})
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
