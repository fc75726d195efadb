// Terms: when somebody's word counts. People and controllers come and go, and what they
// signed before stays as good as it was; so a term is held against the place on the
// ledger at which something was said, and never against what time it is now.

package trust

import (
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Term is when somebody's word counts. Zero is always.
type Term struct {
	From, Until time.Time // from, and before; zero: open. Held against the times of entries
	Revoked     *Revocation
}

// Revocation ends a term at a place on the ledger, whatever any clock says.
type Revocation struct {
	After  int64 // the last entry that counts
	Reason string
}

// Holds refuses what was said in entry seq, which is dated at: its error goes on after
// who said it.
func (t Term) Holds(seq int64, at time.Time) error {
	switch {
	case t.Revoked != nil && seq > t.Revoked.After:
		return fault.WithHint(fault.New(fault.Denied, "was revoked after entry %d (%s)", t.Revoked.After, t.Revoked.Reason), "have somebody sign whose term goes on")
	case !t.From.IsZero() && at.Before(t.From):
		return fault.WithHint(fault.New(fault.Denied, "counts from %s on, and this is dated %s", t.From.Format(time.RFC3339), at.UTC().Format(time.RFC3339)), "correct validFrom in the trust file, by a reviewed change")
	case !t.Until.IsZero() && !at.Before(t.Until):
		return fault.WithHint(fault.New(fault.Denied, "counted until %s, and this is dated %s", t.Until.Format(time.RFC3339), at.UTC().Format(time.RFC3339)), "have somebody sign whose term goes on")
	}
	return nil
}

// ControllerStands refuses the word of the controller name in entry seq, dated at.
func (t *Trust) ControllerStands(name string, seq int64, at time.Time) error {
	if t == nil {
		return nil
	}
	return t.Controllers[name].Holds(seq, at)
}

// PrincipalStands refuses the word of the principal name in entry seq, dated at.
func (t *Trust) PrincipalStands(name string, seq int64, at time.Time) error {
	if t == nil {
		return nil
	}
	err := t.Principals[name].Holds(seq, at)
	if err == nil {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "%s does not count at entry %d: by the trust file, %s %w", name, seq, name, err), "%s", fault.HintOf(err))
}

// term adds a term's fields to known.
func (r *reader) term(t *Term, field string, known map[string]func(*yaml.Node)) map[string]func(*yaml.Node) {
	ordered := func(n *yaml.Node) {
		if !t.Until.IsZero() && !t.Until.After(t.From) {
			r.report(n, field, "ends, by validUntil, before it begins, by validFrom; correct one of them")
		}
	}
	known["validFrom"] = func(n *yaml.Node) {
		t.From, _ = r.day(n, field+".validFrom")
		ordered(n)
	}
	known["validUntil"] = func(n *yaml.Node) {
		var whole bool
		if t.Until, whole = r.day(n, field+".validUntil"); whole { // that day counts, too
			t.Until = t.Until.AddDate(0, 0, 1)
		}
		ordered(n)
	}
	known["revoked"] = func(n *yaml.Node) { t.Revoked = r.revoked(n, field+".revoked") }
	return known
}

// day is n as a time: a day as a whole, or a moment.
func (r *reader) day(n *yaml.Node, field string) (at time.Time, whole bool) {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Tag == "!!timestamp") {
		if at, err := time.Parse(time.DateOnly, n.Value); err == nil {
			return at, true
		}
		if at, err := time.Parse(time.RFC3339, n.Value); err == nil {
			return at.UTC(), false
		}
	}
	r.report(n, field, "is not a time; write 2026-01-31 or 2026-01-31T12:00:00Z")
	return time.Time{}, false
}

func (r *reader) revoked(n *yaml.Node, field string) *Revocation {
	out := &Revocation{After: -1}
	r.fields(n, field, map[string]func(*yaml.Node){
		"after": func(n *yaml.Node) {
			if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Decode(&out.After) != nil || out.After < 0 {
				r.report(n, field+".after", "is not a number of an entry; write the last entry that counts, as vishwa log shows it")
				out.After = 0
			}
		},
		"reason": func(n *yaml.Node) { out.Reason, _ = r.text(n, field+".reason") },
	})
	if out.After < 0 {
		r.report(n, field+".after", "is missing; write the last entry that counts, as vishwa log shows it")
	}
	if out.Reason == "" {
		r.report(n, field+".reason", "is missing; say why, for those who read it later")
	}
	return out
}
