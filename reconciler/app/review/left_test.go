package review

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// shows has deployments, while it is up.
type shows struct {
	port.Forge
	down  bool
	shown []string
}

func (w *shows) ReportDeployment(_ context.Context, r port.Deployment) error {
	if w.down {
		return fault.New(fault.Transient, "no answer")
	}
	w.shown = append(w.shown, fmt.Sprintf("%s in %s is %s: %s", r.Key, r.Environment, r.State, r.Description))
	return nil
}

// book is a ledger of facts alone.
type book struct {
	pass.Ledger
	facts ledger.Facts
}

func (b *book) Facts(context.Context) (*ledger.Facts, error) { return b.facts.Clone(), nil }

func (b *book) add(t *testing.T, action ledger.Action, name, key, environment string) {
	t.Helper()
	e := ledger.Entry{Seq: b.facts.Count, Prev: b.facts.Head, Time: time.Unix(b.facts.Count, 0).UTC(), Action: action, Ref: schemas.Ref{Kind: schemas.KindDeployment, Name: name},
		Key: digest.Digest(key), Revision: "1", Actor: "controller:main", Reason: "no longer declared", Release: &ledger.Release{Environment: environment}}
	if action == "genesis" {
		e.Ref, e.Key, e.Release = schemas.Ref{}, "", nil
	}
	if err := b.facts.Fold(e, digest.Of([]byte(fmt.Sprint(e.Seq)))); err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsLeftIsShownAsOverAtALaterPass: what was taken away, and what is declared for another environment, once a forge hears of it
// again, also by a process that was begun since; and once.
func TestWhatIsLeftIsShownAsOverAtALaterPass(t *testing.T) {
	b := &book{}
	b.add(t, "genesis", "", "", "")
	b.add(t, ledger.Deploy, "moved", "a", "staging")
	b.add(t, ledger.Deploy, "moved", "b", "staging")
	b.add(t, ledger.Deploy, "gone", "c", "staging")
	b.add(t, ledger.Deploy, "stays", "d", "staging")
	b.add(t, ledger.Deploy, "stays", "e", "production")
	b.add(t, ledger.Deploy, "stays", "f", "staging")
	b.add(t, ledger.Deploy, "moved", "g", "production")
	b.add(t, ledger.Retire, "gone", "", "staging")
	raw, err := b.facts.Encode()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := ledger.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	b.facts = *kept // as a process has it that begins
	h := &Session{Reconciler: &pass.Reconciler{Observers: pass.Observers{Ledger: b}}}
	want := []string{
		"deployment/gone@c in staging is gone: no longer declared",
		"deployment/moved@b in staging is gone: released to production",
		"deployment/stays@e in production is gone: released to staging",
	}
	for range 2 {
		w := &shows{down: true}
		o := &Service{Forge: w, Log: slog.New(slog.DiscardHandler)}
		if err := o.left(t.Context(), h); fault.Of(err) != fault.Transient {
			t.Errorf("while the forge is down: %v", err)
		}
		w.down = false
		for range 2 {
			if err := o.left(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
		if slices.Sort(w.shown); !slices.Equal(w.shown, want) {
			t.Errorf("shown is %q, want %q", w.shown, want)
		}
	}
	b.add(t, ledger.Deploy, "gone", "h", "staging") // it is back
	w := &shows{}
	if err := (&Service{Forge: w}).left(t.Context(), h); err != nil || len(w.shown) != 2 {
		t.Errorf("%v, shown is %q", err, w.shown)
	}
}
