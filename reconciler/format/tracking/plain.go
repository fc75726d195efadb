// DVCLive's folder, and files without a tool: CSV logs as Lightning and Keras write them, a JSON file
// of results, and JSON or Python's dictionaries that were printed a line at a time.

package tracking

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// deepest is how deep names may be nested.
const deepest = 32

func (f *files) live(r *recorder) error {
	slices.Sort(f.dvclive)
	for _, root := range f.dvclive {
		for _, p := range f.below(root) {
			rel := strings.TrimPrefix(p, root+"/")
			name, isSeries := strings.CutPrefix(rel, "plots/metrics/")
			if isSeries = isSeries && strings.HasSuffix(name, ".tsv"); isSeries {
				if err := f.table(p, '\t', func(string) string { return strings.TrimSuffix(name, ".tsv") }, r); err != nil {
					return err
				}
			}
		}
		for file, take := range map[string]func(string, any) error{"metrics.json": r.summary, "params.yaml": r.setting} {
			if p := path.Join(root, file); f.has(p) {
				if err := f.yaml(p, take, r); err != nil { // JSON is YAML
					return err
				}
			}
		}
	}
	return nil
}

// summary takes the last value of a metric, by DVCLive's own word.
func (r *recorder) summary(name string, v any) error {
	if name == "step" {
		return nil
	}
	if n, ok := float(v); ok {
		return r.final(name, n)
	}
	return nil
}

func (r *recorder) setting(name string, v any) error {
	if list, is := v.([]any); is {
		raw, err := json.Marshal(list)
		if err != nil {
			return nil
		}
		return r.param(name, string(raw))
	}
	if v == nil {
		return nil
	}
	return r.param(name, fmt.Sprint(v))
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	}
	return 0, false
}

// leaves yields the leaves of a value by their names, joined by sep.
func leaves(name, sep string, v any, depth int, take func(string, any) error) error {
	if depth > deepest {
		return fault.New(fault.Invalid, "%.80q is nested more than %d deep", name, deepest)
	}
	if len(name) > mostName { // it would be made once more for each that is below it
		name = name[:mostName+1] // which no metric can have
	}
	below := func(k string) string {
		if name == "" {
			return k
		}
		return name + sep + k
	}
	switch v := v.(type) {
	case map[string]any:
		for k, w := range v {
			if err := leaves(below(k), sep, w, depth+1, take); err != nil {
				return err
			}
		}
		return nil
	case map[any]any:
		return nil
	}
	return take(name, v)
}

// plain reads the files of no tool.
func (f *files) plain(output io.Reader, r *recorder) error {
	slices.SortFunc(f.csv, byVersion)
	for _, p := range f.csv {
		one := newRecorder()
		if err := f.csvLog(p, one); err != nil {
			return err
		}
		if err := r.over(one); err != nil { // a later log goes before an earlier one, as of runs
			return err
		}
	}
	if len(r.series) == 0 {
		for _, p := range f.result {
			raw, err := f.document(p)
			if err != nil {
				return err
			}
			var v map[string]any
			if json.Unmarshal(raw, &v) != nil {
				continue
			}
			if err := leaves("", ".", v, 0, r.summary); err != nil {
				return err
			}
		}
	}
	if len(r.series) == 0 && output != nil {
		return printed(output, r)
	}
	return nil
}

// csvLog reads a CSV file whose header has a column epoch or step; of another one nothing. Lightning's
// has both, and leaves cells empty that a line says nothing of.
func (f *files) csvLog(p string, r *recorder) error {
	head, err := f.text(p)
	if err != nil { // larger than a text: its beginning is enough
		file, err := f.open(p, mostCSV)
		if err != nil {
			return nil // of a size that is none of a log
		}
		head, err = io.ReadAll(io.LimitReader(file, 64<<10))
		file.Close()
		if err != nil {
			return fault.New(fault.Invalid, "%s cannot be read: %w", p, err)
		}
	}
	line, _, _ := strings.Cut(string(head), "\n")
	names := strings.Split(strings.TrimSpace(line), ",")
	if len(names) < 2 || !slices.Contains(names, "epoch") && !slices.Contains(names, "step") {
		return nil
	}
	if beside := path.Join(path.Dir(p), "hparams.yaml"); f.has(beside) { // Lightning's
		if err := f.yaml(beside, r.setting, r); err != nil {
			return err
		}
	}
	return f.table(p, ',', func(column string) string { return column }, r)
}

func (f *files) has(p string) bool { _, there := slices.BinarySearch(f.all, p); return there }

// yaml takes the leaves of a file of YAML or JSON; one that cannot be read is left out, and is noted.
func (f *files) yaml(p string, take func(string, any) error, r *recorder) error {
	var v any
	is, err := f.understand(p, &v)
	if err != nil {
		return err
	}
	if !is {
		r.note("%s cannot be read", path.Base(p))
		return nil
	}
	return leaves("", "/", v, 0, take)
}

