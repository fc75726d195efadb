// Counting: who of those that approved counts before a guard, and what is missing.

package guard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Yes is an approval that was given.
type Yes struct {
	trust.Signed
	// Judged says that it was held against the authors when it was recorded, below a pull
	// request whose opener and pushers the forge tells: whoever merged that wrote nothing.
	Judged bool
	// Seq and At are its entry's, or would be: whoever gave it must count then.
	Seq int64
	At  time.Time
}

// Word is an approval that counts, by each guard that it was held against.
type Word struct {
	Principal string
	Class     trust.Class
	Judged    bool
	Roles     [][]string // as each guard's trust file has them, in the guards' order
}

// Holds tells whether y counts for want before guards: it must by the trust file of
// each, and be none of the authors', as each of them knows people. Every reason not to
// is an error.
func Holds(y Yes, guards []Guard, want trust.Want, hands []port.Hand, now time.Time) (Word, error) {
	w := Word{Judged: y.Judged}
	for _, g := range guards {
		if g.Lost != nil {
			return w, fault.WithHint(fault.New(fault.Denied, "what guards %s is not known here: %w", g.Place, g.Lost), "%s", fault.HintOf(g.Lost))
		}
		if g.Trust == nil {
			return w, fault.WithHint(fault.New(fault.Denied, "%s has no trust.yaml: nobody's approval can count", revision(g)), "add one that names the principals and their keys")
		}
		var authors trust.Authors
		if !y.Judged {
			authors = g.Trust.Authors(hands)
		}
		a, err := g.Trust.Check(y.Signed, want, authors, now)
		if err != nil && g.Revision != "" && w.Principal != "" {
			return w, fault.WithHint(fault.New(fault.Denied, "%s does not count: by the trust file of revision %.7s, before the change: %w", w.Principal, g.Revision, err),
				"have somebody approve whom the trust file named before this change")
		}
		if err == nil {
			err = g.Trust.PrincipalStands(a.Principal, y.Seq, y.At)
		}
		if err != nil {
			return w, err
		}
		w.Principal, w.Class = a.Principal, a.Class
		w.Roles = append(w.Roles, a.Roles)
	}
	return w, nil
}

// Still refuses a word of which the trust file of s, a revision since those of the guards,
// says that it did not count: whoever was taken out of it then, or revoked, is not brought
// back by the change that they approve.
func Still(y Yes, w Word, s Settings, want trust.Want, now time.Time) error {
	_, err := s.Trust.Check(y.Signed, want, trust.Authors{}, now)
	if err == nil {
		err = s.Trust.PrincipalStands(w.Principal, y.Seq, y.At)
	}
	if err == nil {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "%s does not count: by the trust file of revision %.7s, since the newest release and before the change: %w", w.Principal, s.Revision, err),
		"have somebody approve whom every trust file since the newest release named, this one too")
}

func revision(g Guard) string {
	if g.Revision == "" {
		return "the repository"
	}
	return fmt.Sprintf("revision %.7s, before the change,", g.Revision)
}

// Spent tells whether an approval of that number came before the newest change of the
// deployment, or of anything in an environment that it has to do with: it was for that. A release
// that was tried and rolled back spends it too: whoever said yes did not know what was found.
func Spent(f *ledger.Facts, ref schemas.Ref, guards []Guard, seq int64) bool {
	for _, last := range []*ledger.Entry{f.Released[ref], f.WentBack[ref]} {
		if last != nil && last.Seq > seq {
			return true
		}
	}
	return slices.ContainsFunc(guards, func(g Guard) bool {
		last := f.Places[schemas.Place(g.Place)]
		return last != nil && last.Seq > seq
	})
}

// Verdict is how a guard stands.
type Verdict struct {
	Guard
	Given   []Word   // those that count for it
	Needs   int      // people, with those that unknown authors ask for
	Strange []string // unknown authors
	Met     bool
	Refused bool // no approval meets it
	Message string
	Hint    string
}

// Count holds the words that hold against each guard.
func Count(guards []Guard, words []Word, hands []port.Hand) []Verdict {
	out := make([]Verdict, len(guards))
	for i, g := range guards {
		out[i] = g.count(i, words, hands)
		same := strings.Replace(out[i].Message, g.asOf(), "", 1)
		for _, before := range out[:i] {
			if before.Message == same && before.Hint == out[i].Hint {
				out[i].Message = same // what was asked before is asked still
			}
			if !g.mannable() && out[i].asksAs(before) {
				out[i].Message = before.Message // nobody is named before and after the change: one thing to do
			}
		}
	}
	return out
}

