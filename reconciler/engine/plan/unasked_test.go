// A deployment that did not answer how it stands is neither kept nor gone: its step is held, and no other.

package plan

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// silent has a deployment not answer.
func silent(s *Observed, name string) {
	at := ref(name)
	delete(s.Live, at)
	s.Unobservable = map[schemas.Ref]string{at: "no answer within 20s (remove /state/x)"}
	s.Openly = map[schemas.Ref]string{at: "no answer within 20s"}
	s.Failed, s.Passing = map[schemas.Ref]bool{at: true}, map[schemas.Ref]bool{at: true}
}

func TestWhatDoesNotAnswerIsHeldAndNothingElse(t *testing.T) {
	serves := func(name string) schemas.Declaration {
		return declare("Deployment", name, &schemas.Deployment{Model: ref("model/m"), Target: schemas.Target{Local: &schemas.LocalTarget{Work: work(name + ".py")}}})
	}
	in := intent{versions: map[string]int{"a.py": 0, "b.py": 0, "e.py": 0}, decls: []schemas.Declaration{
		declare("Training", "m", &schemas.Training{Work: work("e.py")}),
		declare("Model", "m", &schemas.Model{From: ref("training/m"), Select: schemas.Selection{Metric: "auc"}}),
		serves("a"), serves("b"),
	}}
	w, g := newWorld(), in.graph(t)
	const held = NotAsked + "no answer within 20s"
	first := w.see(g)
	silent(&first, "deployment/a")
	if s := find(t, Compute(g, first), "deployment/a"); s.Do != Make || s.Held != held {
		t.Errorf("before it was ever deployed: %+v", s)
	}
	w.do(t, g, w.plan(g))
	seen := w.see(g)
	answers := Compute(g, seen)
	silent(&seen, "deployment/a")
	p := Compute(g, seen)
	if s := find(t, p, "deployment/a"); s.Do != Remake || s.Held != held || s.Why != "its state is not known" || !s.Passing {
		t.Errorf("it is to %s: %s; held: %q", s.Do, s.Why, s.Held)
	}
	if s := find(t, p, "deployment/b"); s.Do != Keep || s.Held != "" {
		t.Errorf("the other is to %s: %s; held: %q", s.Do, s.Why, s.Held)
	}
	if p.Digest() != answers.Digest() {
		t.Error("what is approved of the rest is another plan")
	}

	in.versions["a.py"], in.versions["b.py"] = 1, 1
	g = in.graph(t)
	seen = w.see(g)
	answers = Compute(g, seen)
	silent(&seen, "deployment/a")
	p = Compute(g, seen)
	if s := find(t, p, "deployment/a"); s.Held != held || s.Why != "code a.py changed" {
		t.Errorf("a release of it: %+v", s)
	}
	if s := find(t, p, "deployment/b"); s.Do != Remake || s.Held != "" {
		t.Errorf("a release of the other: %+v", s)
	}
	if p.Digest() != answers.Digest() {
		t.Error("the same releases are another plan")
	}

	in.versions["e.py"] = 1
	g = in.graph(t)
	seen = w.see(g)
	silent(&seen, "deployment/a")
	p = Compute(g, seen)
	if s := find(t, p, "deployment/a"); !s.Pending || s.Held != held {
		t.Errorf("a model is to be made first: %+v", s)
	}
	if s := find(t, p, "training/m:default"); s.Held != "" {
		t.Errorf("the model that it is to serve is held: %+v", s)
	}
}

// TestAReleaseThatIsToBeTriedIsTheSamePlanWhereNobodyAnswers: an approval is of how it is tried, too. Nothing is tried, moved or released over it.
func TestAReleaseThatIsToBeTriedIsTheSamePlanWhereNobodyAnswers(t *testing.T) {
	w := newWorld()
	g := shop(0, careful()).graph(t)
	w.do(t, g, w.plan(g))
	g = shop(1, careful()).graph(t)
	seen := w.see(g)
	seen.Now = noon
	answers := Compute(g, seen)
	silent(&seen, "deployment/m-production")
	p := Compute(g, seen)
	if s := find(t, p, "deployment/m-production"); s.Held != NotAsked+"no answer within 20s" || s.Move != nil || s.Canary == "" {
		t.Errorf("%+v", s)
	}
	if p.Digest() != answers.Digest() {
		t.Error("it is another plan")
	}
}

// TestWhatDoesNotAnswerIsNotTakenAway: it is not known whether that would come through, or what else is there by now. What it stands on stays, too.
func TestWhatDoesNotAnswerIsNotTakenAway(t *testing.T) {
	w := newWorld()
	w.record(ledger.Entry{Action: ledger.Deploy, Ref: ref("deployment/z"), Key: digest.Of([]byte("z"))})
	w.record(ledger.Entry{Action: ledger.Provision, Ref: ref("infrastructure/a"), Key: digest.Of([]byte("a"))})
	seen := Observed{Facts: w.facts}
	silent(&seen, "deployment/z")
	p := Gate(Compute(intent{}.graph(t), seen), nil)
	if len(p.Steps) != 2 || p.Steps[0].Do != Retire || p.Steps[0].Held != NotAsked+"no answer within 20s" || p.Steps[0].Why != "no longer declared" || p.Steps[1].Held != "needs deployment/z, which is held" {
		t.Errorf("%+v", p.Steps)
	}
}
