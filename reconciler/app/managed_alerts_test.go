// Who is told of an incident is told once, whatever starts anew, and of its end too.

package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// newestBook is a ledger that keeps the newest entry of each ref.
type newestBook struct {
	entries map[schemas.Ref]*ledger.Entry
	latest  map[schemas.Ref]*ledger.Entry
	seq     int64
	now     func() time.Time
}

func (b *newestBook) Facts(context.Context) (*ledger.Facts, error) {
	return &ledger.Facts{Observed: b.entries, Latest: b.latest}, nil
}

func (b *newestBook) Append(_ context.Context, e ledger.Entry) (ledger.Entry, error) {
	b.seq++
	e.Seq, e.Time = b.seq, b.now()
	b.entries[e.Ref] = &e
	return e, nil
}

// heard is a receiver that writes down what it is told, and fails where it is told to.
type heard struct {
	lines []string
	fail  error
}

func (h *heard) Tell(_ context.Context, a port.Alert) error {
	if h.fail != nil {
		return h.fail
	}
	state := "began"
	if !a.Over.IsZero() {
		state = "over"
	}
	h.lines = append(h.lines, state+" "+a.Finding+" "+a.ID[:4])
	return nil
}

type forgetful struct{ heard }

func (*forgetful) Renews() {}

// alerted tells of what the ledger says now.
func alerted(t *testing.T, s *ManagedRepository, bench *measure.Bench, in *pass.Intent, measured map[schemas.Ref]bool) error {
	t.Helper()
	facts, err := bench.Ledger.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.alert(t.Context(), bench, facts, in, "c", measured)
	return err
}

func TestAReceiverIsToldOnceThroughStartsAndFailures(t *testing.T) {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	book := &newestBook{entries: map[schemas.Ref]*ledger.Entry{}, now: clock}
	bench := &measure.Bench{Reconciler: &pass.Reconciler{}}
	bench.Ledger, bench.Now = book, clock
	ref := schemas.Ref{Kind: schemas.KindMonitor, Name: "homes"}
	in := &pass.Intent{Decls: []schemas.Declaration{}}
	team, manager := &heard{}, &forgetful{}
	open := -1
	start := func() *ManagedRepository {
		return &ManagedRepository{branches: []string{"main"}, monitors: map[string]map[schemas.Ref]string{"main": {ref: "@daily"}},
			o: ManagedOptions{Name: "r", Env: port.Env{Now: clock, Log: slog.New(slog.DiscardHandler)}, Incidents: func(n int) { open = n },
				Receivers: []Receiver{{Name: "team", Receiver: team}, {Name: "manager", Receiver: manager}}}}
	}
	s := start()
	look := func(v ledger.Standing) error {
		now = now.Add(time.Hour)
		m := measure.Measured{Ref: ref, Name: digest.Of([]byte(now.String())), Watched: ledger.Watched{Verdict: v, Evidence: digest.Of([]byte(now.String()))}}
		if err := bench.Record(t.Context(), &m, "c"); err != nil {
			t.Fatal(err)
		}
		return alerted(t, s, bench, in, map[schemas.Ref]bool{ref: true})
	}
	again := func() error { return alerted(t, s, bench, in, nil) }
	told := func(step string, h *heard, want ...string) {
		t.Helper()
		var got []string
		for _, l := range h.lines {
			got = append(got, l[:strings.LastIndexByte(l, ' ')])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: it was told %q, want %q", step, got, want)
		}
	}

	team.fail = fault.New(fault.Transient, "down")
	if err := look(ledger.Drifted); fault.Of(err) != fault.Transient || open != 1 {
		t.Fatalf("%v, %d open", err, open)
	}
	told("one that is down", team)
	told("another is told all the same", &manager.heard, "began drifted")
	team.fail = nil
	for range 2 {
		if err := again(); err != nil {
			t.Fatal(err)
		}
	}
	told("with the next pass, and once", team, "began drifted")
	s = start()
	for range 2 {
		if err := look(ledger.Drifted); err != nil {
			t.Fatal(err)
		}
	}
	told("after a start", team, "began drifted")
	told("who forgets is told with each measurement", &manager.heard, "began drifted", "began drifted", "began drifted")
	entries := book.seq
	if err := again(); err != nil || book.seq != entries {
		t.Errorf("nothing is news, and %d entries were written, %v", book.seq-entries, err)
	}
	team.fail = fault.New(fault.Denied, "no")
	if err := look(ledger.Well); fault.Of(err) != fault.Denied || open != 0 {
		t.Fatalf("%v, %d open", err, open)
	}
	team.fail, s = nil, start()
	if err := again(); err != nil {
		t.Fatal(err)
	}
	told("its end", team, "began drifted", "over drifted")
	if err := look(ledger.Faulty); err != nil {
		t.Fatal(err)
	}
	s.monitors["main"] = map[schemas.Ref]string{} // the monitor is no longer declared
	for range 2 {
		if err := again(); err != nil {
			t.Fatal(err)
		}
	}
	told("of a monitor that is gone", team, "began drifted", "over drifted", "began fault", "over fault")
	if open != 0 {
		t.Errorf("%d are open", open)
	}
	s.monitors["main"][ref] = "@daily"
	if err := look(ledger.Drifted); err != nil {
		t.Fatal(err)
	}
	book.latest = map[schemas.Ref]*ledger.Entry{{}: {Action: ledger.Retire}} // its deployment, and it is declared all the same
	for range 2 {
		if err := again(); err != nil {
			t.Fatal(err)
		}
	}
	told("of a deployment that is retired", team, "began drifted", "over drifted", "began fault", "over fault", "began drifted", "over drifted")
	if reason := book.entries[ref].Reason; !strings.HasPrefix(reason, "notified that an incident is over") || open != 0 {
		t.Errorf("%d are open, by %q", open, reason)
	}
	book.latest = nil
	s.monitors = map[string]map[schemas.Ref]string{} // a branch that was not read says nothing
	book.entries[ref].Watched.Incidents = []ledger.Incident{{ID: "abcdef", Finding: ledger.Drifted, Since: now}}
	if err := again(); err != nil || open != 1 {
		t.Errorf("%d are open, %v", open, err)
	}
}

