// What is recorded of windows, where several measure at once.

package measure

import (
	"context"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// book is a ledger that keeps the newest entry of each ref.
type book map[schemas.Ref]*ledger.Entry

func (b book) Facts(context.Context) (*ledger.Facts, error) { return &ledger.Facts{Observed: b}, nil }

func (b book) Append(_ context.Context, e ledger.Entry) (ledger.Entry, error) {
	b[e.Ref] = &e
	return e, nil
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
	all := book{}
	b := &Bench{Reconciler: &pass.Reconciler{}}
	b.Now = func() time.Time { return noon }
	b.Ledger = all
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
	for _, p := range all[ref].Watched.Proposals {
		got += p.SHA
	}
	if got != "cba" || len(third.Watched.Proposals) != 3 {
		t.Errorf("proposals %q are known, want cba", got)
	}
}
