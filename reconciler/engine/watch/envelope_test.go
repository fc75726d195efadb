// What is merged without a person: the very proposal of a monitor, within all bounds of its base. A
// row each for what somebody who writes pull requests may try.

package watch

import (
	"context"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	proposed = "1111111111111111111111111111111111111111"
	other    = "2222222222222222222222222222222222222222"
	trunk    = "3333333333333333333333333333333333333333"
)

const watched = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: p}
spec: {environments: {staging: {envelope: true}, production: {approvals: 1}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata: {name: d}
spec: {source: {path: d.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata: {name: v}
spec: {source: {path: v.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: e}
spec: {run: [python, e.py], code: [e.py], inputs: {d: dataset/d}, timeout: 5m}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: m}
spec: {from: training/e, select: {metric: auc}, evaluate: {run: [python, v.py], code: [v.py], rows: {test: dataset/v}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: s}
spec: {model: model/m, environment: staging, target: {local: {run: [python, s.py], code: [s.py]}}}
`

func declaredGraph(t *testing.T, change ...string) graph.Graph {
	t.Helper()
	text := strings.NewReplacer(change...).Replace(watched)
	files := fstest.MapFS{}
	for _, p := range []string{"d.csv", "v.csv", "e.py", "v.py", "s.py"} {
		files[p] = &fstest.MapFile{Data: []byte(p)}
		if strings.HasPrefix(text, "#"+p) { // its bytes move
			files[p].Data = []byte("other")
		}
	}
	files["vishwa.yaml"] = &fstest.MapFile{Data: []byte(text)}
	decls, problems := schemas.Load(context.Background(), files)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	pins, problems := graph.Survey(files, decls)
	g, more := graph.Build(decls, pins)
	if problems = append(problems, more...); len(problems) > 0 {
		t.Fatal(problems)
	}
	return g
}

// begins has the bytes of a file move.
func begins(file string) []string {
	return []string{"apiVersion: vishwa.dev/v1alpha1\nkind: Project", "#" + file + "\napiVersion: vishwa.dev/v1alpha1\nkind: Project"}
}

func recordedAs(t *testing.T, list ...ledger.Entry) *ledger.Facts {
	t.Helper()
	facts := &ledger.Facts{}
	for i, e := range append([]ledger.Entry{{Action: ledger.Genesis}}, list...) {
		e.Seq, e.Prev = int64(i), facts.Head
		if err := facts.Fold(e, digest.Of([]byte{byte(i)})); err != nil {
			t.Fatal(err)
		}
	}
	return facts
}

func observed(all ...ledger.Proposed) ledger.Entry {
	return ledger.Entry{Action: ledger.Observe, Ref: monitorRef, Watched: &ledger.Watched{Proposals: all}}
}

var selectionKey = digest.Of([]byte("k"))

var monitorRef = schemas.Ref{Kind: "monitor", Name: "w"}

func TestOnlyAProposalWithinItsEnvelopeIsMergedWithoutAPerson(t *testing.T) {
	number := func(v float64) *float64 { return &v }
	mine := ledger.Proposed{SHA: proposed, Branch: "vishwa/retrain/main/e", Pull: 7, Time: time.Unix(1, 0)}
	data, model := schemas.Ref{Kind: "dataset", Name: "d"}, schemas.Ref{Kind: "model", Name: "m"}
	champion := digest.Of([]byte("c"))
	selected := ledger.Entry{Action: ledger.Select, Ref: model, Key: selectionKey, Model: &ledger.Model{Artifact: port.Artifact{Digest: champion}},
		Scores: []ledger.Score{{Rows: "test", Data: digest.Of(nil), Metrics: map[string]float64{"auc": 0.895}}}}
	served := ledger.Entry{Action: ledger.Deploy, Ref: schemas.Ref{Kind: "deployment", Name: "s"}, Key: digest.Of([]byte("s")), Model: selected.Model,
		Release: &ledger.Release{Environment: "staging", Selected: selected.Key}}
	recordedAs := func(t *testing.T, list ...ledger.Entry) *ledger.Facts {
		t.Helper()
		return recordedAs(t, append([]ledger.Entry{selected, served}, list...)...)
	}
	deploy := plan.Step{Ref: schemas.Ref{Kind: "deployment", Name: "s"}, Do: plan.Remake}
	good := func() Retraining {
		return Retraining{
			Monitor: monitorRef, Model: model, BaseSHA: trunk, Commits: []string{proposed}, Facts: recordedAs(t, observed(mine)),
			Envelope: schemas.Envelope{Data: []schemas.Ref{data}, Metrics: []schemas.EnvelopeMetric{{Metric: "auc", Rows: "test", Down: number(0.01), Up: number(0.1), Min: number(0.8)}}},
			Pull:     port.PullRequest{Number: 7, Base: "main", Head: mine.Branch, HeadSHA: proposed},
			Base:     declaredGraph(t), Head: declaredGraph(t, begins("d.csv")...),
			Plan:   plan.Plan{Steps: []plan.Step{deploy}},
			Scores: []ledger.Score{{Rows: "test", Data: digest.Of(nil), Metrics: map[string]float64{"auc": 0.9}, Champion: champion, ChampionMetrics: map[string]float64{"auc": 0.895}}},
		}
	}
	for name, c := range map[string]struct {
		change func(*Retraining)
		want   string // "" is that it is merged
	}{
		"the proposal itself": {func(*Retraining) {}, ""},
		"another round, where the envelope lets rounds by": {func(r *Retraining) {
			r.Head, r.Envelope.Rounds = declaredGraph(t, "timeout: 5m", "timeout: 5m, round: {number: 1, reason: drift}"), true
		}, ""},

		"within the envelope of another monitor too": {func(r *Retraining) {
			r.Others = map[schemas.Ref]schemas.Envelope{{Kind: "monitor", Name: "x"}: r.Envelope}
		}, ""},

		// Somebody says no, or another monitor's envelope does.
		"cancelled by a command": {func(r *Retraining) { r.Cancelled = true }, "somebody said /vishwa cancel"},
		"another monitor's bounds": {func(r *Retraining) {
			e := r.Envelope
			e.Metrics = []schemas.EnvelopeMetric{{Metric: "auc", Rows: "test", Down: number(0.01), Up: number(0.001)}}
			r.Others = map[schemas.Ref]schemas.Envelope{{Kind: "monitor", Name: "x"}: e}
		}, "more than it may move (by the envelope of monitor/x"},
		"another monitor's data": {func(r *Retraining) {
			r.Others = map[schemas.Ref]schemas.Envelope{{Kind: "monitor", Name: "x"}: {Rounds: true, Metrics: r.Envelope.Metrics}}
		}, "which the envelope does not name (by the envelope of monitor/x"},

		// Somebody imitates a proposal.
		"a commit of somebody else on its branch":       {func(r *Retraining) { r.Pull.HeadSHA, r.Commits = other, []string{other} }, "not the one that monitor/w proposed"},
		"the branch's name in a fork":                   {func(r *Retraining) { r.Pull.Fork = true }, "not the one that monitor/w proposed"},
		"the commit on a branch of another name":        {func(r *Retraining) { r.Pull.Head = "vishwa/retrain/main/x" }, "not the one that monitor/w proposed"},
		"a second pull request of the commit":           {func(r *Retraining) { r.Pull.Number = 8 }, "proposed as pull request 7"},
		"nothing was proposed":                          {func(r *Retraining) { r.Facts = recordedAs(t) }, "not the one that monitor/w proposed"},
		"another monitor proposed it":                   {func(r *Retraining) { r.Monitor.Name = "x" }, "not the one that monitor/x proposed"},
		"commits of others were on its branch":          {func(r *Retraining) { m := mine; m.Others = true; r.Facts = recordedAs(t, observed(m)) }, "commits of others"},
		"a branch that has the name of a merge queue's": {func(r *Retraining) { r.Queued = true }, "a branch of a merge queue has it"},
		// It is edited after the check.
		"a commit on top of it": {func(r *Retraining) { r.Pull.HeadSHA, r.Commits = other, []string{other, proposed} }, "not the one that monitor/w proposed"},
		"a commit below it":     {func(r *Retraining) { r.Commits = []string{proposed, other} }, "one commit on top of main"},
		// It widens the envelope, or something else, in the same change.
		"the policy":                 {func(r *Retraining) { r.Alters = []string{"policy"} }, "changes what judges it: policy"},
		"the pin of another dataset": {func(r *Retraining) { r.Head = declaredGraph(t, begins("v.csv")...) }, "the pin of dataset/v moves"},
		"the training's code":        {func(r *Retraining) { r.Head = declaredGraph(t, begins("e.py")...) }, "more than a pin or a round of training/e"},
		"how the model is scored":    {func(r *Retraining) { r.Head = declaredGraph(t, begins("v.py")...) }, "more than a pin or a round of model/m"},
		"what serves":                {func(r *Retraining) { r.Head = declaredGraph(t, begins("s.py")...) }, "more than a pin or a round of deployment/s"},
		"where the training may run": {func(r *Retraining) { r.Head = declaredGraph(t, "timeout: 5m", "timeout: 9m") }, "more than a pin or a round of training/e"},
		"a round with parameters": {func(r *Retraining) {
			r.Head, r.Envelope.Rounds = declaredGraph(t, "timeout: 5m", "timeout: 5m, round: {number: 1}, params: {c: 1}"), true
		}, "more than a pin or a round"},
		"a round that the envelope does not name": {func(r *Retraining) { r.Head = declaredGraph(t, "timeout: 5m", "timeout: 5m, round: {number: 1}") }, "the round of training/e"},
		"a label": {func(r *Retraining) {
			r.Head = declaredGraph(t, "metadata: {name: e}", "metadata: {name: e, labels: {a: b}}")
		}, "more than a pin or a round of training/e"},
		"one more deployment": {func(r *Retraining) {
			r.Head = declaredGraph(t, "kind: Deployment\nmetadata: {name: s}", "kind: Deployment\nmetadata: {name: x}")
		}, "deployment/x is new"},
		"one deployment less": {func(r *Retraining) {
			r.Head = declaredGraph(t, "kind: Deployment\nmetadata: {name: s}", "kind: Deployment\nmetadata: {name: x}")
		}, "deployment/s is taken away"},
		"nothing at all": {func(r *Retraining) { r.Head = declaredGraph(t) }, "moves nothing"},
		// The base moves under it.
		"another base than its parent":            {func(r *Retraining) { r.Commits = []string{proposed, trunk} }, "one commit on top of main"},
		"an environment that does not ask for it": {func(r *Retraining) { r.Base = declaredGraph(t, "{envelope: true}", "{}") }, "staging is not one that asks for it"},
		"an environment that the change alone opens": {func(r *Retraining) {
			r.Base = declaredGraph(t, "{envelope: true}", "{}")
			r.Head = declaredGraph(t, begins("d.csv")...)
		}, "staging is not one that asks for it"},
		// It is replayed.
		"a proposal of before": {func(r *Retraining) {
			r.Facts = recordedAs(t, observed(ledger.Proposed{SHA: other, Branch: mine.Branch, Pull: 9, Time: time.Unix(2, 0)}, mine))
		}, "not the one that monitor/w proposed"},
		"one that was merged before": {func(r *Retraining) {
			e, err := r.Entry()
			if err != nil {
				t.Fatal(err)
			}
			r.Facts = recordedAs(t, observed(mine), e)
		}, "merged within the envelope before, by entry 4"},
		"one that was closed":                 {func(r *Retraining) { r.Pull.Closed = true }, "closed"},
		"a draft":                             {func(r *Retraining) { r.Pull.Draft = true }, "draft"},
		"one of which people ask for changes": {func(r *Retraining) { r.Rejected = []string{"ben"} }, "changes are asked for by ben"},

		// Bounds.
		"a metric that falls too far": {func(r *Retraining) { r.Scores[0].ChampionMetrics["auc"] = 0.92 }, "goes from 0.92 to 0.9"},
		"a metric that rises too far": {func(r *Retraining) { r.Scores[0].Metrics["auc"] = 0.999 }, "goes from 0.895 to 0.999"},
		"a metric below its bound": {func(r *Retraining) {
			maps.Copy(r.Scores[0].Metrics, map[string]float64{"auc": 0.79})
			r.Scores[0].ChampionMetrics["auc"] = 0.795
		}, "out of its bounds"},
		"rows of before on which it falls": {func(r *Retraining) {
			s := r.Scores[0]
			s.Before, s.Metrics = true, map[string]float64{"auc": 0.85}
			r.Scores = append(r.Scores, s)
		}, "goes from 0.895 to 0.85"},
		"rows that moved, and are those of before nowhere": {func(r *Retraining) { r.Scores[0].Data = digest.Of([]byte("friendly")) }, "not scored on the rows test that the one which is served was selected with"},
		"rows that moved, with those of before": {func(r *Retraining) {
			s := r.Scores[0]
			r.Scores[0].Data = digest.Of([]byte("friendly"))
			s.Before = true
			r.Scores = append(r.Scores, s)
		}, ""},
		"rows that somebody else's pull request had the served bytes selected with": {func(r *Retraining) {
			theirs := selected
			theirs.Key, theirs.PullRequest = digest.Of([]byte("theirs")), &ledger.PullRequest{Pull: 9}
			theirs.Scores = []ledger.Score{{Rows: "test", Data: digest.Of([]byte("friendly")), Metrics: map[string]float64{"auc": 0.895}}}
			r.Facts = recordedAs(t, theirs, observed(mine))
			r.Scores[0].Data = theirs.Scores[0].Data
		}, "not scored on the rows test that the one which is served was selected with"},
		"answers that both are scored with": {func(r *Retraining) {
			with := []string{"rows: {test: dataset/v}", "rows: {test: dataset/v}, inputs: {answers: dataset/d}"}
			r.Base, r.Head = declaredGraph(t, with...), declaredGraph(t, append(with, begins("d.csv")...)...)
		}, "the pin of dataset/d moves, and model/m is scored with it"},
		"no scores":                   {func(r *Retraining) { r.Scores = nil }, "auc on test is not scored"},
		"no champion":                 {func(r *Retraining) { r.Scores[0].Champion = "" }, "not known of both models"},
		"a metric of one model alone": {func(r *Retraining) { delete(r.Scores[0].ChampionMetrics, "auc") }, "not known of both models"},
		"no bounds":                   {func(r *Retraining) { r.Envelope.Metrics = nil }, "bounds no metric"},
		// What is left to do.
		"a run that is not made": {func(r *Retraining) {
			r.Plan.Steps = append(r.Plan.Steps, plan.Step{Ref: model, Do: plan.Remake, Held: "model/gate: x"})
		}, "model/m is not made: model/gate: x"},
		"a deployment of another model": {func(r *Retraining) { r.Model.Name = "x" }, "deployment/s would be changed too"},
		"something that goes": {func(r *Retraining) {
			r.Plan.Steps = append(r.Plan.Steps, plan.Step{Ref: schemas.Ref{Kind: "deployment", Name: "old"}, Do: plan.Retire})
		}, "deployment/old would be changed too"},
		"a deployment that rules hold":            {func(r *Retraining) { r.Plan.Steps[0].Held = "team/frozen: no" }, "is held: team/frozen"},
		"a deployment that waits for an approval": {func(r *Retraining) { r.Plan.Steps[0].Held = "deployment/approval: production needs 1" }, ""},
	} {
		r := good()
		c.change(&r)
		got := strings.Join(r.Outside(), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
