package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// result is one line of results.
type result struct {
	work    string // the benchmark's own name is left out, and the row's
	side    string // of a comparison
	metrics map[string]float64
}

// results are a file's.
type results struct {
	config map[string]string
	lines  []result
}

// spaced undoes what porttest/beside makes of spaces.
var spaced = strings.NewReplacer("__", "_", "_", " ")

var processors = lazyregexp.New(`-\d+$`)

// parse reads the format of Go's benchmarks (golang.org/design/14313-benchmark-format).
func parse(text string) (results, error) {
	r := results{config: map[string]string{}}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch key, value, ok := strings.Cut(line, ": "); {
		case len(fields) == 0:
		case strings.HasPrefix(line, "Benchmark"):
			l := result{metrics: map[string]float64{}}
			if len(fields)%2 != 0 {
				return r, fmt.Errorf("a value and its unit are wanted each: %q", line)
			}
			for i := 2; i < len(fields); i += 2 {
				n, err := strconv.ParseFloat(fields[i], 64)
				if err != nil {
					return r, fmt.Errorf("%w: %q", err, line)
				}
				l.metrics[fields[i+1]] = n
			}
			l.name(fields[0])
			r.lines = append(r.lines, l)
		case ok:
			r.config[key] = strings.TrimSpace(value)
		default:
			return r, fmt.Errorf("no line of results: %q", line)
		}
	}
	return r, nil
}

// name takes a benchmark's name apart: BenchmarkBeside/ROW/WORK/SIDE-2, or another that ends so, or BenchmarkOther/WORK-2.
func (l *result) name(of string) {
	parts := strings.Split(spaced.Replace(processors.ReplaceAllString(of, "")), "/")
	if _, ok := l.metrics["pairs"]; ok && len(parts) > 2 {
		l.side, parts = parts[len(parts)-1], parts[:len(parts)-1]
	}
	if strings.HasSuffix(parts[0], "Beside") && len(parts) > 2 {
		parts = parts[1:]
	}
	if len(parts) > 1 {
		parts = parts[1:]
	}
	l.work = strings.TrimPrefix(strings.Join(parts, ", "), "Benchmark")
}

// versions are those of the programs, as they say them.
func (r results) versions() string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(r.config)) {
		if name, ok := strings.CutPrefix(key, "version-"); ok {
			v := r.config[key]
			if !strings.Contains(strings.ToLower(v), name) {
				v = name + " " + v
			}
			all = append(all, v)
		}
	}
	return strings.Join(all, ", ")
}
