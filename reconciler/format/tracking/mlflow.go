// MLflow: a folder a run, with a file a metric, or the tables of a database. Its runs that have no
// parent are read in the order of their beginning, a later one before an earlier; a run that was begun
// within another, as a search does for each of its trials, is left out.

package tracking

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/format/sqlite"
)

const (
	mostRuns = 10_000
	parent   = "mlflow.parentRunId"
)

// mlrun is a run of MLflow.
type mlrun struct {
	id     string
	start  int64
	nested bool
	log    *recorder
	sets   bySet
}

func (f *files) mlflow(r *recorder) error {
	runs, err := f.mlruns()
	if err != nil {
		return err
	}
	slices.SortStableFunc(runs, func(a, b *mlrun) int { return cmp.Or(cmp.Compare(a.start, b.start), strings.Compare(a.id, b.id)) })
	for _, run := range runs {
		if run.nested {
			r.note("a run of MLflow that was begun within another one was left out")
			continue
		}
		if err := r.over(run.log); err != nil {
			return err
		}
	}
	return nil
}

// mlruns are the runs of all stores.
func (f *files) mlruns() ([]*mlrun, error) {
	var out []*mlrun
	held := &pool{}
	for _, p := range f.metas {
		run, err := f.runFolder(p, held)
		if err != nil {
			return nil, err
		}
		if run != nil {
			out = append(out, run)
		}
		if len(out) > mostRuns {
			return nil, fault.New(fault.Invalid, "it began more than %d runs of MLflow", mostRuns)
		}
	}
	for _, p := range f.databases {
		runs, err := f.database(p, held)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s: %w", p, err)
		}
		out = append(out, runs...)
	}
	return out, nil
}

