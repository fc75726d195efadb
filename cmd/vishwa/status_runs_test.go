package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// standsSo are runs that stand as they do, or whose tool does not answer.
type standsSo struct {
	port.Runner
	runs map[digest.Digest]port.Run
	away error
}

func (s standsSo) Poll(_ context.Context, key digest.Digest) (port.Run, error) {
	if r, ok := s.runs[key]; ok {
		return r, nil
	}
	if s.away != nil {
		return port.Run{}, s.away
	}
	return port.Run{}, fault.New(fault.Missing, "no run")
}

// TestStatusSaysWhereARunIsAndWhatItWaitsFor, of each runner, and where one does not answer, that.
func TestStatusSaysWhereARunIsAndWhatItWaitsFor(t *testing.T) {
	key := func(name string) digest.Digest { return digest.Of([]byte(name)) }
	ref := func(name string) schemas.Ref { return schemas.Ref{Kind: schemas.KindTraining, Name: name} }
	began := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	queue := standsSo{runs: map[digest.Digest]port.Run{
		key("queued"): {State: port.Waiting, Started: began, Reason: "position 3 in queue team-a"},
		key("scored"): {State: port.Running, Started: began, Reason: "40% done"},
	}}
	gone := standsSo{away: fault.New(fault.Transient, "ask https://cluster.example.com: connection refused")}
	only := func(s standsSo, keys ...string) wrap.Route {
		return wrap.Route{Open: func() (port.Runner, error) { return s, nil }, Has: func(k digest.Digest) bool {
			for _, name := range keys {
				if key(name) == k {
					return true
				}
			}
			return false
		}}
	}
	here := standsSo{runs: map[digest.Digest]port.Run{
		key("here"):   {State: port.Waiting, Started: began},
		key("ended"):  {State: port.Done, Result: &port.Result{Finished: began}},
		key("failed"): {State: port.Done, Result: &port.Result{Cause: port.Exit, Finished: began}},
	}}
	s := &station{&app.Repository{Reconciler: &pass.Reconciler{Runner: wrap.Routed(here, map[string]wrap.Route{"gpu": only(queue, "queued", "scored"), "lost": only(gone, "unknown")})}}}
	p := plan.Plan{}
	for _, name := range []string{"here", "queued", "unknown", "ended", "failed"} {
		p.Steps = append(p.Steps, plan.Step{Ref: ref(name), Do: plan.Make, Key: key(name), Why: "it is new"})
	}
	p.Steps = append(p.Steps, plan.Step{Ref: schemas.Ref{Kind: schemas.KindModel, Name: "m"}, Do: plan.Make, Evaluations: []plan.Evaluation{{Key: key("ended"), Metrics: map[string]float64{"auc": 1}}, {Key: key("scored")}}})
	w := &pass.Snapshot{Observed: plan.Observed{Facts: &ledger.Facts{}}}
	all, err := s.withRuns(t.Context(), w, p, standings(w, p))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"waits|on this machine, waits: its software environment is being made", "waits|on gpu, waits: position 3 in queue team-a",
		"unknown|on lost, state not known: runner lost: ask https://cluster.example.com: connection refused", "due|on this machine, ended well at 2026-05-01T12:00:00Z", "due", "under way|on gpu, now: 40% done"} {
		got := []string{all[i].State}
		for _, r := range all[i].Runs {
			got = append(got, r.String())
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %q", all[i].Ref, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.withRuns(ctx, w, p, nil); fault.Of(err) != fault.Cancelled {
		t.Errorf("interrupted: %v", err)
	}
}
