// What people are told about a release that is tried.

package pass

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// promoted serves what it tried, and tries nothing.
type promoted struct{ port.Server }

func (promoted) Splits(string) bool { return true }
func (promoted) Split(context.Context, port.Release, port.Part) (port.Live, error) {
	return port.Live{}, fault.New(fault.Internal, "nobody asks for it")
}
func (promoted) Join(context.Context, string, port.Trial, bool) (port.Live, error) {
	return port.Live{}, fault.New(fault.Conflict, "it serves")
}

// TestAnAbortOfWhatServesSaysSo: where a pass was killed before it recorded a promotion, no request goes back, and
// nobody is told that it did.
func TestAnAbortOfWhatServesSaysSo(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	at := ref("deployment/s")
	key := w.facts.Latest[at].Key
	h.Server = promoted{h.Server}
	if _, err := w.Append(t.Context(), ledger.Entry{Action: ledger.RollOut, Ref: at, Key: key, Actor: "user:bob", Rollout: &ledger.Rollout{Phase: rollout.Progressing, Weight: 50}}); err != nil {
		t.Fatal(err)
	}
	o := RolloutOrder{Ref: at, Reason: "too slow"}
	_, err := h.AbortRollout(t.Context(), port.Revision{SHA: one}, o)
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "serves all requests") || !strings.Contains(fault.HintOf(err), "vishwa rollback deployment/s") {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
	facts, _ := w.Facts(t.Context())
	if got := facts.RolloutOf(at); got.Phase != rollout.Progressing {
		t.Errorf("recorded: %+v", got)
	}

	// What is tried on another machine, or was given back already, is recorded as before.
	other := digest.Of([]byte("other"))
	if _, err := w.Append(t.Context(), ledger.Entry{Action: ledger.RollOut, Ref: at, Key: other, Actor: "user:bob", Rollout: &ledger.Rollout{Phase: rollout.Progressing, Weight: 50}}); err != nil {
		t.Fatal(err)
	}
	if e, err := h.AbortRollout(t.Context(), port.Revision{SHA: one}, o); err != nil || e.Rollout.Phase != rollout.RolledBack {
		t.Errorf("%+v, %v", e.Rollout, err)
	}
}

// besides is a server with a release beside each that serves.
type besides struct {
	port.Server
	tried *port.Trial
	joins func() // called before a trial ends, once
	ends  func() // called before any would end
}

func (*besides) Splits(string) bool { return true }

func (s *besides) Observe(ctx context.Context, name string) (port.Live, error) {
	l, err := s.Server.Observe(ctx, name)
	if s.tried != nil {
		tried := *s.tried
		l.Beside = &tried
	}
	return l, err
}

func (s *besides) Split(ctx context.Context, r port.Release, part port.Part) (port.Live, error) {
	if s.tried == nil || s.tried.Key != r.Key { // else it is another weight
		s.tried = &port.Trial{Key: r.Key, Health: port.Ready, Since: time.Now()}
	}
	s.tried.Weight = part.Weight
	return s.Observe(ctx, r.Name)
}

func (s *besides) Join(ctx context.Context, name string, of port.Trial, promote bool) (port.Live, error) {
	if s.ends != nil {
		s.ends()
	}
	if s.tried == nil || s.tried.Key != of.Key || !of.Since.IsZero() && !of.Since.Equal(s.tried.Since) {
		if s.joins != nil {
			s.joins()
		}
		return port.Live{}, fault.New(fault.Conflict, "it is not tried")
	}
	s.tried = nil
	return s.Observe(ctx, name)
}

// careful has the house try its releases beside the one that serves.
func careful() func(fstest.MapFS) {
	return replaced("environment: staging\n", "environment: staging\n  rollout: {canary: {steps: [{setWeight: 50}, {pause: {}}]}, analyses: {errors: {metric: error_rate, margin: 0.1}}}\n")
}

// TestAnAbortEndsWhatAPassBeginsMeanwhile: between its look at what is tried and its entry, and not when the next pass looks.
func TestAnAbortEndsWhatAPassBeginsMeanwhile(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	at, key := ref("deployment/s"), digest.Of([]byte("new"))
	rolls := func(phase rollout.Phase) {
		t.Helper()
		if _, err := w.Append(t.Context(), ledger.Entry{Action: ledger.RollOut, Ref: at, Key: key, Actor: "controller:c", Rollout: &ledger.Rollout{Phase: phase, Weight: 50}}); err != nil {
			t.Fatal(err)
		}
	}
	rolls(rollout.Progressing)
	s := &besides{Server: h.Server}
	s.joins = func() {
		s.joins, s.tried = nil, &port.Trial{Key: key, Weight: 50, Health: port.Ready}
		rolls(rollout.Progressing)
	}
	h.Server = s
	e, err := h.AbortRollout(t.Context(), port.Revision{SHA: one}, RolloutOrder{Ref: at, Reason: "too slow"})
	if err != nil || e.Rollout.Phase != rollout.RolledBack || s.tried != nil {
		t.Errorf("%+v, %v; it is still tried: %+v", e.Rollout, err, s.tried)
	}

	// What a pass begins all the same, as it read an older ledger, ends with the next look, and only that.
	s.tried = &port.Trial{Key: key, Weight: 50, Health: port.Ready}
	if ended, err := h.EndTried(t.Context(), at, port.Trial{Key: digest.Of([]byte("another"))}); ended || err != nil || s.tried == nil {
		t.Errorf("another: ended %v, %v", ended, err)
	}
	if ended, err := h.EndTried(t.Context(), at, *s.tried); !ended || err != nil || s.tried != nil {
		t.Errorf("ended %v, %v; it is still tried: %+v", ended, err, s.tried)
	}
}

