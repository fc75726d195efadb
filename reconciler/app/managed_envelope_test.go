// Which envelope a proposal is judged by, where several monitors watch models of one training.

package app

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const watchedTwice = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: p}
spec: {environments: {staging: {envelope: true}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata: {name: d}
spec: {source: {path: d.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: e}
spec: {run: [python, e.py], code: [e.py], inputs: {d: dataset/d}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: m}
spec: {from: training/e, select: {metric: auc}, evaluate: {run: [python, e.py], code: [e.py], rows: {test: dataset/d}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: s}
spec: {model: model/m, environment: staging, target: {local: {run: [python, e.py], code: [e.py]}}}
`

func TestAProposalIsJudgedByTheEnvelopeOfItsMonitorAndOfOthers(t *testing.T) {
	monitor := func(name, answer string) string {
		return "---\napiVersion: vishwa.dev/v1alpha1\nkind: Monitor\nmetadata: {name: " + name + "}\nspec:\n  deployment: deployment/s\n  reference: dataset/d\n" + answer
	}
	const within = "  onDrift: {retrain: within-envelope}\n  envelope: {description: a, protocol: b, impact: c, rounds: true, metrics: [{metric: auc, rows: test, down: 0.1, up: 0.1}]}\n"
	ref := func(name string) schemas.Ref { return schemas.Ref{Kind: schemas.KindMonitor, Name: name} }
	proposed := func(sha string) *ledger.Entry {
		return &ledger.Entry{Watched: &ledger.Watched{Proposals: []ledger.Proposed{{SHA: sha}, {SHA: "older"}}}}
	}
	facts := &ledger.Facts{Observed: map[schemas.Ref]*ledger.Entry{ref("a"): proposed("of-a"), ref("b"): proposed("of-b")}}
	for name, c := range map[string]struct {
		declared, sha string
		by            string
		others        []string
	}{
		"none":                           {monitor("a", ""), "of-a", "", nil},
		"one that asks people":           {monitor("a", "  onDrift: {retrain: pull-request}\n"), "of-a", "", nil},
		"one":                            {monitor("a", within), "of-a", "a", nil},
		"beside one that asks people":    {monitor("a", within) + monitor("b", "  onDrift: {retrain: pull-request}\n"), "of-b", "a", nil},
		"beside one that proposes none":  {monitor("a", within) + monitor("b", ""), "of-a", "a", nil},
		"two, and the first proposed it": {monitor("a", within) + monitor("b", within), "of-a", "a", []string{"b"}},
		"two, and the other one did":     {monitor("a", within) + monitor("b", within), "of-b", "b", []string{"a"}},
		"two, and neither did":           {monitor("a", within) + monitor("b", within), "older", "a", []string{"b"}},
	} {
		files := fstest.MapFS{"vishwa.yaml": {Data: []byte(watchedTwice + c.declared)}, "d.csv": {Data: []byte("x\n1\n")}, "e.py": {Data: []byte("#\n")}}
		decls, problems := schemas.Load(context.Background(), files)
		if len(problems) > 0 {
			t.Fatal(name, problems)
		}
		got, spec, others := enveloped(&pass.Intent{Decls: decls}, port.PullRequest{Base: "main", Head: "vishwa/retrain/main/e", HeadSHA: c.sha}, facts)
		var names []string
		for _, r := range slices.SortedFunc(maps.Keys(others), schemas.Ref.Compare) {
			names = append(names, r.Name)
		}
		if got.Name != c.by || (spec != nil) != (c.by != "") || !slices.Equal(names, c.others) {
			t.Errorf("%s: %q and %v, want %q and %v", name, got.Name, names, c.by, c.others)
		}
	}
}
