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

// A window of a day that is measured each hour is one window a day.
func TestWindowsThatShareRowsCountOnce(t *testing.T) {
	day := 24 * time.Hour
	begun := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	var last *ledger.Watched
	measure := func(at time.Duration, verdict ledger.Standing) *ledger.Watched {
		w := &ledger.Watched{Verdict: verdict, Evidence: digest.Of([]byte(at.String())), First: begun.Add(at - day), Last: begun.Add(at - time.Second)}
		Succeed(last, w, 3)
		w.Persists = Persists(w.Verdict, w.Before, 3)
		last = w
		return w
	}
	for h := range 24 {
		if w := measure(time.Duration(h)*time.Hour, ledger.Drifted); w.Persists || len(w.Before) != 0 {
			t.Fatalf("after %d hours: %+v", h, w)
		}
	}
	for h := 24; h < 48; h++ {
		if w := measure(time.Duration(h)*time.Hour, ledger.Drifted); w.Persists || len(w.Before) != 1 {
			t.Fatalf("after %d hours: %+v", h, w)
		}
	}
	if w := measure(48*time.Hour, ledger.Drifted); !w.Persists || len(w.Before) != 2 {
		t.Fatalf("after two days: %+v", w)
	}
	if w := measure(49*time.Hour, ledger.Drifted); !w.Persists || len(w.Counted) > 3 {
		t.Errorf("an hour later: %+v", w)
	}
	again := *last
	Succeed(last, &again, 3)
	if len(again.Before) != len(last.Before) {
		t.Errorf("the same window again: %+v", again)
	}
	// what an earlier vishwa recorded knows no times, and counts as it did
	old := &ledger.Watched{Verdict: ledger.Drifted, Evidence: "a", Before: []ledger.Standing{ledger.Drifted}}
	now := &ledger.Watched{Verdict: ledger.Drifted, Evidence: "b", First: begun, Last: begun}
	if Succeed(old, now, 3); !Persists(now.Verdict, now.Before, 3) {
		t.Errorf("windows without times: %+v", now)
	}
}
