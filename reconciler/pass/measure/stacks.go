// Drift of stacks: it is no monitor that finds it but each look at them, and it is an incident as well.

package measure

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/schemas"
)

// mostAddresses are named in an entry.
const mostAddresses = 10

// RecordStack writes down how a look found a stack, where that is news: that it has drifted, or does so no more. drift are addresses.
func (b *Bench) RecordStack(ctx context.Context, ref schemas.Ref, drift []string, revision string) error {
	_, err := b.record(ctx, ref, revision, func(last *ledger.Entry) (seen, string) {
		found := ledger.Stack{Drift: drift[:min(len(drift), mostAddresses)], Drifting: len(drift)}
		all, news := watch.StackIncidents(ref, last.Incidents(), found, b.Now())
		if !news {
			return seen{}, ""
		}
		if found.Incidents = all; len(drift) == 0 {
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
	text := "drift: " + strings.Join(s.Drift, ", ")
	if more := s.Drifting - len(s.Drift); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
