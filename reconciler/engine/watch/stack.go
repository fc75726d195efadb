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

// StackIncidents are those of a stack after a look that found it so, and whether that is news. What a pass puts back is over when a later look
// finds it in order: what others change again and again is one incident.
func StackIncidents(stack schemas.Ref, before []ledger.Incident, found ledger.Stack, at time.Time) (all []ledger.Incident, news bool) {
	verdict := ledger.Well
	if found.Drifting > 0 {
		verdict = ledger.Drifted
	}
	if goes := slices.ContainsFunc(before, func(i ledger.Incident) bool { return i.Over.IsZero() }); goes == (verdict == ledger.Drifted) {
		return before, false
	}
	return Incidents(stack, before, ledger.Watched{Verdict: verdict, Evidence: digest.Of([]byte(strings.Join(found.Drift, "\n")))}, at), true
}

// plainAddress is an address of Terraform's that steers nobody who reads it: keys of instances may be anything.
var plainAddress = lazyregexp.New(`^[A-Za-z0-9_.\[\]"/:-]{1,120}$`)

// PlainAddresses are those of all whose text is plain.
func PlainAddresses(all []string) (out []string) {
	for _, a := range all {
		if plainAddress.MatchString(a) {
			out = append(out, a)
		}
	}
	return out
}
