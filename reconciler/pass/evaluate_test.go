// Laws of comparing a new model with the one that is served: both are scored on the same rows, once,
// and what cannot be compared is not released.

package pass

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// scoring is a house whose model is scored on the transform's output and on a dataset.
func scoring(t *testing.T, gates string, change ...func(fstest.MapFS)) (*Reconciler, *town) {
	t.Helper()
	h, w := newHouse(scoringTree(gates, change...))
	auc := regexp.MustCompile(`auc:(0\.[0-9]+)`)
	w.score = func(j port.Job) (map[string]float64, error) {
		text := string(w.bytes[j.Scores.Files[0].Digest])
		v, err := strconv.ParseFloat(auc.FindStringSubmatch(text)[1], 64)
		if strings.Contains(string(w.bytes[j.Inputs["rows"].Digest]), "shifted") {
			v -= 0.1
		}
		return map[string]float64{"auc": v, "rows": 2}, err
	}
	return h, w
}

func scoringTree(gates string, change ...func(fstest.MapFS)) fstest.MapFS {
	return tree(append([]func(fstest.MapFS){
		replaced("gates: [{metric: auc, min: 0.8}]}", "gates: ["+gates+"], evaluate: {run: [python, v.py], code: [v.py], rows: {test: \"transform/t:o\", recent: dataset/r}}}"),
		replaced("---\napiVersion: vishwa.dev/v1alpha1\nkind: Transform", "---\napiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata: {name: r}\nspec: {source: {path: r.csv}}\n---\napiVersion: vishwa.dev/v1alpha1\nkind: Transform"),
		with("v.py", "# scores\n"), with("r.csv", "x\nshifted\n"),
	}, change...)...)
}

// scored is what the newest selection says of rows.
func scored(w *town, on string, before bool) *ledger.Score {
	for _, s := range w.facts.Latest[ref("model/m")].Scores {
		if s.Rows == on && s.Before == before {
			return &s
		}
	}
	return nil
}

func TestBothModelsAreScoredOnTheSameRowsOnce(t *testing.T) {
	h, w := scoring(t, "{metric: auc, rows: recent, min: 0.7, maxRegression: 0.02}")
	apply(t, h)
	if n := count(w.ran, "model/m"); n != 2 {
		t.Errorf("the first model was scored in %d runs, want one for each of two sets of rows", n)
	}
	if s := scored(w, "recent", false); s == nil || s.Metrics["auc"] != 0.8 || s.Champion != "" {
		t.Errorf("recorded as %+v", s)
	}
	first := w.facts.Latest[ref("model/m")].Model.Artifact.Digest
	if w.facts.Latest[ref("model/m")].Action != ledger.Select {
		t.Errorf("what stands is a %s", w.facts.Latest[ref("model/m")].Action)
	}
	w.ran = nil
	work := scoringTree("{metric: auc, rows: recent, min: 0.7, maxRegression: 0.02}", replaced("auc: 0.9", "auc: 0.95"))
	apart, p := pulled(t, h, w, work)
	make7(t, apart, p)
	if n := count(w.ran, "model/m"); n != 2 {
		t.Errorf("ran %v: the model that is served was scored on these rows before", w.ran)
	}
	s := scored(w, "recent", false)
	if s == nil || s.Champion != first || s.ChampionMetrics["auc"] != 0.8 || round(s.Metrics["auc"]) != 0.85 || s.Seq == 0 || s.ChampionSeq == 0 {
		t.Errorf("both on the recent rows: %+v", s)
	}
	if e := w.list[s.Seq]; e.Action != ledger.Evaluate || e.PullRequest == nil || e.Run == nil || e.Recipe().Inputs["model"] != w.facts.Latest[ref("model/m")].Model.Artifact.Digest {
		t.Errorf("recorded as %+v", e)
	}
	h.commit(w, two, work)
	w.ran = nil
	if now := apply(t, h); len(now) != 1 || len(w.ran) != 0 {
		t.Errorf("after the merge %v, ran %v", ends(now), w.ran)
	}
	if now := apply(t, h); len(now) != 0 {
		t.Errorf("it does not settle: %v", ends(now))
	}
}

func TestBothAreScoredOnTheRowsOfBeforeToo(t *testing.T) {
	gates := "{metric: auc, rows: test, maxRegression: 0}"
	h, w := scoring(t, gates)
	apply(t, h)
	w.ran = nil
	was := scored(w, "test", false).Data
	h.commit(w, two, scoringTree(gates, with("d.csv", "x\n1\n3\n")))
	apply(t, h)
	now, before := scored(w, "test", false), scored(w, "test", true)
	if now == nil || before == nil || now.Data == was || before.Data != was || before.Champion == "" || before.ChampionMetrics["auc"] != 0.9 {
		t.Errorf("now %+v, before %+v", now, before)
	}
	// New rows: both. Rows of before, and those that did not change: the new one alone.
	if n := count(w.ran, "model/m"); n != 4 {
		t.Errorf("%d runs", n)
	}
	// Where the store has lost them, that is said, and the rest is compared.
	w.mu.Lock()
	delete(w.bytes, was)
	w.mu.Unlock()
	h.commit(w, one, scoringTree(gates, with("d.csv", "x\n1\n4\n")))
	apply(t, h)
	if s := scored(w, "test", true); s == nil || s.Data == was {
		t.Errorf("compared with rows of two releases ago: %+v", s)
	}
}

