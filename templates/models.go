// How models and data would change.

package templates

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// goal is the direction in which a metric gets better.
type goal int

const (
	unknown goal = iota
	higher
	lower
)

// TieBreak says which one of a front is selected.
func TieBreak(by string) string {
	if by == schemas.TieIdeal {
		return "the one nearest to the best values"
	}
	return "the best by the first of them"
}

// goalOf tells what is better: the selection says so of its metric, gates of theirs.
func (m ModelChange) goalOf(metric string) goal {
	for _, o := range m.Objectives {
		if o.Metric == metric {
			return map[bool]goal{true: higher, false: lower}[o.Maximizes()]
		}
	}
	if metric == m.Metric {
		if m.Maximize {
			return higher
		}
		return lower
	}
	for _, g := range m.Gates {
		switch {
		case g.Rows != "":
		case g.Metric == metric && strings.HasPrefix(g.Rule, "min "):
			return higher
		case g.Metric == metric && strings.HasPrefix(g.Rule, "max "):
			return lower
		}
	}
	return unknown
}

// arrow compares two values of a metric: ▲ better, ▼ worse, = the same. Where nobody
// said what is better there is no arrow.
func arrow(now, was float64, g goal) string {
	switch {
	case now == was:
		return "="
	case g == unknown:
		return ""
	case (now > was) == (g == higher):
		return "▲"
	default:
		return "▼"
	}
}

// against writes the value before, and how the new one differs.
func against(now float64, has bool, before *Measured, metric string, g goal) string {
	was, known := before.Metrics[metric]
	switch {
	case !known:
		return "–"
	case !has:
		return number(was)
	case now == was:
		return number(was) + " ="
	}
	return strings.TrimRight(fmt.Sprintf("%s (%s) %s", number(was), signed(now-was), arrow(now, was, g)), " ")
}

// Number is a number as people read it, everywhere the same: with six digits, and an integer with all of them.
func Number(v float64) string { return number(v) }

func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "not a number"
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func signed(v float64) string {
	if v > 0 {
		return "+" + number(v)
	}
	return strings.Replace(number(v), "-", "−", 1)
}

// models has a part for each model, so that a long one leaves the others their room.
func models(r Report, z size) (out []part) {
	for i, m := range r.Models {
		if i == z.models {
			return append(out, part{rows: []string{fmt.Sprintf("*Not shown here: %s more.*\n", plural.Of(len(r.Models)-i, "model"))}})
		}
		p := part{head: "#### Model " + code(m.Ref.String(), nameLimit) + "\n\n" + m.about(), noun: "gates and metrics are", rows: m.gates(z)}
		if table := m.metrics(z); len(table) > 0 {
			table[0] = "\n" + m.columns() + table[0] // a table is there with a row of it, or not at all
			p.rows = append(p.rows, table...)
		}
		p.rows = append(p.rows, m.scores(z)...)
		if len(p.rows) == 0 {
			p.rows = []string{""}
		}
		out = append(out, p)
	}
	return out
}

// about says which candidate is compared with what.
func (m ModelChange) about() string {
	text := ""
	switch {
	case m.Candidate == (schemas.Ref{}):
		text = "No candidate is trained yet"
	default:
		text = "Best candidate: " + code(m.Candidate.String(), nameLimit)
		if m.Digest != "" {
			text += " (" + code(m.Digest.Short(), nameLimit) + ")"
		}
	}
	if m.Metric != "" {
		by := "lowest"
		if m.Maximize {
			by = "highest"
		}
		text += "; selected by the " + by + " " + code(m.Metric, nameLimit)
		for _, o := range m.Objectives {
			text += ", the " + map[bool]string{true: "highest", false: "lowest"}[o.Maximizes()] + " " + code(o.Metric, nameLimit)
		}
		if m.TieBreak != "" {
			text += ": of the front, " + TieBreak(m.TieBreak)
		}
	}
	for _, b := range []struct {
		name string
		*Measured
	}{{"base", m.Was}, {"live", m.Live}} {
		if b.Measured != nil && b.Digest != "" {
			text += "; " + b.name + " is " + code(b.Digest.Short(), nameLimit)
		}
		if b.Measured != nil && m.Digest != "" && b.Digest == m.Digest {
			text += ", the same model"
		}
	}
	return text + ".\n"
}

func (m ModelChange) columns() string {
	head, rule := "| Metric | Candidate |", "|---|---|"
	for _, b := range []*Measured{m.Was, m.Live} {
		if b != nil {
			head += " Against " + code(cmp.Or(b.Where, "base"), nameLimit) + " |"
			rule += "---|"
		}
	}
	return head + "\n" + rule + "\n"
}

