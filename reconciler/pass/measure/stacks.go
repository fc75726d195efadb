// Drift of stacks: it is no monitor that finds it but each look at them, and it is an incident as well.

package measure

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// mostAddresses are named in an entry.
const mostAddresses = 10

// RecordStack writes down how a look found a stack, where that is news: that it has drifted, or does so no more. drift are addresses, of which the first
// few that are plain are named: keys of instances may be the texts of others.
func (b *Bench) RecordStack(ctx context.Context, ref schemas.Ref, drift []string, revision string) error {
	_, err := b.record(ctx, ref, revision, func(last *ledger.Entry) (seen, string) {
		plain := watch.PlainAddresses(drift)
		found := ledger.Stack{Drift: plain[:min(len(plain), mostAddresses)], Drifting: len(drift), Branch: b.Branch}
		all, news := watch.StackIncidents(ref, last.Incidents(), found, b.Now())
		if !news {
			return seen{}, ""
		}
		if found.Incidents = all; len(drift) == 0 && last.Stack != nil {
			found.Drift = last.Stack.Drift // that it has drifted no more is said of these
		}
		return seen{Stack: &found}, StackLine(found)
	})
	return err
}

// StackLine is how a stack was found, in one line.
func StackLine(s ledger.Stack) string {
	if s.Drifting == 0 {
		return "as declared"
	}
	more := s.Drifting - len(s.Drift)
	switch {
	case len(s.Drift) == 0:
		return "drift: " + plural.Of(more, "resource")
	case more > 0:
		return fmt.Sprintf("drift: %s and %d more", strings.Join(s.Drift, ", "), more)
	}
	return "drift: " + strings.Join(s.Drift, ", ")
}
