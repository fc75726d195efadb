// What an approval is worth once what it was for has been done, or was found worse.

package guard

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/schemas"
)

// TestWhatWasFoundWorseSpendsItsApproval: by an analysis or by a person; a retry does not bring the word back, a new
// word counts, and steps that go on, a pause, or an end for another reason spend nothing.
func TestWhatWasFoundWorseSpendsItsApproval(t *testing.T) {
	ref := schemas.Ref{Kind: "deployment", Name: "s"}
	key := digest.Of([]byte("now"))
	for phase, spends := range map[rollout.Phase]bool{rollout.Progressing: false, rollout.Paused: false, rollout.Held: false, rollout.Ended: false, rollout.RolledBack: true} {
		var f ledger.Facts
		record := func(e ledger.Entry) int64 {
			e.Actor, e.Seq, e.Prev, e.Time = "controller:test", f.Count, f.Head, noon
			if err := f.Fold(e, digest.Of([]byte{byte(e.Seq)})); err != nil {
				t.Fatal(err)
			}
			return e.Seq
		}
		record(ledger.Entry{Action: ledger.Genesis})
		yes := record(ledger.Entry{Action: ledger.Approve, Plan: digest.Of([]byte("plan"))})
		tried := func(p rollout.Phase) {
			record(ledger.Entry{Action: ledger.RollOut, Ref: ref, Key: key, Rollout: &ledger.Rollout{Phase: p, Since: noon}})
		}
		tried(rollout.Progressing)
		tried(phase)
		if got := Spent(&f, ref, nil, yes); got != spends {
			t.Errorf("%s: spent %v", phase, got)
		}
		record(ledger.Entry{Action: ledger.Retry, Ref: ref, Reason: "once more"})
		again := record(ledger.Entry{Action: ledger.Approve, Plan: digest.Of([]byte("plan"))})
		copied := f.Clone()
		if got := Spent(copied, ref, nil, yes); got != spends {
			t.Errorf("%s, and tried again: spent %v", phase, got)
		}
		if Spent(copied, ref, nil, again) {
			t.Errorf("%s: a word that was given after that is spent", phase)
		}
	}
}
