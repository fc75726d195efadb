// The laws of the pass, held on a whole project.

package pass

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/schemas"
)

func TestApplyTwiceDoesNothingTheSecondTime(t *testing.T) {
	h, w := newHouse(tree())
	got := apply(t, h)
	if len(got) != 6 || w.facts.Latest[ref("deployment/s")] == nil {
		t.Fatalf("%v", got)
	}
	m := w.facts.Latest[ref("model/m")].Model
	if m.Candidate != ref("training/e:high") || w.served["s"].Model.Digest != m.Artifact.Digest {
		t.Errorf("released %v, served %s", m.Candidate, w.served["s"].Model.Digest)
	}
	if again := apply(t, h); len(again) != 0 {
		t.Errorf("again: %v", again)
	}
}

// TestGoneIsMadeAgainWhereItIsNeeded: a store that lost everything is no news until
// something must be made from it; then just that is made again.
func TestGoneIsMadeAgainWhereItIsNeeded(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	clear(w.bytes)
	if got := apply(t, h); len(got) != 0 {
		t.Fatalf("a healthy deployment needs nothing of the store, and yet: %v", got)
	}
	w.ran = nil
	h.commit(w, two, tree(with("s.py", "# other\n")))
	got := apply(t, h)
	wantEnds(t, got, map[string]execute.EventKind{"dataset/d": execute.Ended, "transform/t": execute.Ended, "training/e:high": execute.Ended, "training/e:low": execute.Kept, "model/m": execute.Ended, "deployment/s": execute.Ended})
	if !slices.Equal(w.ran, []string{"transform/t", "training/e:high"}) {
		t.Errorf("ran %v", w.ran)
	}
	for _, r := range []string{"dataset/d", "transform/t", "training/e:high", "model/m"} {
		newest := w.list[slices.IndexFunc(w.list, func(e ledger.Entry) bool { return e.Ref == ref(r) && e.Seq > 6 })]
		if first := w.facts.Latest[ref(r)]; !newest.Duplicate || newest.Again || first.Seq >= newest.Seq || len(w.facts.Others) != 0 {
			t.Errorf("%s: %+v after %+v, and others %v", r, newest, first, w.facts.Others)
		}
	}
	if again := apply(t, h); len(again) != 0 {
		t.Errorf("again: %v", again)
	}
}

func TestOnlyTheLostPartIsMadeAgain(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	delete(w.bytes, w.facts.Latest[ref("model/m")].Model.Signature)
	w.ran = nil
	h.commit(w, two, tree(with("s.py", "# other\n")))
	wantEnds(t, apply(t, h), map[string]execute.EventKind{"model/m": execute.Ended, "deployment/s": execute.Ended})
	if len(w.ran) != 0 {
		t.Errorf("ran %v", w.ran)
	}
}

func TestApplyRefusesAWorkTreeThatMeansSomethingElse(t *testing.T) {
	for name, c := range map[string]struct {
		work func(fstest.MapFS)
		kind fault.Kind
		says string
	}{
		"a comment":      {replaced("kind: Project", "# the project\nkind: Project"), 0, ""},
		"a stray file":   {with("notes.txt", "x"), 0, ""},
		"a param":        {replaced("auc: 0.7", "auc: 0.6"), fault.Conflict, "training/e:low"},
		"code":           {with("e.py", "x"), fault.Conflict, "training/e:high, training/e:low"},
		"broken":         {replaced("kind: Model", "kind: Modle"), fault.Invalid, "vishwa.yaml"},
		"a missing file": {func(f fstest.MapFS) { delete(f, "t.py") }, fault.Invalid, "t.py"},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHouse(tree())
			h.Worktree = tree(c.work)
			_, err := h.Apply(t.Context(), ApplyOptions{})
			if c.says == "" && err != nil || c.says != "" && (fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.HintOf(err), "git stash")) {
				t.Errorf("%v", err)
			}
			dirty, err := h.Preview(t.Context())
			if c.kind != fault.Invalid && (err != nil || dirty.Dirty != (c.says != "")) {
				t.Errorf("preview: %v", err)
			}
		})
	}
}

