// Laws of isolation: what an environment asks for is had before anything is deployed
// there, and a pull request cannot do with less.

package pass

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// asking is the project whose environment staging asks for a level.
func asking(least string, change ...func(fstest.MapFS)) fstest.MapFS {
	return tree(append(change, replaced("staging: {}", "staging: {isolation: "+least+"}"))...)
}

// gives says what the machine of h would keep runs apart with.
func gives(h *Reconciler, level string) {
	h.Isolation = func(context.Context) *port.Isolation { return &port.Isolation{Level: level} }
}

// release applies, and tells how the deployment ended.
func release(t *testing.T, h *Reconciler) execute.Outcome {
	t.Helper()
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil && fault.Of(err) != fault.Refused && fault.Of(err) != fault.Held {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		if o.Ref.Kind == "deployment" {
			return o
		}
	}
	return execute.Outcome{End: execute.Kept}
}

var everyRun = []string{"training/e:high", "training/e:low", "transform/t"}

func TestARunThatStoodTooWeakIsRunAgain(t *testing.T) {
	for name, before := range map[string]string{"recorded before levels were": "", "no isolation": "none", "a weaker level": "landlock"} {
		h, w := newHouse(tree())
		w.level = before
		apply(t, h)
		h.commit(w, two, asking("namespaces", with("s.py", "# another\n")))
		w.ran, w.level = nil, "namespaces"
		gives(h, "namespaces")
		if o := release(t, h); o.End != execute.Ended {
			t.Errorf("%s: ended as %s: %s", name, o.End, o.Text)
		}
		if len(w.least) != 3 || w.least["transform/t"] != "namespaces" {
			t.Errorf("%s: runs are to stand at %v", name, w.least)
		}
		if slices.Sort(w.ran); !slices.Equal(w.ran, everyRun) {
			t.Errorf("%s: ran %v again", name, w.ran)
		}
		if again := apply(t, h); len(again) != 0 {
			t.Errorf("%s: and once more: %v", name, ends(again))
		}
	}
}

func TestWhereTheMachineDoesNotGiveTheLevelNothingIsRunOrDeployed(t *testing.T) {
	h, w := newHouse(tree())
	w.level = "landlock"
	apply(t, h)
	h.commit(w, two, asking("namespaces", with("s.py", "# another\n")))
	for _, level := range []string{"", "none", "landlock"} {
		w.ran = nil
		if level != "" {
			gives(h, level)
		}
		o := release(t, h)
		if o.End != execute.Held || !strings.Contains(o.Text, "training/e:high, which the model is made from, ran at landlock") || len(w.ran) > 0 {
			t.Errorf("%q: %s: %s; ran %v", level, o.End, o.Text, w.ran)
		}
	}
}

// A machine that says it gives a level, and does not keep that, is not tried for ever.
func TestARunThatStaysTooWeakIsNotRunForEver(t *testing.T) {
	h, w := newHouse(asking("namespaces"))
	w.level = "landlock"
	gives(h, "namespaces")
	var ran []int
	for range 5 {
		w.ran = nil
		if o := release(t, h); o.End != execute.Held || !strings.Contains(o.Text, "deployment/isolation") {
			t.Errorf("ended as %s: %s", o.End, o.Text)
		}
		ran = append(ran, len(w.ran))
	}
	if ran[3]+ran[4] > 0 { // what waits for another run that is made again gives that as its reason first
		t.Errorf("runs a pass: %v", ran)
	}
	if len(w.served) > 0 {
		t.Error("it is served")
	}
}

func TestTheLevelOfRunsInThisVeryPassCounts(t *testing.T) {
	h, w := newHouse(asking("landlock"))
	w.level = "none"
	if o := release(t, h); o.End != execute.Held || !strings.Contains(o.Text, "ran at none") {
		t.Errorf("ended as %s: %s", o.End, o.Text)
	}
	h, w = newHouse(asking("landlock"))
	w.level = "namespaces"
	if o := release(t, h); o.End != execute.Ended {
		t.Errorf("ended as %s: %s", o.End, o.Text)
	}
	if len(w.least) > 0 {
		t.Errorf("runs are asked to stand at %v, and none was made before", w.least)
	}
	if least := w.served["s"].Isolation; least != "landlock" {
		t.Errorf("it is served at %q or better", least)
	}
}

