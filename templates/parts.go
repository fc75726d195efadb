// The parts of a report, in the order in which they are read.

package templates

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

// The order in which parts are dropped for want of room.
const (
	dropGraph = iota + 1
	dropEarlier
	dropDetails
	dropKept
	lastDrop = dropKept
)

// sections are the parts of r that are not empty.
func sections(r Report, z size) []part {
	all := []part{notes(r, z), problems(r, z), conflicts(r), work(r, z)}
	all = append(all, models(r, z)...)
	all = append(all, data(r), columns(r, z), judged(r, z), runs(r, z))
	all = append(all, logged(r, z)...)
	all = append(all, logs(r, z), terraform(r), graph(r, z),
		approvals(r, z), records(r), answers(r, z), upToDate(r, z), earlier(r, z))
	all = slices.DeleteFunc(all, func(p part) bool { return len(p.rows) == 0 })
	if end := foot(r); end != "" {
		all = append(all, part{head: end})
	}
	return all
}

// notes also tells why there is no plan.
func notes(r Report, z size) part {
	p := part{noun: "notes are"}
	if r.Error != "" {
		p.rows = append(p.rows, "- "+prose(strings.TrimSuffix(r.Error, "."), z.words)+wayOut(r.Hint, z.words)+"\n")
	}
	for _, n := range r.Notes {
		p.rows = append(p.rows, "- "+prose(n, z.words)+"\n")
	}
	if r.Plan != nil {
		if text := cost(*r.Plan); text != "" {
			p.rows = append(p.rows, "- "+prose(text, z.words)+"\n")
		}
	}
	return p
}

// wayOut ends a message with what to do.
func wayOut(way string, n int) string {
	if way == "" {
		return ""
	}
	return ". **Hint:** " + prose(way, n)
}

// apart is an empty line between the rows of p that are several lines long.
func apart(p part) string {
	if len(p.rows) == 0 {
		return ""
	}
	return "\n"
}

func problems(r Report, z size) part {
	p := part{noun: "problems are"}
	for _, q := range r.Problems {
		text := "- " + code(q.Pos.String(), nameLimit)
		if q.Field != "" {
			text += " " + code(q.Field, nameLimit)
		}
		p.rows = append(p.rows, text+": "+prose(q.Message, z.words)+"\n")
	}
	return p
}

func conflicts(r Report) part {
	p := part{noun: "files are"}
	for _, path := range r.Conflict {
		p.rows = append(p.rows, "- "+code(path, longest)+"\n")
	}
	return p
}

// answers are what commands were answered, in the words of plans and logs.
func answers(r Report, z size) part {
	p := part{noun: "answers are"}
	for _, a := range r.Answers {
		text := code(a.Command, nameLimit)
		if a.By != "" {
			text += " (asked by " + code(a.By, nameLimit) + ")"
		}
		p.rows = append(p.rows, apart(p)+text+":\n\n"+fenced("text", a.Text, z.log))
	}
	return folded("Answers to commands", p)
}

// work is the table of what the plan does.
func work(r Report, z size) part {
	p := part{head: "#### Plan\n\n| | Action | What | Why |\n|---|---|---|---|\n", noun: "steps are", first: true}
	if r.Plan == nil {
		return p
	}
	for _, s := range r.Plan.Steps {
		if s.Do == plan.Keep {
			continue
		}
		do, why := prose(string(s.Do), nameLimit), prose(s.Why, z.words)
		switch {
		case s.Held != "":
			do, why = "**held** ("+do+")", why+"; held: "+prose(s.Held, z.words)
		case s.Passing:
			do = "not planned yet"
		case s.Failed:
			do = "**cannot be planned**"
		case s.Pending:
			why += " *(may turn out to be kept)*"
		}
		if s.RunsOn != nil {
			why += "; runs on " + code(s.RunsOn.Words(), z.words)
		}
		if s.Tests != nil {
			why += "; " + tests(*s.Tests)
		}
		if s.Monthly != nil {
			why += "; " + prose(monthly(*s.Monthly), z.words)
		}
		if s.Cost != nil {
			why += fmt.Sprintf("; estimated cost %.2f", *s.Cost)
		}
		p.rows = append(p.rows, "| "+signs[symbol(s)]+" | "+do+" | "+code(s.Ref.String(), nameLimit)+" | "+why+" |\n")
	}
	return p
}

// signs are the symbols of a plan as Markdown reads them: none begins a list, a
// quotation or a heading.
var signs = map[string]string{"=": "=", "!": "⛔", "?": "…", ">": "»", "+": "➕", "-": "➖", "~": "↻"}

func upToDate(r Report, z size) part {
	p := part{noun: "what is up to date", drop: dropKept}
	if r.Plan == nil {
		return p
	}
	for _, s := range r.Plan.Steps {
		if s.Do == plan.Keep {
			p.rows = append(p.rows, "- "+code(s.Ref.String(), nameLimit)+": "+prose(s.Why, z.words)+"\n")
		}
	}
	return folded("Up to date", p)
}