// table reads a series a column of a file with a header; the step is in a column step, else epoch.
func (f *files) table(p string, comma rune, name func(column string) string, r *recorder) error {
	file, err := f.open(p, mostCSV)
	if err != nil {
		return err
	}
	defer file.Close()
	limit := &rowLimit{r: file}
	in := csv.NewReader(limit)
	in.Comma, in.FieldsPerRecord, in.ReuseRecord, in.LazyQuotes = comma, -1, true, true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Invalid, "%s: %w", p, err)
	}
	head = slices.Clone(head)
	at := slices.Index(head, "step")
	if at < 0 {
		at = slices.Index(head, "epoch")
	}
	var before, ahead int64 // the step of the row before, and by how much steps are moved on
	for row := int64(0); ; row++ {
		cells, err := in.Read()
		limit.row = 0
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.New(fault.Invalid, "%s: %w", p, err)
		}
		step := row
		if at >= 0 && at < len(cells) {
			if n, err := strconv.ParseFloat(cells[at], 64); err == nil && n > -(1<<53) && n < 1<<53 {
				if step = int64(n) + ahead; step < before { // it was gone on with, from the beginning
					ahead += before + 1 - step
					step = before + 1
				}
				before = step
			}
		}
		for i, cell := range cells[:min(len(cells), len(head))] {
			if i == at || head[i] == "step" || head[i] == "epoch" || head[i] == "timestamp" {
				continue
			}
			n, err := strconv.ParseFloat(strings.TrimSpace(cell), 64)
			if err != nil && !isRange(err) {
				continue
			}
			if err := r.point(name(head[i]), point{step: step, value: n}); err != nil {
				return err
			}
		}
	}
}

// rowLimit refuses a row that is longer than a text, which would be held as a whole: one whose quote is
// never closed goes on to the end of its file.
type rowLimit struct {
	r   io.Reader
	row int // bytes since the last row
}

func (l *rowLimit) Read(b []byte) (int, error) {
	if l.row > mostText {
		return 0, errors.New("a row is too long")
	}
	n, err := l.r.Read(b)
	l.row += n
	return n, err
}

// mostLine is how long a printed line of JSON may be.
const mostLine = 64 << 10

// printed reads lines that are one JSON object, or a dictionary as Python prints it, and such objects over several lines, as with an indent.
// Each is a step unless it says which; a line of anything else is passed over.
func printed(output io.Reader, r *recorder) error {
	in := bufio.NewReaderSize(output, mostLine)
	long := false // what is read is the rest of a line that is too long
	var open block
	for nth := int64(0); ; {
		line, err := in.ReadSlice('\n')
		if !long && (len(line) > 0 && err == nil || errors.Is(err, io.EOF)) {
			if v := open.line(string(line)); v != nil {
				if err := r.report(v, nth); err != nil {
					return err
				}
				nth++
			}
		}
		if long = errors.Is(err, bufio.ErrBufferFull); long { // too long to be one: passed over to its end
			continue
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fault.New(fault.Invalid, "what it printed cannot be read: %w", err)
		}
	}
}

// report takes what was printed as one object.
func (r *recorder) report(v map[string]any, step int64) error {
	for _, at := range []string{"step", "epoch"} {
		if n, ok := v[at].(float64); ok && n > -(1<<53) && n < 1<<53 {
			step = int64(n)
			break
		}
	}
	delete(v, "step")
	delete(v, "epoch")
	return leaves("", ".", v, 0, func(name string, v any) error {
		if v == "NaN" {
			v = math.NaN()
		}
		if n, ok := v.(float64); ok {
			return r.point(name, point{step: step, value: n})
		}
		return nil
	})
}

// block is an object that was begun in an earlier line.
type block struct {
	text  strings.Builder
	tries int // at reading it
}

const mostTries = 64 // of a block, at lines that may be its last

// line is the object that ends with this line; nil: none does.
func (b *block) line(line string) map[string]any {
	if v := reported(strings.TrimSpace(line)); v != nil && (strings.HasPrefix(line, "{") || b.text.Len() == 0) {
		*b = block{}
		return v
	}
	switch {
	case strings.HasPrefix(line, "{"):
		*b = block{}
	case b.text.Len() == 0:
		return nil
	}
	b.text.WriteString(line)
	if b.text.Len() > mostLine {
		*b = block{}
		return nil
	}
	if !strings.HasSuffix(strings.TrimSpace(line), "}") {
		return nil
	}
	v := reported(strings.TrimSpace(b.text.String()))
	if b.tries++; v != nil || b.tries == mostTries {
		*b = block{}
	}
	return v
}

func dictionary(line string) (v map[string]any) {
	if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}") {
		return nil
	}
	if json.Unmarshal([]byte(line), &v) == nil {
		return v
	}
	line = unwrapped(line)
	if strings.Contains(line, `"`) {
		return nil
	}
	if json.Unmarshal([]byte(strings.NewReplacer("'", `"`, "None", "null", "True", "true", "False", "false").Replace(line)), &v) != nil {
		return nil
	}
	return v
}
