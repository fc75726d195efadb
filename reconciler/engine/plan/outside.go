// What is to do about what is not made but is out there: stacks and deployments.

package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (c *computing) stack(n *graph.Node, s *Step) {
	last := c.seen.Facts.Latest[s.Ref]
	if open, aside, blind := c.blind(s.Ref); blind {
		s.Do, s.Pending, s.Why, s.Aside = Make, true, open, aside
		s.Failed, s.Passing = c.seen.Failed[s.Ref], c.seen.Passing[s.Ref]
		if last != nil {
			s.Do = Remake
		}
		return
	}
	if why, none := c.seen.Unplanned[s.Ref]; none {
		c.unplanned(n, s, last, why)
		return
	}
	change := c.seen.Stacks[s.Ref]
	s.Actions, s.Change, s.Tests = change.Actions, change.Digest, change.Tests
	made := last != nil && last.Action == ledger.Provision
	if made {
		s.Drift = drifted(change, last.Key == s.Key)
	}
	switch {
	case change.Empty && made && last.Key == s.Key:
		s.Do, s.Why, s.Actions, s.Change = Keep, "up to date", nil, ""
		s.Drift, s.Tests = nil, nil
		c.known.Add(n, last)
	case !made:
		s.Do, s.Why = Make, "never made"
	case last.Key != s.Key:
		s.Do, s.Why = Remake, changed(last, n.Recipe)
	case len(change.Drift) > 0:
		s.Do, s.Why = Remake, "drift: "+strings.Join(change.Drift, ", ")
	default:
		s.Do, s.Why = Remake, "the infrastructure is not as declared"
	}
}

// drifted are the addresses that would be changed because others changed them. Where nothing else has changed since it was provisioned, that is
// why anything would be: not all that moves is told as drift.
func drifted(change port.Change, same bool) (out []string) {
	for _, a := range change.Actions {
		if same || slices.Contains(change.Drift, a.Address) {
			out = append(out, a.Address)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unplanned goes by what is recorded alone.
func (c *computing) unplanned(n *graph.Node, s *Step, last *ledger.Entry, why string) {
	switch made := last != nil && last.Action == ledger.Provision; {
	case made && last.Key == s.Key:
		s.Do, s.Why = Keep, "not changed here; "+why
		c.known.Add(n, last)
	case made:
		s.Do, s.Pending, s.Why = Remake, true, changed(last, n.Recipe)+"; "+why
	default:
		s.Do, s.Pending, s.Why = Make, true, "never made; "+why
	}
	if wrong := c.seen.Wrong[s.Ref]; wrong != "" && s.Do != Keep {
		s.Failed, s.Why = true, wrong
	}
}

func (c *computing) deployment(s *Step, recipe port.Recipe) {
	last := c.seen.Facts.On(c.seen.Machine, s.Ref)
	live := c.seen.Live[s.Ref]
	deployed := last != nil && last.Action == ledger.Deploy
	stands := c.seen.Facts.Standing(c.seen.Machine, s.Ref, s.Key)
	recorded := stands != nil
	s.Do = Remake
	if !deployed {
		s.Do = Make // whatever stands there was never recorded
	}
	// Another machine may have released something else since: bringing back what this one
	// had is then a release, and asks for what releases ask for.
	s.Restores = recorded && stands == c.seen.Facts.Latest[s.Ref]
	_, blind := c.seen.Unobservable[s.Ref]
	switch {
	case blind && recorded:
		s.Why = "its state is not known"
	case live.Key == s.Key && live.Health == port.Ready && recorded && live.Left != "":
		s.Why = "serves, and " + port.BroughtBack(live.Left)
	case live.Key == s.Key && live.Health == port.Ready && recorded:
		s.Do, s.Why, s.Restores = Keep, "up to date", false
	case live.Key == s.Key && live.Health == port.Ready:
		s.Why = "is served, but not recorded"
	case live.Key == s.Key:
		s.Why = "is " + string(live.Health)
		if live.Message != "" {
			s.Why += ": " + port.BroughtBack(live.Message)
		}
	case live.Key == "" && recorded:
		s.Why = "is not served any more"
		if live.Message != "" {
			s.Why += ": " + port.BroughtBack(live.Message)
		}
	case deployed && (live.Key == "" || live.Key == last.Key):
		s.Why = changed(last, recipe)
	case live.Key == "":
		s.Why = "never deployed"
	default:
		s.Why = live.Unlike(s.Model)
	}
}

// blind is why ref could not be looked at, as anybody may read it, and what more the user of this machine may be told: its paths and addresses are
// none of others'.
func (c *computing) blind(ref schemas.Ref) (open, aside string, is bool) {
	why, is := c.seen.Unobservable[ref]
	if open, apart := c.seen.Openly[ref]; apart {
		return open, why, is
	}
	return why, "", is
}

// NotAsked begins the reason of a step whose deployment did not answer how it stands, and then why.
const NotAsked = "could not be asked: "

// unasked holds the step of a deployment that did not answer how it stands, and tells whether it does: what serves there is not known, nor what is
// tried beside it, so that nothing is released over it. Other steps go on.
func (c *computing) unasked(s *Step) bool {
	why, blind := c.seen.Unobservable[s.Ref]
	if !blind || !s.Ref.Kind.Traits().Serves {
		return false
	}
	// What is held is told in pull requests, too: paths and addresses of this machine are none of theirs.
	s.Aside, s.rests = why, true
	s.Held, s.Failed, s.Passing = NotAsked+cmp.Or(c.seen.Openly[s.Ref], "for a reason that may pass"), c.seen.Failed[s.Ref], c.seen.Passing[s.Ref]
	if n := c.want.Node(s.Ref); n != nil && !c.seen.Now.IsZero() {
		_, s.Canary, _ = CanaryOf(n) // an approval is of that, too
	}
	return true
}
