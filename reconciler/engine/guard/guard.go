// Package guard says what stands before a release: which environments a change of a
// deployment enters, leaves or takes the address of, what each of them asks of people,
// by whose word, and whether it was given. It is pure. What guards is never taken from
// the change alone: the stricter of what stands now and what stood before it counts.
package guard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Settings are what guards, as one revision has it.
type Settings struct {
	Revision string
	Project  *schemas.Project
	Trust    *trust.Trust // nil: it has no trust file
	Where    string       // file and line of its principals; "": it has none
}

// Change is what becomes of a deployment.
type Change struct {
	Ref     schemas.Ref
	To      string          // environment; "": it is taken away
	Address string          // where it will answer; "": wherever there is room
	Branch  string          // where it is written for others to apply; "": it is applied
	Claims  []schemas.Claim // requests that fronts will send to it
}

// Guard is what an environment asks before a change of it, as one revision has it.
type Guard struct {
	Place    string // environment, as it is written there
	Revision string // whose settings; "": of the change itself
	Why      string // what the change has to do with the environment
	Need     int    // people
	Roles    []string
	Reviews  bool         // what a forge asserts counts
	Unknown  string       // what a change by unknown authors asks for
	Trust    *trust.Trust // whose word counts; nil: nobody's
	Where    string       // of its principals
	Lost     error        // why nobody can tell here what it asks; nil: it is known
}

// Lost is a guard that cannot be known here, and that nothing satisfies.
func Lost(place string, why error) Guard {
	return Guard{Place: place, Why: goes, Need: 1, Roles: schemas.Environment{}.Approvers(), Unknown: schemas.UnknownTwo, Lost: why}
}

const goes = "goes there"

// Past finds what stood before a change.
type Past struct {
	Facts *ledger.Facts
	// At is what guarded at a revision that was carried out.
	At func(revision string) (Settings, error)
	// First is what guarded before anything was declared for a place, where nothing was
	// released to it yet under a guard; false: nothing was carried out before that.
	First func(place string) (Settings, bool, error)
}

