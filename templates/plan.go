// Package templates turns values into what people read: a plan on a terminal, a
// plan in a pull request's comment, the files of a new project. Its functions are
// pure: the same value always reads the same. This file lays a plan out in lines.
package templates

import (
	"fmt"
	"iter"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// line is one line of a plan: a rune that tells what happens, and the rest.
type line struct {
	symbol string
	text   string
	under  bool // it belongs to the line above
}

// symbol tells what becomes of a step: what stops it comes before what it would do.
func symbol(s plan.Step) string {
	switch {
	case s.Do == plan.Keep:
		return "="
	case s.Held != "", s.Failed && !s.Passing:
		return "!"
	case s.Pending:
		return "?"
	}
	switch s.Do {
	case plan.Pin:
		return ">"
	case plan.Make:
		return "+"
	case plan.Retire:
		return "-"
	default:
		return "~"
	}
}

// actionSymbols are Terraform's own.
var actionSymbols = map[string]string{"create": "+", "update": "~", "replace": "±", "delete": "-", "read": "<"}

// widest is the width from which refs are no longer aligned.
const widest = 48

// steps lays out the steps for which want holds, in their order, one after another: there may be tens of thousands.
func steps(p plan.Plan, want func(*plan.Step) bool) iter.Seq[line] {
	width := 0
	for i := range p.Steps {
		if s := &p.Steps[i]; want(s) {
			if n := len(s.Ref.String()); n > width && n <= widest {
				width = n
			}
		}
	}
	told := map[string]string{} // rules that hold a step, by what holds it: the finding says why
	for _, f := range p.Findings {
		if f.Level == ledger.Denied {
			told[f.Ref.String()+" "+f.Text()] = f.Rule
		}
	}
	return func(yield func(line) bool) {
		for i := range p.Steps {
			s := &p.Steps[i]
			if !want(s) {
				continue
			}
			text := fmt.Sprintf("%-*s  %s", width, s.Ref, harmless.Line(s.Why))
			if s.Pending && !s.Failed && s.Do != plan.Keep {
				text += " (may turn out to be kept)"
			}
			if !yield(line{symbol(*s), strings.TrimRight(text, " "), false}) {
				return
			}
			if s.Do == plan.Keep {
				continue
			}
			for _, l := range under(*s, told) {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// under is what a step's own line has no room for. What a finding of the plan tells, by what is told, is named and not said again.
func under(s plan.Step, told map[string]string) (out []line) {
	if rule := told[s.Ref.String()+" "+s.Held]; s.Held != "" && rule != "" {
		out = append(out, line{"", fmt.Sprintf("held, would %s: %s, as its finding says", s.Do, harmless.Line(rule)), true})
	} else if s.Held != "" {
		out = append(out, line{"", fmt.Sprintf("held, would %s: %s", s.Do, harmless.Line(s.Held)), true})
	}
	if s.Aside != "" && (!s.Unanswered() || strings.HasPrefix(s.Held, plan.NotAsked)) { // else something else holds it
		out = append(out, line{"", "cause: " + harmless.Line(s.Aside), true})
	}
	if s.RunsOn != nil {
		out = append(out, line{"", "runs on " + harmless.Line(s.RunsOn.Words()), true})
	}
	if s.Tests != nil {
		out = append(out, line{"", tests(*s.Tests), true})
	}
	if s.Cost != nil {
		out = append(out, line{"", fmt.Sprintf("estimated cost %.2f", *s.Cost), true})
	}
	if s.Monthly != nil {
		out = append(out, line{"", monthly(*s.Monthly), true})
	}
	out = append(out, evaluations(s)...)
	if len(s.Needs) > 0 {
		out = append(out, line{"", "needs " + refs(s.Needs), true})
	}
	for _, a := range s.Actions {
		out = append(out, resource(a))
	}
	return out
}

// tests tells how the tests of a module went: "tests: 3 passed", "tests: 1 passed, 2 failed",
// "tests: not run, as this machine offers no isolation".
func tests(t port.Tests) string {
	if t.NotRun != "" {
		return "tests: not run, as " + harmless.Line(t.NotRun)
	}
	text := fmt.Sprintf("tests: %d passed", t.Passed)
	if t.Failed > 0 {
		text += fmt.Sprintf(", %d failed", t.Failed)
	}
	if t.Skipped > 0 {
		text += fmt.Sprintf(", %d skipped", t.Skipped)
	}
	return text
}

func resource(a port.ResourceAction) line {
	sign := actionSymbols[a.Action]
	if sign == "" {
		sign = "*"
	}
	return line{"", fmt.Sprintf("%s %s (%s)", sign, harmless.Line(a.Address), harmless.Line(a.Action)), true}
}

func refs(all []schemas.Ref) string {
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.String()
	}
	return strings.Join(names, ", ")
}

// weigh gives a level its place, heaviest first, and its symbol. A level that is
// not known weighs like a denial.
func weigh(l ledger.Level) (place int, symbol string) {
	switch l {
	case ledger.Warn:
		return 1, "~"
	case ledger.Note:
		return 2, "·"
	default:
		return 0, "!"
	}
}

// findings lays out what policies said, denials first.
func findings(p plan.Plan) (out []line) {
	for _, f := range sorted(p) {
		_, sign := weigh(f.Level)
		out = append(out, line{sign, fmt.Sprintf("%s %s on %s: %s", harmless.Line(string(f.Level)), harmless.Line(f.Rule), f.Ref, harmless.Line(f.Message)), false})
		if f.Hint != "" {
			out = append(out, line{"", "hint: " + harmless.Line(f.Hint), true})
		}
	}
	return out
}

// tally is how many steps a plan has of each sort. A step that is held counts as
// nothing else; one that may turn out to be kept counts as what it would do, too.
type tally struct {
	do            map[plan.Do]int
	held, pending int
	all           int
}

func count(p plan.Plan) tally {
	t := tally{do: map[plan.Do]int{}, all: len(p.Steps)}
	for _, s := range p.Steps {
		switch {
		case s.Do != plan.Keep && s.Held != "":
			t.held++
			continue
		case s.Do != plan.Keep && s.Pending && !s.Failed:
			t.pending++
		}
		t.do[s.Do]++
	}
	return t
}

func (t tally) settled() bool { return t.do[plan.Keep] == t.all }

// String lists what there is: "2 to make, 14 to keep, 1 held".
func (t tally) String() string {
	var parts []string
	for _, do := range []plan.Do{plan.Pin, plan.Make, plan.Remake, plan.Retire, plan.Keep} {
		if n := t.do[do]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, do))
		}
	}
	if t.held > 0 {
		parts = append(parts, fmt.Sprintf("%d held", t.held))
	}
	return strings.Join(parts, ", ")
}

// summary counts the steps: "Plan: 2 to make, 14 to keep, 1 held."
func summary(p plan.Plan) string {
	t := count(p)
	if t.settled() {
		return fmt.Sprintf("Nothing to do: %d up to date.", t.all)
	}
	text := "Plan: " + t.String() + "."
	if t.pending > 0 {
		text += fmt.Sprintf(" %d may turn out to be kept: what they need is not made yet.", t.pending)
	}
	return text
}

// monthly tells what resources are estimated to cost: "estimated cost 120.00 a month (+20.00), without aws_x.y, of which it is not known".
func monthly(m plan.Monthly) string {
	const most = 3
	text := fmt.Sprintf("estimated cost %.2f a month (%+.2f)", m.Amount, m.Change)
	if left := m.Unknown; len(left) > 0 {
		text += ", without " + harmless.Line(strings.Join(left[:min(most, len(left))], ", "))
		if over := len(left) - most; over > 0 {
			text += fmt.Sprintf(" and %d more", over)
		}
		text += ", of which it is not known"
	}
	return text
}

// cost tells what the runs of p are estimated to cost, and its infrastructure a month; "" where nobody gives
// prices, or nothing is run and nothing stands.
func cost(p plan.Plan) string {
	const most = 3
	var parts []string
	if p.Cost != nil && (p.Cost.Amount != 0 || len(p.Cost.Unknown) > 0) {
		text := fmt.Sprintf("Estimated cost: %.2f", p.Cost.Amount)
		if left := p.Cost.Unknown; len(left) > 0 {
			names := refs(left[:min(most, len(left))])
			if over := len(left) - most; over > 0 {
				names += fmt.Sprintf(" and %d more", over)
			}
			text += ", without " + names + ", of which it is not known"
		}
		parts = append(parts, text+".")
	}
	if m := p.Monthly; m != nil && (m.Amount != 0 || m.Change != 0 || len(m.Unknown) > 0) {
		parts = append(parts, "Infrastructure: "+monthly(*m)+".")
	}
	return strings.Join(parts, " ")
}

func busy(s *plan.Step) bool { return s.Do != plan.Keep }
