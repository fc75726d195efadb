// What others change of a stack sets no pace, and says nothing to people in words of its own.

package watch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// However often a stack drifts and is put back, that is one incident, which ends and goes on at most once a day.
func TestAStackThatIsChangedAgainAndAgainIsOneIncident(t *testing.T) {
	stack := schemas.Ref{Kind: schemas.KindInfrastructure, Name: "base"}
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	var all []ledger.Incident
	news := 0
	look := func(drift ...string) {
		at = at.Add(5 * time.Minute)
		next, is := StackIncidents(stack, all, ledger.Stack{Drift: drift, Drifting: len(drift)}, at)
		if all = next; !is {
			return
		}
		news++
		for _, i := range all { // and people are told at once
			all = Told(all, i.ID, !i.Over.IsZero(), []string{"team"})
		}
	}
	look("a.b")
	first := all[0].ID
	for range 3 * 24 * 6 { // of three days
		look()
		look("a.b")
	}
	if len(all) != 1 || all[0].ID != first || news > 8 {
		t.Errorf("%d times something was new, and incidents are %+v", news, all)
	}
	at = at.Add(24 * time.Hour)
	look()
	if all[0].Over.IsZero() {
		t.Errorf("a day later it is in order, and goes on: %+v", all)
	}
	at = at.Add(24 * time.Hour)
	look("a.b")
	if len(all) != 1 || all[0].ID == first || !all[0].Again.IsZero() {
		t.Errorf("what drifts a day after the end is another incident: %+v", all)
	}
	at = at.Add(time.Minute)
	if look(); all[0].Over.IsZero() {
		t.Errorf("the first time it is over at once: %+v", all)
	}
}

func TestAddressesThatArePlainAreNoLinks(t *testing.T) {
	plain := []string{`aws_s3_bucket.models`, `module.a.b_c.d["key/of:it"]`, "b.c[0]"}
	for _, bad := range []string{`x.y["https://evil.example/login"]`, `x.y["//evil.example"]`, `x.y["www.evil.example"]`, "x.y[\"a b\"]", "x.y[\"`\"]", `x.y["<!here>"]`, "x." + strings.Repeat("y", 120)} {
		if got := PlainAddresses(append([]string{bad}, plain...)); !slices.Equal(got, plain) {
			t.Errorf("of %q and plain ones: %q", bad, got)
		}
	}
}
