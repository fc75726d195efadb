// Package templates turns values into what people read: a plan on a terminal, a
// plan in a pull request's comment, the files of a new project. Its functions are
// pure: the same value always reads the same. This file lays a plan out in lines.
package templates

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/vishwaops/vishwa/reconciler/ledger"
	"github.com/vishwaops/vishwa/reconciler/plan"
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
	case s.Held != "":
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

// steps lays out the steps for which want holds, in their order.
func steps(p plan.Plan, want func(plan.Step) bool) (out []line) {
	width := 0
	for _, s := range p.Steps {
		if n := len(s.Ref.String()); want(s) && n > width && n <= widest {
			width = n
		}
	}
	for _, s := range p.Steps {
		if !want(s) {
			continue
		}
		text := fmt.Sprintf("%-*s  %s", width, s.Ref, plain(s.Why))
		if s.Pending && s.Do != plan.Keep {
			text += " (may turn out to be kept)"
		}
		out = append(out, line{symbol(s), strings.TrimRight(text, " "), false})
		if s.Do != plan.Keep {
			out = append(out, under(s)...)
		}
	}
	return out
}

// under is what a step's own line has no room for.
func under(s plan.Step) (out []line) {
	if s.Held != "" {
		out = append(out, line{"", fmt.Sprintf("held, would %s: %s", s.Do, plain(s.Held)), true})
	}
	if len(s.Needs) > 0 {
		out = append(out, line{"", "needs " + refs(s.Needs), true})
	}
	for _, a := range s.Actions {
		out = append(out, action(a))
	}
	return out
}

func action(a port.ResourceAction) line {
	sign := actionSymbols[a.Action]
	if sign == "" {
		sign = "*"
	}
	return line{"", fmt.Sprintf("%s %s (%s)", sign, plain(a.Address), plain(a.Action)), true}
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
	sorted := slices.Clone(p.Findings)
	slices.SortStableFunc(sorted, func(a, b ledger.Finding) int {
		pa, _ := weigh(a.Level)
		pb, _ := weigh(b.Level)
		return pa - pb
	})
	for _, f := range sorted {
		_, sign := weigh(f.Level)
		out = append(out, line{sign, fmt.Sprintf("%s %s on %s: %s", plain(string(f.Level)), plain(f.Rule), f.Ref, plain(f.Message)), false})
		if f.Way != "" {
			out = append(out, line{"", "way out: " + plain(f.Way), true})
		}
	}
	return out
}

// summary counts the steps: "Plan: 2 to make, 14 to keep, 1 held."
func summary(p plan.Plan) string {
	count := map[plan.Do]int{}
	held, pending := 0, 0
	for _, s := range p.Steps {
		switch {
		case s.Do != plan.Keep && s.Held != "":
			held++
			continue
		case s.Do != plan.Keep && s.Pending:
			pending++
		}
		count[s.Do]++
	}
	if count[plan.Keep] == len(p.Steps) {
		return fmt.Sprintf("Nothing to do: %d up to date.", len(p.Steps))
	}
	var parts []string
	for _, do := range []plan.Do{plan.Pin, plan.Make, plan.Remake, plan.Retire, plan.Keep} {
		if n := count[do]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, do))
		}
	}
	if held > 0 {
		parts = append(parts, fmt.Sprintf("%d held", held))
	}
	text := "Plan: " + strings.Join(parts, ", ") + "."
	if pending > 0 {
		text += fmt.Sprintf(" %d may turn out to be kept: what they need is not made yet.", pending)
	}
	return text
}

func busy(s plan.Step) bool { return s.Do != plan.Keep }
func kept(s plan.Step) bool { return s.Do == plan.Keep }

// plain makes text safe to print on one line: a control character could move a
// terminal's cursor, one that turns the direction of writing could hide text.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar, !unicode.IsPrint(r):
			return '\uFFFD'
		default:
			return r
		}
	}, s)
}
