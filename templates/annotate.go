// A report at the lines that it is about: annotations of a check run, and the same
// as workflow commands in the log of a GitHub job.

package templates

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// awaits is the rule that holds a deployment until people have approved it.
const awaits = ledger.ApprovalRule

// Annotations are what r says of lines of the repository: problems, conflicts, what
// policies found and runs that failed. What has no place in a file is left out.
func Annotations(r Report) []port.Annotation {
	var out []port.Annotation
	add := func(pos schemas.Position, level, title, message string) {
		if pos.File != "" {
			out = append(out, port.Annotation{Path: pos.File, Line: max(1, pos.Line), Level: level, Title: cut(harmless.Line(title), nameLimit), Message: cut(harmless.Line(message), longest)})
		}
	}
	for _, p := range r.Problems {
		title := "Declaration"
		if p.Field != "" {
			title = p.Field
		}
		add(p.Pos, "failure", title, p.Message)
	}
	for _, path := range r.Conflict {
		add(schemas.Position{File: path}, "failure", "Conflict", strings.TrimSpace("this file conflicts with "+r.Base))
	}
	if r.Plan == nil {
		return out
	}
	at, passing := positions(*r.Plan), r.Plan.Passing()
	for _, f := range sorted(*r.Plan) {
		level := annotated(f)
		if slices.Contains(passing, f.Ref) {
			level = "notice" // the line is not at fault
		}
		add(at[f.Ref], level, f.Rule+" on "+f.Ref.String(), withHint(f.Message, f.Hint))
	}
	for _, run := range r.Runs {
		if run.State == "failed" {
			add(at[run.Ref], "failure", run.Ref.String()+" failed", run.Text)
		}
	}
	return out
}

// annotated is a finding's level beside a line. Waiting for people is no mistake of the
// line's.
func annotated(f ledger.Finding) string {
	if f.Rule == awaits {
		return "notice"
	}
	place, _ := weigh(f.Level)
	return [...]string{"failure", "warning", "notice"}[place]
}

func withHint(message, way string) string {
	if way == "" {
		return message
	}
	return message + ". Hint: " + way
}

// Commands writes annotations as workflow commands, which GitHub shows at their lines.
func Commands(w io.Writer, all []port.Annotation) error {
	var b strings.Builder
	for _, a := range all {
		name := "error"
		switch a.Level {
		case "notice", "warning":
			name = a.Level
		}
		fmt.Fprintf(&b, "::%s file=%s,line=%d,title=%s::%s\n", name, harmless.Property(a.Path), a.Line, harmless.Property(a.Title), harmless.Message(a.Message))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