func TestDriftOfAStackIsOneIncidentUntilALookFindsItInOrder(t *testing.T) {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	book := &newestBook{entries: map[schemas.Ref]*ledger.Entry{}, now: clock}
	bench := &measure.Bench{Reconciler: &pass.Reconciler{}}
	bench.Ledger, bench.Now = book, clock
	ref := schemas.Ref{Kind: schemas.KindInfrastructure, Name: "base"}
	team, open := &heard{}, -1
	s := &ManagedRepository{branches: []string{"main"}, monitors: map[string]map[schemas.Ref]string{"main": {}}, provides: map[string]map[schemas.Ref]bool{"main": {ref: true}},
		o: ManagedOptions{Name: "r", Env: port.Env{Now: clock, Log: slog.New(slog.DiscardHandler)}, Incidents: func(n int) { open = n }, Receivers: []Receiver{{Name: "team", Receiver: team}}}}
	look := func(step plan.Step) {
		t.Helper()
		now = now.Add(time.Hour)
		step.Ref = ref
		for ref, drift := range stacksFound(plan.Plan{Steps: []plan.Step{step}}) {
			if err := bench.RecordStack(t.Context(), ref, drift, "c"); err != nil {
				t.Fatal(err)
			}
		}
		if err := alerted(t, s, bench, &pass.Intent{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	told := func(step string, want ...string) {
		t.Helper()
		var got []string
		for _, l := range team.lines {
			got = append(got, l[:strings.LastIndexByte(l, ' ')])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: it was told %q, want %q", step, got, want)
		}
	}
	look(plan.Step{Do: plan.Keep})
	if told("in order"); len(book.entries) != 0 {
		t.Fatalf("nothing is news, and this was written: %v", book.entries)
	}
	look(plan.Step{Do: plan.Remake, Drift: []string{"a.b"}})
	look(plan.Step{Do: plan.Remake, Drift: []string{"a.b"}})
	look(plan.Step{Do: plan.Remake, Drift: []string{"a.b", "c.d"}, Held: "by a rule"})
	look(plan.Step{Do: plan.Remake, Pending: true, Failed: true}) // it cannot be looked at
	if told("it has drifted, found four times", "began drifted"); open != 1 {
		t.Errorf("%d are open", open)
	}
	look(plan.Step{Do: plan.Keep})
	told("in order again", "began drifted", "over drifted")
	if last := book.entries[ref]; len(last.Incidents()) != 1 || !slices.Equal(last.Stack.Drift, []string{"a.b"}) || last.Stack.Drifting != 0 {
		t.Errorf("what had drifted is not said any more: %+v", last.Stack)
	}
	look(plan.Step{Do: plan.Remake, Drift: []string{"a.b"}})
	told("it drifts anew", "began drifted", "over drifted", "began drifted")
	if again := book.entries[ref].Incidents(); len(again) != 1 || again[0].Again.IsZero() || team.lines[2] != team.lines[0] {
		t.Errorf("it goes on as another one: %+v, %q", again, team.lines)
	}
	book.entries[ref].Stack.Branch = "other" // that another controller tracks
	s.provides["main"] = nil
	look(plan.Step{Do: plan.Keep, Pending: true})
	told("of a branch that is tracked elsewhere", "began drifted", "over drifted", "began drifted")
	book.entries[ref].Stack.Branch = "main"
	s.provides["main"] = nil
	look(plan.Step{Do: plan.Retire, Held: "destroys"})
	told("no longer declared", "began drifted", "over drifted", "began drifted", "over drifted")
	if open != 0 {
		t.Errorf("%d are open", open)
	}
}
