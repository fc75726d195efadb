// Incidents of stacks: the same as those of monitors, with a look at the stack for a window.

package watch

import (
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/schemas"
)

// lull is how long an incident of a stack is not over for good: what others change, a pass puts back and others change again is one incident, whose
// pace they do not set.
const lull = 24 * time.Hour

// StackIncidents are those of a stack after a look that found it so, and whether that is news. An incident is over when a look finds the stack in order.
// One that was over for less than a lull goes on, and is over again no sooner than a lull later.
func StackIncidents(stack schemas.Ref, before []ledger.Incident, found ledger.Stack, at time.Time) (all []ledger.Incident, news bool) {
	at = at.UTC().Truncate(time.Second)
	open := func(i ledger.Incident) bool { return i.Over.IsZero() }
	if found.Drifting == 0 {
		for _, i := range before {
			if open(i) && at.Sub(i.Again) >= lull {
				i.Over, news = at, true
			}
			all = append(all, i)
		}
		return all, news
	}
	if slices.ContainsFunc(before, open) {
		return before, false
	}
	for n, i := range before {
		if at.Sub(i.Over) < lull {
			all = slices.Clone(before)
			all[n] = ledger.Incident{ID: i.ID, Finding: i.Finding, Since: i.Since, Again: at}
			return all, true
		}
	}
	return Incidents(stack, before, ledger.Watched{Verdict: ledger.Drifted, Evidence: digest.Of([]byte(strings.Join(found.Drift, "\n")))}, at), true
}

// plainAddress is an address of Terraform's that steers nobody who reads it: keys of instances may be anything.
var plainAddress = lazyregexp.New(`^[A-Za-z0-9_.\[\]"/:-]{1,120}$`)

// PlainAddresses are those of all whose text is plain and no link.
func PlainAddresses(all []string) (out []string) {
	for _, a := range all {
		if plainAddress.MatchString(a) && !strings.Contains(a, "//") && !strings.Contains(a, "www.") {
			out = append(out, a)
		}
	}
	return out
}