// runFolder is the run whose meta.yaml is at p; nil where that is another thing's.
func (f *files) runFolder(p string, held *pool) (*mlrun, error) {
	var meta struct {
		Run   string `yaml:"run_id"`
		Start int64  `yaml:"start_time"`
		Stage string `yaml:"lifecycle_stage"`
	}
	if is, err := f.understand(p, &meta); err != nil || !is || meta.Run == "" || meta.Stage == "deleted" {
		return nil, err
	}
	dir := path.Dir(p)
	run := &mlrun{id: meta.Run, start: meta.Start, log: held.recorder(), sets: bySet{log: held.recorder()}}
	below := f.below(dir)
	if err := f.spend(listing * int64(len(below))); err != nil { // runs may lie in each other
		return nil, fault.New(fault.Invalid, "%s: %w", p, err)
	}
	run.nested = slices.Contains(below, path.Join(dir, "tags", parent))
	for _, file := range below {
		if run.nested {
			break
		}
		rel := strings.TrimPrefix(file, dir+"/")
		if dir == "." {
			rel = file
		}
		var err error
		switch what, name, _ := strings.Cut(rel, "/"); what {
		case "metrics":
			err = f.metricFile(file, name, run)
		case "params":
			var value []byte
			if value, err = f.text(file); err == nil {
				err = run.log.param(name, string(value))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return run, run.sets.into(run.log)
}

// below lists the files of a folder.
func (f *files) below(dir string) []string {
	prefix := dir + "/"
	if dir == "." {
		return f.all
	}
	from, _ := slices.BinarySearchFunc(f.all, prefix, strings.Compare)
	to := from
	for to < len(f.all) && strings.HasPrefix(f.all[to], prefix) {
		to++
	}
	return f.all[from:to]
}

// metricFile reads lines of TIMESTAMP VALUE STEP, after which newer ones have the name and the digest of a data set.
func (f *files) metricFile(p, name string, run *mlrun) error {
	file, err := f.open(p, mostCSV)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 {
			return fault.New(fault.Invalid, "%s: a line is none of MLflow's", p)
		}
		at, err1 := strconv.ParseInt(string(fields[0]), 10, 64)
		value, err2 := strconv.ParseFloat(string(fields[1]), 64)
		var step int64
		var err3 error
		if len(fields) > 2 {
			step, err3 = strconv.ParseInt(string(fields[2]), 10, 64)
		}
		if err1 != nil || err2 != nil && !isRange(err2) || err3 != nil {
			return fault.New(fault.Invalid, "%s: a line is none of MLflow's", p)
		}
		if err := run.log.point(name, point{step, at, value}); err != nil {
			return err
		}
		if len(fields) > 4 {
			if err := run.sets.point(name, string(bytes.Join(fields[3:len(fields)-1], []byte(" "))), point{step, at, value}); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fault.New(fault.Invalid, "%s: a line is too long", p)
	}
	return nil
}

// isRange is a number too large for 64 bits, which is infinite then.
func isRange(err error) bool { return strings.HasSuffix(err.Error(), strconv.ErrRange.Error()) }

// database reads the runs of a database of MLflow; of another one there are none.
func (f *files) database(p string, held *pool) ([]*mlrun, error) {
	file, err := f.open(p, mostCSV)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	at, ok := file.(io.ReaderAt)
	st, err := file.Stat()
	if !ok || err != nil {
		return nil, fault.New(fault.Invalid, "it cannot be read at a place")
	}
	head := make([]byte, 16)
	if _, err := at.ReadAt(head, 0); err != nil || !sqlite.Is(head) {
		return nil, nil
	}
	db, err := sqlite.Open(at, st.Size())
	if err != nil {
		return nil, err
	}
	if !db.Has("runs") || !db.Has("metrics") || !db.Has("params") || !db.Has("tags") {
		return nil, nil
	}
	for _, left := range []string{"-journal", "-wal"} {
		if !f.has(p + left) { // nothing that is no file is opened
			continue
		}
		if i, err := fs.Stat(f.fsys, p+left); err != nil || i.Size() > 0 {
			return nil, fault.WithHint(fault.New(fault.Invalid, "it was being written when the run ended: %s is not empty", path.Base(p)+left), "have the script wait for the processes that it begins, and end its run of MLflow, before it ends itself")
		}
	}
	return tables(db, held)
}

func tables(db *sqlite.DB, held *pool) (out []*mlrun, err error) {
	runs := map[string]*mlrun{}
	err = db.Table("runs", []string{"run_uuid", "start_time", "lifecycle_stage"}, func(row []sqlite.Value) error {
		id, _ := row[0].(string)
		start, _ := row[1].(int64)
		if row[2] == "deleted" || id == "" {
			return nil
		}
		if len(runs) >= mostRuns {
			return fault.New(fault.Invalid, "it began more than %d runs of MLflow", mostRuns)
		}
		run := &mlrun{id: id, start: start, log: held.recorder(), sets: bySet{log: held.recorder()}}
		if runs[id] == nil {
			out = append(out, run)
		}
		runs[id] = run
		return nil
	})
	if err != nil {
		return nil, err
	}
	// The row of a run that is not there is one of a run that was deleted.
	each := func(table string, columns []string, of int, take func(*mlrun, []sqlite.Value) error) {
		if err == nil {
			err = db.Table(table, columns, func(row []sqlite.Value) error {
				if run := runs[text(row[of])]; run != nil {
					return take(run, row)
				}
				return nil
			})
		}
	}
	each("tags", []string{"run_uuid", "key"}, 0, func(run *mlrun, row []sqlite.Value) error {
		run.nested = run.nested || row[1] == parent
		return nil
	})
	each("params", []string{"run_uuid", "key", "value"}, 0, func(run *mlrun, row []sqlite.Value) error {
		if run.nested {
			return nil
		}
		return run.log.param(text(row[1]), text(row[2]))
	})
	each("metrics", []string{"run_uuid", "key", "value", "timestamp", "step", "is_nan"}, 0, takePoint)
	if db.Has("logged_model_metrics") { // since MLflow 3
		each("logged_model_metrics", columnsBySet, 0, takeBySet)
	}
	for _, run := range out {
		err = errors.Join(err, run.sets.into(run.log))
	}
	return slices.DeleteFunc(out, func(r *mlrun) bool { return runs[r.id] != r }), err
}

func takePoint(run *mlrun, row []sqlite.Value) error {
	at, _ := row[3].(int64)
	step, _ := row[4].(int64)
	value, ok := number(row[2])
	if row[5] == int64(1) || !ok {
		value = math.NaN()
	}
	if run.nested {
		return nil
	}
	return run.log.point(text(row[1]), point{step, at, value})
}

// columnsBySet are those of what was said of a model and of a data set.
var columnsBySet = []string{"run_id", "metric_name", "metric_value", "metric_timestamp_ms", "metric_step", "dataset_name"}

func takeBySet(run *mlrun, row []sqlite.Value) error {
	at, _ := row[3].(int64)
	step, _ := row[4].(int64)
	value, ok := number(row[2])
	if run.nested || !ok || text(row[5]) == "" {
		return nil
	}
	return run.sets.point(text(row[1]), text(row[5]), point{step, at, value})
}

func text(v sqlite.Value) string { s, _ := v.(string); return s }

func number(v sqlite.Value) (float64, bool) {
	switch v := v.(type) {
	case float64:
		if mlflow.Infinite(v) {
			v = math.Copysign(math.Inf(1), v)
		}
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}
