// The laws of plans, held against repositories and worlds drawn at random.

package plan

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestPlanSettles: whatever is declared, doing a plan and planning again leaves
// nothing to do, and so after every change.
func TestPlanSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.blunt = rapid.IntRange(0, 3).Draw(t, "blunt")
		in := drawIntent(t)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			g := in.graph(t)
			w.do(t, g, w.plan(g))
			nothing(t, w.plan(g))
			if rapid.Bool().Draw(t, "redeclare") {
				in = drawIntent(t)
			} else {
				in, _ = in.mutate(t)
			}
		}
	})
}

// TestRevertMakesNothing: going back to what was declared before finds what was
// made for it; only what lives in the world is put back.
func TestRevertMakesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, before := newWorld(), drawIntent(t)
		after, _ := before.mutate(t)
		for _, in := range []intent{before, after, before} {
			g := in.graph(t)
			w.do(t, g, w.plan(g))
		}
		for _, r := range w.ran {
			if r.Kind != "deployment" && r.Kind != "infrastructure" {
				t.Fatalf("%s was made again", r)
			}
		}
	})
}

// TestOnlyWhatStandsAboveAChangeRuns.
func TestOnlyWhatStandsAboveAChangeRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, before := newWorld(), drawIntent(t)
		g := before.graph(t)
		w.do(t, g, w.plan(g))
		after, path := before.mutate(t)
		h := after.graph(t)
		p := w.plan(h)
		above := map[schemas.Ref]bool{}
		for i := range h.Nodes {
			n := &h.Nodes[i]
			a, _ := g.Node(n.Ref).Recipe.Key()
			b, _ := n.Recipe.Key()
			above[n.Ref] = a != b || slices.ContainsFunc(n.Needs, func(r schemas.Ref) bool { return above[r] })
		}
		for _, s := range p.Steps {
			if (s.Do != Keep) != above[s.Ref] {
				t.Fatalf("%s changed: %s is to %s (%s)", path, s.Ref, s.Do, s.Why)
			}
		}
	})
}

// TestTheSameOutputKeepsAllAboveIt: early cut-off.
func TestTheSameOutputKeepsAllAboveIt(t *testing.T) {
	in := intent{versions: map[string]int{"d.csv": 0, "t.py": 0, "e.py": 0}, decls: []schemas.Declaration{
		declare("Dataset", "d", &schemas.Dataset{Source: schemas.DataSource{Path: "d.csv"}}),
		declare("Transform", "t", &schemas.Transform{Work: work("t.py"), Inputs: map[string]schemas.Ref{"x": ref("dataset/d")}, Outputs: map[string]string{"a": "a", "b": "b"}}),
		declare("Training", "e", &schemas.Training{Work: work("e.py"), Inputs: map[string]schemas.Ref{"x": ref("transform/t:a")}}),
	}}
	w := newWorld()
	w.blunt = 1 // whatever it reads, a run comes to the same
	g := in.graph(t)
	w.do(t, g, w.plan(g))
	in.versions["t.py"] = 1
	g = in.graph(t)
	p := w.plan(g)
	if s := find(t, p, "training/e:default"); !s.Pending || s.Do != Remake || s.Why != "waits for transform/t:a" {
		t.Fatalf("%+v", s)
	}
	w.do(t, g, p)
	if !slices.Equal(w.ran, []schemas.Ref{ref("transform/t")}) {
		t.Fatalf("ran %v", w.ran)
	}
	nothing(t, w.plan(g))
}

