// What is decided about a release that is tried, while a pass is under way.

package execute

import (
	"context"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// splitter is the shop's server, with a release beside the one that serves.
type splitter struct {
	server
	beside *port.Trial
	on     func() // called while a weight is changed
}

func (s *splitter) Splits(string) bool { return true }

func (s *splitter) Observe(_ context.Context, name string) (port.Live, error) {
	return port.Live{Key: s.served[name].Key, Health: port.Ready, Beside: s.beside}, nil
}

func (s *splitter) Split(ctx context.Context, r port.Release, part port.Part) (port.Live, error) {
	if s.on != nil {
		s.on()
	}
	s.beside = &port.Trial{Key: r.Key, Weight: part.Weight, Health: port.Ready} // though it was taken back: it begins anew
	return s.Observe(ctx, r.Name)
}

func (s *splitter) Join(ctx context.Context, name string, _ port.Trial, promote bool) (port.Live, error) {
	s.beside = nil
	return s.Observe(ctx, name)
}

// trial is a shop that tries a second release of deployment/a with 10 per cent of the requests.
func trial(t *testing.T) (*shop, graph.Graph) {
	t.Helper()
	s := newShop()
	s.run(t)
	ten, half := 10, 50
	g := project(t, func(spec *schemas.Deployment) {
		spec.Rollout = &schemas.Rollout{Canary: &schemas.Canary{Steps: []schemas.CanaryStep{
			{SetWeight: &ten}, {Pause: &schemas.Pause{Duration: "10m"}}, {SetWeight: &half}, {Pause: &schemas.Pause{}}}}}
		spec.Target.Local.Run = []string{"python", "other.py"}
	})
	s.splits = &splitter{server: server{s}}
	if o := s.try(t, g, s.looks(g)); o.End != Ended || s.splits.beside.Weight != ten {
		t.Fatalf("it begins: %+v, beside %+v", o, s.splits.beside)
	}
	s.passed += 10 * time.Minute
	return s, g
}

func (s *shop) looks(g graph.Graph) plan.Observed {
	seen := s.see(g)
	seen.Now = s.clock()
	seen.Live[ref("deployment/a")], _ = s.splits.Observe(context.Background(), "a")
	return seen
}

func (s *shop) try(t *testing.T, g graph.Graph, seen plan.Observed) Outcome {
	t.Helper()
	return s.act(t.Context(), g, seen)["deployment/a"]
}

// decides records what a person says.
func (s *shop) decides(phase rollout.Phase) {
	was := s.facts.Rollouts[ref("deployment/a")]
	now := *was.Rollout
	if now.Phase = phase; phase == rollout.RolledBack {
		now.Weight, s.splits.beside = 0, nil
	}
	s.fold(ledger.Entry{Action: ledger.RollOut, Ref: was.Ref, Key: was.Key, Actor: "user:bob", Reason: "so Bob says", Rollout: &now})
}

// TestWhatAPersonDecidesDuringAPassCounts: what they pause or abort after it was planned is not moved, nor written over.
func TestWhatAPersonDecidesDuringAPassCounts(t *testing.T) {
	for _, phase := range []rollout.Phase{rollout.Paused, rollout.RolledBack} {
		s, g := trial(t)
		seen := s.looks(g)
		s.decides(phase)
		s.splits.on = func() { t.Errorf("%s, and it is given another weight", phase) }
		if o := s.try(t, g, seen); o.End != Held || s.facts.RolloutOf(o.Ref).Phase != phase {
			t.Errorf("%s, and then: %+v, %+v", phase, o, s.facts.RolloutOf(o.Ref))
		}
	}
}

// TestWhatAPersonDecidesDuringAMoveCounts: the next pass makes the weight what they saw.
func TestWhatAPersonDecidesDuringAMoveCounts(t *testing.T) {
	s, g := trial(t)
	s.splits.on = func() { s.splits.on = nil; s.decides(rollout.Paused) }
	o := s.try(t, g, s.looks(g))
	if now := s.facts.RolloutOf(o.Ref); o.End != Held || now.Phase != rollout.Paused || now.Weight != 10 {
		t.Fatalf("paused while its weight changed: %+v, %+v", o, now)
	}
	o = s.try(t, g, s.looks(g))
	if now := s.facts.RolloutOf(o.Ref); now.Phase != rollout.Paused || now.Weight != 10 || s.splits.beside.Weight != 10 {
		t.Errorf("the next pass: %+v, %+v, beside %+v", o, now, s.splits.beside)
	}
}

// TestWhatIsAbortedDuringAMoveEnds: at once, and not when the next pass looks, which may be hours later.
func TestWhatIsAbortedDuringAMoveEnds(t *testing.T) {
	s, g := trial(t)
	s.splits.on = func() { s.splits.on = nil; s.decides(rollout.RolledBack) }
	o := s.try(t, g, s.looks(g))
	if now := s.facts.RolloutOf(o.Ref); o.End != Held || now.Phase != rollout.RolledBack || s.splits.beside != nil {
		t.Errorf("aborted while its weight changed: %+v, %+v, beside %+v", o, now, s.splits.beside)
	}
}