// TestTheRevisionIsNotReadWhereTheBytesAreTheSame: and is where they are not.
func TestTheRevisionIsNotReadWhereTheBytesAreTheSame(t *testing.T) {
	for _, same := range []bool{true, false} {
		h, w := newHouse(tree())
		w.trees[one] = unreadable{}
		h.Watch = func() (fs.FS, func(context.Context, string) (bool, error)) {
			return h.Worktree, func(_ context.Context, sha string) (bool, error) { return same, nil }
		}
		if got, err := h.Preview(t.Context()); err != nil || got.Dirty == same {
			t.Errorf("same %v: dirty %v, %v", same, got.Dirty, err)
		}
		if _, err := h.Apply(t.Context(), ApplyOptions{Confirm: func(plan.Plan) error { return errStop }}); errors.Is(err, errStop) != same {
			t.Errorf("same %v: %v", same, err)
		}
	}
}

var errStop = errors.New("stop")

type unreadable struct{}

func (unreadable) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestDifferencesNamesWhatMeansSomethingElse(t *testing.T) {
	read := func(change ...func(fstest.MapFS)) *Intent {
		in, err := Read(t.Context(), tree(change...))
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	rules := func(text string) func(fstest.MapFS) {
		return func(f fstest.MapFS) {
			replaced("spec: {environments", "spec: {policy: {paths: [policy]}, environments")(f)
			with("policy/a.rego", text)(f)
		}
	}
	for want, c := range map[string][2]*Intent{
		"":               {read(), read(replaced("\nkind: Model", "\nkind: Model # gated"))},
		"dataset/d":      {read(), read(with("d.csv", "x\n3\n"))},
		"training/e:low": {read(), read(replaced("auc: 0.7", "auc: 0.6"))},
		"deployment/s":   {read(), read(replaced("environment: staging", "environment: production"))},
		"policy":         {read(rules("package a\n\nnote contains \"x\"")), read(rules("package a\n\nnote contains \"y\""))},
		"training/e:mid": {read(), read(replaced("low: {params", "mid: {params: {auc: 0.8}}, low: {params"))},
	} {
		got := Differences(c[0], c[1])
		if want == "training/e:mid" { // the model compares one candidate more
			got = slices.DeleteFunc(got, func(s string) bool { return s == "model/m" })
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestApplyDoesWhatWasAgreedOrSaysWhatMoved(t *testing.T) {
	h, w := newHouse(tree())
	seen, err := h.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := h.Plan(t.Context(), seen, ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h.commit(w, two, tree(with("e.py", "other")))
	if _, err := h.Apply(t.Context(), ApplyOptions{Agreed: &agreed}); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "revision: 1111111 -> 2222222") {
		t.Errorf("%v", err)
	}
	h.commit(w, one, tree())
	if r, err := h.Apply(t.Context(), ApplyOptions{Agreed: &agreed}); err != nil || r.Err() != nil || len(r.Outcomes) != 6 {
		t.Errorf("%v, %v", err, r.Err())
	}
}

// TestAPlanLeavesItsSnapshotAsItWas: what is found missing is the plan's, so that one
// snapshot may be planned twice, and for other targets.
func TestAPlanLeavesItsSnapshotAsItWas(t *testing.T) {
	h, _ := newHouse(tree())
	apply(t, h)
	seen, err := h.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	was := *seen
	if _, err := h.Plan(t.Context(), seen, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(was.Observed, seen.Observed) {
		t.Errorf("it was %+v and is %+v", was.Observed, seen.Observed)
	}
}

func TestAGateHoldsTheModelAndWhatServesIt(t *testing.T) {
	h, w := newHouse(tree(replaced("min: 0.8", "min: 0.95")))
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil || fault.Of(r.Err()) != fault.Refused || !strings.Contains(r.Err().Error(), "model/m") {
		t.Fatalf("%v, %v", err, r.Err())
	}
	if w.facts.Denied[ref("model/m")] == nil || len(w.served) != 0 {
		t.Errorf("served %v", w.served)
	}
}

func TestTheNewestDeploymentTellsTheLiveModel(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	first := w.facts.Latest[ref("model/m")].Model.Artifact.Digest
	seen, err := h.Preview(t.Context())
	if err != nil || seen.live(ref("model/m")).Digest != first || seen.live(ref("model/other")) != nil {
		t.Fatalf("%v", err)
	}
	b := Leaderboards(seen)
	if len(b) != 1 || b[0].Rows[0].Ref != ref("training/e:high") || !b[0].Rows[0].Live || !b[0].Rows[0].Selected || b[0].Rows[1].Delta["auc"] > -0.19 {
		t.Errorf("%+v", b)
	}
}

func TestWhatTheScanOfAModelFoundIsRecorded(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	found := map[ledger.Action]bool{}
	for ref, e := range w.facts.Latest {
		if e.Model == nil {
			continue
		}
		found[e.Action] = true
		if s := e.Model.Scan; s == nil || s.Version == "" || len(s.Files) != 1 || s.Files[0].Path != "model.json" || s.Files[0].Format != "json" {
			t.Errorf("%s: %+v", ref, s)
		}
	}
	if !found[ledger.Select] || !found[ledger.Deploy] {
		t.Errorf("a selection and a release are recorded, found %v", found)
	}
}

func TestTheWorstOutcomeIsTheResult(t *testing.T) {
	failed := execute.Outcome{Ref: ref("model/f"), End: execute.Failed, Error: fault.New(fault.Transient, "remote gone")}
	refused := execute.Outcome{Ref: ref("model/r"), End: execute.Held, Error: fault.New(fault.Refused, "no")}
	held := execute.Outcome{Ref: ref("model/h"), End: execute.Held}
	for _, c := range []struct {
		out  []execute.Outcome
		kind fault.Kind
	}{
		{[]execute.Outcome{held, refused, failed}, fault.Transient},
		{[]execute.Outcome{held, refused}, fault.Refused},
		{[]execute.Outcome{held, {End: execute.Ended}}, fault.Held},
	} {
		if err := (Result{Outcomes: c.out}).Err(); fault.Of(err) != c.kind {
			t.Errorf("%v: %v", c.out, err)
		}
	}
	if err := (Result{Outcomes: []execute.Outcome{{End: execute.Ended}, {End: execute.Kept}}}).Err(); err != nil {
		t.Error(err)
	}
}

func TestSettingsAreReadBesideBrokenDeclarations(t *testing.T) {
	p, tr, err := Settings(tree(replaced("kind: Model", "kind: Modle"), replaced("{name: p}\nspec: {", "{name: p}\nspec: {parallel: 7, ")))
	if err != nil || p.Parallel != 7 || tr != nil {
		t.Errorf("%+v, %v", p, err)
	}
	if _, _, err := Settings(fstest.MapFS{}); fault.Of(err) != fault.Missing || !strings.Contains(fault.HintOf(err), "vishwa init") {
		t.Errorf("%v", err)
	}
	if p, _, err := Settings(fstest.MapFS{"vishwa.yaml": {Data: []byte("{")}}); err != nil || p == nil {
		t.Errorf("%v", err)
	}
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("7", 64) + "\nsize 12345\n"
	if _, _, err := Settings(tree(with("trust.yaml", pointer))); fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "git lfs pull --include trust.yaml") {
		t.Errorf("a pointer of Git LFS: %v; %s", err, fault.HintOf(err))
	}
	if _, _, err := Settings(tree(with("trust.yaml", "kind: Nonsense\n"))); fault.Of(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}

func TestThereIsNothingToApproveWhereNoModelIsKnown(t *testing.T) {
	if _, err := Want(plan.Plan{Steps: []plan.Step{{Ref: ref("deployment/s"), Do: plan.Make, Pending: true}}}); fault.Of(err) != fault.Held {
		t.Error(err)
	}
	got, err := Want(plan.Plan{Steps: []plan.Step{{Ref: ref("deployment/s"), Do: plan.Make, Model: "m"}, {Ref: ref("deployment/r"), Do: plan.Retire, Model: "r"}}})
	if want := (map[schemas.Ref]digest.Digest{ref("deployment/s"): "m"}); err != nil || len(got) != 1 || got[ref("deployment/s")] != want[ref("deployment/s")] {
		t.Errorf("%v, %v", got, err)
	}
}