// On lists the guards that c must satisfy, all of them. Now is what the change itself
// says. None is a change that needs nobody.
func On(c Change, now Settings, past Past) ([]Guard, error) {
	var out []Guard
	seen := map[string]bool{}
	for _, e := range entered(c, past.Facts) {
		place := schemas.Place(e.name)
		if seen[place] {
			continue
		}
		seen[place] = true
		found, err := past.of(e, now)
		if err != nil {
			return nil, fmt.Errorf("look for what guards %s: %w", e.name, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// touch is an environment that a change has to do with.
type touch struct{ name, why string }

// entered lists the environments of c: where it goes, where it comes from, whose
// address or requests it takes, and whose branch it writes to: who applies that may apply all of it.
func entered(c Change, facts *ledger.Facts) (out []touch) {
	if c.To != "" {
		out = append(out, touch{c.To, goes})
	}
	if last := facts.Latest[c.Ref]; deployed(last) {
		out = append(out, touch{last.Release.Environment, "leaves it"})
	}
	for _, ref := range slices.SortedFunc(maps.Keys(facts.Latest), schemas.Ref.Compare) {
		e := facts.Latest[ref]
		if ref == c.Ref || !deployed(e) {
			continue
		}
		if c.Address != "" && Recorded(e) == c.Address {
			out = append(out, touch{e.Release.Environment, "takes the address of " + ref.String()})
		}
		if claim := taken(c.Claims, claimed(e)); claim != "" {
			out = append(out, touch{e.Release.Environment, "takes requests for " + claim + " of " + ref.String()})
		}
		if c.Branch != "" && strings.EqualFold(delivered(e), c.Branch) {
			out = append(out, touch{e.Release.Environment, "writes to the branch of " + ref.String()})
		}
	}
	return out
}

func deployed(e *ledger.Entry) bool {
	return e != nil && e.Action == ledger.Deploy && e.Release != nil
}

// of is what guards one environment: as the change says, and as it was before.
func (p Past) of(t touch, now Settings) ([]Guard, error) {
	own, asks := now.guard(t)
	own.Revision = ""
	last := p.Facts.Places[schemas.Place(t.name)]
	if last != nil {
		was, err := p.At(last.Revision)
		switch {
		case err != nil && fault.Of(err) != fault.Missing:
			return nil, err
		case err != nil && (schemas.Production(t.name) || len(last.Approved) > 0): // it was guarded then
			return joined(asks, own, Lost(t.name, err)), nil
		case err != nil:
			was = Settings{}
		}
		if before, asked := was.guard(t); asked && before.mannable() {
			return joined(asks, own, before), nil
		}
	}
	if !asks {
		return nil, nil
	}
	// It guards from now on: whoever may approve stood there before it was to.
	elsewhere, err := p.elsewhere(own)
	if err != nil {
		return nil, err
	}
	was, found, err := p.First(schemas.Place(t.name))
	if err != nil || !found {
		return append([]Guard{own}, elsewhere...), err
	}
	before := own
	before.Revision, before.Trust, before.Where = was.Revision, was.Trust, was.Where
	if stood, asked := was.guard(t); asked && stood.Need > before.Need {
		before.Need = stood.Need
	}
	return append([]Guard{own, before}, elsewhere...), nil
}

// elsewhere is own by the trust file of the newest release that people approved, wherever that went: an environment that is new makes
// nobody's word count who could not approve what was released before. None, where nothing was approved yet or nobody is named there.
func (p Past) elsewhere(own Guard) ([]Guard, error) {
	var last *ledger.Entry
	for _, e := range p.Facts.Places {
		if len(e.Approved) > 0 && (last == nil || e.Seq > last.Seq) {
			last = e
		}
	}
	if last == nil {
		return nil, nil
	}
	was, err := p.At(last.Revision)
	if fault.Of(err) == fault.Missing && err != nil {
		return []Guard{Lost(own.Place, err)}, nil
	}
	if err != nil {
		return nil, err
	}
	g := own
	g.Revision, g.Trust, g.Where = was.Revision, was.Trust, was.Where
	if !g.mannable() {
		return nil, nil
	}
	return []Guard{g}, nil
}

func joined(asks bool, own, before Guard) []Guard {
	if !asks {
		return []Guard{before}
	}
	return []Guard{own, before}
}

// guard is what s asks for in an environment, and whether it asks for anything. Where
// it writes the name in several ways, it is the strictest of them.
func (s Settings) guard(t touch) (g Guard, asks bool) {
	place := schemas.Place(t.name)
	g = Guard{Place: t.name, Revision: s.Revision, Why: t.why, Trust: s.Trust, Where: s.Where, Reviews: true}
	roles := map[string]bool{}
	var environments map[string]schemas.Environment
	if s.Project != nil {
		environments = s.Project.Environments
	}
	named := false
	for _, name := range slices.Sorted(maps.Keys(environments)) {
		if schemas.Place(name) != place {
			continue
		}
		e := environments[name]
		if !named {
			for _, r := range e.Approvers() {
				roles[r] = true
			}
		} else {
			maps.DeleteFunc(roles, func(r string, _ bool) bool { return !slices.Contains(e.Approvers(), r) })
		}
		named = true
		g.Need = max(g.Need, e.Needs(name))
		g.Reviews = g.Reviews && e.Reviews
		g.Unknown = stricter(g.Unknown, e.UnknownAuthors)
	}
	if !named {
		g.Need, g.Reviews, roles = schemas.Environment{}.Needs(t.name), false, map[string]bool{"approver": true}
	}
	g.Roles = slices.Sorted(maps.Keys(roles))
	g.Unknown = cmp.Or(g.Unknown, schemas.UnknownTwo)
	return g, g.Need > 0
}

// stricter of two answers to unknown authors.
func stricter(a, b string) string {
	rank := []string{"", schemas.UnknownOther, schemas.UnknownTwo, schemas.UnknownRefuse}
	b = cmp.Or(b, schemas.UnknownTwo)
	if slices.Index(rank, b) > slices.Index(rank, a) {
		return b
	}
	return a
}

// mannable tells whether anybody could satisfy g.
func (g Guard) mannable() bool {
	if g.Trust == nil {
		return false
	}
	for _, p := range g.Trust.Principals {
		if slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(g.Roles, r) }) {
			return true
		}
	}
	return false
}

// Mans tells whether s names anybody who may approve what goes to a place.
func (s Settings) Mans(place string) bool {
	g, _ := s.guard(touch{name: place})
	return g.mannable()
}

// Address is where a deployment answers, for all that may stand in the way of another;
// "" where it takes what is free.
func Address(d schemas.Serves) string { return d.Serves().Address }

// Branch is where a deployment is written for others to apply; "" where it is applied.
func Branch(d schemas.Serves) string {
	if g := d.Serves().Delivery; g != nil {
		return g.Branch
	}
	return ""
}

// Back is the change that serves a release of the ledger.
func Back(e *ledger.Entry) Change {
	c := Change{Ref: e.Ref, Address: Recorded(e), Branch: delivered(e), Claims: claimed(e)}
	if e.Release != nil {
		c.To = e.Release.Environment
	}
	return c
}

// Recorded is the Address of a release on the ledger.
func Recorded(e *ledger.Entry) string { return said(e, Address) }

func delivered(e *ledger.Entry) string { return said(e, Branch) }

func claimed(e *ledger.Entry) []schemas.Claim {
	return said(e, func(d schemas.Serves) []schemas.Claim { return d.Serves().Claims })
}

// taken is the first of claims that has requests of another's, whichever front they come by: two names may be of one. "" is none.
func taken(claims, others []schemas.Claim) string {
	for _, c := range claims {
		if slices.ContainsFunc(others, c.Takes) {
			return c.String()
		}
	}
	return ""
}

// said is what of says of a release on the ledger.
func said[T any](e *ledger.Entry, of func(schemas.Serves) T) (none T) {
	is := e.Ref.Kind.Traits()
	if !e.HasRecipe() || !is.Serves {
		return none
	}
	spec := is.New()
	if d, ok := spec.(schemas.Serves); ok && json.Unmarshal(e.Recipe().Spec, spec) == nil {
		return of(d)
	}
	return none
}
