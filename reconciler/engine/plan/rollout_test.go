// What is next of a release that is tried, whatever is found.

package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func tenth() *int { n := 10; return &n }

// careful is a rollout as people declare one.
func careful() *schemas.Rollout {
	return &schemas.Rollout{
		Canary:   &schemas.Canary{Steps: []schemas.CanaryStep{{SetWeight: tenth()}, {Pause: &schemas.Pause{Duration: "10m"}}, {Analysis: []string{"errors"}}}},
		Analyses: map[string]schemas.Analysis{"errors": {Metric: "error_rate", Margin: 0.01}},
	}
}

func TestWhatIsNextOfARelease(t *testing.T) {
	n := shop(0, careful()).graph(t).Node(ref("deployment/m-production"))
	_, declared, _ := CanaryOf(n)
	was, now := digest.Of([]byte("was")), digest.Of([]byte("now"))
	beside := func(weight int, canary port.Asked, h port.Health) *port.Trial {
		return &port.Trial{Key: now, Weight: weight, Health: h, Canary: canary, Baseline: port.Asked{Requests: 4000}}
	}
	good := beside(10, port.Asked{Requests: 4000}, port.Ready)
	serves := func(b *port.Trial) port.Live { return port.Live{Key: was, Health: port.Ready, Beside: b} }
	at := func(phase rollout.Phase, step, weight int) rollout.State {
		return rollout.State{Change: rollout.Change{Key: now, Phase: phase, Step: step, Weight: weight, Declared: declared, Why: "so it was"}, Since: noon}
	}
	otherwise := at(rollout.Progressing, 1, 10)
	otherwise.Declared = was
	gone := at(rollout.Progressing, 1, 10)
	gone.Key = was
	later := noon.Add(10 * time.Minute)
	for name, c := range map[string]struct {
		r    Rolling
		do   Do
		want rollout.Do
		held string
	}{
		"nothing serves yet":                   {r: Rolling{}},
		"it begins":                            {r: Rolling{Live: serves(nil)}, want: rollout.Begin},
		"what serves is down":                  {r: Rolling{Live: port.Live{Key: was, Health: port.Down}}, want: rollout.Revive},
		"what serves does not answer":          {r: Rolling{Live: port.Live{Key: was, Health: port.Failing}}, held: "does not answer"},
		"it pauses":                            {r: Rolling{Live: serves(good), State: at(rollout.Progressing, 1, 10)}, held: "pauses for 10m0s, until 2026-12-24 12:10:00 UTC"},
		"the pause is over":                    {r: Rolling{Live: serves(good), State: at(rollout.Progressing, 1, 10), Now: later}, want: rollout.Advance},
		"no worse":                             {r: Rolling{Live: serves(good), State: at(rollout.Progressing, 2, 10), Now: later}, want: rollout.Promote},
		"nothing was asked":                    {r: Rolling{Live: serves(beside(10, port.Asked{}, port.Ready)), State: at(rollout.Progressing, 2, 10), Now: later}, held: "undecided"},
		"nothing was asked until the deadline": {r: Rolling{Live: serves(beside(10, port.Asked{}, port.Ready)), State: at(rollout.Progressing, 2, 10), Now: noon.Add(3 * time.Hour)}, want: rollout.Hold},
		"it is held":                           {r: Rolling{Live: serves(beside(10, port.Asked{}, port.Ready)), State: at(rollout.Held, 2, 10), Now: noon.Add(3 * time.Hour)}, held: "vishwa rollout promote deployment/m-production"},
		"worse while it pauses":                {r: Rolling{Live: serves(beside(10, port.Asked{Requests: 4000, Failed: 900}, port.Ready)), State: at(rollout.Progressing, 1, 10)}, want: rollout.RollBack},
		"worse while a person pauses it":       {r: Rolling{Live: serves(beside(10, port.Asked{Requests: 4000, Failed: 900}, port.Ready)), State: at(rollout.Paused, 1, 10)}, want: rollout.RollBack},
		"a person pauses it":                   {r: Rolling{Live: serves(good), State: at(rollout.Paused, 1, 10), Now: later}, held: "so it was"},
		"it fails":                             {r: Rolling{Live: serves(beside(10, port.Asked{}, port.Failing)), State: at(rollout.Progressing, 1, 10)}, want: rollout.RollBack},
		"killed before its weight was noted":   {r: Rolling{Live: serves(beside(60, port.Asked{Requests: 9}, port.Ready)), State: at(rollout.Progressing, 1, 10)}, want: rollout.Weigh},
		"recorded as more than it has":         {r: Rolling{Live: serves(beside(5, port.Asked{Requests: 9}, port.Ready)), State: at(rollout.Paused, 1, 10)}, want: rollout.Weigh},
		"promoted, and not yet given it":       {r: Rolling{Live: serves(beside(5, port.Asked{Requests: 9}, port.Ready)), State: at(rollout.Progressing, 1, 5)}, want: rollout.Advance},
		"paused before it was given it":        {r: Rolling{Live: serves(beside(5, port.Asked{Requests: 9}, port.Ready)), State: at(rollout.Paused, 1, 5)}, held: "so it was"},
		"killed before it was noted":           {r: Rolling{Live: serves(good)}, want: rollout.Begin},
		"killed before its end was noted":      {r: Rolling{Live: serves(nil), State: at(rollout.Progressing, 1, 10)}, want: rollout.RollBack},
		"killed before it was noted as served": {r: Rolling{Live: port.Live{Key: now, Health: port.Ready}, State: at(rollout.Progressing, 2, 10)}, want: rollout.Promote},
		"rolled back":                          {r: Rolling{Live: serves(nil), State: at(rollout.RolledBack, 1, 0)}, held: "rolled back: so it was; declare something else"},
		"rolled back, and still there":         {r: Rolling{Live: serves(good), State: at(rollout.RolledBack, 1, 0)}, want: rollout.End},
		"rolled back, and all is down":         {r: Rolling{Live: port.Live{Key: was, Health: port.Down}, State: at(rollout.RolledBack, 1, 0)}, want: rollout.Revive},
		"declared otherwise meanwhile":         {r: Rolling{Live: serves(good), State: otherwise}, want: rollout.Begin},
		"worse, and declared otherwise":        {r: Rolling{Live: serves(beside(10, port.Asked{Requests: 4000, Failed: 900}, port.Ready)), State: otherwise}, want: rollout.RollBack},
		"another machine tries it":             {r: Rolling{Live: serves(nil), State: at(rollout.Progressing, 1, 10), Elsewhere: true}, held: "another machine"},
		"a person let it pass all steps":       {r: Rolling{Live: serves(good), State: at(rollout.Progressing, 3, 10)}, want: rollout.Promote},
		"another vanished":                     {r: Rolling{Live: port.Live{Key: now, Health: port.Ready}, State: gone}, do: Keep, want: rollout.End},
		"another is tried elsewhere":           {r: Rolling{Live: port.Live{Key: now, Health: port.Ready}, State: gone, Elsewhere: true}, do: Keep},
		"what is declared serves":              {r: Rolling{Live: serves(good)}, do: Keep, want: rollout.End},
	} {
		t.Run(name, func(t *testing.T) {
			if c.r.Now.IsZero() {
				c.r.Now = noon
			}
			if c.do == "" {
				c.do = Remake
			}
			s := Roll(Step{Ref: n.Ref, Do: c.do, Key: now, Why: "the model changed"}, n, c.r)
			got := rollout.Do("")
			if s.Move != nil {
				got = s.Move.Do
			}
			if got != c.want || c.held == "" && s.Held != "" || !strings.Contains(s.Held, c.held) {
				t.Errorf("it does %q, held %q", got, s.Held)
			}
			if s.Held != "" && !strings.HasPrefix(s.Held, RolledBack) && !(Plan{Steps: []Step{s}}).Wakes().Equal(c.r.Now.Add(lookAgain)) {
				t.Errorf("it is looked at again at %s", Plan{Steps: []Step{s}}.Wakes())
			}
		})
	}
}

