// Package quality reads the tables of a dataset, all rows once, past the checks that
// are declared of them and into their profile. It spreads a file over the machine's
// cores; what is read of it, package tables says.
package quality

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// File is a file of the dataset.
type File struct {
	Path string // as it is told of
	Size int64  // bytes
	// Open gives its bytes to be read at any place. It is called once more for each
	// time that the file is read.
	Open func(ctx context.Context) (Content, error)
}

// Content is an open file.
type Content interface {
	io.ReaderAt
	io.Closer
}

// Report is what came of it. Profile is nil of data that is no table.
type Report struct {
	Violations []table.Violation
	Profile    *table.Profile
	// Skipped are files beside tables whose names say no format: nothing is known of them.
	Skipped []string
}

// Passed says which files were skipped; "" where none was.
func (f Report) Passed() string {
	if len(f.Skipped) == 0 {
		return ""
	}
	told := f.Skipped[:min(len(f.Skipped), mostTold)]
	text := strings.Join(told, ", ")
	if n := len(f.Skipped) - len(told); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return "not read as tables, since their names say no format: " + text
}

// Data examines a dataset's files; now is for its freshness. Data that is no table has
// neither checks nor a profile, unless something is declared of its rows: then it is
// Invalid, as is a file that cannot be read as what it is declared to be.
func Data(ctx context.Context, spec *schemas.Dataset, files []File, now time.Time) (Report, error) {
	promised := len(spec.Columns) > 0 || spec.Rows != nil || spec.Freshness != nil
	var declared schemas.Format
	if spec.Format != nil {
		declared = *spec.Format
	}
	if declared.Type == "folder" {
		return Report{}, nil
	}
	e := &examination{spec: spec, now: now, parts: runtime.GOMAXPROCS(0)}
	for _, c := range spec.Columns {
		if c.Unique { // values met before are held by one reader
			e.parts = 1
		}
	}
	var size int64
	for _, f := range files {
		format, err := table.FormatOf(declared, f.Path)
		if err != nil && (len(files) > 1 || !promised) {
			e.skipped = append(e.skipped, f.Path) // what lies beside tables in a folder is no part of them
			continue
		}
		if err != nil {
			return Report{}, err
		}
		e.tables = append(e.tables, tableFile{f, format})
		size += f.Size
	}
	switch {
	case len(e.tables) == 0 && promised:
		return Report{}, fault.WithHint(fault.New(fault.Invalid, "the data holds no table, and rows are declared"), "declare spec.format, or remove columns, rows and freshness")
	case len(e.tables) == 0:
		return Report{}, nil
	}
	return e.all(ctx, size)
}

type tableFile struct {
	File
	format schemas.Format
}

type examination struct {
	spec   *schemas.Dataset
	now    time.Time
	parts  int // that a file is read in at once
	tables []tableFile

	skipped []string
	check   *table.Checker
	profile *table.Profiler
}

func (e *examination) all(ctx context.Context, size int64) (Report, error) {
	var err error
	if e.check, err = table.NewChecker(e.spec, e.now); err != nil {
		return Report{}, err
	}
	e.profile = table.NewProfiler(e.spec.Columns)
	for again := false; ; again = true {
		for _, t := range e.tables {
			e.check.Begin(t.Path)
			if err := e.one(ctx, t, again); err != nil {
				return Report{}, err
			}
		}
		if !e.check.Again() {
			break
		}
	}
	p := e.profile.Profile(size)
	return Report{Violations: e.check.Violations(), Profile: &p, Skipped: e.skipped}, nil
}

// profiled is how many columns are profiled at once, those of all parts together: each
// takes some 40 KB.
const profiled = 8192

