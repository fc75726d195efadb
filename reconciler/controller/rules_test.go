// The small laws: back-off, slots, mailboxes, metrics.

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestBackOffGoesByTheKindOfFault(t *testing.T) {
	for kind, want := range map[fault.Kind][3]time.Duration{ // after the first, second and hundredth failure
		fault.Transient: {2 * time.Second, 4 * time.Second, 5 * time.Minute},
		fault.Conflict:  {500 * time.Millisecond, time.Second, 5 * time.Minute},
		fault.Invalid:   {5 * time.Minute, 10 * time.Minute, time.Hour},
		fault.Denied:    {2 * time.Minute, 4 * time.Minute, time.Hour},
		fault.Internal:  {30 * time.Second, time.Minute, 30 * time.Minute},
		fault.Held:      {}, fault.Refused: {},
	} {
		err := fmt.Errorf("pass: %w", fault.New(kind, "x"))
		if got := [3]time.Duration{Next(err, 1), Next(err, 2), Next(err, 100)}; got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
	if Next(nil, 5) != 0 || Next(errors.New("x"), 0) != 30*time.Second || Next(context.DeadlineExceeded, 1) != 2*time.Second {
		t.Error("what has no kind of its own is paced wrongly")
	}
}

// TestNoRepositoryTakesAllSlots: whoever asks first for more than there are leaves
// some to who comes later.
func TestNoRepositoryTakesAllSlots(t *testing.T) {
	const all = 16
	s := newPassLimiter(all)
	took := func(w *lane) (n int) {
		for ; ; n++ {
			s.claim(w)
			select {
			case <-w.granted:
			default:
				return n
			}
		}
	}
	var got []int
	var workers []*lane
	for range 5 {
		w := newLane(s)
		workers = append(workers, w)
		got = append(got, took(w))
	}
	if !slices.Equal(got, []int{8, 4, 2, 1, 1}) {
		t.Errorf("slots taken: %v", got)
	}
	s.release(workers[0])
	select {
	case <-workers[1].granted:
		t.Error("who holds more than are free gets another one")
	default:
	}
	if !s.withdraw(workers[1]) || s.withdraw(workers[1]) {
		t.Error("a claim is not withdrawn once")
	}
}

func TestAMailboxIsBounded(t *testing.T) {
	b := newTriggerQueue()
	for n := range 3 * maxAsks {
		b.ask(item{pull: n + 1}, fmt.Sprint(n))
		b.wantLook(fmt.Sprint(n))
	}
	m := b.takeTriggers()
	if len(m.asks) != maxAsks || !m.sweep || len(m.looks) != maxJoined {
		t.Errorf("%d asks, %d looks, sweep %v", len(m.asks), len(m.looks), m.sweep)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "1.2.3")
	m.Training(Trained{Repository: "r", Config: "training/churn", Result: "success", Took: time.Minute, Entry: 7})
	m.Ledger("github.com/a/b", 12)
	m.Git("github.com/a/b", "ls-remote")
	m.webhook("push", "accepted")
	m.passed("branch", time.Second, fault.New(fault.Transient, "x"))
	m.passed("branch", time.Second, fault.New(fault.Held, "x"))
	m.queue(2)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := `
# HELP vishwa_build_info Always 1; the label is Vishwa's version.
# TYPE vishwa_build_info gauge
vishwa_build_info{version="1.2.3"} 1
# HELP vishwa_git_requests_total Requests to Git remotes.
# TYPE vishwa_git_requests_total counter
vishwa_git_requests_total{operation="ls-remote",repository="github.com/a/b"} 1
# HELP vishwa_ledger_entries Entries on the ledger.
# TYPE vishwa_ledger_entries gauge
vishwa_ledger_entries{repository="github.com/a/b"} 12
# HELP vishwa_queue_depth Branches and pull requests that wait for a pass.
# TYPE vishwa_queue_depth gauge
vishwa_queue_depth 2
# HELP vishwa_reconcile_errors_total Passes and looks that failed, by kind of fault.
# TYPE vishwa_reconcile_errors_total counter
vishwa_reconcile_errors_total{kind="branch",reason="transient"} 1
# HELP vishwa_training_runs_total Training runs that ended, by result.
# TYPE vishwa_training_runs_total counter
vishwa_training_runs_total{config="training/churn",result="success"} 1
# HELP vishwa_webhooks_total Webhooks that came in, by what became of them.
# TYPE vishwa_webhooks_total counter
vishwa_webhooks_total{event="push",result="accepted"} 1
`
	names := []string{"vishwa_build_info", "vishwa_git_requests_total", "vishwa_ledger_entries", "vishwa_queue_depth", "vishwa_reconcile_errors_total", "vishwa_training_runs_total", "vishwa_webhooks_total"}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "vishwa_reconcile_duration_seconds", "vishwa_training_duration_seconds"); err != nil || n != 3 {
		t.Errorf("%d histograms, %v", n, err)
	}
}

// TestWhatWasAskedForSurvivesACrash: a pass that was under way begins anew.
func TestWhatWasAskedForSurvivesACrash(t *testing.T) {
	a := newWorkQueue()
	now, refs := time.Unix(0, 0), Refs{Branches: map[string]string{"main": "1"}}
	main := item{branch: "main"}
	look := func(a *workQueue) bool {
		a.wantLook()
		a.beginLook()
		a.see(refs)
		_, found := a.next(now, 1)
		return found
	}
	look(a)
	a.begin(main)
	a.end(main, 0, now)
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"settled", func() {}, false},
		{"asked for", func() { a.ask(main, "x") }, true},
		{"under way", func() { look(a); a.begin(main) }, true},
		{"done", func() { a.end(main, 0, now) }, false},
	} {
		step.do()
		b := newWorkQueue()
		b.recall(a.remember())
		if got := look(b); got != step.want {
			t.Errorf("%s: passed after a crash: %v, want %v", step.name, got, step.want)
		}
	}
}
