// Whose word counts without an approval of a plan: nobody is asked before something goes back, and yet not everybody may say so.

package guard

import (
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Speaker is who says something on a forge, when the ledger has Seq entries.
type Speaker struct {
	Forge, Login string
	Seq          int64
	Asks         Asked
}

// Asked is what somebody says of a deployment.
type Asked int

const (
	GoBack Asked = iota // it serves what it served before
	GoOn                // it is suspended no more
)

var asked = map[Asked]struct{ what, command string }{
	GoBack: {"have it go back", "vishwa rollback %s --reason TEXT"},
	GoOn:   {"let it go on", "vishwa resume %s"},
}

// Speaks refuses what by says of ref where their approval would not count before each of guards. One person is enough. Without guards it
// refuses nobody.
func Speaks(guards []Guard, ref schemas.Ref, by Speaker, now time.Time) error {
	for _, g := range guards {
		why := g.deaf(by.Forge, by.Login, by.Seq, now)
		if why == "" {
			continue
		}
		return fault.WithHint(fault.New(fault.Denied, "%s is in %s, whose approvers alone %s: %s", ref, g.Place, asked[by.Asks].what, why),
			"ask one of them, or somebody who has a key: "+asked[by.Asks].command, ref)
	}
	return nil
}

// deaf says why the word does not count before g, or "".
func (g Guard) deaf(forge, login string, seq int64, now time.Time) string {
	switch {
	case g.Lost != nil:
		return "who they are is not known here: " + g.Lost.Error()
	case !g.Reviews:
		return "what is said on the forge is no approval there (reviews)"
	case g.Trust == nil:
		return revision(g) + " has no trust file that names any"
	}
	who, known := g.Trust.ByLogin(forge, login)
	if !known {
		return "the trust file of " + revision(g) + " does not name " + login
	}
	if !slices.ContainsFunc(g.Trust.Principals[who].Roles, func(r string) bool { return slices.Contains(g.Roles, r) }) {
		return login + " is not in the role " + strings.Join(g.Roles, " or ") + " by the trust file of " + revision(g)
	}
	if err := g.Trust.PrincipalStands(who, seq, now); err != nil {
		return err.Error()
	}
	return ""
}
