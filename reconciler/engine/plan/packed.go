// Packages: what is recorded of one is held against what is there.

package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (c *computing) packed(n *graph.Node, s *Step, recipe port.Recipe) {
	last := c.seen.Facts.Latest[s.Ref]
	made := last != nil && last.Action == ledger.Pack && last.Package != nil
	s.Do = Remake
	if !made {
		s.Do = Make
	}
	state := c.seen.Packages[s.Ref]
	switch open, aside, blind := c.blind(s.Ref); {
	case blind:
		s.Why, s.Aside = open, aside
	case !made:
		s.Why = "never packed" + c.tried(s)
	case last.Key != s.Key:
		s.Why = changed(last, recipe) + c.tried(s)
	case state.Lacks != "":
		s.Why = "is not whole: " + state.Lacks
	default:
		s.Do, s.Why = Keep, "up to date"
		for _, tag := range slices.Sorted(maps.Keys(state.Elsewhere)) {
			s.Do, s.Why = Remake, c.tagged(last, tag, state.Elsewhere[tag])
		}
		if s.Do == Keep {
			c.known.Add(n, last)
		}
	}
}

// withImage says what is built beside the files of a package that is to be packed.
func withImage(n *graph.Node, s *Step) {
	if spec, packs := n.Decl.Spec.(schemas.Packs); packs && s.Do != Keep && spec.Packs().Image != nil {
		of := spec.Packs().Image
		s.Why += "; with an image that serves, for " + of.On() + " over " + schemas.ShortImage(of.Base)
	}
}

// tried says that packing s failed, and why: of no other key, as what was to be packed then is not asked for any more.
func (c *computing) tried(s *Step) string {
	tries := c.seen.Facts.Failed[s.Key]
	e := tries.Last
	for _, stuck := range c.seen.Facts.Stuck {
		if stuck.Ref == s.Ref && ledger.KeyOf(*stuck) == s.Key && (e == nil || stuck.Seq > e.Seq) {
			e = stuck
		}
	}
	if e == nil || e.Failure == nil {
		return ""
	}
	return ": it failed: " + first(FailureText(*e.Failure, true))
}

// tagged says what a tag named that did not name the package of e: an entry says it as well.
func (c *computing) tagged(e *ledger.Entry, tag string, is digest.Digest) string {
	if is == "" {
		return fmt.Sprintf("its tag %s named nothing", tag)
	}
	for was := range c.seen.Facts.Packages(e.Ref) {
		if was.Package.Digest == is {
			return fmt.Sprintf("its tag %s named the package of entry %d", tag, was.Seq)
		}
	}
	return fmt.Sprintf("drift: its tag %s named %s, which no entry packed", tag, is.Short())
}
