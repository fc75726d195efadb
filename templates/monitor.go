// What a monitor found, for people: in a terminal, in a comment and as a page.

package templates

import (
	"cmp"
	"fmt"
	"html"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Monitor is the table for a terminal, with small histograms of the reference and the window.
func Monitor(e watch.Evidence) string {
	var b strings.Builder
	for _, line := range monitorHead(e) {
		fmt.Fprintln(&b, harmless.Line(line))
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(monitorColumns, "\t"))
	for _, c := range e.Columns {
		row := monitorRow(c)
		for i := range row {
			row[i] = harmless.Line(row[i])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	for _, line := range monitorFoot(e) {
		fmt.Fprintln(&b, harmless.Line(line))
	}
	return b.String()
}

// MonitorHTML is the same as a page that needs nothing else, with plots.
func MonitorHTML(e watch.Evidence) string {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<meta charset=\"utf-8\">\n<title>Monitor</title>\n<style>body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:left}.drift,.fault{font-weight:bold}</style>\n")
	safe := func(s string) string { return html.EscapeString(harmless.Line(s)) }
	for _, line := range monitorHead(e) {
		fmt.Fprintf(&b, "<p>%s</p>\n", safe(line))
	}
	fmt.Fprintf(&b, "<table>\n<tr><th>%s</th></tr>\n", strings.Join(monitorColumns, "</th><th>"))
	for _, c := range e.Columns {
		row := monitorRow(c)
		for i := range row {
			row[i] = safe(row[i])
		}
		row[len(row)-2] = plot(c.Shape)
		fmt.Fprintf(&b, "<tr class=\"%s\"><td>%s</td></tr>\n", safe(string(c.Verdict)), strings.Join(row, "</td><td>"))
	}
	b.WriteString("</table>\n<p>Plots: the share of the values in each part of the reference's range, grey of the reference (before) and red of the window (after).</p>\n")
	for _, line := range monitorFoot(e) {
		fmt.Fprintf(&b, "<p>%s</p>\n", safe(line))
	}
	return b.String()
}

// plot draws both sides beside one another, as SVG.
func plot(s *drift.Shape) string {
	if s == nil {
		return ""
	}
	most := 0.01
	for i := range s.Reference {
		most = max(most, s.Reference[i], s.Window[i])
	}
	const width, height = 8, 32
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="%d" role="img" aria-label="before and after">`, len(s.Reference)*2*width, height)
	for i := range s.Reference {
		for side, v := range []float64{s.Reference[i], s.Window[i]} {
			h := v / most * height
			fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%d" height="%.1f" fill="%s"/>`, (2*i+side)*width, height-h, width-1, h, []string{"#999", "#c33"}[side])
		}
	}
	return b.String() + "</svg>"
}

var monitorColumns = []string{"COLUMN", "TYPE", "METHOD", "SCORE", "LIMIT", "ADJUSTED P", "EFFECT", "N", "REFERENCE", "WINDOW", "VERDICT"}

func monitorHead(e watch.Evidence) []string {
	out := []string{
		fmt.Sprintf("%s of %s: %s", e.Monitor, e.Deployment, e.Verdict),
		fmt.Sprintf("Reference: %s, %s. Window: %s, %s%s.", e.Reference.From, plural.Of(e.Reference.Rows, "row"), e.Window.From, plural.Of(e.Window.Rows, "row"), span(e.Window)),
	}
	for _, why := range e.Why[:min(len(e.Why), 12)] {
		out = append(out, "  "+why)
	}
	if n := len(e.Why) - 12; n > 0 {
		out = append(out, fmt.Sprintf("  and %d more", n))
	}
	return out
}

func span(d watch.Data) string {
	if d.First.IsZero() {
		return ""
	}
	const form = "2006-01-02 15:04"
	return ", from " + d.First.UTC().Format(form) + " to " + d.Last.UTC().Format(form) + " UTC"
}

