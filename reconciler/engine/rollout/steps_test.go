package rollout

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

var (
	begun = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	one   = digest.Of([]byte("one"))
	other = digest.Of([]byte("other"))
)

func weight(n int) Step             { return Step{Weight: &n} }
func pause(d time.Duration) Step    { return Step{Pause: &d} }
func analysis(names ...string) Step { return Step{Analyses: names} }

// usual is a canary as people declare one.
func usual() Canary {
	return Canary{
		Steps:    []Step{weight(5), pause(10 * time.Minute), analysis("errors"), weight(50), pause(time.Minute)},
		Analyses: map[string]Analysis{"errors": {Metric: "error_rate", Margin: 0.01, Deadline: 2 * time.Hour}},
	}
}

func seen(bad, n int64) Evidence {
	return Evidence{Canary: map[string]Sample{"error_rate": Share(bad, n)}, Baseline: map[string]Sample{"error_rate": Share(0, n)}}
}

// follow carries out what is decided, and records it, until nothing more happens by itself.
func follow(c Canary, s State, e Evidence, now time.Time) (State, Decision) {
	for range 2*len(c.Steps) + 4 {
		d := Decide(c, s, e, now)
		phase := map[Do]Phase{Advance: Progressing, Hold: Held, Promote: Promoted, RollBack: RolledBack}[d.Do]
		if phase == "" || d.Do == Hold && s.Phase == Held {
			return s, d
		}
		s = s.Fold(Change{Key: s.Key, Phase: phase, Step: d.Step, Weight: d.Weight, Time: now, Why: d.Why})
	}
	panic("it never settles")
}

func start(c Canary) State {
	d := First(c)
	return State{}.Fold(Change{Key: one, Phase: Progressing, Step: d.Step, Weight: d.Weight, Time: begun})
}

func TestACanaryGoesStepByStep(t *testing.T) {
	c, good := usual(), seen(0, 4000)
	s, d := follow(c, start(c), good, begun)
	if s.Weight != 5 || d.Do != Wait || !d.Until.Equal(begun.Add(10*time.Minute)) {
		t.Fatalf("at the beginning: %+v, %+v", s, d)
	}
	s, d = follow(c, s, good, begun.Add(10*time.Minute))
	if s.Weight != 50 || d.Do != Wait || !d.Until.Equal(begun.Add(11*time.Minute)) {
		t.Fatalf("after its pause and analysis: %+v, %+v", s, d)
	}
	if s, _ = follow(c, s, good, begun.Add(11*time.Minute)); s.Phase != Promoted || s.Weight != 100 {
		t.Fatalf("at the end: %+v", s)
	}
	if d := Decide(c, s, seen(4000, 4000), begun.Add(time.Hour)); d.Do != Wait {
		t.Fatalf("what is over: %+v", d)
	}
}

func TestWhatIsUndecidedAtItsDeadlineIsHeld(t *testing.T) {
	c := usual()
	s, _ := follow(c, start(c), Evidence{}, begun)
	s, d := follow(c, s, Evidence{}, begun.Add(11*time.Minute))
	if s.Step != 2 || d.Do != Wait || !d.Until.Equal(s.Since.Add(2*time.Hour)) {
		t.Fatalf("without data: %+v, %+v", s, d)
	}
	late := s.Since.Add(2 * time.Hour)
	held, d := follow(c, s, Evidence{}, late)
	if held.Phase != Held || held.Weight != 5 || !strings.Contains(d.Why, "inconclusive") {
		t.Fatalf("at the deadline: %+v, %+v", held, d)
	}
	if s, _ := follow(c, held, seen(0, 4000), late.Add(time.Minute)); s.Step != 4 {
		t.Fatalf("what is held goes on when it is decided: %+v", s)
	}
	c.Analyses["errors"] = Analysis{Metric: "error_rate", Margin: 0.01, Deadline: 2 * time.Hour, RollBack: true}
	if s, _ := follow(c, s, Evidence{}, late); s.Phase != RolledBack || s.Weight != 0 {
		t.Fatalf("where that is declared it goes back: %+v", s)
	}
}

// TestWhatWentBackStaysBack: no pass, and no change that comes late, brings the same release in again; a
// person may, and another release begins anew.
func TestWhatWentBackStaysBack(t *testing.T) {
	c := usual()
	s, _ := follow(c, start(c), seen(400, 1000), begun)
	if s.Phase != RolledBack || s.Weight != 0 || !strings.Contains(s.Why, "analysis errors: error_rate: 0.4 against 0") {
		t.Fatalf("%+v", s)
	}
	if d := Decide(c, s, seen(0, 1e6), begun.Add(24*time.Hour)); d.Do != Wait {
		t.Fatalf("it comes back: %+v", d)
	}
	if late := s.Fold(Change{Key: one, Phase: Progressing, Step: 3, Weight: 50, Time: begun.Add(time.Minute)}); late != s {
		t.Fatalf("a late change: %+v", late)
	}
	if by := s.Fold(Change{Key: one, Phase: Promoted, Weight: 100}); by.Phase != Promoted {
		t.Fatalf("a person's promotion: %+v", by)
	}
	if next := s.Fold(Change{Key: other, Phase: Progressing, Weight: 5}); next.Key != other || next.Phase != Progressing {
		t.Fatalf("another release: %+v", next)
	}
}