// one reads a file. Where a part cannot be read, the whole is read again from its
// beginning: that alone can tell in which row it is.
func (e *examination) one(ctx context.Context, t tableFile, again bool) error {
	in, err := t.Open(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", t.Path, err)
	}
	defer in.Close()
	readers, err := table.Split(in, t.Size, t.format, t.Path, e.parts)
	if err != nil {
		return err
	}
	if n := max(1, profiled/max(1, len(readers[0].Columns()))); n < len(readers) {
		if readers, err = table.Split(in, t.Size, t.format, t.Path, n); err != nil {
			return err
		}
	}
	if len(readers) == 1 {
		return e.scan(ctx, readers[0], again)
	}
	err = e.side(ctx, readers)
	if fault.Of(err) != fault.Invalid {
		return err
	}
	whole, err2 := table.Open(in, t.Size, t.format, t.Path)
	if err2 != nil {
		return err2
	}
	if err2 := table.Scan(whole, nil, nil, ctx.Err); err2 != nil {
		return err2
	}
	return err
}

// scan reads a whole file by one reader.
func (e *examination) scan(ctx context.Context, r table.Reader, again bool) error {
	if again {
		return table.Scan(r, nil, e.check, ctx.Err)
	}
	p := table.NewProfiler(e.spec.Columns)
	if err := table.Scan(r, p, e.check, ctx.Err); err != nil {
		return err
	}
	return e.profile.Merge(p)
}

// side reads the parts of a file side by side.
func (e *examination) side(ctx context.Context, readers []table.Reader) error {
	checks, profiles := make([]*table.Checker, len(readers)), make([]*table.Profiler, len(readers))
	g, ctx := routine.WithContext(ctx)
	for i, r := range readers {
		g.Start(func() (err error) {
			if checks[i], err = table.NewChecker(e.spec, e.now); err != nil {
				return err
			}
			profiles[i] = table.NewProfiler(e.spec.Columns)
			return table.Scan(r, profiles[i], checks[i], ctx.Err)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range readers {
		e.check.Merge(checks[i])
		if err := e.profile.Merge(profiles[i]); err != nil {
			return err
		}
	}
	return nil
}

// mostTold is how many broken promises are told before the rest is counted.
const mostTold = 10

// Sentence says each broken promise, with the first place where it is.
func Sentence(found []table.Violation) (out []string) {
	for i, v := range found {
		if i == mostTold {
			return append(out, fmt.Sprintf("and %d more", len(found)-i))
		}
		line := v.Rule
		switch {
		case v.Column != "":
			line = v.Column + ": " + v.Rule
		case strings.HasPrefix(v.Rule, "rows "):
			line = fmt.Sprintf("%s, and there are %d", v.Rule, v.Count)
		}
		if len(v.Examples) > 0 {
			e := v.Examples[0]
			if e.Row == 0 {
				line += fmt.Sprintf(" in %s, of %s", e.File, plural.Of(v.Count, "row"))
			} else {
				line += fmt.Sprintf(" is broken %s, first in %s, row %d", plural.Of(v.Count, "time"), e.File, e.Row)
			}
			if e.Line > 0 {
				line += fmt.Sprintf(" (line %d)", e.Line)
			}
			if e.Value != "" {
				line += fmt.Sprintf(": %q", e.Value)
			}
		}
		line += has(v.Has)
		out = append(out, line)
	}
	return out
}

// Broken says each broken promise on a line of its own, with the place where it is declared.
func Broken(d *schemas.Declaration, found []table.Violation) string {
	lines := Sentence(found)
	for i := range lines {
		at := d.Pos
		if i < len(found) && i < mostTold && d.Fields != nil {
			field := "spec.rows"
			if found[i].Column != "" {
				field = "spec.columns." + found[i].Column
			} else if !strings.HasPrefix(found[i].Rule, "rows ") {
				field = "spec.freshness"
			}
			at = d.Fields(field)
		}
		lines[i] = fmt.Sprintf("%s: %s", at, lines[i])
	}
	return strings.Join(lines, "\n    ")
}

// has tells which columns there are, where one is missing.
func has(names []string) string {
	if len(names) == 0 {
		return ""
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	text := "; there are " + strings.Join(quoted, ", ")
	if len(names) == 1 && strings.ContainsAny(names[0], ";\t|") {
		text += ": if another character separates the columns, set spec.format.delimiter"
	}
	return text
}
