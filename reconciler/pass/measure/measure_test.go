// What is recorded of windows, where several measure at once.

package measure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// book is a ledger that keeps the newest entry of each ref. Whoever is quick records before the next entry.
type book struct {
	newest map[schemas.Ref]*ledger.Entry
	quick  func()
}

func (b *book) Facts(context.Context) (*ledger.Facts, error) {
	return &ledger.Facts{Observed: maps.Clone(b.newest)}, nil
}

func (b *book) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	if quick := b.quick; quick != nil {
		b.quick = nil
		quick()
	}
	facts, _ := b.Facts(ctx)
	if err := ledger.Stale(facts, e); err != nil {
		return e, err
	}
	e.Seq = 1
	if last := b.newest[e.Ref]; last != nil {
		e.Seq = last.Seq + 1
	}
	b.newest[e.Ref] = &e
	return e, nil
}

func bench(all *book, now time.Time) *Bench {
	b := &Bench{Reconciler: &pass.Reconciler{}}
	b.Now, b.Ledger = func() time.Time { return now }, all
	return b
}

// What is recorded of a window that another controller was faster with: neither its window, nor
// whom it told, nor what it proposed is copied over.
func TestWhoeverIsFasterLosesNothing(t *testing.T) {
	ref := schemas.Ref{Kind: schemas.KindMonitor, Name: "homes"}
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	window := func(name string, v ledger.Standing) *Measured {
		d := digest.Of([]byte(name))
		return &Measured{Ref: ref, Name: d, Watched: ledger.Watched{Evidence: d, Verdict: v}}
	}
	all := &book{newest: map[schemas.Ref]*ledger.Entry{}}
	one, other := bench(all, now), bench(all, now.Add(time.Minute))
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	found := window("found", ledger.Drifted)
	must(one.Record(ctx, found, "r"))
	incident := all.newest[ref].Watched.Incidents[0]
	all.quick = func() { must(other.Record(ctx, window("newer", ledger.Drifted), "r")) }
	must(one.RecordTold(ctx, ref, incident, []string{"team"}, "r"))
	all.quick = func() { must(other.RecordTold(ctx, ref, incident, []string{"manager"}, "r")) }
	must(one.RecordProposal(ctx, found, ledger.Proposed{SHA: "sha", Time: now}, "r"))
	got := all.newest[ref].Watched
	if got.Evidence != digest.Of([]byte("newer")) || len(got.Proposals) != 1 || len(got.Incidents) != 1 || !slices.Equal(got.Incidents[0].Told, []string{"team", "manager"}) {
		t.Errorf("what is recorded last is %+v", got)
	}
	for n := range mostTries {
		again := all.quick
		all.quick = func() {
			must(other.Record(ctx, window(fmt.Sprint("busy", n), ledger.Drifted), "r"))
			all.quick = again
		}
	}
	if err := one.Record(ctx, window("late", ledger.Well), "r"); fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Errorf("where others are faster all the time: %v", err)
	}
}

// Whoever began to measure before a proposal was recorded takes it off no budget.
func TestWindowsThatAreMeasuredAtOnceLoseNoProposal(t *testing.T) {
	ref := schemas.Ref{Kind: schemas.KindMonitor, Name: "homes"}
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	made := func(cause string, hours int) ledger.Proposed {
		d := digest.Of([]byte(cause))
		return ledger.Proposed{Cause: d, Time: noon.Add(time.Duration(hours) * time.Hour), Branch: "vishwa/retrain/main/price", SHA: cause}
	}
	window := func(name string) Measured {
		return Measured{Ref: ref, Name: digest.Of([]byte(name)), Watched: ledger.Watched{Evidence: digest.Of([]byte(name)), Verdict: ledger.Drifted}}
	}
	all := &book{newest: map[schemas.Ref]*ledger.Entry{}}
	b := bench(all, noon)
	one, other, third := window("one"), window("other"), window("third") // each was read before any is recorded
	ctx := t.Context()
	for _, err := range []error{
		b.Record(ctx, &one, "r"), b.RecordProposal(ctx, &one, made("a", 0), "r"),
		b.Record(ctx, &other, "r"), b.RecordProposal(ctx, &other, made("b", 1), "r"), b.RecordProposal(ctx, &one, made("c", 2), "r"),
		b.Record(ctx, &third, "r"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got string
	for _, p := range all.newest[ref].Watched.Proposals {
		got += p.SHA
	}
	if got != "cba" || len(third.Watched.Proposals) != 3 {
		t.Errorf("proposals %q are known, want cba", got)
	}
}
