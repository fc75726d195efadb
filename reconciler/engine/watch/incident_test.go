// When incidents begin and end, and who is still to be told.

package watch

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

var homes = schemas.Ref{Kind: schemas.KindMonitor, Name: "homes"}

func TestAnIncidentLastsFromTheFirstFindingUntilAWindowIsWell(t *testing.T) {
	at := time.Date(2026, 7, 1, 0, 0, 0, 500, time.UTC)
	var all []ledger.Incident
	see := func(v ledger.Standing) []ledger.Incident {
		at = at.Add(time.Hour)
		all = Incidents(homes, all, ledger.Watched{Verdict: v, Evidence: digest.Of([]byte(at.String()))}, at)
		return all
	}
	if len(see(ledger.Unknown)) != 0 || len(see(ledger.Well)) != 0 {
		t.Fatalf("nothing was found: %+v", all)
	}
	first := see(ledger.Drifted)[0].ID
	for _, v := range []ledger.Standing{ledger.Drifted, ledger.Unknown, ledger.Drifted} {
		if got := see(v); len(got) != 1 || got[0].ID != first || !got[0].Over.IsZero() {
			t.Fatalf("after %s: %+v", v, got)
		}
	}
	if got := see(ledger.Faulty); len(got) != 2 || got[1].Finding != ledger.Faulty {
		t.Fatalf("another finding is another incident: %+v", got)
	}
	all = Told(all, first, false, []string{"team"})
	if got := see(ledger.Well); len(got) != 1 || got[0].ID != first || got[0].Over.IsZero() || !Untold(got[0], "team") || Untold(got[0], "other") {
		t.Fatalf("who was told that it began is told that it is over, and nobody else: %+v", got)
	}
	over := all[0].Over
	if got := see(ledger.Drifted); len(got) != 2 || got[0].Over != over || got[1].ID == first {
		t.Fatalf("what drifts again is a new incident: %+v", got)
	}
	all = Told(all, first, true, []string{"team"})
	if got := see(ledger.Drifted); len(got) != 1 || got[0].ID == first {
		t.Fatalf("what all were told of is forgotten: %+v", got)
	}
}

// Whatever is measured, each finding has one incident at most that is not over, a receiver that
// takes what it is told is told of each beginning and each end once, and the list stays short.
func TestEachReceiverIsToldOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
		var all []ledger.Incident
		began, ended := map[string]int{}, map[string]int{}
		for range rapid.IntRange(1, 60).Draw(t, "windows") {
			at = at.Add(time.Hour)
			v := rapid.SampledFrom([]ledger.Standing{ledger.Well, ledger.Drifted, ledger.Faulty, ledger.Unknown}).Draw(t, "verdict")
			all = Incidents(homes, all, ledger.Watched{Verdict: v, Evidence: digest.Of([]byte(at.String()))}, at)
			open := map[ledger.Standing]int{}
			for _, i := range slices.Clone(all) {
				if i.Over.IsZero() {
					open[i.Finding]++
				}
				if rapid.Bool().Draw(t, "it answers") && Untold(i, "team") {
					if i.Over.IsZero() {
						began[i.ID]++
					} else {
						ended[i.ID]++
					}
					all = Told(all, i.ID, !i.Over.IsZero(), []string{"team"})
				}
			}
			for finding, n := range open {
				if n > 1 {
					t.Fatalf("%d incidents of %s are open", n, finding)
				}
			}
			if len(all) > mostIncidents {
				t.Fatalf("%d are kept", len(all))
			}
		}
		for id, n := range ended {
			if n != 1 || began[id] != 1 {
				t.Fatalf("%s began %d times and ended %d times", id, began[id], n)
			}
		}
		for id, n := range began {
			if n != 1 {
				t.Fatalf("%s began %d times", id, n)
			}
		}
	})
}

func TestAnAlertNamesNoMoreThanPlainColumns(t *testing.T) {
	got := PlainColumns(ledger.Watched{Drift: []string{"area", "<!channel>", "@all", "[x](http://evil)"}})
	if !slices.Equal(got, []string{"area"}) {
		t.Errorf("%q", got)
	}
}
