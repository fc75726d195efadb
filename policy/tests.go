// Running rules' own tests, the team's or all, with the lines that no test reached.

package policy

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Report is how the tests went.
type Report struct {
	Tests    []TestResult   `json:"tests"`
	Files    []FileCoverage `json:"files"`    // of rules, not of tests
	Coverage float64        `json:"coverage"` // percent of all lines of the rules in Files
}

// Outcome is how one test ended.
type Outcome string

const (
	Pass    Outcome = "pass"
	Fail    Outcome = "fail"
	Error   Outcome = "error"
	Skipped Outcome = "skip" // named todo_test_...
)

// TestResult is one test.
type TestResult struct {
	Package  string        `json:"package"`
	Name     string        `json:"name"`
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Outcome  Outcome       `json:"outcome"`
	Message  string        `json:"message,omitempty"`
	Duration time.Duration `json:"duration"` // nanoseconds
}

// FileCoverage is what tests reached of one file.
type FileCoverage struct {
	File       string  `json:"file"`
	BuiltIn    bool    `json:"builtIn"`
	Coverage   float64 `json:"coverage"` // percent of lines
	NotCovered []Lines `json:"notCovered,omitempty"`
}

// Lines is a range of lines, both ends included.
type Lines struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// OK tells whether every test passed. Skipped tests do not stand in the way.
func (r Report) OK() bool {
	return !slices.ContainsFunc(r.Tests, func(t TestResult) bool { return t.Outcome == Fail || t.Outcome == Error })
}

// Test runs the *_test.rego files below paths of team and, where all is set, those of the
// built-in rules. Failing tests are part of the report; an error is rules that do not load.
func Test(ctx context.Context, team fs.FS, paths []string, all bool) (Report, error) {
	mods, err := load(team, paths)
	if err != nil {
		return Report{}, err
	}
	mods = slices.DeleteFunc(mods, func(m module) bool { return m.test && !m.team && !all })
	_, types, err := compileSchema()
	if err != nil {
		return Report{}, err
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithSchemas(types)
	reached := cover.New()
	results, err := tester.NewRunner().SetCompiler(compiler).SetStore(inmem.New()).SetCoverageQueryTracer(reached).
		RaiseBuiltinErrors(true).SetTimeout(10*time.Second).SetModules(parsed(mods)).RunTests(ctx, nil)
	if err != nil {
		var errs ast.Errors
		if errors.As(err, &errs) {
			return Report{}, broken(errs)
		}
		return Report{}, fault.New(fault.Internal, "test policy: %w", err)
	}
	r := Report{}
	for t := range results {
		if t != nil {
			r.Tests = append(r.Tests, result(t))
		}
	}
	if err := ctx.Err(); err != nil {
		return Report{}, fault.New(fault.Cancelled, "test policy: %w", err)
	}
	slices.SortFunc(r.Tests, func(a, b TestResult) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
	r.cover(mods, reached, all)
	return r, nil
}

func result(t *tester.Result) TestResult {
	r := TestResult{Package: strings.TrimPrefix(t.Package, "data."), Name: t.Name, Duration: t.Duration, Outcome: Pass}
	if t.Location != nil {
		r.File, r.Line = t.Location.File, t.Location.Row
	}
	switch {
	case t.Error != nil:
		r.Outcome, r.Message = Error, inOneLine(t.Error)
	case t.Skip:
		r.Outcome = Skipped
	case t.Fail:
		r.Outcome = Fail
		if t.FailedAt != nil && t.FailedAt.Location != nil {
			r.Message = "fails at " + t.FailedAt.Location.String()
		}
	}
	return r
}

// cover sums up what was reached of the rules.
func (r *Report) cover(mods []module, reached *cover.Cover, all bool) {
	byName := map[string]*ast.Module{}
	for _, m := range mods {
		if !m.test {
			byName[m.key()] = m.parsed
		}
	}
	report := reached.Report(byName)
	hit, missed := 0, 0
	for _, m := range mods {
		f := report.Files[m.key()]
		if m.test || f == nil || !m.team && !all {
			continue
		}
		fc := FileCoverage{File: m.key(), BuiltIn: !m.team, Coverage: f.Coverage}
		for _, n := range f.NotCovered {
			l := Lines{n.Start.Row, max(n.Start.Row, n.End.Row)}
			if last := len(fc.NotCovered) - 1; last >= 0 && l.From <= fc.NotCovered[last].To { // expressions of one line
				fc.NotCovered[last].To = max(fc.NotCovered[last].To, l.To)
				continue
			}
			fc.NotCovered = append(fc.NotCovered, l)
		}
		hit, missed = hit+f.CoveredLines, missed+f.NotCoveredLines
		r.Files = append(r.Files, fc)
	}
	if hit+missed > 0 {
		r.Coverage = 100 * float64(hit) / float64(hit+missed)
	}
}
