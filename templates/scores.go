// Champion and challenger: how the model that is served and the one that would take its place did on
// the same rows, as a table of a comment and as lines of a terminal.

package templates

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// rowsMetric is the metric by which an evaluation says how many rows there were.
const rowsMetric = "rows"

// scored names the rows of a score.
func scored(s ledger.Score) string {
	if s.Before {
		return s.Rows + ", as the champion was released with"
	}
	return s.Rows
}

// scoreMetrics are those of both models, by name.
func scoreMetrics(s ledger.Score) []string {
	names := map[string]bool{}
	for _, all := range []map[string]float64{s.Metrics, s.ChampionMetrics} {
		for name := range all {
			names[name] = true
		}
	}
	delete(names, rowsMetric)
	return slices.Sorted(maps.Keys(names))
}

// value writes a metric, and a dash where there is none.
func value(all map[string]float64, name string) string {
	if v, ok := all[name]; ok {
		return number(v)
	}
	return "–"
}

// difference is what the challenger's metric is more than the champion's.
func difference(s ledger.Score, name string) (float64, bool) {
	now, has := s.Metrics[name]
	was, had := s.ChampionMetrics[name]
	return now - was, has && had
}

// Scores are lines for a terminal, one a metric and set of rows.
func Scores(all []ledger.Score) (out []string) {
	for _, s := range all {
		on := fmt.Sprintf("on %s (%s)", scored(s), s.Data.Short())
		if n, ok := s.Metrics[rowsMetric]; ok {
			on = fmt.Sprintf("on %s rows of %s (%s)", number(n), scored(s), s.Data.Short())
		}
		if s.Metrics == nil && s.ChampionMetrics == nil {
			out = append(out, harmless.Line(on+": not scored yet"))
			continue
		}
		for _, name := range scoreMetrics(s) {
			line := fmt.Sprintf("%s: %s %s", on, name, value(s.Metrics, name))
			if s.Champion != "" {
				line += fmt.Sprintf(", and %s of the champion %s", value(s.ChampionMetrics, name), s.Champion.Short())
			}
			if d, ok := difference(s, name); ok {
				line += " (" + signed(d) + ")"
			}
			out = append(out, harmless.Line(line))
		}
	}
	return out
}

// evaluations are lines of a plan about what a model is scored on.
func evaluations(s plan.Step) (out []line) {
	all, _ := plan.Scores(s.Evaluations)
	for _, text := range Scores(all) {
		out = append(out, line{"", "scored " + text, true})
	}
	return out
}

// scores is the table of both models on the same rows.
func (m ModelChange) scores(z size) (rows []string) {
	n := 0
	for _, s := range m.Scores {
		for _, name := range scoreMetrics(s) {
			if n++; n > z.metrics {
				continue
			}
			cell, count := "–", "–"
			if d, ok := difference(s, name); ok {
				cell = strings.TrimRight(signed(d)+" "+arrow(s.Metrics[name], s.ChampionMetrics[name], m.scoreGoal(s.Rows, name)), " ")
			}
			if v, ok := s.Metrics[rowsMetric]; ok {
				count = number(v)
			}
			on := code(s.Rows, nameLimit)
			if s.Before {
				on += " as before"
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | **%s** | %s (%s) | %s | %s |\n", code(name, nameLimit), value(s.ChampionMetrics, name),
				value(s.Metrics, name), on, code(s.Data.Short(), nameLimit), count, cell))
		}
	}
	if n > z.metrics {
		rows = append(rows, fmt.Sprintf("\n*%d more are not shown here.*\n", n-z.metrics))
	}
	if len(rows) > 0 {
		rows[0] = "\nBoth on the same rows:\n\n| Metric | Champion | Challenger | Rows | n | Difference |\n|---|---|---|---|---|---|\n" + rows[0]
	}
	return rows
}

// scoreGoal tells what is better of a metric on rows: gates on them say so, and the selection of
// its own metric, whatever it calls the rows.
func (m ModelChange) scoreGoal(rows, metric string) goal {
	for _, g := range m.Gates {
		switch {
		case g.Rows != rows || g.Metric != metric:
		case strings.HasPrefix(g.Rule, "min "):
			return higher
		case strings.HasPrefix(g.Rule, "max "):
			return lower
		}
	}
	if m.Metric == metric || strings.HasSuffix(m.Metric, "."+metric) {
		return m.goalOf(m.Metric)
	}
	return unknown
}
