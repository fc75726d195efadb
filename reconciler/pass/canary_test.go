// What people are told about a release that is tried.

package pass

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// promoted serves what it tried, and tries nothing.
type promoted struct{ port.Server }

func (promoted) Splits(string) bool { return true }
func (promoted) Split(context.Context, port.Release, int) (port.Live, error) {
	return port.Live{}, fault.New(fault.Internal, "nobody asks for it")
}
func (promoted) Join(context.Context, string, digest.Digest, bool) (port.Live, error) {
	return port.Live{}, fault.New(fault.Conflict, "it serves")
}

// TestAnAbortOfWhatServesSaysSo: where a pass was killed before it recorded a promotion, no request goes back, and
// nobody is told that it did.
func TestAnAbortOfWhatServesSaysSo(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	at := ref("deployment/s")
	key := w.facts.Latest[at].Key
	h.Server = promoted{h.Server}
	if _, err := w.Append(t.Context(), ledger.Entry{Action: ledger.RollOut, Ref: at, Key: key, Actor: "user:bob", Rollout: &ledger.Rollout{Phase: rollout.Progressing, Weight: 50}}); err != nil {
		t.Fatal(err)
	}
	o := RolloutOrder{Ref: at, Reason: "too slow"}
	_, err := h.AbortRollout(t.Context(), port.Revision{SHA: one}, o)
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "serves all requests") || !strings.Contains(fault.HintOf(err), "vishwa rollback deployment/s") {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
	facts, _ := w.Facts(t.Context())
	if got := facts.RolloutOf(at); got.Phase != rollout.Progressing {
		t.Errorf("recorded: %+v", got)
	}

	// What is tried on another machine, or was given back already, is recorded as before.
	other := digest.Of([]byte("other"))
	if _, err := w.Append(t.Context(), ledger.Entry{Action: ledger.RollOut, Ref: at, Key: other, Actor: "user:bob", Rollout: &ledger.Rollout{Phase: rollout.Progressing, Weight: 50}}); err != nil {
		t.Fatal(err)
	}
	if e, err := h.AbortRollout(t.Context(), port.Revision{SHA: one}, o); err != nil || e.Rollout.Phase != rollout.RolledBack {
		t.Errorf("%+v, %v", e.Rollout, err)
	}
}
