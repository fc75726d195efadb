// What waits for its time is held until then, and nothing else changes for it.

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// shop is a model that staging and production serve, of which production is rolled out as how says.
func shop(version int, how *schemas.Rollout) intent {
	serve := func(env string, r *schemas.Rollout) schemas.Declaration {
		return declare("Deployment", "m-"+env, &schemas.Deployment{Model: ref("model/m"), Environment: env, Rollout: r,
			Target: schemas.Target{Local: &schemas.LocalTarget{Work: work("serve.py")}}})
	}
	return intent{versions: map[string]int{"d.csv": 0, "m.py": version, "serve.py": 0}, decls: []schemas.Declaration{
		declare("Dataset", "d", &schemas.Dataset{Source: schemas.DataSource{Path: "d.csv"}}),
		declare("Training", "m", &schemas.Training{Work: work("m.py"), Inputs: map[string]schemas.Ref{"x": ref("dataset/d")}}),
		declare("Model", "m", &schemas.Model{From: ref("training/m"), Select: schemas.Selection{Metric: "auc"}}),
		serve("production", how), serve("staging", nil),
	}}
}

var noon = time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)

// production is the step of the deployment that is rolled out, as it is planned at a time.
func (w *world) production(t *testing.T, in intent, at time.Time, pull bool) (Step, Plan) {
	t.Helper()
	g := in.graph(t)
	seen := w.see(g)
	seen.Now, seen.Pull = at, pull
	p := Gate(Compute(g, seen), nil)
	for _, s := range p.Steps {
		if s.Ref == ref("deployment/m-production") {
			return s, p
		}
	}
	t.Fatal("it is not in the plan")
	return Step{}, p
}

func TestAFreezeHoldsWhatIsNewUntilItEnds(t *testing.T) {
	freeze := &schemas.Rollout{Freeze: []schemas.Freeze{{From: "2026-12-20", To: "2026-12-31", Zone: "Europe/Berlin", Reason: "the year's end"}}}
	w, in := newWorld(), shop(0, freeze)
	end := time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)
	s, p := w.production(t, in, noon, false)
	if !strings.HasPrefix(s.Held, "frozen until 2027-01-01 00:00 CET: the year's end") || !s.Until.Equal(end) || !p.Wakes().Equal(end) || !s.Timed() {
		t.Fatalf("held %q until %s", s.Held, s.Until)
	}
	if free, q := w.production(t, in, end, false); free.Held != "" || q.Digest() != p.Digest() {
		t.Fatalf("at its end: held %q; an approval holds: %v", free.Held, q.Digest() == p.Digest())
	}
	if s, _ := w.production(t, in, noon, true); s.Held != "" || !strings.Contains(s.Why, "after the merge: frozen until 2027-01-01") {
		t.Fatalf("in a pull request: held %q, %q", s.Held, s.Why)
	}
	w.do(t, in.graph(t), w.plan(in.graph(t)))
	if s, _ := w.production(t, in, noon, false); s.Do != Keep || s.Held != "" {
		t.Fatalf("what serves: %s, held %q", s.Do, s.Held)
	}
	delete(w.live, s.Ref)
	if s, _ := w.production(t, in, noon, false); s.Do != Remake || !s.Restores || s.Held != "" {
		t.Fatalf("what comes back after a crash: %s, held %q", s.Do, s.Held)
	}
	denied := Gate(Compute(in.graph(t), Observed{Facts: newWorld().facts, Now: noon}), []ledger.Finding{{Rule: "a/rule", Level: ledger.Denied, Ref: s.Ref, Message: "no"}})
	for _, d := range denied.Steps {
		if d.Ref == s.Ref && (d.Held != "a/rule: no" || !d.Until.IsZero() || d.Timed()) {
			t.Fatalf("what is denied waits for no time: held %q until %s", d.Held, d.Until)
		}
	}
}

// Freezes without an end are told as such, not with a time at which nothing ends; and are looked at again.
func TestFreezesWithoutAnEndHoldUntilFurtherNotice(t *testing.T) {
	always := &schemas.Rollout{Freeze: []schemas.Freeze{
		{From: "*/2 * * * *", To: "1-59/2 * * * *", Reason: "the year's end"}, {From: "1-59/2 * * * *", To: "*/2 * * * *"},
	}}
	s, p := newWorld().production(t, shop(0, always), noon, false)
	if s.Held != "frozen until further notice: the year's end" || !s.Until.IsZero() || !s.Timed() {
		t.Fatalf("held %q until %s", s.Held, s.Until)
	}
	if at := p.Wakes(); !at.Equal(noon.Add(time.Hour)) {
		t.Fatalf("it is looked at again at %s", at)
	}
}