// TestNoRolloutPassesWithoutEvidence: whatever the steps, the times and what a person pauses: a canary with an
// analysis is never promoted by itself while nothing was seen, and one that fails or is worse always goes back.
func TestNoRolloutPassesWithoutEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := usual()
		c.Steps = append(rapid.SliceOfN(rapid.SampledFrom([]Step{weight(5), weight(100), pause(time.Minute), pause(time.Hour), analysis("errors")}), 0, 6).Draw(t, "steps"), analysis("errors"))
		s, now := start(c), begun
		for range rapid.IntRange(1, 8).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "minutes")) * time.Minute)
			if rapid.IntRange(0, 4).Draw(t, "paused") == 0 && !s.Phase.Over() {
				s = s.Fold(Change{Key: one, Phase: Paused, Step: s.Step, Weight: s.Weight, Time: now})
			}
			s, _ = follow(c, s, Evidence{}, now)
			if s.Phase == Promoted {
				t.Fatal("promoted, and nothing was seen")
			}
			bad := rapid.SampledFrom([]Evidence{seen(500, 1000), {Failing: "it exited with 1"}}).Draw(t, "bad")
			if d := Decide(c, s, bad, now); d.Do != RollBack || d.Weight != 0 || d.Why == "" {
				t.Fatalf("what is bad goes on: %+v", d)
			}
		}
	})
}

func TestAPauseWithoutAnEndWaitsForAPerson(t *testing.T) {
	c := Canary{Steps: []Step{weight(10), pause(0)}}
	s, d := follow(c, start(c), Evidence{}, begun.Add(1000*time.Hour))
	if s.Phase != Held || d.Do != Hold || s.Weight != 10 {
		t.Fatalf("%+v, %+v", s, d)
	}
}

// TestAGaugeIsHeldAgainstItsBounds: beyond them the release goes back from any step; within them its analysis is done; and without a
// value it is neither.
func TestAGaugeIsHeldAgainstItsBounds(t *testing.T) {
	ten := 10
	c := Canary{Steps: []Step{{Weight: &ten}, {Analyses: []string{"slow"}}}, Analyses: map[string]Analysis{"slow": {Metric: "prometheus", Gauge: true, Deadline: time.Hour}}}
	now := time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	at := State{Change: Change{Phase: Progressing, Step: 1, Weight: 10}, Since: now}
	for name, want := range map[string]struct {
		r   Reading
		do  Do
		why string
	}{
		"beyond":     {Reading{Known: true, Beyond: true, Says: "0.4, and at most 0.3 is allowed"}, RollBack, "analysis slow: prometheus: 0.4"},
		"within":     {Reading{Known: true, Says: "0.2, and at most 0.3 is allowed"}, Promote, "all its steps are done"},
		"no value":   {Reading{Says: "it has no value"}, Wait, "it has no value"},
		"no reading": {Reading{}, Wait, "it was not asked"},
	} {
		e := Evidence{Gauges: map[string]Reading{"slow": want.r}}
		if name == "no reading" {
			e = Evidence{}
		}
		if d := Decide(c, at, e, now); d.Do != want.do || !strings.Contains(d.Why, want.why) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if d := Decide(c, at, Evidence{}, now.Add(time.Hour)); d.Do != Hold || !strings.Contains(d.Why, "inconclusive") {
		t.Errorf("at the deadline: %+v", d)
	}
}

// TestAGaugeSaysNothingOfAReleaseWithoutRequests: what it shows is of the one that serves, which may be what is to be cured. A step may ask
// for one all the same.
func TestAGaugeSaysNothingOfAReleaseWithoutRequests(t *testing.T) {
	none, all, hold := 0, 100, time.Duration(0)
	c := Canary{Steps: []Step{{Weight: &none}, {Pause: &hold}, {Analyses: []string{"slow"}}, {Weight: &all}, {Pause: &hold}}, Analyses: map[string]Analysis{"slow": {Gauge: true}}}
	e := Evidence{Gauges: map[string]Reading{"slow": {Known: true, Beyond: true, Says: "0.4, and at most 0.3 is allowed"}}}
	for step, want := range map[int]Do{1: Hold, 2: RollBack, 4: RollBack} {
		s := State{Change: Change{Phase: Progressing, Step: step, Weight: c.due(step)}}
		if d := Decide(c, s, e, time.Time{}); d.Do != want {
			t.Errorf("step %d: %+v, want %s", step, d, want)
		}
	}
	if d := Decide(c, State{Change: Change{Phase: Progressing, Step: 1}}, Evidence{Failing: "exit code 1"}, time.Time{}); d.Do != RollBack {
		t.Errorf("one that does not answer: %+v", d)
	}
}