// TestAChangeCannotDoWithLess: neither by the project of a pull request, nor by
// another label of the deployment.
func TestAChangeCannotDoWithLess(t *testing.T) {
	h, w := newHouse(asking("namespaces"))
	w.level = "landlock"
	work := tree() // it asks for nothing
	apart, p := pulled(t, h, w, work)
	make7(t, apart, p)
	p, err := apart.Review(t.Context(), p.World.Intent, p.World.Revision)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Plan.Steps, func(s plan.Step) bool { return s.Ref.Kind == "deployment" })
	if s := p.Plan.Steps[i]; !strings.HasPrefix(s.Held, "deployment/isolation") {
		t.Errorf("the release is held by %q", s.Held)
	}

	h, w = newHouse(asking("landlock", replaced("production: {}", "other: {}")))
	w.level = "namespaces"
	apply(t, h)
	w.level = "none"
	h.commit(w, two, asking("landlock", replaced("production: {}", "other: {}"), replaced("environment: staging", "environment: other"), replaced("auc: 0.9", "auc: 0.95")))
	if o := release(t, h); o.End != execute.Held || !strings.Contains(o.Text, "deployment/isolation") {
		t.Errorf("under another label it ended as %s: %s", o.End, o.Text)
	}
}

// TestWhatIsServedTooWeakIsTold: where everything is judged.
func TestWhatIsServedTooWeakIsTold(t *testing.T) {
	h, w := newHouse(tree())
	w.level = "landlock"
	apply(t, h)
	h.commit(w, two, asking("namespaces"))
	told := func() bool {
		world, err := h.Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Check(t.Context(), world)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(p.Findings, func(f ledger.Finding) bool {
			return f.Rule == "deployment/isolation" && strings.Contains(f.Message, "what is served has landlock")
		})
	}
	if !told() {
		t.Error("nothing is said of it")
	}
	if w.level = "namespaces"; told() {
		t.Error("it stands well now")
	}
}

// A scoring decides on a release as a training does, and is run again where it stood too weak.
func TestAScoringThatStoodTooWeakIsRunAgain(t *testing.T) {
	gate := "{metric: auc, rows: recent, min: 0.7}"
	h, w := scoring(t, gate)
	w.level = "namespaces"
	w.weak = "model/m"
	apply(t, h)
	asks := scoringTree(gate, replaced("staging: {}", "staging: {isolation: namespaces}"), with("s.py", "# another\n"))
	h.commit(w, two, asks)
	gives(h, "landlock")
	if o := release(t, h); o.End != execute.Held || !strings.Contains(o.Text, "model/m, which the model is made from, ran at landlock") {
		t.Errorf("where the level is not given: %s: %s", o.End, o.Text)
	}
	w.ran, w.weak = nil, ""
	gives(h, "namespaces")
	if o := release(t, h); o.End != execute.Ended {
		t.Errorf("ended as %s: %s", o.End, o.Text)
	}
	if !slices.Equal(w.ran, []string{"model/m", "model/m"}) || w.least["model/m"] != "namespaces" {
		t.Errorf("ran %v again, at %v", w.ran, w.least)
	}
	if again := apply(t, h); len(again) != 0 {
		t.Errorf("and once more: %v", ends(again))
	}
	// One that stays too weak is not scored for ever, and what is scored in this very pass counts.
	h, w = scoring(t, gate, replaced("staging: {}", "staging: {isolation: namespaces}"))
	w.level, w.weak = "namespaces", "model/m"
	gives(h, "namespaces")
	var ran []int
	for range 5 {
		w.ran = nil
		if o := release(t, h); o.End != execute.Held || !strings.Contains(o.Text, "model/m, which the model is made from, ran at landlock") {
			t.Errorf("ended as %s: %s", o.End, o.Text)
		}
		ran = append(ran, len(w.ran))
	}
	if ran[3]+ran[4] > 0 || len(w.served) > 0 {
		t.Errorf("runs a pass: %v, served %v", ran, w.served)
	}
}