// TestHeldHoldsAllDownstreamAndNothingElse.
func TestHeldHoldsAllDownstreamAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, in := newWorld(), drawIntent(t)
		g := in.graph(t)
		if rapid.Bool().Draw(t, "made before") {
			w.do(t, g, w.plan(g))
			in, _ = in.mutate(t)
			g = in.graph(t)
		}
		p := w.plan(g)
		denied := map[schemas.Ref]bool{}
		var found []ledger.Finding
		for _, s := range p.Steps {
			level := rapid.SampledFrom([]ledger.Level{"", "", ledger.Note, ledger.Warn, ledger.Denied}).Draw(t, "level")
			if level != "" {
				found = append(found, ledger.Finding{Rule: "r", Level: level, Ref: s.Ref, Message: "m"})
			}
			denied[s.Ref] = level == ledger.Denied
		}
		before := slices.Clone(p.Steps)
		held := map[schemas.Ref]bool{}
		for _, s := range Gate(p, found).Steps {
			held[s.Ref] = s.Do != Keep && (denied[s.Ref] || slices.ContainsFunc(s.Needs, func(r schemas.Ref) bool { return held[r] }))
			if (s.Held != "") != held[s.Ref] {
				t.Fatalf("%s: held %q, want %v", s.Ref, s.Held, held[s.Ref])
			}
		}
		if Gate(p, found).Digest() != p.Digest() {
			t.Fatalf("judging changed what is approved")
		}
		for i, s := range p.Steps {
			if s.Held != before[i].Held {
				t.Fatalf("gating changed the plan that it was given")
			}
		}
	})
}

// TestMovedSaysSomethingWheneverTheDigestDiffers, and nothing where it does not.
func TestMovedSaysSomethingWheneverTheDigestDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, in := newWorld(), drawIntent(t)
		g := in.graph(t)
		if rapid.Bool().Draw(t, "made before") {
			w.do(t, g, w.plan(g))
		}
		a := w.plan(g)
		switch rapid.IntRange(0, 2).Draw(t, "how it moves") {
		case 0:
			in, _ = in.mutate(t)
		case 1:
			in = drawIntent(t)
		}
		b := w.plan(in.graph(t))
		if rapid.Bool().Draw(t, "other policy") {
			b.Policy = digest.Of([]byte("other"))
		}
		if moved := Diff(a, b); (len(moved) > 0) != (a.Digest() != b.Digest()) {
			t.Fatalf("digests %s and %s, moved %q", a.Digest().Short(), b.Digest().Short(), moved)
		}
	})
}

// TestOnlyKeepsWhatItNeeds: a part of a plan holds its targets, all that they
// need, in order, and nothing else.
func TestOnlyKeepsWhatItNeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawIntent(t)
		p := newWorld().plan(in.graph(t))
		target := rapid.SampledFrom(p.Steps).Draw(t, "target").Ref
		part, err := Subset(p, []schemas.Ref{target})
		if err != nil {
			t.Fatalf("%v", err)
		}
		wanted := map[schemas.Ref]bool{target: true}
		have := map[schemas.Ref]bool{}
		for _, s := range part.Steps {
			for _, need := range s.Needs {
				if wanted[need] = true; !have[need] {
					t.Fatalf("%s comes without or before %s", s.Ref, need)
				}
			}
			have[s.Ref] = true
		}
		if !maps.Equal(wanted, have) {
			t.Fatalf("have %v, want %v", have, wanted)
		}
	})
}

func TestOnlyRefusesWhatIsNotThere(t *testing.T) {
	if _, err := Subset(Plan{}, []schemas.Ref{ref("model/x")}); err == nil || err.Error() != "model/x is not in the plan" {
		t.Fatal(err)
	}
}

// TestGoneIsMadeAgain: what the store has lost is made again under its key, and
// what comes out the same keeps all above it.
func TestGoneIsMadeAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, in := newWorld(), drawIntent(t)
		g := in.graph(t)
		w.do(t, g, w.plan(g))
		keys, lost := map[schemas.Ref]digest.Digest{}, map[digest.Digest]bool{}
		for _, s := range w.plan(g).Steps {
			keys[s.Ref] = s.Key
			if _, kept := w.facts.ByKey[s.Key]; kept && s.Ref.Kind != "deployment" && s.Ref.Kind != "infrastructure" && rapid.Bool().Draw(t, "lost") {
				w.gone[s.Key] = "its output is gone"
				lost[s.Key] = true
			}
		}
		p := w.plan(g)
		for _, s := range p.Steps {
			if lost[keys[s.Ref]] && (s.Do == Keep || !s.Pending && s.Why != "its output is gone") {
				t.Fatalf("%s is to %s: %s", s.Ref, s.Do, s.Why)
			}
		}
		w.do(t, g, p)
		for _, r := range w.ran {
			if r.Kind != "deployment" && !lost[keys[r]] {
				t.Fatalf("%s was made again, and is not lost", r)
			}
		}
		nothing(t, w.plan(g))
	})
}

