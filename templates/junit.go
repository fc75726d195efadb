// A report as JUnit XML, which Jenkins and most other servers show as test results:
// a suite a kind, a case a step.

package templates

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	File    string       `xml:"file,attr,omitempty"`
	Failure *junitReason `xml:"failure"`
	Skipped *junitReason `xml:"skipped"`
	Out     string       `xml:"system-out,omitempty"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes r as JUnit XML. What is denied or failed is a failure; what is held
// for another reason, or was cancelled, is skipped.
func JUnit(w io.Writer, r Report) error {
	suites := suitesOf(append(declared(r), stepCases(r)...))
	suites.Name = "vishwa"
	var b strings.Builder
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(suites); err != nil {
		return fmt.Errorf("encode JUnit: %w", err)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// declared is a case for each thing that leaves r without a plan.
func declared(r Report) (out []junitCase) {
	for _, p := range r.Problems {
		out = append(out, junitCase{Class: "vishwa.declarations", Name: strings.TrimSpace(p.Pos.String() + " " + p.Field), File: p.Pos.File,
			Failure: &junitReason{Message: harmless.Line(p.Message), Type: "invalid", Text: printed(p.Error())}})
	}
	for _, path := range r.Conflict {
		out = append(out, junitCase{Class: "vishwa.merge", Name: path, File: path,
			Failure: &junitReason{Message: strings.TrimSpace("conflicts with " + harmless.Line(r.Base)), Type: "conflict"}})
	}
	if r.Error != "" {
		out = append(out, junitCase{Class: "vishwa.plan", Name: "plan",
			Failure: &junitReason{Message: harmless.Line(r.Error), Type: "error", Text: printed(withHint(r.Error, r.Hint))}})
	}
	return out
}

func stepCases(r Report) (out []junitCase) {
	byRef := map[schemas.Ref]int{}
	if r.Plan != nil {
		denied := failing(*r.Plan)
		for _, s := range r.Plan.Steps {
			c := stepCase(s)
			if found := denied[s.Ref]; len(found) > 0 {
				var text []string
				for _, f := range found {
					text = append(text, f.Rule+": "+withHint(f.Message, f.Hint))
				}
				c.Skipped, c.Failure = nil, &junitReason{Message: harmless.Line(text[0]), Type: "denied", Text: printed(strings.Join(text, "\n"))}
			}
			byRef[s.Ref] = len(out)
			out = append(out, c)
		}
	}
	for _, run := range r.Runs {
		i, known := byRef[run.Ref]
		if !known {
			i = len(out)
			out = append(out, junitCase{Class: "vishwa." + harmless.Line(string(run.Ref.Kind)), Name: run.Ref.String()})
		}
		ran(&out[i], run)
	}
	return out
}

// failing is what stands in the way of each ref of a plan: its denials, but for those
// that people lift.
func failing(p plan.Plan) map[schemas.Ref][]ledger.Finding {
	out := map[schemas.Ref][]ledger.Finding{}
	for _, f := range p.Findings {
		if place, _ := weigh(f.Level); place == 0 && f.Rule != awaits {
			out[f.Ref] = append(out[f.Ref], f)
		}
	}
	return out
}

func stepCase(s plan.Step) junitCase {
	c := junitCase{Class: "vishwa." + harmless.Line(string(s.Ref.Kind)), Name: s.Ref.String(), File: s.Pos.File, Out: printed(string(s.Do) + ": " + s.Why)}
	if s.Held != "" && s.Do != plan.Keep {
		c.Skipped = &junitReason{Message: "held: " + harmless.Line(s.Held)}
	}
	return c
}

// ran adds how a run ended to its step's case.
func ran(c *junitCase, run Run) {
	c.Out = printed(strings.TrimSpace(c.Out + "\n" + run.State + ": " + run.Text))
	switch {
	case run.State == "failed" && c.Failure == nil:
		c.Skipped, c.Failure = nil, &junitReason{Message: harmless.Line(cut(run.Text, longest)), Type: "failed", Text: printed(run.Text + "\n" + run.Tail)}
	case run.State == "cancelled" && c.Failure == nil && c.Skipped == nil:
		c.Skipped = &junitReason{Message: "cancelled"}
	}
}

// suitesOf puts cases into a suite a class, in the order in which classes come.
func suitesOf(cases []junitCase) junitSuites {
	all := junitSuites{}
	for _, c := range cases {
		i := slices.IndexFunc(all.Suites, func(s junitSuite) bool { return s.Name == c.Class })
		if i < 0 {
			i = len(all.Suites)
			all.Suites = append(all.Suites, junitSuite{Name: c.Class})
		}
		s := &all.Suites[i]
		s.Cases = append(s.Cases, c)
		s.Tests++
		all.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
			all.Failures++
		case c.Skipped != nil:
			s.Skipped++
			all.Skipped++
		}
	}
	return all
}

// printed is text of several lines without control characters.
func printed(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = harmless.Line(strings.ReplaceAll(l, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}
