// The profile of a table for people: in a terminal and as a page.

package templates

import (
	"fmt"
	"html"
	"strings"
	"text/tabwriter"

	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

var bars = []rune("▁▂▃▄▅▆▇█")

// Profile is the table for a terminal, a small histogram in each numeric row.
func Profile(p table.Profile) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s\n\n", plural.Of(p.Rows, "row"), plural.Of(len(p.Columns), "column"), plural.Of(p.Bytes, "byte"))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(profileHead, "\t"))
	for _, c := range p.Columns {
		row := profileRow(c)
		for i := range row {
			row[i] = harmless.Line(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	return b.String()
}

// ProfileHTML is the same as a page that needs nothing else.
func ProfileHTML(p table.Profile) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Profile</title>\n<style>body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:left}</style>\n<p>%s, %s, %s</p>\n<table>\n<tr><th>%s</th></tr>\n",
		plural.Of(p.Rows, "row"), plural.Of(len(p.Columns), "column"), plural.Of(p.Bytes, "byte"), strings.Join(profileHead, "</th><th>"))
	for _, c := range p.Columns {
		row := profileRow(c)
		for i := range row {
			row[i] = html.EscapeString(harmless.Line(row[i]))
		}
		fmt.Fprintf(&b, "<tr><td>%s</td></tr>\n", strings.Join(row, "</td><td>"))
	}
	return b.String() + "</table>\n"
}

var profileHead = []string{"COLUMN", "TYPE", "NULLS", "DISTINCT", "MIN", "P50", "MAX", "MEAN", "DEVIATION", "VALUES"}

func profileRow(c table.ColumnProfile) []string {
	row := []string{c.Name, c.Type, fmt.Sprint(c.Nulls), fmt.Sprint(c.Distinct), c.Min, "", c.Max, "", "", ""}
	if c.Distinct > table.Exact {
		row[3] = "≈" + row[3]
	}
	switch n := c.Numbers; {
	case c.Personal:
		row[9] = "personal"
	case n != nil:
		for i, x := range map[int]float64{4: n.Min, 5: n.Quantiles.P50, 6: n.Max, 7: n.Mean, 8: n.Deviation} {
			row[i] = fmt.Sprintf("%.6g", x)
		}
		if n.Min != n.Max {
			row[5] = "≈" + row[5]
		}
		row[9] = histogram(n.Histogram)
	default:
		var top []string
		for _, t := range c.Top[:min(3, len(c.Top))] {
			top = append(top, fmt.Sprintf("%s (%d)", t.Value, t.Count))
		}
		row[9] = strings.Join(top, ", ")
	}
	return row
}

func histogram(counts []int64) string {
	most := int64(1)
	for _, n := range counts {
		most = max(most, n)
	}
	var b strings.Builder
	for _, n := range counts {
		if n == 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(bars[int(float64(n)/float64(most)*float64(len(bars)-1))])
	}
	return b.String()
}