// TestAPullRequestDoesNotSayOnWhichRowsTheServedModelWasSelected: it may have the very bytes that are
// served selected with rows of its own, and propose these rows to be judged by afterwards.
func TestAPullRequestDoesNotSayOnWhichRowsTheServedModelWasSelected(t *testing.T) {
	gates := "{metric: auc, rows: recent, maxRegression: 0}"
	h, w := scoring(t, gates)
	apply(t, h)
	was := scored(w, "recent", false).Data
	friendly := with("r.csv", "x\nfriendly\n")
	apart, p := pulled(t, h, w, scoringTree(gates, friendly))
	make7(t, apart, p)
	if s := scored(w, "recent", false); s == nil || s.Data == was || s.Champion != "" {
		t.Fatalf("the pull request's selection is recorded as %+v", s)
	}
	h.commit(w, two, scoringTree(gates, friendly, replaced("auc: 0.9", "auc: 0.91")))
	apply(t, h)
	if s := scored(w, "recent", true); s == nil || s.Data != was || s.Champion == "" {
		t.Errorf("the rows of before are %+v, want those that the served model was released with", s)
	}
}

func TestRowsThatAreGoneAreSaid(t *testing.T) {
	gates := "{metric: auc, rows: test, maxRegression: 0}"
	h, w := scoring(t, gates)
	apply(t, h)
	w.mu.Lock()
	delete(w.bytes, scored(w, "test", false).Data)
	w.mu.Unlock()
	h.commit(w, two, scoringTree(gates, with("d.csv", "x\n1\n3\n")))
	apply(t, h)
	e := w.facts.Latest[ref("model/m")]
	if scored(w, "test", true) != nil || !slices.ContainsFunc(e.Findings, func(f ledger.Finding) bool { return f.Rule == execute.OldRows && f.Hint != "" }) {
		t.Errorf("scores %+v, findings %+v", e.Scores, e.Findings)
	}
}

func TestARegressionOnTheSameRowsIsHeld(t *testing.T) {
	gates := "{metric: auc, rows: recent, maxRegression: 0.02}"
	h, w := scoring(t, gates)
	apply(t, h)
	h.commit(w, two, scoringTree(gates, replaced("auc: 0.9", "auc: 0.85")))
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]execute.Outcome{}
	for _, o := range r.Outcomes {
		out[o.Ref.String()] = o
	}
	if o := out["model/m"]; o.End != execute.Held || !strings.Contains(o.Text, "auc on recent is 0.75") || out["deployment/s"].End != execute.Held {
		t.Errorf("ended as %v: %s", ends(out), o.Text)
	}
	// What was scored is told by the plan, and judged there.
	p, err := h.Plan(t.Context(), look(t, h), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref == ref("model/m") })
	if all, whole := plan.Scores(p.Steps[i].Evaluations); !whole || len(all) != 2 || !strings.Contains(p.Steps[i].Held, "model/regression") {
		t.Errorf("planned as %+v, held %q", all, p.Steps[i].Held)
	}
}

func TestAModelThatCannotBeScoredIsNotReleased(t *testing.T) {
	h, w := scoring(t, "{metric: auc, rows: recent, min: 0.7}")
	apply(t, h)
	served := w.facts.Latest[ref("deployment/s")].Model.Artifact.Digest
	good := w.score
	w.score = func(j port.Job) (map[string]float64, error) {
		if j.Scores.Digest == served {
			return nil, errors.New("KeyError: encoding")
		}
		return good(j)
	}
	work := scoringTree("{metric: auc, rows: recent, min: 0.7}", replaced("auc: 0.9", "auc: 0.95"), with("v.py", "# other\n"))
	h.commit(w, two, work)
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if end := ofStep(r.Outcomes, "model/m"); end.End != execute.Failed || fault.Of(end.Error) != fault.Invalid || !strings.Contains(end.Text, "KeyError") {
		t.Errorf("%s: %s", end.End, end.Text)
	}
	if w.facts.Latest[ref("deployment/s")].Model.Artifact.Digest != served {
		t.Error("it was deployed all the same")
	}
	// It is not tried for ever, and said so; a person may have it tried again.
	w.ran = nil
	p, err := h.Plan(t.Context(), look(t, h), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref == ref("model/m") })
	if !strings.Contains(p.Steps[i].Held, "failed once: KeyError") || !strings.Contains(p.Steps[i].Held, "vishwa retry model/m") {
		t.Errorf("held %q", p.Steps[i].Held)
	}
	if again, err := h.Retry(t.Context(), look(t, h), p, ref("model/m"), "mended"); err != nil || len(again) != 1 {
		t.Errorf("let go: %v, %v", again, err)
	}
	w.score = good
	apply(t, h)
	if w.facts.Latest[ref("deployment/s")].Model.Artifact.Digest == served || count(w.ran, "model/m") == 0 {
		t.Errorf("after the retry ran %v", w.ran)
	}
}

