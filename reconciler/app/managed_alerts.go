// Alerts: who is declared in the controller's file is told when an incident begins and when it is
// over. What was told stands in the ledger, so that a controller that starts anew, or another one,
// tells nobody twice; what could not be told is told with the next pass.

package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Receiver is one of those that the controller's file names.
type Receiver struct {
	Name string
	port.Receiver
	Sent func(error) // counts; may be nil
}

// renews is a receiver that forgets what it is not told again.
type renews interface{ Renews() }

// alert tells the incidents of a branch's monitors and stacks to whoever was not told of them yet. Of a
// monitor that measured just now, receivers that forget are told anew. A receiver that fails keeps
// no other from being told. facts are what the ledger says now; what it says afterwards is returned.
func (s *ManagedRepository) alert(ctx context.Context, bench *measure.Bench, facts *ledger.Facts, in *pass.Intent, revision string, measured map[schemas.Ref]bool) (*ledger.Facts, error) {
	facts, err := s.endUnwatched(ctx, bench, facts, revision)
	if err != nil {
		return facts, err
	}
	var failed []error
	open, recorded := 0, false
	for _, ref := range slices.SortedFunc(maps.Keys(facts.Observed), schemas.Ref.Compare) {
		last := facts.Observed[ref]
		for _, i := range last.Incidents() {
			if i.Over.IsZero() {
				open++
			}
			names, err := s.tellAll(ctx, in, last, i, measured[ref])
			if err != nil {
				failed = append(failed, fmt.Errorf("tell of what %s found: %w", ref, err))
			}
			if len(names) == 0 {
				continue
			}
			recorded = true
			if err := bench.RecordTold(ctx, ref, i, names, revision); err != nil {
				failed = append(failed, err)
			}
		}
	}
	if s.o.Incidents != nil {
		s.o.Incidents(open)
	}
	if recorded {
		if facts, err = bench.Ledger.Facts(ctx); err != nil {
			failed = append(failed, err)
		}
	}
	return facts, worst(failed)
}

// tellAll tells whoever is to be told of an incident, and lists who took it.
func (s *ManagedRepository) tellAll(ctx context.Context, in *pass.Intent, last *ledger.Entry, i ledger.Incident, measured bool) (names []string, err error) {
	var failed []error
	for _, r := range s.o.Receivers {
		news := watch.Untold(i, r.Name)
		_, forgets := r.Receiver.(renews)
		if !news && !(forgets && measured && i.Over.IsZero()) {
			continue
		}
		err := r.Tell(ctx, s.alertOf(in, last, i))
		if r.Sent != nil {
			r.Sent(err)
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return names, err
		case err != nil:
			s.o.Env.Log.WarnContext(ctx, "an alert was not sent", "receiver", r.Name, "incident", i.ID, "error", err, "hint", fault.WayOut(err))
			failed = append(failed, fmt.Errorf("receiver %s: %w", r.Name, err))
		case news:
			names = append(names, r.Name)
		}
	}
	return names, worst(failed)
}

// alertOf is an incident as people are told of it.
func (s *ManagedRepository) alertOf(in *pass.Intent, last *ledger.Entry, i ledger.Incident) port.Alert {
	if last.Watched == nil {
		return port.Alert{
			ID: i.ID, Repository: s.o.Name, Finding: string(i.Finding), Summary: stackSummary(last.Stack), Stack: last.Ref.Name,
			Resources: watch.PlainAddresses(last.Stack.Drift), Entry: last.Seq, Since: i.Since, Again: i.Again, Over: i.Over,
		}
	}
	w := *last.Watched
	a := port.Alert{
		ID: i.ID, Repository: s.o.Name, Monitor: last.Ref.Name, Deployment: w.Deployment.Name, Model: modelOf(in, w.Deployment),
		Finding: string(i.Finding), Summary: measure.Line(w), Columns: watch.PlainColumns(w), Entry: last.Seq, Since: i.Since, Over: i.Over,
	}
	for _, p := range w.Proposals {
		if p.Pull > 0 && !p.Time.Before(i.Since.Add(-time.Minute)) {
			a.Pull = p.Pull
			break
		}
	}
	return a
}

// endUnwatched ends the incidents of monitors and stacks that no tracked branch declares any more, and of those
// that are retired, or whose deployment is: nothing will be well again. What was found of a branch that is not tracked here is left to whoever tracks it. It waits until each branch was read, and
// tells what the ledger says afterwards.
func (s *ManagedRepository) endUnwatched(ctx context.Context, bench *measure.Bench, facts *ledger.Facts, revision string) (*ledger.Facts, error) {
	s.mu.Lock()
	declared := map[schemas.Ref]bool{}
	branches, read := slices.Clone(s.branches), len(s.branches) > 0
	for _, branch := range s.branches {
		read = read && s.monitors[branch] != nil
		for ref := range s.monitors[branch] {
			declared[ref] = true
		}
		maps.Copy(declared, s.provides[branch])
	}
	s.mu.Unlock()
	ended := false
	for _, ref := range slices.SortedFunc(maps.Keys(facts.Observed), schemas.Ref.Compare) {
		last := facts.Observed[ref]
		if !slices.ContainsFunc(last.Incidents(), func(i ledger.Incident) bool { return i.Over.IsZero() }) {
			continue
		}
		of := ref
		if last.Watched != nil {
			of = last.Watched.Deployment
		}
		why := ""
		switch made := facts.Latest[of]; {
		case made != nil && made.Action == ledger.Retire:
			why = of.String() + " is retired"
		case read && !declared[ref] && (last.ObservedOf() == "" || slices.Contains(branches, last.ObservedOf())): // else it is another controller's
			why = "not declared any more"
		default:
			continue
		}
		ended = true
		if err := bench.RecordOver(ctx, ref, why, revision); err != nil {
			return facts, err
		}
	}
	if !ended {
		return facts, nil
	}
	return bench.Ledger.Facts(ctx)
}