// sorted is what policies said, denials first.
func sorted(p plan.Plan) []ledger.Finding {
	out := slices.Clone(p.Findings)
	slices.SortStableFunc(out, func(a, b ledger.Finding) int {
		pa, _ := weigh(a.Level)
		pb, _ := weigh(b.Level)
		return pa - pb
	})
	return out
}

// positions is where each step is declared.
func positions(p plan.Plan) map[schemas.Ref]schemas.Position {
	out := make(map[schemas.Ref]schemas.Position, len(p.Steps))
	for _, s := range p.Steps {
		if s.Pos.File != "" {
			out[s.Ref] = s.Pos
		}
	}
	for _, s := range p.Steps { // a finding on a declaration with outputs has the place of any
		if _, known := out[s.Ref.Whole()]; !known && s.Pos.File != "" {
			out[s.Ref.Whole()] = s.Pos
		}
	}
	return out
}

// levels are the words for what a finding does.
var levels = [...]string{"⛔ **denied**", "⚠️ warning", "note"}

func judged(r Report, z size) part {
	p := part{head: "#### Policy\n\n", noun: "findings are"}
	if r.Plan == nil {
		return p
	}
	at := positions(*r.Plan)
	for _, f := range sorted(*r.Plan) {
		place, _ := weigh(f.Level)
		text := "- " + levels[place] + " " + code(f.Rule, nameLimit) + " on " + code(f.Ref.String(), nameLimit)
		if pos, known := at[f.Ref]; known {
			text += " (" + code(pos.String(), nameLimit) + ")"
		}
		p.rows = append(p.rows, text+": "+prose(strings.TrimSuffix(f.Message, "."), z.words)+wayOut(f.Hint, z.words)+"\n")
	}
	return p
}

func runs(r Report, z size) part {
	p := part{head: "#### Runs\n\n| Run | State | | Entry |\n|---|---|---|---|\n", noun: "runs are"}
	for _, run := range r.Runs {
		state := prose(run.State, nameLimit)
		if run.State == "failed" {
			state = "⛔ **failed**"
		}
		text, seq := "", ""
		if run.Text != "" {
			text = prose(run.Text, z.words)
		}
		if run.Seq > 0 {
			seq = strconv.FormatInt(run.Seq, 10)
		}
		p.rows = append(p.rows, "| "+code(run.Ref.String(), nameLimit)+" | "+state+" | "+text+" | "+seq+" |\n")
	}
	p.foot = isolated(r, z)
	return p
}

// mostLevels bounds the ways of isolation that are told apart below the runs.
const mostLevels = 5

// isolated says below the runs what kept them apart: once, where it was the same for all.
func isolated(r Report, z size) string {
	var ways []string
	of := map[string][]string{}
	bare := map[string]bool{}
	for _, run := range r.Runs {
		if run.Isolation == nil {
			continue
		}
		way := run.Isolation.String()
		if of[way] == nil {
			ways = append(ways, way)
		}
		of[way] = append(of[way], run.Ref.String())
		bare[way] = run.Isolation.Rung() == "none"
	}
	text := ""
	for i, way := range ways {
		if i == mostLevels {
			return text + fmt.Sprintf("- %d other ways of isolation\n", len(ways)-i)
		}
		line := "- isolated: "
		if bare[way] {
			line = "- ⚠️ **not isolated**: "
		}
		line += prose(way, z.words)
		if len(ways) > 1 {
			line += " (" + codes(of[way], z.names) + ")"
		}
		text += line + "\n"
	}
	if text != "" {
		text = "\n" + text
	}
	return text
}

func logs(r Report, z size) part {
	p := part{noun: "logs are"}
	for _, run := range r.Runs {
		if run.State == "failed" && strings.TrimSpace(run.Tail) != "" {
			p.rows = append(p.rows, apart(p)+"The last lines of "+code(run.Ref.String(), nameLimit)+":\n\n"+fenced("text", run.Tail, z.log))
		}
	}
	return folded("Logs of failed runs", p)
}

// terraform lists resources by address and action: their values may be secrets.
func terraform(r Report) part {
	p := part{head: "#### Terraform\n\n| | Action | Resource | Of |\n|---|---|---|---|\n", noun: "resources are"}
	if r.Plan == nil {
		return p
	}
	for _, s := range r.Plan.Steps {
		for _, a := range s.Actions {
			sign, do := resourceSigns[a.Action], prose(a.Action, nameLimit)
			if a.Action == "delete" || a.Action == "replace" {
				do = "**" + do + "**"
			}
			p.rows = append(p.rows, "| "+sign+" | "+do+" | "+code(a.Address, longest)+" | "+code(s.Ref.String(), nameLimit)+" |\n")
		}
	}
	return p
}

var resourceSigns = map[string]string{"create": "➕", "update": "↻", "replace": "±", "delete": "➖", "read": "»"}
