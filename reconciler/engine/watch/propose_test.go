// When a retraining is proposed, and when it is not.

package watch

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

func TestARetrainingIsProposedOnceAndWithinItsBounds(t *testing.T) {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	e := Evidence{Columns: []drift.Column{{Name: "area", Verdict: drift.Drift}}}
	ago := func(days int, cause string) ledger.Proposed {
		return ledger.Proposed{Cause: digest.Of([]byte(cause)), Time: now.Add(-time.Duration(days) * 24 * time.Hour)}
	}
	for name, c := range map[string]struct {
		change func(*schemas.Monitor, *Evidence, *ledger.Watched)
		want   string
	}{
		"it is":               {func(*schemas.Monitor, *Evidence, *ledger.Watched) {}, ""},
		"nothing is declared": {func(m *schemas.Monitor, _ *Evidence, _ *ledger.Watched) { m.OnDrift = nil }, "not declared"},
		"it is well":          {func(_ *schemas.Monitor, _ *Evidence, w *ledger.Watched) { w.Verdict = ledger.Well }, "nothing has drifted"},
		"one window":          {func(_ *schemas.Monitor, _ *Evidence, w *ledger.Watched) { w.Persists = false }, "long enough"},
		"few outcomes":        {func(_ *schemas.Monitor, e *Evidence, _ *ledger.Watched) { e.Labels = &Coverage{Share: 0.2} }, "20 %"},
		"the same again": {func(_ *schemas.Monitor, e *Evidence, w *ledger.Watched) {
			w.Proposals = []ledger.Proposed{{Cause: Cause(*e), Time: now.Add(-1000 * time.Hour)}}
		}, "same reason"},
		"too soon":      {func(_ *schemas.Monitor, _ *Evidence, w *ledger.Watched) { w.Proposals = []ledger.Proposed{ago(6, "a")} }, "waits for"},
		"after a while": {func(_ *schemas.Monitor, _ *Evidence, w *ledger.Watched) { w.Proposals = []ledger.Proposed{ago(8, "a")} }, ""},
		"too many": {func(_ *schemas.Monitor, _ *Evidence, w *ledger.Watched) {
			w.Proposals = []ledger.Proposed{ago(8, "a"), ago(80, "b")}
		}, "no more"},
		"old ones count no more": {func(_ *schemas.Monitor, _ *Evidence, w *ledger.Watched) {
			w.Proposals = []ledger.Proposed{ago(8, "a"), ago(91, "b")}
		}, ""},
	} {
		m := &schemas.Monitor{OnDrift: &schemas.OnDrift{Budget: &schemas.Budget{Max: 2, Per: "90d"}}}
		found, w := e, ledger.Watched{Verdict: ledger.Drifted, Persists: true}
		c.change(m, &found, &w)
		if got := Refuses(m, found, w, now); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What the ledger does not keep, no budget counts.
func TestTheLedgerKeepsAsManyProposalsAsABudgetMayAllow(t *testing.T) {
	max, _ := reflect.TypeFor[schemas.Budget]().FieldByName("Max")
	if want := fmt.Sprintf("maximum=%d", ledger.MostProposals); !strings.Contains(max.Tag.Get("jsonschema"), want) {
		t.Errorf("a budget is bounded by %s, and not by %s", max.Tag.Get("jsonschema"), want)
	}
}

func TestTheCauseIsOfWhatWasFoundAndNotOfTheRows(t *testing.T) {
	a := Evidence{Columns: []drift.Column{{Name: "b", Verdict: drift.Drift}, {Name: "a", Verdict: drift.Drift}}, Window: Data{Rows: 1}}
	b := Evidence{Columns: []drift.Column{{Name: "a", Verdict: drift.Drift}, {Name: "b", Verdict: drift.Drift}, {Name: "c", Verdict: drift.Stable}}, Window: Data{Rows: 2}}
	if Cause(a) != Cause(b) {
		t.Error("other rows are another cause")
	}
	b.Model = digest.Of([]byte("another"))
	if Cause(a) == Cause(b) {
		t.Error("another model is the same cause")
	}
}

func TestAReasonHoldsNoMoreThanPlainNames(t *testing.T) {
	e := Evidence{Columns: []drift.Column{{Name: "area", Verdict: drift.Drift}, {Name: "x\"}\nspec: {", Verdict: drift.Drift}}}
	if got := Reason(e, 11); got != "drift of area in entry 11" {
		t.Errorf("%q", got)
	}
}