// TestNothingHoldsWhatGoesBack: neither a rule nor a freeze; both hold what goes forward, and a release that is tried
// is looked at all the while.
func TestNothingHoldsWhatGoesBack(t *testing.T) {
	how := careful()
	how.Freeze = []schemas.Freeze{{From: "2026-12-20", To: "2026-12-31"}}
	w, in := newWorld(), shop(0, nil)
	w.do(t, in.graph(t), w.plan(in.graph(t)))
	in = shop(1, how)
	g := in.graph(t)
	made := w.plan(g)
	for i := range made.Steps {
		if made.Steps[i].Ref == ref("deployment/m-production") {
			made.Steps[i].Held = "not yet"
		}
	}
	w.do(t, g, made)
	first, p := w.production(t, in, noon, false)
	if !strings.HasPrefix(first.Held, FrozenUntil) || first.Canary == "" {
		t.Fatalf("in a freeze: %+v", first)
	}
	other := shop(1, careful())
	if _, q := w.production(t, other, noon, false); q.Digest() != p.Digest() {
		t.Error("a freeze alone voids an approval")
	}
	other.decls[3].Spec.(*schemas.Deployment).Rollout.Canary.Steps[1].Pause.Duration = "1s"
	if _, q := w.production(t, other, noon, false); q.Digest() == p.Digest() {
		t.Error("an approval holds for other steps than those that were approved")
	}
	if s, _ := w.production(t, in, noon, true); s.Held != "" {
		t.Errorf("a pull request waits: %q", s.Held)
	}
	live := w.live[first.Ref]
	live.Beside = &port.Trial{Key: first.Key, Weight: 10, Health: port.Ready, Canary: port.Asked{Requests: 4000, Failed: 900}, Baseline: port.Asked{Requests: 4000}}
	w.live[first.Ref] = live
	w.record(ledger.Entry{Action: ledger.RollOut, Ref: first.Ref, Key: first.Key, Actor: "controller:c", Reason: "begins",
		Rollout: &ledger.Rollout{Phase: rollout.Progressing, Step: 1, Weight: 10, Since: noon, Declared: first.Canary}})
	seen := w.see(g)
	seen.Now = noon
	denied := Gate(Compute(g, seen), []ledger.Finding{{Rule: "a/rule", Level: ledger.Denied, Ref: first.Ref, Message: "no"}})
	for _, s := range denied.Steps {
		if s.Ref == first.Ref && (s.Held != "" || !s.Back() || s.Move.Do != rollout.RollBack) {
			t.Errorf("what goes back: %+v, held %q", s.Move, s.Held)
		}
	}
	live.Beside.Canary.Failed = 0
	seen.Now = noon.Add(time.Minute)
	waits := Gate(Compute(g, seen), []ledger.Finding{{Rule: "a/rule", Level: ledger.Denied, Ref: first.Ref, Message: "no"}})
	if at := waits.Wakes(); !at.Equal(seen.Now.Add(lookAgain)) {
		t.Errorf("what a rule holds is looked at again at %s", at)
	}
}