// TestATrialThatARetryBeginsIsNotEndedWithTheOneBefore: between the look at what is left of the one before and its end.
func TestATrialThatARetryBeginsIsNotEndedWithTheOneBefore(t *testing.T) {
	h, w := newHouse(tree(careful()))
	s := &besides{Server: h.Server}
	h.Server = s
	apply(t, h)
	h.commit(w, two, tree(careful(), with("s.py", "# other\n")))
	apply(t, h)
	at := ref("deployment/s")
	left := *s.tried
	left.Since, left.Canary = time.Unix(1, 0), port.Asked{Requests: 900, Failed: 800}
	if _, err := h.AbortRollout(t.Context(), port.Revision{SHA: two}, RolloutOrder{Ref: at, Reason: "too slow"}); err != nil {
		t.Fatal(err)
	}
	s.tried = &left // on a machine that has not read that
	found := left
	s.ends = func() {
		s.ends = nil
		if _, err := w.Append(t.Context(), ledger.Entry{Action: ledger.Retry, Ref: at, Key: left.Key, Actor: "controller:c"}); err != nil {
			t.Fatal(err)
		}
		apply(t, h)
	}
	if ended, err := h.EndTried(t.Context(), at, found); ended || err != nil || s.tried == nil || !s.tried.Since.After(left.Since) {
		t.Fatalf("ended %v, %v; tried %+v", ended, err, s.tried)
	}
	facts, _ := w.Facts(t.Context())
	if st := facts.RolloutOf(at); !st.Phase.UnderWay() || s.tried.Canary.Requests != 0 {
		t.Errorf("%+v; what is tried once more begins with %+v", st, s.tried.Canary)
	}
	apply(t, h)
	if facts, _ = w.Facts(t.Context()); !facts.RolloutOf(at).Phase.UnderWay() {
		t.Errorf("the next pass: %+v", facts.RolloutOf(at))
	}
}

// TestAPromotionIsOfTheStepThatAPersonSaw: where a pass came to another meanwhile, nobody is taken to have meant that one.
func TestAPromotionIsOfTheStepThatAPersonSaw(t *testing.T) {
	h, w := newHouse(tree(careful()))
	h.Server = &besides{Server: h.Server}
	apply(t, h)
	h.commit(w, two, tree(careful(), with("s.py", "# other\n")))
	apply(t, h)
	at := ref("deployment/s")
	_, in, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts, _ := w.Facts(t.Context())
	moved := *facts.Rollouts[at]
	once := true
	h.Now = func() time.Time {
		if once {
			once = false
			_, _ = w.Append(t.Context(), ledger.Entry{Action: ledger.RollOut, Ref: at, Key: moved.Key, Actor: "controller:c", Rollout: moved.Rollout})
		}
		return time.Now()
	}
	if _, err := h.PromoteRollout(t.Context(), in, port.Revision{SHA: two}, RolloutOrder{Ref: at}); fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "vishwa rollout status deployment/s") {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
}

// TestNothingIsSaidAgainstWhatGoesBack: no rule is asked about it, so that none says that it knows nothing of it, and it goes back.
func TestNothingIsSaidAgainstWhatGoesBack(t *testing.T) {
	h, w := newHouse(tree(careful()))
	s := &besides{Server: h.Server}
	h.Server = s
	apply(t, h)
	h.commit(w, two, tree(careful(), with("s.py", "# other\n")))
	apply(t, h)
	s.tried.Canary, s.tried.Baseline = port.Asked{Requests: 4000, Failed: 3000}, port.Asked{Requests: 4000}
	p, _ := planned(t, h)
	if s := step(t, p, "deployment/s"); !s.Back() || s.Held != "" || len(p.Findings) != 0 {
		t.Errorf("%+v: %+v", s, p.Findings)
	}
	apply(t, h)
	if s.tried != nil {
		t.Errorf("tried still: %+v", s.tried)
	}
}

// TestWhatIsTriedGoesBackBeforeAnotherIsMade: where it is worse, no training of its successor is waited for.
func TestWhatIsTriedGoesBackBeforeAnotherIsMade(t *testing.T) {
	h, w := newHouse(tree(careful()))
	s := &besides{Server: h.Server}
	h.Server = s
	apply(t, h)
	h.commit(w, two, tree(careful(), with("s.py", "# other\n")))
	apply(t, h)
	if s.tried == nil {
		t.Fatal("nothing is tried")
	}
	first := s.tried.Key
	s.tried.Canary, s.tried.Baseline = port.Asked{Requests: 4000, Failed: 3000}, port.Asked{Requests: 4000}
	h.commit(w, "3333333333333333333333333333333333333333", tree(careful(), with("s.py", "# other\n"), replaced("auc: 0.9}", "auc: 0.95}")))
	seen, err := h.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Plan(t.Context(), seen, ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range p.Steps {
		if step.Ref == ref("deployment/s") && !strings.Contains(step.Why, "before that, what is tried goes back: analysis errors") {
			t.Errorf("the plan says %q", step.Why)
		}
	}
	w.list = nil
	apply(t, h)
	var back, trained, begun int
	for i, e := range w.list {
		switch {
		case e.Action == ledger.Train:
			trained = i
		case e.Action == ledger.RollOut && e.Rollout.Phase == rollout.RolledBack && e.Key == first:
			back = i + 1
		case e.Action == ledger.RollOut && e.Key != first:
			begun = i
		}
	}
	if back == 0 || back > trained || begun < trained || s.tried == nil || s.tried.Key == first {
		t.Errorf("rolled back as entry %d, trained as %d, begun as %d; tried %+v", back, trained, begun, s.tried)
	}
}