func TestADeploymentComesAfterAnotherThatHasServedTheSameModel(t *testing.T) {
	after := &schemas.Rollout{After: &schemas.After{Deployment: ref("deployment/m-staging"), Soak: "24h"}}
	w, in := newWorld(), shop(0, after)
	s, _ := w.production(t, in, noon, false)
	if s.Held != "comes after deployment/m-staging, which is to serve this model for 24h first" || !s.Until.IsZero() {
		t.Fatalf("before staging serves: held %q until %s", s.Held, s.Until)
	}
	g := in.graph(t)
	_, p := w.production(t, in, noon, false)
	w.do(t, g, p)
	staging := ref("deployment/m-staging")
	at := func(d time.Duration) time.Time { return w.facts.Latest[staging].Time.Add(d) }
	w.facts.Latest[staging].Time = noon
	if s, _ = w.production(t, in, at(time.Hour), false); !strings.Contains(s.Held, "since 2026-12-24 12:00 UTC, and is to do so for 24h") || !s.Until.Equal(at(24*time.Hour)) {
		t.Fatalf("while it soaks: held %q until %s", s.Held, s.Until)
	}
	if s, _ = w.production(t, in, at(24*time.Hour), false); s.Held != "" {
		t.Fatalf("when it has soaked: held %q", s.Held)
	}
	seen := func(up bool, d time.Duration) {
		w.facts.Observed[staging] = &ledger.Entry{Action: ledger.Observe, Ref: staging, Time: at(d), Observed: &ledger.Observed{Up: up}}
	}
	seen(false, 20*time.Hour)
	if s, _ = w.production(t, in, at(25*time.Hour), false); !strings.Contains(s.Held, "does not answer") || s.Until.IsZero() {
		t.Fatalf("while it is down: held %q until %s", s.Held, s.Until)
	}
	seen(true, 21*time.Hour)
	if s, _ = w.production(t, in, at(25*time.Hour), false); !s.Until.Equal(at(45 * time.Hour)) {
		t.Fatalf("after it was down it soaks anew: held %q until %s", s.Held, s.Until)
	}
	delete(w.facts.Observed, staging)

	// Staging is replaced in the very pass that would release to production.
	next := shop(1, after)
	if s, _ = w.production(t, next, at(48*time.Hour), false); !strings.Contains(s.Held, "is to serve this model for 24h first") {
		t.Fatalf("another model: held %q", s.Held)
	}
	code := shop(0, after)
	code.versions["serve.py"] = 1
	if s, _ = w.production(t, code, at(48*time.Hour), false); !strings.Contains(s.Held, "is to serve this model for 24h first") {
		t.Fatalf("other code: held %q", s.Held)
	}
	w.facts.Latest[staging].Model = &ledger.Model{Artifact: port.Artifact{Digest: digest.Of([]byte("another"))}}
	if s, _ = w.production(t, in, at(48*time.Hour), false); !strings.Contains(s.Held, "does not serve this model") {
		t.Fatalf("it serves another model: held %q", s.Held)
	}
}

// What waited for another deployment may go on when that one is released, and the plan after the pass says so.
func TestWhatAPassFreesIsTold(t *testing.T) {
	w, in := newWorld(), shop(0, &schemas.Rollout{After: &schemas.After{Deployment: ref("deployment/m-staging")}})
	s, before := w.production(t, in, noon, false)
	if s.Held != "comes after deployment/m-staging, which is to serve this model first" || len(Freed(before, before)) > 0 {
		t.Fatalf("held %q, freed %v", s.Held, Freed(before, before))
	}
	w.do(t, in.graph(t), before)
	s, after := w.production(t, in, noon, false)
	if freed := Freed(before, after); s.Held != "" || len(freed) != 1 || freed[0] != s.Ref {
		t.Fatalf("after the pass: held %q, freed %v", s.Held, freed)
	}
	w.do(t, in.graph(t), after)
	if _, done := w.production(t, in, noon, false); len(Freed(before, done)) > 0 || len(Freed(after, done)) > 0 {
		t.Fatal("what serves is freed")
	}
}

// While infrastructure is to change it is not known which model is to be served, so that none is compared.
func TestWhatWaitsForInfrastructureSaysSo(t *testing.T) {
	in := shop(0, &schemas.Rollout{After: &schemas.After{Deployment: ref("deployment/m-staging")}})
	w := newWorld()
	for range 2 {
		_, p := w.production(t, in, noon, false)
		w.do(t, in.graph(t), p)
	}
	in.decls = append(in.decls, declare("Infrastructure", "net", &schemas.Infrastructure{Module: "net"}))
	for _, d := range in.decls {
		if d.Ref() == ref("deployment/m-production") {
			d.Spec.(*schemas.Deployment).Needs = []schemas.Ref{ref("infrastructure/net")}
		}
	}
	in.versions["net"] = 0
	s, p := w.production(t, in, noon, false)
	if !s.Pending || s.Held != "comes after deployment/m-staging, and waits for infrastructure/net before that" || !s.Timed() {
		t.Fatalf("pending: %v, held %q", s.Pending, s.Held)
	}
	w.do(t, in.graph(t), p)
	if s, after := w.production(t, in, noon, false); s.Held != "" || len(Freed(p, after)) != 1 {
		t.Fatalf("when it is made: held %q, freed %v", s.Held, Freed(p, after))
	}
}
