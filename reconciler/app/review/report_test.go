// What a report says of runs: why one could not be begun is told for as long as it holds,
// and what kept it apart once it ran.

package review

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestRunsTellWhatKeptThemApartOrWhyTheyWereNotBegun(t *testing.T) {
	ref := schemas.Ref{Kind: "training", Name: "e", Output: "x"}
	recipe := &port.Recipe{Kind: "training", Command: []string{"python"}}
	key, err := recipe.Key()
	if err != nil {
		t.Fatal(err)
	}
	report := func(entries ...ledger.Entry) (state, text string, isolation *port.Isolation) {
		t.Helper()
		facts := &ledger.Facts{}
		for i, e := range append([]ledger.Entry{{Action: ledger.Genesis}}, entries...) {
			e.Seq, e.Prev, e.Actor, e.Ref, e.MadeBy = facts.Count, facts.Head, "controller:main", ref, recipe
			if i == 0 {
				e.Ref, e.MadeBy = schemas.Ref{}, nil
			}
			if err := facts.Fold(e, digest.Of([]byte{byte(i)})); err != nil {
				t.Fatal(err)
			}
		}
		p := &pass.Proposal{World: &pass.Snapshot{Observed: plan.Observed{Facts: facts}}, Plan: plan.Plan{Steps: []plan.Step{{Ref: ref, Do: plan.Make, Key: key, Why: "never made"}}}}
		all := runs(p, nil, 7)
		if len(all) != 1 {
			t.Fatalf("%d runs", len(all))
		}
		return all[0].State, all[0].Text, all[0].Isolation
	}
	refused := ledger.Entry{Action: ledger.Fail, PullRequest: &ledger.PullRequest{Pull: 7}, Failure: &ledger.Failure{Cause: string(port.BadEnv), Message: "it could not be begun: this machine cannot guarantee signals"}}
	if state, text, _ := report(refused); state != "waiting" || !strings.Contains(text, "the last time: it could not be begun: this machine cannot guarantee signals") {
		t.Errorf("%s: %s", state, text)
	}
	refused.PullRequest = &ledger.PullRequest{Pull: 8}
	if _, text, _ := report(refused); text != "never made" {
		t.Errorf("of another pull request: %s", text)
	}
	ran := ledger.Entry{Action: ledger.Train, Key: key, PullRequest: &ledger.PullRequest{Pull: 7}, Run: &ledger.Run{Started: time.Unix(1, 0), Finished: time.Unix(3, 0), Isolation: &port.Isolation{Level: "namespaces", Network: "none"}}}
	if state, _, apart := report(ran); state != "done" || apart == nil || apart.Level != "namespaces" {
		t.Errorf("%s: %v", state, apart)
	}
}