// lagged tells how late outcomes come, and which ones do not count.
func lagged(l watch.Lag) string {
	var out []string
	if l.Tail > 0 {
		out = append(out, fmt.Sprintf("Half of them came within %s, nine of ten within %s", l.Median.Round(time.Second), l.Tail.Round(time.Second)))
	}
	for _, of := range []struct {
		n   int64
		why string
	}{{l.Late, "after the deadline"}, {l.Early, "from before their prediction"}, {l.Future, "of a time that has not come"}, {l.Changed, "changed, of which the last counts"}} {
		if of.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", of.n, of.why))
		}
	}
	if len(out) == 0 {
		return "None of them tells how late it came."
	}
	return strings.Join(out, "; ") + "."
}

func monitorFoot(e watch.Evidence) (out []string) {
	if c := e.Labels; c != nil {
		out = append(out, fmt.Sprintf("Outcomes: %d of %s (%.0f %%), %d of other rows, %s given twice.", c.Labelled, plural.Of(c.Rows, "row"), 100*c.Share, c.Unmatched, plural.Of(c.Duplicates, "id")))
		if l := c.Lag; l != nil {
			out = append(out, lagged(*l))
		}
	}
	for _, list := range []struct {
		how string
		of  []watch.Metric
	}{{"realized", e.Realized}, {"estimated, as long as what is asked changes and not what comes of it", e.Estimated}} {
		for _, m := range list.of {
			out = append(out, fmt.Sprintf("%s: %s (%s, of %s)%s", m.Name, cmp.Or(decimal(m.Value), "not known"), list.how, plural.Of(m.N, "row"), asked(m)))
		}
	}
	for _, g := range e.Gauges {
		line := fmt.Sprintf("%s: %s: %s", g.Gauge, g.What, decimal(g.Value))
		if g.Unknown != "" {
			line = fmt.Sprintf("%s: %s: not known: %s", g.Gauge, g.What, g.Unknown)
		}
		if g.Broken {
			line += ", out of bounds"
		}
		out = append(out, line)
	}
	return out
}

func asked(m watch.Metric) string {
	s := ""
	if m.Min != nil {
		s += fmt.Sprintf(", at least %v", *m.Min)
	}
	if m.Max != nil {
		s += fmt.Sprintf(", at most %v", *m.Max)
	}
	if m.Low != nil && m.High != nil {
		s += fmt.Sprintf(", between %s and %s in the reference", decimal(m.Low), decimal(m.High))
	}
	if m.Broken {
		s += ": broken"
	}
	if m.Few {
		s += ": too few rows to tell"
	}
	return s
}

func monitorRow(c drift.Column) []string {
	row := []string{c.Name, c.Type, c.Method, decimal(c.Score), "", decimal(c.Adjusted), fmt.Sprintf("%.2f", c.Effect), fmt.Sprint(c.Window), "", "", string(c.Verdict)}
	if c.Method == "" {
		row[3], row[5], row[6] = "", "", ""
	} else {
		row[4] = fmt.Sprint(c.Threshold)
	}
	if c.Shape != nil {
		row[8], row[9] = small(c.Shape.Reference), small(c.Shape.Window)
	}
	if c.Why != "" {
		row[10] += ": " + c.Why
	}
	return row
}

func decimal(n *drift.Number) string {
	if n == nil || *n != *n {
		return ""
	}
	return fmt.Sprintf("%.4g", float64(*n))
}

// small is a histogram of shares in one line.
func small(shares []float64) string {
	counts := make([]int64, len(shares))
	for i, s := range shares {
		counts[i] = int64(s * 1e6)
	}
	return histogram(counts)
}

// MonitorDiff says what became of each column from one window to the next.
func MonitorDiff(was, now watch.Evidence, changes []watch.Change) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s -> %s, %d -> %s\n\n", now.Monitor, was.Verdict, now.Verdict, was.Window.Rows, plural.Of(now.Window.Rows, "row"))
	if len(changes) == 0 {
		return b.String() + "No column has changed.\n"
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COLUMN\tSCORE\tEFFECT\tVERDICT")
	for _, c := range changes {
		fmt.Fprintf(w, "%s\t%s -> %s\t%.2f -> %.2f\t%s -> %s\n", harmless.Line(c.Column), decimal(c.WasScore), decimal(c.Score), c.WasEffect, c.Effect, c.Was, c.Verdict)
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	return b.String()
}
