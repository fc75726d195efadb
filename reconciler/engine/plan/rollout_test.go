// What is next of a release that is tried, whatever is found.

package plan

import (
	"strings"
	"testing"
	"time"

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