func TestRetiredGoesInOrder(t *testing.T) {
	w := newWorld()
	for _, e := range []ledger.Entry{
		{Action: ledger.Provision, Ref: ref("infrastructure/a"), Key: digest.Of([]byte("a"))},
		{Action: ledger.Deploy, Ref: ref("deployment/z"), Key: digest.Of([]byte("z"))},
		{Action: ledger.Deploy, Ref: ref("deployment/gone"), Key: digest.Of([]byte("g"))},
		{Action: ledger.Retire, Ref: ref("deployment/gone"), Key: digest.Of([]byte("g"))},
		{Action: ledger.Train, Ref: ref("training/t:c"), Key: digest.Of([]byte("t"))},
	} {
		w.record(e)
	}
	p := Compute(intent{}.graph(t), Observed{Facts: w.facts, Unobservable: map[schemas.Ref]string{ref("infrastructure/a"): "no terraform"}})
	if len(p.Steps) != 2 || p.Steps[0].Ref != ref("deployment/z") || p.Steps[1].Ref != ref("infrastructure/a") {
		t.Fatalf("%+v", p.Steps)
	}
	if a := p.Steps[1]; !slices.Equal(a.Needs, []schemas.Ref{ref("deployment/z")}) || !a.Pending || a.Why != "no longer declared; no terraform" {
		t.Fatalf("%+v", a)
	}
}

// TestAPlanThatFailedIsNoPlanThatWaits: what was tried and failed is told apart from what
// was not tried.
func TestAPlanThatFailedIsNoPlanThatWaits(t *testing.T) {
	w := newWorld()
	w.record(ledger.Entry{Action: ledger.Provision, Ref: ref("infrastructure/a"), Key: digest.Of([]byte("a"))})
	for _, tried := range []bool{false, true} {
		p := Compute(intent{}.graph(t), Observed{Facts: w.facts, Unobservable: map[schemas.Ref]string{ref("infrastructure/a"): "main.tf:1: no"}, Failed: map[schemas.Ref]bool{ref("infrastructure/a"): tried}})
		if got := len(p.Failed()) == 1; got != tried {
			t.Errorf("tried %v: %+v", tried, p.Steps)
		}
	}
}