// TestWhatWasComparedWithAnotherModelIsComparedAgain: a pull request that was compared, and found
// good, is none the better for what was released before it came to be merged.
func TestWhatWasComparedWithAnotherModelIsComparedAgain(t *testing.T) {
	gates := "{metric: auc, rows: recent, maxRegression: 0}"
	h, w := scoring(t, gates)
	apply(t, h)
	mine := scoringTree(gates, replaced("auc: 0.9", "auc: 0.92"))
	apart, p := pulled(t, h, w, mine)
	make7(t, apart, p)
	h.commit(w, two, scoringTree(gates, replaced("auc: 0.9", "auc: 0.97"))) // somebody else's, meanwhile
	apply(t, h)
	better := w.facts.Latest[ref("deployment/s")].Model.Artifact.Digest
	h.commit(w, one, mine)
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if end := ofStep(r.Outcomes, "model/m"); end.End != execute.Held || !strings.Contains(end.Text, "model/regression") {
		t.Errorf("%s: %s", end.End, end.Text)
	}
	if w.facts.Latest[ref("deployment/s")].Model.Artifact.Digest != better {
		t.Error("it took the place of a better one")
	}
}

// TestAPullRequestScoresWhereItMayRun: an evaluation is a run, and bound as a training is.
func TestAPullRequestScoresWhereItMayRun(t *testing.T) {
	h, w := scoring(t, "{metric: auc, rows: recent, min: 0.7}")
	apply(t, h)
	w.ran = nil
	work := scoringTree("{metric: auc, rows: recent, min: 0.7}", replaced("auc: 0.9", "auc: 0.95"),
		replaced("run: [python, v.py]", `runner: box, image: "b@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", run: [python, v.py]`), replaced("spec: {environments", "spec: {runners: {box: {docker: {}}}, environments"))
	apart, p := pulled(t, h, w, work)
	if why := p.KeepsBack(ref("model/m")); !strings.Contains(why, "runner box is not one") {
		t.Errorf("kept back: %q", why)
	}
	make7(t, apart, p)
	if count(w.ran, "model/m") != 0 || count(w.ran, "training/e:high") != 1 {
		t.Errorf("ran %v", w.ran)
	}
}

// TestTrackedRunsAreScoredAgain: where an environment asks for runs on the tracked branch, what a
// pull request scored is scored again too, once.
func TestTrackedRunsAreScoredAgain(t *testing.T) {
	h, w := scoring(t, "{metric: auc, rows: recent, min: 0.7}", replaced("staging: {}", "staging: {trackedRuns: true}"))
	work := w.trees[one].(fstest.MapFS)
	apart, p := pulled(t, h, w, work)
	make7(t, apart, p)
	w.ran = nil
	if apply(t, h); count(w.ran, "model/m") != 2 {
		t.Errorf("ran %v", w.ran)
	}
	for _, s := range w.facts.Latest[ref("model/m")].Scores {
		if e := w.list[s.Seq]; e.PullRequest != nil || !e.Again {
			t.Errorf("it goes by entry %d, of %v", s.Seq, e.PullRequest)
		}
	}
	if again := apply(t, h); len(again) != 0 {
		t.Errorf("and once more: %v", ends(again))
	}
}

// TestTrackedRunsGoByNoScoreOfAPullRequest: nor where another selection than the pull request's own
// finds it, which has the same models, rows and code.
func TestTrackedRunsGoByNoScoreOfAPullRequest(t *testing.T) {
	tracked, theirs := replaced("staging: {}", "staging: {trackedRuns: true}"), with("v.py", "# scores otherwise\n")
	h, w := scoring(t, "{metric: auc, rows: recent, min: 0.7}", tracked)
	apply(t, h)
	apart, p := pulled(t, h, w, scoringTree("{metric: auc, rows: recent, min: 0.7}", tracked, theirs))
	make7(t, apart, p)
	h.commit(w, two, scoringTree("{metric: auc, rows: recent, min: 0.6}", tracked, theirs))
	apply(t, h)
	for again := 0; again < 2; again++ { // what is found to go by another's scores is made again with the next look
		apply(t, h)
	}
	for _, s := range w.facts.Latest[ref("model/m")].Scores {
		if e := w.list[s.Seq]; e.PullRequest != nil {
			t.Errorf("it goes by entry %d, of %v", s.Seq, e.PullRequest)
		}
	}
	if again := apply(t, h); len(again) != 0 {
		t.Errorf("and once more: %v", ends(again))
	}
}

func count(all []string, name string) (n int) {
	for _, s := range all {
		if s == name {
			n++
		}
	}
	return n
}

func round(v float64) float64 { return float64(int(v*1e6+0.5)) / 1e6 }

func ofStep(all []execute.Outcome, name string) execute.Outcome {
	for _, o := range all {
		if o.Ref.String() == name {
			return o
		}
	}
	return execute.Outcome{}
}

// look observes what is tracked.
func look(t *testing.T, h *Reconciler) *Snapshot {
	t.Helper()
	rev, in, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := Observe(t.Context(), in, rev, h.Observers)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