// metrics are the rows of the table: the metric that selects first, then those that
// are judged, then the others.
func (m ModelChange) metrics(z size) (rows []string) {
	rank := map[string]int{}
	for _, all := range []*Measured{{Metrics: m.Now}, m.Was, m.Live} {
		if all != nil {
			for name := range all.Metrics {
				rank[name] = 2
			}
		}
	}
	for _, g := range m.Gates {
		if rank[g.Metric] > 0 {
			rank[g.Metric] = 1
		}
	}
	if rank[m.Metric] > 0 {
		rank[m.Metric] = 0
	}
	names := slices.SortedFunc(maps.Keys(rank), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), strings.Compare(a, b))
	})
	for i, name := range names {
		if i == z.metrics {
			return append(rows, fmt.Sprintf("\n*%d more metrics are not shown here.*\n", len(names)-i))
		}
		now, has := m.Now[name]
		cell := "–"
		if has {
			cell = "**" + number(now) + "**"
		}
		row := "| " + code(name, nameLimit) + " | " + cell + " |"
		for _, b := range []*Measured{m.Was, m.Live} {
			if b != nil {
				row += " " + against(now, has, b, name, m.goalOf(name)) + " |"
			}
		}
		rows = append(rows, row+"\n")
	}
	return rows
}

func (m ModelChange) gates(z size) (rows []string) {
	for i, g := range m.Gates {
		if i == z.metrics {
			return append(rows, fmt.Sprintf("- %d more gates\n", len(m.Gates)-i))
		}
		sign := "… gate not judged yet"
		switch {
		case g.Known && g.Passed:
			sign = "✓ gate passed"
		case g.Known:
			sign = "✗ **gate failed**"
		}
		row := "- " + sign + ": " + code(g.Metric, nameLimit) + g.on() + " " + prose(g.Rule, nameLimit)
		if g.Message != "" {
			row += ": " + prose(g.Message, z.words)
		}
		if i == 0 {
			row = "\n" + row
		}
		rows = append(rows, row+"\n")
	}
	return rows
}

// on says which rows a gate is about.
func (g GateResult) on() string {
	if g.Rows == "" {
		return ""
	}
	return " on " + code(g.Rows, nameLimit)
}

// data is the table of datasets that change.
func data(r Report) part {
	p := part{head: "#### Data\n\n| Dataset | Rows | Columns | Size | Pin |\n|---|---|---|---|---|\n", noun: "datasets are"}
	for _, d := range r.Data {
		pin := "–"
		switch {
		case d.NowPin == "" && d.WasPin != "":
			pin = code(d.WasPin.Short(), nameLimit) + " → –"
		case d.NowPin != "" && d.WasPin != "" && d.NowPin != d.WasPin:
			pin = code(d.WasPin.Short(), nameLimit) + " → " + code(d.NowPin.Short(), nameLimit)
		case d.NowPin != "":
			pin = code(d.NowPin.Short(), nameLimit)
		}
		p.rows = append(p.rows, fmt.Sprintf("| %s | %s | %s | %s | %s |\n", code(d.Ref.String(), nameLimit),
			moved(d.Was.Rows, d.Now.Rows, grouped), moved(int64(d.Was.Columns), int64(d.Now.Columns), grouped), moved(d.BytesWas, d.BytesN, inBytes), pin))
	}
	return p
}

// moved writes was → now; what there is none of is left out.
func moved(was, now int64, text func(int64) string) string {
	switch {
	case now < 0 || was <= 0 && now == 0:
		return "–"
	case was <= 0:
		return text(now)
	case was == now:
		return text(now) + " ="
	}
	sign := "+"
	if now < was {
		sign = "−"
	}
	return fmt.Sprintf("%s → %s (%s%s)", text(was), text(now), sign, text(max(now-was, was-now)))
}

// grouped writes a count with its thousands apart.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// inBytes writes a size to three digits.
func inBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < 5 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.3g %ciB", v, "KMGTPE"[unit])
}

// columns lists the columns that come, go or hold what is personal.
func columns(r Report, z size) part {
	p := part{noun: "columns of the data", drop: dropDetails}
	for _, d := range r.Data {
		var say []string
		for _, group := range []struct {
			word  string
			names []string
		}{{"new", d.Added}, {"gone", d.Gone}, {"personal", d.Personal}} {
			if len(group.names) > 0 {
				say = append(say, group.word+": "+codes(group.names, z.names))
			}
		}
		if len(say) > 0 {
			p.rows = append(p.rows, "- columns of "+code(d.Ref.String(), nameLimit)+" "+strings.Join(say, "; ")+"\n")
		}
		for i, c := range d.Changes {
			if i == mostChanges {
				p.rows = append(p.rows, fmt.Sprintf("- rows of %s: and %s more\n", code(d.Ref.String(), nameLimit), plural.Of(len(d.Changes)-i, "change")))
				break
			}
			p.rows = append(p.rows, "- rows of "+code(d.Ref.String(), nameLimit)+": "+prose(changed(c), z.words)+"\n")
		}
		for _, b := range d.Broken {
			p.rows = append(p.rows, "- ⚠️ rows of "+code(d.Ref.String(), nameLimit)+": "+prose(b, z.words)+"\n")
		}
	}
	return p
}
