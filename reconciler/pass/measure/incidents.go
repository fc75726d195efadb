// What was told of incidents is recorded beside what was found: the newest entry of a monitor knows
// all that is to be known.

package measure

import (
	"context"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/schemas"
)

// incidents are those that the newest entry knows.
func incidents(facts *ledger.Facts, ref schemas.Ref) []ledger.Incident {
	if last := facts.Observed[ref]; last != nil && last.Watched != nil {
		return last.Watched.Incidents
	}
	return nil
}

// RecordTold writes down that receivers were told of an incident, as it was then.
func (b *Bench) RecordTold(ctx context.Context, ref schemas.Ref, told ledger.Incident, receivers []string, revision string) error {
	verb := "notified that an incident began: "
	if !told.Over.IsZero() {
		verb = "notified that an incident is over: "
	}
	return b.again(ctx, ref, verb+strings.Join(receivers, ", "), revision, func(all []ledger.Incident) []ledger.Incident {
		return watch.Told(all, told.ID, !told.Over.IsZero(), receivers)
	})
}

// RecordOver writes down that nobody measures any more, which ends all incidents.
func (b *Bench) RecordOver(ctx context.Context, ref schemas.Ref, revision string) error {
	return b.again(ctx, ref, "not declared any more", revision, func(all []ledger.Incident) []ledger.Incident {
		return watch.Over(all, b.Now())
	})
}

// again records what a monitor found last once more, with other incidents.
func (b *Bench) again(ctx context.Context, ref schemas.Ref, reason, revision string, change func([]ledger.Incident) []ledger.Incident) error {
	facts, err := b.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	last := facts.Observed[ref]
	if last == nil || last.Watched == nil {
		return nil
	}
	w := *last.Watched
	w.Incidents = change(w.Incidents)
	_, err = b.Ledger.Append(ctx, ledger.Entry{
		Action: ledger.Observe, Ref: ref, Revision: revision, Actor: b.Actor.String(), Trigger: b.Trigger, Machine: b.Machine,
		Reason: reason + ": " + Line(w), Watched: &w,
	})
	return err
}