func TestWhatLivesIsObserved(t *testing.T) {
	in := intent{versions: map[string]int{"s.py": 0, "e.py": 0, "i": 0}, decls: []schemas.Declaration{
		declare("Training", "m", &schemas.Training{Work: work("e.py")}),
		declare("Model", "m", &schemas.Model{From: ref("training/m"), Select: schemas.Selection{Metric: "auc"}}),
		declare("Infrastructure", "i", &schemas.Infrastructure{Module: "i"}),
		declare("Deployment", "m", &schemas.Deployment{Model: ref("model/m"), Target: schemas.Target{Local: &schemas.LocalTarget{Work: work("s.py")}}}),
	}}
	g := in.graph(t)
	for name, c := range map[string]struct {
		change func(w *world, s *Observed)
		ref    string
		do     Do
		why    string
	}{
		"healthy": {func(*world, *Observed) {}, "deployment/m", Keep, "up to date"},
		"crashes": {func(_ *world, s *Observed) { live(s, port.Failing, "exit 1\nmore") }, "deployment/m", Remake, "is failing: exit 1"},
		"to be brought back": {func(_ *world, s *Observed) {
			live(s, port.Down, "its serving host is not running; run vishwa apply to bring it back")
		}, "deployment/m", Remake, "is down: its serving host is not running"},
		"half begun": {func(_ *world, s *Observed) {
			l := s.Live[ref("deployment/m")]
			l.Left = "a file is at a step of a release that has not ended"
			s.Live[ref("deployment/m")] = l
		}, "deployment/m", Remake, "serves, and a file is at a step of a release that has not ended"},
		"rebooted": {func(_ *world, s *Observed) { s.Live = nil }, "deployment/m", Remake, "is not served any more"},
		"someone else": {func(_ *world, s *Observed) {
			s.Live = map[schemas.Ref]port.Live{ref("deployment/m"): {Key: "x", Health: port.Ready}}
		}, "deployment/m", Remake, "serves something else"},
		"drift":         {func(_ *world, s *Observed) { s.Stacks[ref("infrastructure/i")] = port.Change{Drift: []string{"a.b"}} }, "infrastructure/i", Remake, "drift: a.b"},
		"blind":         {func(_ *world, s *Observed) { s.Unobservable[ref("infrastructure/i")] = "no terraform" }, "infrastructure/i", Remake, "no terraform"},
		"stack as made": {func(*world, *Observed) {}, "infrastructure/i", Keep, "up to date"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.do(t, g, w.plan(g))
			seen := w.see(g)
			c.change(w, &seen)
			if s := find(t, Compute(g, seen), c.ref); s.Do != c.do || s.Why != c.why {
				t.Errorf("%s: %s", s.Do, s.Why)
			}
		})
	}
}

func live(s *Observed, h port.Health, message string) {
	l := s.Live[ref("deployment/m")]
	l.Health, l.Message = h, message
	s.Live[ref("deployment/m")] = l
}

func TestAFailedKeyIsTriedAgainAsOftenAsDeclared(t *testing.T) {
	in := intent{versions: map[string]int{"t.py": 0}, decls: []schemas.Declaration{
		declare("Transform", "t", &schemas.Transform{Work: work("t.py"), Limits: schemas.Limits{Retries: 1}, Outputs: map[string]string{"a": "a", "b": "b"}})}}
	w, g := newWorld(), in.graph(t)
	key := find(t, w.plan(g), "transform/t").Key
	for i, held := range []string{"", "", "failed 2 times: exit 1; correct it and commit that, or run vishwa retry transform/t"} {
		if s := find(t, w.plan(g), "transform/t"); s.Held != held {
			t.Fatalf("after %d failures: %q", i, s.Held)
		}
		w.record(ledger.Entry{Action: ledger.Fail, Ref: ref("transform/t"), Key: key, Failure: &ledger.Failure{Message: "exit 1\ntail"}})
	}
	seen := Observed{Facts: w.facts, Pull: true}
	if s := find(t, Compute(g, seen), "transform/t"); s.Held != "failed 3 times: exit 1; correct it and push, or say /vishwa retry transform/t" {
		t.Fatalf("in a pull request: %q", s.Held)
	}
	w.record(ledger.Entry{Action: ledger.Retry, Ref: ref("transform/t")})
	if s := find(t, w.plan(g), "transform/t"); s.Held != "" {
		t.Fatalf("let go, and still held: %s", s.Held)
	}
}

// What others change is drift; what moves because its declaration moved is not.
func TestDriftIsWhatWouldBePutBack(t *testing.T) {
	change := port.Change{Drift: []string{"a.benign", "a.bent"}, Actions: []port.ResourceAction{{Address: "a.bent", Action: "update"}, {Address: "a.new", Action: "create"}}}
	if got := drifted(change, false); !slices.Equal(got, []string{"a.bent"}) {
		t.Errorf("with another declaration: %q", got)
	}
	if got := drifted(change, true); !slices.Equal(got, []string{"a.bent", "a.new"}) {
		t.Errorf("with the same declaration: %q", got)
	}
	if got := drifted(port.Change{Drift: []string{"a.benign"}}, true); len(got) != 0 {
		t.Errorf("where nothing would be done: %q", got)
	}
}
