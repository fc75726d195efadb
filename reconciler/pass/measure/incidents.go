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

// RecordOver writes down why nobody measures any more, which ends all incidents.
func (b *Bench) RecordOver(ctx context.Context, ref schemas.Ref, why, revision string) error {
	return b.again(ctx, ref, why, revision, func(all []ledger.Incident) []ledger.Incident {
		return watch.Over(all, b.Now())
	})
}

// again records what was found last once more, with other incidents.
func (b *Bench) again(ctx context.Context, ref schemas.Ref, reason, revision string, change func([]ledger.Incident) []ledger.Incident) error {
	_, err := b.record(ctx, ref, revision, func(last *ledger.Entry) (seen, string) {
		switch {
		case last == nil:
		case last.Watched != nil:
			w := *last.Watched
			w.Incidents = change(w.Incidents)
			return seen{Watched: &w}, reason + ": " + Line(w)
		case last.Stack != nil:
			s := *last.Stack
			s.Incidents = change(s.Incidents)
			return seen{Stack: &s}, reason + ": " + StackLine(s)
		}
		return seen{}, ""
	})
	return err
}