func (g Guard) count(i int, words []Word, hands []port.Hand) Verdict {
	v := Verdict{Guard: g, Needs: g.Need, Strange: g.Trust.Authors(hands).Unknown}
	strange := len(v.Strange) > 0
	if strange && g.Unknown == schemas.UnknownTwo {
		v.Needs++
	}
	people, outside := map[string]bool{}, false
	for _, w := range words {
		if w.Class == trust.Forge && !g.Reviews || !slices.ContainsFunc(w.Roles[i], func(r string) bool { return slices.Contains(g.Roles, r) }) {
			continue
		}
		if !people[w.Principal] {
			v.Given = append(v.Given, w)
		}
		people[w.Principal] = true
		outside = outside || w.Judged
	}
	v.Met = len(people) >= v.Needs
	v.Message = fmt.Sprintf("%s needs %s by %s, and has %d", g.named(), plural.Of(v.Needs, "approval"), strings.Join(g.Roles, " or "), len(people))
	v.Hint = "have it approved: vishwa approve PLAN"
	if g.Reviews {
		v.Hint = "have it approved: an approving review of the pull request, or vishwa approve PLAN"
	}
	v.strangers(strange, outside)
	switch {
	case g.Lost != nil:
		v.Met, v.Refused, v.Message, v.Hint = false, true, fmt.Sprintf("what guards %s is not known here: %v", g.Place, g.Lost), fault.HintOf(g.Lost)
	case !v.Refused && !g.mannable():
		v.unmanned()
	}
	return v
}

// strangers adds what unknown authors ask for.
func (v *Verdict) strangers(strange, outside bool) {
	if !strange {
		return
	}
	who := strings.Join(v.Strange[:min(len(v.Strange), 3)], ", ")
	if n := len(v.Strange) - 3; n > 0 {
		who += fmt.Sprintf(" and %d more", n)
	}
	known := "; or add the address to its owner in trust.yaml, which counts from the next release on"
	switch {
	case v.Unknown == schemas.UnknownRefuse:
		v.Met, v.Refused = false, true
		v.Message = fmt.Sprintf("%s takes no change by authors whom trust.yaml does not know: %s", v.named(), who)
		v.Hint = "have the change committed by people of trust.yaml, under their addresses there or signed by their keys"
	case v.Unknown == schemas.UnknownTwo:
		v.Message += fmt.Sprintf("; one more than usual, as trust.yaml does not know who wrote the change: %s", who)
		v.Hint += known
	case !outside:
		v.Met = false
		v.Message += fmt.Sprintf("; one of them below the pull request, by somebody who neither opened it nor pushed to it, as trust.yaml does not know who wrote the change: %s", who)
		v.Hint = "have it approved by a review of the pull request" + known
	}
}

// asksAs tells whether nobody may give before's approvals either, and they are as many, by the same roles, for the same place.
func (v *Verdict) asksAs(before Verdict) bool {
	return !before.mannable() && before.Lost == nil && v.Lost == nil && before.Place == v.Place && before.Why == v.Why && before.Needs == v.Needs && before.Hint == v.Hint && slices.Equal(before.Roles, v.Roles)
}

// unmanned says that nobody may approve yet.
func (v *Verdict) unmanned() {
	v.Met = false
	at := cmp.Or(v.Where, "trust.yaml")
	if v.Revision != "" {
		at += fmt.Sprintf(" as of revision %.7s, before the change,", v.Revision)
	}
	more := ""
	if v.Needs > v.Need {
		more = " (one more than usual, as trust.yaml does not know who wrote the change)"
	}
	v.Message = fmt.Sprintf("%s needs %s by %s%s, and %s names nobody in that role", v.named(), plural.Of(v.Needs, "approval"), strings.Join(v.Roles, " or "), more, at)
	v.Hint = "name who may approve below principals of trust.yaml, and the authors too, in a commit of its own, and have it carried out; declare the deployment after that: a change does not name its own approvers"
}

// asOf tells whose settings these are; "": the change's own.
func (g Guard) asOf() string {
	if g.Revision == "" {
		return ""
	}
	return fmt.Sprintf(", as of revision %.7s,", g.Revision)
}

// named is the environment, and where what it asks for comes from.
func (g Guard) named() string {
	out := g.Place
	if g.Why != goes {
		out += " (the change " + g.Why + ")"
	}
	return out + g.asOf()
}
