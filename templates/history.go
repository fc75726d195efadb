// A page that tells what was released and served when, and who approved it: a line an environment over time, and a table. It has no
// script and asks for nothing from anywhere.

package templates

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Happened is a release, a deployment or its end.
type Happened struct {
	Entry       int64
	Time        time.Time
	What        string // released, deployed, rolled back, retired
	Of          string // the ref that it is about
	Environment string
	Model       digest.Digest
	Approved    []string
	Why         string
}

const mostHappened = 2000 // rows of the table; the newest are shown

// HistoryPage is the page. What happened comes oldest first.
func HistoryPage(title string, all []Happened) string {
	var p strings.Builder
	opening(&p, title)
	timeline(&p, all)
	if n := len(all) - mostHappened; n > 0 {
		fmt.Fprintf(&p, "<p>%s of before are not shown.</p>\n", plural.Of(n, "line"))
		all = all[n:]
	}
	p.WriteString("<table><tr><th>time</th><th>entry</th><th>what</th><th>model</th><th>where</th><th>approved by</th><th>why</th></tr>\n")
	for _, h := range slices.Backward(all) {
		where := h.Of
		if h.Environment != "" {
			where = h.Environment + " (" + h.Of + ")"
		}
		fmt.Fprintf(&p, `<tr><td>%s</td><td class="n">%d</td>`, h.Time.UTC().Format("2006-01-02 15:04:05Z"), h.Entry)
		for _, cell := range []string{h.What, h.Model.Short(), where, strings.Join(h.Approved, ", "), h.Why} {
			fmt.Fprintf(&p, "<td>%s</td>", escaped(cell, 300))
		}
		p.WriteString("</tr>\n")
	}
	p.WriteString("</table>\n</body></html>\n")
	return p.String()
}

// served is a model from when it was served until when it was no more.
type served struct {
	from, to time.Time
	model    digest.Digest
	still    bool
}

// servedBy is what each deployment served, one after the other, by its environment and name; names are in the order of coming.
func servedBy(all []Happened) (lines map[string][]served, names []string) {
	lines = map[string][]served{}
	for _, h := range all {
		if h.Environment == "" {
			continue
		}
		name := h.Environment + " (" + h.Of + ")"
		line, known := lines[name]
		if !known {
			names = append(names, name)
		}
		if n := len(line); n > 0 && line[n-1].still {
			line[n-1].to, line[n-1].still = h.Time, false
		}
		if h.What != "retired" {
			line = append(line, served{from: h.Time, model: h.Model, still: true})
		}
		lines[name] = line
	}
	return lines, names
}

// timeline draws a line an environment: which model it served when. It ends with the last that happened.
func timeline(p *strings.Builder, all []Happened) {
	lines, names := servedBy(all)
	if len(names) == 0 {
		return
	}
	const width, left, height, least = 900, 240, 26, 2
	first, last := all[0].Time, all[len(all)-1].Time
	for _, h := range all { // clocks of several machines may differ
		if h.Time.Before(first) {
			first = h.Time
		}
		if h.Time.After(last) {
			last = h.Time
		}
	}
	span := last.Sub(first).Seconds() * 1.05 // what still serves is seen to
	at := func(t time.Time) int {
		if span <= 0 {
			return left
		}
		return left + int(float64(width-left)*t.Sub(first).Seconds()/span)
	}
	names = names[:min(len(names), mostLegend)]
	slices.Sort(names)
	colour := map[digest.Digest]string{}
	fmt.Fprintf(p, `<svg role="img" aria-label="what was served when" width="%d" height="%d">`+"\n", width, height*len(names)+20)
	for i, name := range names {
		y := i * height
		fmt.Fprintf(p, `<text x="4" y="%d">%s</text>`+"\n", y+17, escaped(name, 38))
		for _, s := range lines[name] {
			if colour[s.model] == "" {
				colour[s.model] = colours[len(colour)%len(colours)]
			}
			to := width
			if !s.still {
				to = at(s.to)
			}
			x := at(s.from)
			fmt.Fprintf(p, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s" stroke="#fff"><title>%s from %s</title></rect>`+"\n",
				x, y+4, max(least, to-x), height-8, colour[s.model], escaped(s.model.Short(), 20), s.from.UTC().Format("2006-01-02 15:04Z"))
		}
	}
	fmt.Fprintf(p, `<text x="%d" y="%d">%s</text><text x="%d" y="%d" text-anchor="end">%s</text></svg>`+"\n",
		left, height*len(names)+14, first.UTC().Format("2006-01-02"), width-4, height*len(names)+14, last.UTC().Format("2006-01-02"))
}