// TestWhatAsksForNothingIsNotDenied: what waits stays held for its own reason and wakes at its own time, whatever rules say; what is to go on is denied.
func TestWhatAsksForNothingIsNotDenied(t *testing.T) {
	n := shop(0, careful()).graph(t).Node(ref("deployment/m-production"))
	_, declared, _ := CanaryOf(n)
	was, now := digest.Of([]byte("was")), digest.Of([]byte("now"))
	for name, c := range map[string]struct {
		phase rollout.Phase
		at    time.Time
		asks  bool
		held  string
	}{
		"it pauses":          {rollout.Progressing, noon, false, "pauses for 10m0s"},
		"a person pauses it": {rollout.Paused, noon, false, "so it was"},
		"the pause is over":  {rollout.Progressing, noon.Add(10 * time.Minute), true, "a/rule: no"},
		"it was rolled back": {rollout.RolledBack, noon, false, "rolled back: so it was"},
	} {
		live := port.Live{Key: was, Health: port.Ready}
		if c.phase.UnderWay() {
			live.Beside = &port.Trial{Key: now, Weight: 10, Health: port.Ready, Canary: port.Asked{Requests: 9}, Baseline: port.Asked{Requests: 9}}
		}
		state := rollout.State{Change: rollout.Change{Key: now, Phase: c.phase, Step: 1, Weight: 10, Declared: declared, Why: "so it was"}, Since: noon}
		s := Roll(Step{Ref: n.Ref, Do: Remake, Key: now, Why: "the model changed"}, n, Rolling{Live: live, State: state, Now: c.at})
		p := Plan{Steps: []Step{s}}
		wakes := p.Wakes()
		s = Gate(p, []ledger.Finding{{Rule: "a/rule", Level: ledger.Denied, Ref: n.Ref, Message: "no"}}).Steps[0]
		if s.Asks() != c.asks || !strings.Contains(s.Held, c.held) {
			t.Errorf("%s: it asks: %v, held %q", name, s.Asks(), s.Held)
		}
		if again := (Plan{Steps: []Step{s}}).Wakes(); !c.asks && !again.Equal(wakes) {
			t.Errorf("%s: it wakes at %s, and not at %s", name, again, wakes)
		}
	}
}

