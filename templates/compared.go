// A page that compares runs: a table, the course of each metric, and a line a run through its parameters and metrics. It has no
// script and asks for nothing from anywhere: what runs logged is text in it, and numbers in its drawings.

package templates

import (
	"fmt"
	"html"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Compared is a run on a page that compares runs.
type Compared struct {
	Name    string
	Note    string
	Params  map[string]string
	Metrics map[string]float64
	Series  []tracking.Series
}

// The most that is drawn; the rest is counted.
const (
	mostCharts  = 60
	mostAxes    = 16
	mostDrawn   = 400 // points of a line
	mostLegend  = 24
	mostColumns = 60
)

// colours tell runs apart, also for people who see no red; more than these are dashed.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#444444"}

// ComparedPage is the page. The runs come in the order in which they are shown.
func ComparedPage(title string, runs []Compared) string {
	p := &page{runs: runs}
	p.columns()
	opening(p, title)
	p.table()
	p.parallel()
	p.charts()
	p.WriteString("</body></html>\n")
	return p.String()
}

// opening is how each page begins.
func opening(w io.Writer, title string) {
	fmt.Fprintf(w, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>%[1]s</title>
<style>body{font:14px sans-serif;margin:2em;color:#222;background:#fff}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}td.n{text-align:right}
svg{background:#fff;border:1px solid #ccc;margin:0 1em 1em 0}svg text{font:11px sans-serif;fill:#444}path,polyline{fill:none;stroke-width:1.5}.s{display:inline-block;width:.8em;height:.8em}</style>
</head><body><h1>%[1]s</h1>
`, escaped(title, 200))
}

type page struct {
	strings.Builder
	runs    []Compared
	params  []string // that differ
	metrics []string
}

// columns are the parameters that differ, and the metrics, that are shown.
func (p *page) columns() {
	params, metrics := map[string]map[string]bool{}, map[string]bool{}
	for _, r := range p.runs {
		for name := range r.Params {
			if params[name] == nil {
				params[name] = map[string]bool{}
			}
		}
		for name := range r.Metrics {
			metrics[name] = true
		}
	}
	for name, values := range params {
		for _, r := range p.runs {
			v, has := r.Params[name]
			values[fmt.Sprint(has, v)] = true
		}
		if len(values) > 1 {
			p.params = append(p.params, name)
		}
	}
	slices.Sort(p.params)
	p.params = p.params[:min(len(p.params), mostColumns)]
	p.metrics = slices.Sorted(maps.Keys(metrics))
	p.metrics = p.metrics[:min(len(p.metrics), mostColumns)]
}

func escaped(s string, most int) string { return html.EscapeString(harmless.Line(cut(s, most))) }

// stroke is how a run's lines are drawn.
func stroke(i int) string {
	dash := ""
	if i >= len(colours) {
		dash = fmt.Sprintf(` stroke-dasharray="%d 3"`, 3+3*(i/len(colours)%4))
	}
	return fmt.Sprintf(`stroke="%s"%s`, colours[i%len(colours)], dash)
}

func (p *page) table() {
	p.WriteString("<table><tr><th></th><th>Run</th>")
	for _, name := range p.params {
		fmt.Fprintf(p, "<th>%s</th>", escaped(name, 80))
	}
	for _, name := range p.metrics {
		fmt.Fprintf(p, "<th>%s</th>", escaped(name, 80))
	}
	p.WriteString("<th></th></tr>\n")
	for i, r := range p.runs {
		fmt.Fprintf(p, `<tr><td><span class="s" style="background:%s"></span></td><td>%s</td>`, colours[i%len(colours)], escaped(r.Name, 120))
		for _, name := range p.params {
			v, has := r.Params[name]
			if !has {
				v = "-"
			}
			fmt.Fprintf(p, "<td>%s</td>", escaped(v, 80))
		}
		for _, name := range p.metrics {
			text := "-"
			if v, has := r.Metrics[name]; has {
				text = number(v)
			}
			fmt.Fprintf(p, `<td class="n">%s</td>`, html.EscapeString(text))
		}
		fmt.Fprintf(p, "<td>%s</td></tr>\n", escaped(r.Note, 120))
	}
	p.WriteString("</table>\n")
}

// axis is what a line of each run goes through: numbers, or words in their order.
type axis struct {
	name      string
	at        []float64 // by run, from 0 to 1; NaN where it has none
	low, high string
}

func axisOf(name string, values []string) axis {
	a := axis{name: name, at: make([]float64, len(values))}
	numbers, low, high := true, math.Inf(1), math.Inf(-1)
	words := map[string]float64{}
	for i, v := range values {
		f, err := strconv.ParseFloat(v, 64)
		if a.at[i] = math.NaN(); v == "" {
			continue
		}
		words[v] = 0
		if numbers = numbers && err == nil && !math.IsNaN(f) && !math.IsInf(f, 0); numbers {
			a.at[i], low, high = f, min(low, f), max(high, f)
		}
	}
	if !numbers {
		all := slices.Sorted(maps.Keys(words))
		for i, w := range all {
			words[w] = float64(i)
		}
		for i, v := range values {
			if a.at[i] = math.NaN(); v != "" {
				a.at[i] = words[v]
			}
		}
		low, high = 0, float64(len(all)-1)
		a.low, a.high = all[0], all[len(all)-1]
	} else if len(words) > 0 {
		a.low, a.high = number(low), number(high)
	}
	for i, v := range a.at {
		a.at[i] = share(v, low, high)
	}
	return a
}

// share is where v is from low to high; halves, as the span of any two numbers is one.
func share(v, low, high float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return math.NaN()
	}
	if !(high > low) {
		return 0.5
	}
	return (v/2 - low/2) / (high/2 - low/2)
}

// parallel draws a line a run through the parameters that differ and the metrics.
func (p *page) parallel() {
	var axes []axis
	of := func(name string, value func(Compared) string) {
		values := make([]string, len(p.runs))
		for i, r := range p.runs {
			values[i] = value(r)
		}
		if slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) && len(axes) < mostAxes {
			axes = append(axes, axisOf(name, values))
		}
	}
	for _, name := range p.params {
		of(name, func(r Compared) string { return r.Params[name] })
	}
	for _, name := range p.metrics {
		of(name, func(r Compared) string {
			if v, has := r.Metrics[name]; has {
				return strconv.FormatFloat(v, 'g', -1, 64)
			}
			return ""
		})
	}
	if len(axes) < 2 {
		return
	}
	const step, top, bottom, left = 140, 40, 260, 60
	fmt.Fprintf(p, "<h2>Parameters and metrics</h2>\n<svg width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"A line a run through its parameters and metrics\">\n", 2*left+step*(len(axes)-1), bottom+30)
	for i, r := range slices.Backward(p.runs) { // the first lie above the others
		var points []string
		for n, a := range axes {
			if v := a.at[i]; !math.IsNaN(v) {
				points = append(points, fmt.Sprintf("%d,%.1f", left+n*step, bottom-v*(bottom-top)))
			}
		}
		fmt.Fprintf(p, `<polyline %s points="%s"><title>%s</title></polyline>`+"\n", stroke(i), strings.Join(points, " "), escaped(r.Name, 120))
	}
	for n, a := range axes {
		x := left + n*step
		fmt.Fprintf(p, `<path stroke="#888" d="M%[1]d %[2]dV%[3]d"/><text x="%[1]d" y="15" text-anchor="middle">%[4]s</text><text x="%[1]d" y="32" text-anchor="middle">%[5]s</text><text x="%[1]d" y="%[6]d" text-anchor="middle">%[7]s</text>`+"\n",
			x, top, bottom, escaped(a.name, 22), escaped(a.high, 18), bottom+16, escaped(a.low, 18))
	}
	p.WriteString("</svg>\n")
}

// charts draws the course of each metric that a run logged, of all runs in one.
func (p *page) charts() {
	names := map[string]bool{}
	for _, r := range p.runs {
		for _, s := range r.Series {
			if len(s.Values) > 1 {
				names[s.Name] = true
			}
		}
	}
	if len(names) == 0 {
		return
	}
	p.WriteString("<h2>Courses</h2>\n")
	all := slices.Sorted(maps.Keys(names))
	for _, name := range all[:min(len(all), mostCharts)] {
		p.chart(name)
	}
	if more := len(all) - mostCharts; more > 0 {
		fmt.Fprintf(p, "<p>%s more.</p>\n", plural.Of(more, "metric"))
	}
	p.WriteString("<p>")
	for i, r := range p.runs[:min(len(p.runs), mostLegend)] {
		fmt.Fprintf(p, `<svg width="30" height="10" style="border:0;margin:0"><path %s d="M0 5H30"/></svg> %s &nbsp; `, stroke(i), escaped(r.Name, 120))
	}
	p.WriteString("</p>\n")
}

func (p *page) chart(name string) {
	low, high, first, last := math.Inf(1), math.Inf(-1), int64(math.MaxInt64), int64(math.MinInt64)
	for _, r := range p.runs {
		for _, s := range r.Series {
			for i, v := range s.Values {
				if f := float64(v); s.Name == name && !math.IsNaN(f) && !math.IsInf(f, 0) {
					low, high, first, last = min(low, f), max(high, f), min(first, s.Steps[i]), max(last, s.Steps[i])
				}
			}
		}
	}
	if last < first {
		return
	}
	const width, height, left, top = 380, 220, 70, 24
	fmt.Fprintf(p, `<svg width="%d" height="%d" role="img" aria-label="%[3]s"><text x="%d" y="15" text-anchor="middle">%[3]s</text>`, width, height, escaped(name, 50), width/2)
	fmt.Fprintf(p, `<text x="%d" y="%d" text-anchor="end">%s</text><text x="%d" y="%d" text-anchor="end">%s</text>`, left-4, top+8, number(high), left-4, height-24, number(low))
	fmt.Fprintf(p, `<text x="%d" y="%d">%d</text><text x="%d" y="%d" text-anchor="end">%d</text>`+"\n", left, height-6, first, width-8, height-6, last)
	for i, r := range p.runs {
		for _, s := range r.Series {
			if s.Name != name {
				continue
			}
			var d strings.Builder
			pen := "M"
			for n := range min(len(s.Values), mostDrawn) {
				at := n
				if len(s.Values) > mostDrawn {
					at = n * (len(s.Values) - 1) / (mostDrawn - 1)
				}
				y := share(float64(s.Values[at]), low, high)
				if math.IsNaN(y) { // a gap
					pen = "M"
					continue
				}
				x := share(float64(s.Steps[at]), float64(first), float64(last))
				fmt.Fprintf(&d, "%s%.1f %.1f", pen, left+x*(width-left-10), float64(height-24)-y*(height-24-top))
				pen = "L"
			}
			fmt.Fprintf(p, `<path %s d="%s"><title>%s</title></path>`+"\n", stroke(i), d.String(), escaped(r.Name, 120))
		}
	}
	p.WriteString("</svg>\n")
}
