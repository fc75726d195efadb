// What a run logged by the tools of others, for people: parameters, and a small curve of each metric.

package templates

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Logged is what a run logged, as far as it is told.
type Logged struct {
	From   []string // the tools
	Params []string // "depth 3"
	Curves []Curve  // those of several points before the others
	Files  []string // images and tables that are kept: "plots/residuals.svg sha256:0123456789ab"
	More   int      // metrics that are not told
}

// Curve is one metric.
type Curve struct {
	Name   string
	Last   string // the value that counts, or why none does
	Line   string // its course, in blocks; "" where there is but one point
	Points int
}

// The most that is told of a run.
const (
	mostCurves = 24
	mostParams = 40
	lineWidth  = 20
)

// LoggedBy is what d says, and kept what is kept of the run: d itself, and images and tables beside it.
func LoggedBy(d tracking.Document, kept digest.Manifest) *Logged {
	out := &Logged{From: d.From}
	for _, f := range kept {
		if name, is := strings.CutPrefix(f.Path, port.TrackingMedia); is {
			out.Files = append(out.Files, mediaName(name)+" sha256:"+f.Digest.Short())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Params)) {
		if len(out.Params) == mostParams {
			out.Params = append(out.Params, fmt.Sprintf("%d more", len(d.Params)-mostParams))
			break
		}
		out.Params = append(out.Params, cut(name, 80)+" "+cut(d.Params[name], 80))
	}
	all := slices.Clone(d.Series)
	slices.SortStableFunc(all, func(a, b tracking.Series) int { return min(len(b.Values), 2) - min(len(a.Values), 2) })
	for _, s := range all[:min(len(all), mostCurves)] {
		c := Curve{Name: s.Name, Last: "not a number", Points: s.Logged, Line: spark(s.Values)}
		if s.Last != nil {
			c.Last = number(*s.Last)
		}
		out.Curves = append(out.Curves, c)
	}
	out.More = len(all) - len(out.Curves)
	return out
}

// mediaName is what a script called an image or a table: its path in the run's folder begins with where the tool keeps such files.
func mediaName(path string) string {
	for _, kept := range []string{"/artifacts/", "/files/media/"} {
		if i := strings.LastIndex(path, kept); i >= 0 {
			path = path[i+len(kept):]
		}
	}
	return cut(path, 120)
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// spark draws values from the lowest block to the highest; what is no number is a gap.
func spark(all []tracking.Number) string {
	if len(all) < 2 {
		return ""
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range all {
		if f := float64(v); !math.IsInf(f, 0) && !math.IsNaN(f) {
			low, high = min(low, f), max(high, f)
		}
	}
	var b strings.Builder
	width := min(lineWidth, len(all))
	for i := range width {
		f := float64(all[i*(len(all)-1)/(width-1)])
		switch {
		case math.IsNaN(f) || math.IsInf(f, 0):
			b.WriteByte(' ')
		case high == low:
			b.WriteRune(blocks[0])
		default:
			at := (f/2 - low/2) / (high/2 - low/2) * float64(len(blocks)-1) // halves: the span of any two numbers is one
			b.WriteRune(blocks[int(math.Round(at))])
		}
	}
	return b.String()
}

// Lines tells of l in plain text.
func (l *Logged) Lines() (out []string) {
	if len(l.Params) > 0 {
		out = append(out, "parameters: "+harmless.Line(strings.Join(l.Params, ", ")))
	}
	for _, c := range l.Curves {
		line := harmless.Line(c.Name) + " " + c.Last
		if c.Line != "" {
			line += fmt.Sprintf("  %s  %d points", c.Line, c.Points)
		}
		out = append(out, line)
	}
	if l.More > 0 {
		out = append(out, counted(l.More, "metric", "metrics")+" more")
	}
	for _, f := range l.Files {
		out = append(out, "image or table kept: "+harmless.Line(f))
	}
	return out
}

// logged tells what each run logged, folded: its metrics, and what else.
func logged(r Report, z size) []part {
	curves := part{head: "| Run | Metric | Last | Course | Points |\n|---|---|---|---|---|\n", noun: "metrics that runs logged are", drop: dropDetails}
	rest := part{noun: "runs and what they logged are", drop: dropDetails}
	for _, run := range r.Runs {
		l := run.Logged
		if l == nil {
			continue
		}
		for _, c := range l.Curves[:min(len(l.Curves), z.metrics)] {
			course := ""
			if c.Line != "" {
				course = code(c.Line, nameLimit)
			}
			curves.rows = append(curves.rows, fmt.Sprintf("| %s | %s | %s | %s | %d |\n", code(run.Ref.String(), nameLimit), code(c.Name, nameLimit), code(c.Last, nameLimit), course, c.Points))
		}
		text := "- " + code(run.Ref.String(), nameLimit) + " logged by " + codes(l.From, z.names)
		if len(l.Params) > 0 {
			text += "; parameters: " + codes(l.Params, z.names)
		}
		if n := len(l.Files); n > 0 {
			text += "; " + counted(n, "image or table", "images and tables") + " kept: " + codes(l.Files, z.names)
		}
		rest.rows = append(rest.rows, text+"\n")
	}
	return []part{folded("Metrics that runs logged", curves), folded("What else runs logged", rest)}
}
