package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// marked is a table of the page: the rows that it is of, and what stands between its markers.
var marked = lazyregexp.New(`(?s)(<!-- bench: ([-a-z0-9 ]+) -->\n).*?(<!-- end -->)`)

// writePage writes the page's tables anew.
func writePage(tree fs.FS) error {
	text, err := render(tree)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

// render is the page with its tables as the results give them.
func render(tree fs.FS) (string, error) {
	raw, err := fs.ReadFile(tree, page)
	if err != nil {
		return "", err
	}
	var bad error
	text := marked.ReplaceAllStringFunc(string(raw), func(at string) string {
		m := marked.FindStringSubmatch(at)
		names := strings.Fields(m[2])
		kept := map[string]string{}
		for _, name := range names {
			raw, err := fs.ReadFile(tree, folder+"/"+name+".txt")
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			bad = errors.Join(bad, err)
			kept[name] = string(raw)
		}
		made, err := table(names, kept)
		bad = errors.Join(bad, err)
		return m[1] + made + m[3]
	})
	return text, bad
}

// table is that of some rows, and what ran where and when.
func table(names []string, kept map[string]string) (string, error) {
	var compared, told, notes strings.Builder
	for _, name := range names {
		text, ok := kept[name]
		if !ok {
			fmt.Fprintf(&notes, "- not measured yet: `%s`\n", rerun(name))
			continue
		}
		r, err := parse(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		last := ""
		for _, l := range r.lines {
			if l.side == "" {
				told.WriteString(l.figures())
				continue
			}
			compared.WriteString(l.compared(l.work == last))
			last = l.work
		}
		fmt.Fprintf(&notes, "- `%s`: %s; %s; load %s; Vishwa %s, Go %s", rerun(name), r.config["date"], r.config["machine"], r.config["load"], r.config["commit"], r.config["go"])
		if v := r.versions(); v != "" {
			fmt.Fprintf(&notes, "; %s", v)
		}
		notes.WriteString("\n")
	}
	var b strings.Builder
	if compared.Len() > 0 {
		b.WriteString("| work | | processor | elapsed | peak memory | processor, times ours | elapsed, times ours | growth | goal |\n|---|---|---|---|---|---|---|---|---|\n" + compared.String() + "\n")
	}
	if told.Len() > 0 {
		b.WriteString("| work | measured | goal |\n|---|---|---|\n" + told.String() + "\n")
	}
	return b.String() + notes.String(), nil
}

// rerun is the command that measures a row anew.
func rerun(name string) string {
	for _, r := range rows {
		if r.name == name && r.group != "" {
			return "make bench-" + r.group + " ROWS=" + name
		}
	}
	return "make bench ROWS=" + name
}

// compared is a line of a comparison; the work is named once.
func (l result) compared(again bool) string {
	work := l.work
	if again {
		work = ""
	}
	at := func(unit string) string {
		v, ok := l.metrics[unit]
		if !ok {
			return ""
		}
		return shown(unit, v)
	}
	ratio := func(of string) string {
		v, ok := l.metrics[of+"-ratio"]
		if !ok {
			return ""
		}
		return fmt.Sprintf("%s (%s to %s)", round(v), round(l.metrics[of+"-ratio-least"]), round(l.metrics[of+"-ratio-most"]))
	}
	processor := at("cpu-s")
	if served := at("server-s"); served != "" {
		processor += " and the server " + served
	}
	return "| " + strings.Join([]string{work, l.side, processor, at("wall-s"), at("peak-MiB"), ratio("cpu"), ratio("wall"), at("exponent"), l.goals()}, " | ") + " |\n"
}

// figures is a line of what is compared with nothing.
func (l result) figures() string {
	var all []string
	for _, unit := range slices.Sorted(maps.Keys(l.metrics)) {
		if !strings.HasSuffix(unit, "-goal") && !slices.Contains([]string{"B/op", "allocs/op"}, unit) && (unit != "ns/op" || l.metrics[unit] > 0) {
			all = append(all, measured(unit, l.metrics[unit]))
		}
	}
	return fmt.Sprintf("| %s | %s | %s |\n", l.work, strings.Join(all, ", "), l.goals())
}

// goals tells each, and whether it is held.
func (l result) goals() string {
	var all []string
	for _, unit := range slices.Sorted(maps.Keys(l.metrics)) {
		of, ok := strings.CutSuffix(unit, "-goal")
		if !ok {
			continue
		}
		goal, got, word := l.metrics[unit], l.metrics[of], "at most"
		held := got <= goal
		if strings.HasSuffix(of, "-ratio") {
			held, word = got >= goal, "at least"
		}
		verdict := "held"
		if !held {
			verdict = "**missed**"
		}
		all = append(all, fmt.Sprintf("%s %s %s: %s", called(of), word, shown(of, goal), verdict))
	}
	return strings.Join(all, "; ")
}

// called is what a unit is of.
func called(unit string) string {
	switch unit {
	case "cpu-s", "cpu-ratio":
		return "processor"
	case "wall-s", "wall-ratio":
		return "elapsed"
	case "peak-MiB":
		return "peak memory"
	case "exponent":
		return "growth"
	}
	for _, suffix := range []string{"-s", "-ms", "-MiB"} {
		unit = strings.TrimSuffix(unit, suffix)
	}
	return strings.ReplaceAll(unit, "-", " ")
}

// shown is a value with its unit.
func shown(unit string, v float64) string {
	switch {
	case strings.HasSuffix(unit, "-s") && v < 0.001:
		return round(v*1e6) + " µs"
	case strings.HasSuffix(unit, "-s") && v < 1:
		return round(v*1000) + " ms"
	case strings.HasSuffix(unit, "-s"):
		return round(v) + " s"
	case strings.HasSuffix(unit, "-ms"):
		return round(v) + " ms"
	case strings.HasSuffix(unit, "-MiB"):
		return round(v) + " MiB"
	}
	return round(v)
}

// measured is a value with its unit, and what it is of where the unit says so: p50-ms, or s/run.
func measured(unit string, v float64) string {
	if unit == "ns/op" {
		return "each " + shown("-s", v/1e9)
	}
	if of := called(unit); of != strings.ReplaceAll(unit, "-", " ") {
		return of + " " + shown(unit, v)
	}
	return round(v) + " " + unit
}

// round leaves what a measurement can say: two places, or three of larger numbers.
func round(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	case v >= 1:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", v), ".00")
	}
	return fmt.Sprintf("%.2g", v)
}