// TestNothingRaisesAWeightWithoutARule: no sequence of what people decide and of passes under a freeze or a rule that
// denies gives a new release more of the requests than it had; and once nothing denies, what they decided is done.
func TestNothingRaisesAWeightWithoutARule(t *testing.T) {
	now := digest.Of([]byte("now"))
	rapid.Check(t, func(t *rapid.T) {
		how := careful()
		how.Canary.Steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) schemas.CanaryStep {
			if rapid.Bool().Draw(t, "weight") {
				w := rapid.IntRange(0, 100).Draw(t, "of")
				return schemas.CanaryStep{SetWeight: &w}
			}
			return schemas.CanaryStep{Pause: &schemas.Pause{Duration: rapid.SampledFrom([]schemas.Duration{"", "10m"}).Draw(t, "for")}}
		}), 1, 6).Draw(t, "steps")
		n := shop(0, how).graph(t).Node(ref("deployment/m-production"))
		canary, declared, _ := CanaryOf(n)
		weight := rapid.IntRange(0, 100).Draw(t, "served")
		state := rollout.State{Change: rollout.Change{Key: now, Phase: rollout.Progressing, Step: rapid.IntRange(0, len(canary.Steps)).Draw(t, "step"),
			Weight: rapid.IntRange(0, 100).Draw(t, "recorded"), Declared: declared}, Since: noon}
		live := port.Live{Key: digest.Of([]byte("was")), Health: port.Ready, Beside: &port.Trial{Key: now, Weight: weight, Health: port.Ready}}
		base, clock := Step{Ref: n.Ref, Do: Remake, Key: now, Why: "the model changed"}, noon
		pass := func(denied bool) {
			unasked := false
			for i := range 2*len(canary.Steps) + 8 {
				s := Roll(base, n, Rolling{Live: live, State: state, Now: clock, Unasked: unasked})
				if s.Held != "" || s.Move == nil {
					return
				}
				if denied && i == 0 {
					s = Gate(Plan{Steps: []Step{s}}, []ledger.Finding{{Rule: "a/rule", Level: ledger.Denied, Ref: n.Ref, Message: "no"}}).Steps[0]
				}
				if s.Held != "" {
					return
				}
				unasked = unasked || i == 0 && s.Back()
				m := *s.Move
				phase := map[rollout.Do]rollout.Phase{rollout.Hold: rollout.Held, rollout.RollBack: rollout.RolledBack, rollout.Promote: rollout.Promoted}[m.Do]
				switch m.Do {
				case rollout.Revive:
					live.Health, phase = port.Ready, state.Phase
				case rollout.Weigh:
					live.Beside.Weight, phase = m.Weight, state.Phase
				case rollout.Begin, rollout.Advance:
					live.Beside, phase = &port.Trial{Key: now, Weight: m.Weight, Health: port.Ready}, rollout.Progressing
				case rollout.RollBack, rollout.End:
					live.Beside = nil
				case rollout.Promote:
					live.Key, live.Beside = now, nil
				}
				state = state.Fold(rollout.Change{Key: now, Phase: phase, Step: m.Step, Weight: m.Weight, Declared: declared, Time: clock})
				if state.Phase.Over() {
					return
				}
			}
			t.Fatal("it never settles")
		}
		for range rapid.IntRange(1, 12).Draw(t, "happenings") {
			switch rapid.SampledFrom([]string{"pause", "promote", "full", "down", "pass", "wait"}).Draw(t, "what") {
			case "pause":
				state.Phase = rollout.Paused
			case "promote":
				state = state.Fold(rollout.Onward(canary, state, false))
			case "full":
				state = state.Fold(rollout.Onward(canary, state, true))
			case "down":
				live.Health = port.Down
			case "wait":
				clock = clock.Add(10 * time.Minute)
			case "pass":
				pass(true)
			}
			if live.Key == now || live.Beside != nil && live.Beside.Weight > weight {
				t.Fatalf("it had %d %%, and has %+v", weight, live.Beside)
			}
			if live.Beside == nil {
				return
			}
			weight = live.Beside.Weight
		}
		if state.Phase.UnderWay() {
			for range 3 { // what was planned as back leaves what goes forward to the next
				pass(false)
			}
			if b := live.Beside; b != nil && live.Health == port.Ready && b.Weight != state.Weight {
				t.Fatalf("once nothing denies it, it has %d %%, and is recorded as %d", b.Weight, state.Weight)
			}
		}
	})
}

