// A plan says why something is to be done; an entry says why it was done. What is true on
// the screen today is not true of an entry that is read in a year: Recorded tells the fact.

package plan

import (
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// NotInStore, or NotInFolder where another folder of this machine made it, is what a plan says of what is to be made again.
const NotInStore = "this machine's store does not have it"
const NotInFolder = "this folder's store does not have it"

// NotKnown is what a plan says of something that it could not look at, and then why.
const NotKnown = "it is not known whether it is there"

// facts are a plan's words and, for the ledger, what was the case when it was done.
var facts = []struct{ plan, fact string }{
	{"is served, but not recorded", "was served, but not recorded"},
	{"serves, and ", "served; at that time "},
	{"is not served any more", "was no longer served"},
	{"is not served", "was not served"},
	{"serves something else", "something else was served"},
	{"serves ", "served "},
	{"the infrastructure is not as declared", "the infrastructure was not as declared"},
	{"is ", "was "},
	{"never made", "never made before"},
	{"never pinned", "never pinned before"},
	{"never deployed", "never deployed before"},
	{"never packed", "never packed before"},
}

// Recorded is the reason of s for the ledger: of what was the case when it was done, and
// of no wait. The recipe is what it was made by, last its newest entry before, or nil.
func Recorded(s Step, recipe port.Recipe, last *ledger.Entry) string {
	made := last != nil && last.Action != ledger.Retire
	switch {
	case s.Do == Retire:
		why, _, _ := strings.Cut(s.Why, "; ")
		return why
	case strings.Contains(s.Why, NotInStore):
		return "made again: this machine's store did not have it"
	case strings.Contains(s.Why, NotInFolder):
		return "made again: this folder's store did not have it"
	case strings.HasPrefix(s.Why, NotKnown):
		return "it was not known whether it was there"
	case s.Pending && !made && s.Ref.Kind.Traits().Serves:
		return "never deployed before"
	case s.Pending && !made:
		return "never made before"
	case s.Pending && last.HasRecipe() && len(changes(*last.Recipe(), recipe)) == 0:
		return "made again with the same inputs"
	case s.Pending:
		return changed(last, recipe)
	}
	for _, f := range facts {
		if rest, is := strings.CutPrefix(s.Why, f.plan); is {
			rest, _, _ = strings.Cut(rest, "; ") // what to do about it, which was done
			return f.fact + rest
		}
	}
	return s.Why
}
