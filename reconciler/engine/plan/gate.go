// Gate holds what policies deny, and all that needs it.

package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// Gate is p with its findings: a denied step is held, and so is every step that
// needs a held one. A kept step is never held: it does nothing. What asks for nothing stays held for its own reason. Nor is one whose own plan
// failed: before it is provisioned it is planned again, and judged by that.
func Gate(p Plan, found []ledger.Finding) Plan {
	out := p
	out.Findings = found
	stops := slices.ContainsFunc(found, func(f ledger.Finding) bool { return f.Level == ledger.Denied })
	for s := range p.Working() {
		stops = stops || s.Held != ""
	}
	if !stops || p.Idle() {
		return out // nothing is held of it that is not, and the steps are many
	}
	out.Steps = slices.Clone(p.Steps)
	denied, waits := map[schemas.Ref]string{}, map[schemas.Ref]bool{}
	for _, f := range found {
		// What no approval lets through is the reason, where there is such: who reads only that approvals are missing asks for them in vain.
		if f.Level == ledger.Denied && (denied[f.Ref] == "" || waits[f.Ref] && f.Rule != ledger.ApprovalRule) {
			denied[f.Ref], waits[f.Ref] = f.Text(), f.Rule == ledger.ApprovalRule
		}
	}
	held := map[schemas.Ref]bool{}
	for i := range out.Steps {
		s := &out.Steps[i]
		if s.Do == Keep {
			continue
		}
		if why := denied[s.Ref]; why != "" && (s.Held == "" || s.timed && !s.rests) && (!s.Failed || s.Do == Retire) && !s.Back() {
			if !s.GoesOn() { // what is tried is looked at all the same
				s.look = time.Time{}
			}
			s.Held, s.Until, s.timed = why, time.Time{}, false // when its time comes, it is still denied
		}
		for _, need := range s.Needs {
			if s.Held == "" && held[need] {
				s.Held = "needs " + need.String() + ", which is held"
			}
		}
		held[s.Ref] = s.Held != ""
	}
	return out
}

// Subset keeps of p the steps for refs and what they need; the others are as if
// they were not declared to change. An unknown ref is an error.
func Subset(p Plan, refs []schemas.Ref) (Plan, error) {
	if len(refs) == 0 {
		return p, nil
	}
	want := map[schemas.Ref]bool{}
	for _, r := range refs {
		found := false
		for _, s := range p.Steps {
			if s.Ref == r || s.Ref.Whole() == r {
				want[s.Ref], found = true, true
			}
		}
		if !found {
			return Plan{}, absent(r, p.Steps)
		}
	}
	for i := len(p.Steps) - 1; i >= 0; i-- { // needs come before what needs them
		if want[p.Steps[i].Ref] {
			for _, need := range p.Steps[i].Needs {
				want[need] = true
			}
		}
	}
	out := p
	out.Steps, out.Targets = nil, refs
	for _, s := range p.Steps {
		if want[s.Ref] {
			out.Steps = append(out.Steps, s)
		}
	}
	return out, nil
}

// Diff says what differs between the plan that was agreed on and the one that
// the world asks for now; nothing is the same plan.
func Diff(agreed, now Plan) (out []string) {
	say := func(what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: %s -> %s", what, or(a), or(b)))
		}
	}
	say("revision", shortSHA(agreed.Revision), shortSHA(now.Revision))
	say("policy", agreed.Policy.Short(), now.Policy.Short())
	say("trust", agreed.Trust.Short(), now.Trust.Short())
	was := map[schemas.Ref]Step{}
	for _, s := range agreed.Work() {
		was[s.Ref] = s
	}
	for _, s := range now.Work() {
		a, ok := was[s.Ref]
		delete(was, s.Ref)
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("%s: now to %s (%s)", s.Ref, s.Do, s.Why))
		case a.Do != s.Do:
			out = append(out, fmt.Sprintf("%s: %s -> %s (%s)", s.Ref, a.Do, s.Do, s.Why))
		case a.Key != s.Key || a.Model != s.Model || a.Change != s.Change || a.Pending != s.Pending:
			out = append(out, fmt.Sprintf("%s: what it is made from changed (%s)", s.Ref, s.Why))
		}
	}
	for _, s := range agreed.Work() {
		if _, gone := was[s.Ref]; gone {
			out = append(out, fmt.Sprintf("%s: no longer to %s", s.Ref, s.Do))
		}
	}
	if len(out) == 0 {
		say("declarations", agreed.Tree.Short(), now.Tree.Short())
	}
	return out
}

func or(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// absent names the step that ref may have meant.
func absent(ref schemas.Ref, steps []Step) error {
	var names []string
	for _, s := range steps {
		names = append(names, s.Ref.Whole().String())
	}
	if near := schemas.Nearest(ref.String(), names); near != "" {
		return fmt.Errorf("%s is not in the plan; did you mean %s?", ref, near)
	}
	return fmt.Errorf("%s is not in the plan", ref)
}