// TestAShadowComesBeforeTheCanary: with no requests that it answers, until its pairs are no worse; what it has of the requests is made what its step
// says, and nothing seen is never success.
func TestAShadowComesBeforeTheCanary(t *testing.T) {
	how := careful()
	how.Shadow = &schemas.Shadow{Percent: 20, Slower: "50ms"}
	how.Analyses["same"] = schemas.Analysis{Metric: schemas.ShadowDisagreement, Margin: 0.02}
	how.Analyses["slow"] = schemas.Analysis{Metric: schemas.ShadowSlower, Margin: 0.02}
	n := shop(0, how).graph(t).Node(ref("deployment/m-production"))
	canary, declared, _ := CanaryOf(n)
	if len(canary.Steps) != 5 || !slices.Equal(canary.Steps[1].Analyses, []string{"same", "slow"}) || canary.Mirrors(1) != 20 || canary.Mirrors(2) != 0 {
		t.Fatalf("%+v", canary.Steps)
	}
	if _, other, _ := CanaryOf(shop(0, careful()).graph(t).Node(ref("deployment/m-production"))); other == declared {
		t.Error("what was approved without a shadow is approved with one")
	}
	was, now := digest.Of([]byte("was")), digest.Of([]byte("now"))
	roll := func(step, weight int, b port.Trial) Step {
		b.Key, b.Health = now, port.Ready
		state := rollout.State{Change: rollout.Change{Key: now, Phase: rollout.Progressing, Step: step, Weight: weight, Declared: declared}, Since: noon}
		return Roll(Step{Ref: ref("deployment/m-production"), Do: Remake, Key: now}, n, Rolling{Live: port.Live{Key: was, Health: port.Ready, Beside: &b}, State: state, Now: noon})
	}
	good := &port.Pairs{Pairs: 4000, Taken: 4000, Compared: 4000}
	for name, c := range map[string]struct {
		step Step
		want rollout.Do
		why  string
	}{
		"no pairs":               {roll(1, 0, port.Trial{Shadow: 20}), "", "step 2 of 5, 0 % of the requests, and 20 % as a shadow: analysis same: undecided"},
		"it was restarted":       {roll(1, 0, port.Trial{}), rollout.Weigh, "0 % of the requests were sent to it as well, and 20 % are to be"},
		"no worse":               {roll(1, 0, port.Trial{Shadow: 20, Pairs: good}), rollout.Advance, "step 3 of 5, 10 % of the requests, comes after"},
		"it differs":             {roll(0, 0, port.Trial{Shadow: 20, Pairs: &port.Pairs{Pairs: 400, Taken: 400, Compared: 400, Differ: 90}}), rollout.RollBack, "analysis same"},
		"it is slow":             {roll(1, 0, port.Trial{Shadow: 20, Pairs: &port.Pairs{Pairs: 400, Taken: 400, Compared: 400, Slower: 200}}), rollout.RollBack, "analysis slow"},
		"no room for all":        {roll(1, 0, port.Trial{Shadow: 20, Pairs: &port.Pairs{Pairs: 4000, Taken: 4000, Compared: 4000, Dropped: 400}}), "", "400 more requests could not be compared: if these were worse, so would be the release"},
		"room for nearly all":    {roll(1, 0, port.Trial{Shadow: 20, Pairs: &port.Pairs{Pairs: 4000, Taken: 4000, Compared: 4000, Dropped: 4}}), rollout.Advance, "step 3 of 5"},
		"the old ones unread":    {roll(1, 0, port.Trial{Shadow: 20, Pairs: &port.Pairs{Pairs: 4000, Taken: 4000, Compared: 3600, Unread: 400}}), "", "analysis same: undecided: 0 on average over 3600 pairs"},
		"all refused":            {roll(1, 0, port.Trial{Shadow: 20, Pairs: &port.Pairs{Pairs: 4000}}), "", "undecided: 0 pairs of answers were seen, and 50 are needed"},
		"no room for any":        {roll(1, 0, port.Trial{Shadow: 20, Pairs: &port.Pairs{Dropped: 5000}}), "", "0 pairs of answers were seen, and 50 are needed; 5000 more requests could not be compared"},
		"the canary has no more": {roll(3, 10, port.Trial{Weight: 10, Shadow: 20, Pairs: good}), rollout.Weigh, "20 % of the requests were sent to it as well, and 0 % are to be"},
	} {
		do, why := rollout.Do(""), c.step.Held
		if c.step.Move != nil {
			do, why = c.step.Move.Do, c.step.Why
		}
		if do != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %s, %q", name, do, why)
		}
	}
}
