// Where the tools leave what a run logged, and who is asked first.

package tracking

import (
	"cmp"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tfevents"
	"github.com/vishwaops/vishwa/reconciler/format/wandb"
)

// The tools, by their names in spec.metricsFrom, in the order in which they are asked where none is
// named.
const (
	MLflow      = "mlflow"
	WandB       = "wandb"
	DVCLive     = "dvclive"
	TensorBoard = "tensorboard"
	File        = "file"
)

// Tools are the names of all.
var Tools = []string{MLflow, WandB, DVCLive, TensorBoard, File}

// The most of a run's folder that is looked at.
const (
	mostFiles  = 200_000
	mostFolder = 64        // folders that one may lie in
	mostLog    = 2 << 30   // bytes of all logs that are read as a stream
	mostText   = 1 << 20   // bytes of a file that is read at once
	mostCSV    = 256 << 20 // bytes of a CSV log
	opening    = 4 << 10   // bytes that could be read while a file is opened,
	listing    = 64        // that is looked at among those of a folder,
	parsing    = 16        // one byte of YAML or JSON is understood,
	visiting   = 256       // and a value in it is made
)

// Options say what is read.
type Options struct {
	// From are the tools to read, the first before the others where both logged a name. Without any,
	// all are looked for, and files only where none of the others logged a metric.
	From []string
	// Skip tells of files that the run did not write.
	Skip func(path string) bool
	// Output is what the run printed; nil is not looked at.
	Output io.Reader
}

// files are the regular files of a run, by what they are.
type files struct {
	fsys        fs.FS
	all         []string // slash-separated paths, sorted
	left        int64    // bytes that may be read yet
	mlmodels    []string
	wandb       []string
	events      []string
	databases   []string
	metas       []string // meta.yaml
	dvclive     []string // roots
	csv, result []string
}

// Read reads what a run logged below fsys, which no process writes to any more. No symbolic link is
// followed.
func Read(fsys fs.FS, o Options) (Document, error) {
	f, err := listFiles(fsys, o.Skip)
	if err != nil {
		return Document{}, err
	}
	tools, found := o.From, len(o.From) == 0
	if found {
		tools = Tools
	}
	all, from, by := newRecorder(), []string{}, map[string]string{}
	for _, tool := range tools {
		if found && tool == File && len(all.series) > 0 {
			break
		}
		r := newRecorder()
		if err := f.readTool(tool, o, r); err != nil {
			return Document{}, err
		}
		if len(r.params) == 0 && len(r.series) == 0 && len(r.pictures) == 0 {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(r.series)) {
			s, was := r.series[name], all.series[name]
			if was == nil {
				by[name] = tool
			} else if was.last.value != s.last.value && !(math.IsNaN(was.last.value) && math.IsNaN(s.last.value)) {
				r.note("the metric %q is %v by %s and %v by %s: the first counts", name, was.last.value, by[name], s.last.value, tool)
			}
		}
		if err := all.merge(r); err != nil {
			return Document{}, err
		}
		from = append(from, tool)
	}
	return all.document(from), nil
}

func (f *files) readTool(tool string, o Options, r *recorder) error {
	switch tool {
	case MLflow:
		return f.mlflow(r)
	case WandB:
		return f.wandbLogs(r)
	case DVCLive:
		return f.live(r)
	case TensorBoard:
		return f.tensorboard(r)
	case File:
		return f.plain(o.Output, r)
	}
	return fault.New(fault.Invalid, "%q is no tool that logs", tool)
}

// listFiles lists what the run wrote.
func listFiles(fsys fs.FS, skip func(string) bool) (*files, error) {
	f := &files{fsys: fsys, left: mostLog}
	n := 0
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fault.New(fault.Invalid, "its folder cannot be read: %w", err)
		}
		if n++; n > mostFiles {
			return fault.WithHint(fault.New(fault.Invalid, "it left more than %d files", mostFiles), "let it write what nobody reads to a temporary folder")
		}
		if d.IsDir() && strings.Count(p, "/") >= mostFolder { // a way there is as long as it is deep
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || skip != nil && skip(p) {
			return nil
		}
		f.sort(p)
		return nil
	})
	return f, err
}

func (f *files) sort(p string) {
	base := path.Base(p)
	switch {
	case base == "meta.yaml":
		f.metas = append(f.metas, p)
	case base == "MLmodel":
		f.mlmodels = append(f.mlmodels, p)
	case strings.HasPrefix(base, "run-") && strings.HasSuffix(base, ".wandb"):
		f.wandb = append(f.wandb, p)
	case strings.Contains(base, ".tfevents."):
		f.events = append(f.events, p)
	case slices.Contains([]string{".db", ".sqlite", ".sqlite3"}, path.Ext(base)):
		f.databases = append(f.databases, p)
	}
	if at := strings.Index("/"+p, "/plots/metrics/"); at >= 0 && strings.HasSuffix(base, ".tsv") {
		f.lives(strings.TrimSuffix(p[:at], "/"))
	}
	if dir := path.Dir(p); path.Base(dir) == "dvclive" && (base == "metrics.json" || base == "params.yaml") {
		f.lives(dir)
	} else if base == "metrics.json" || base == "results.json" || base == "eval_results.json" || base == "all_results.json" {
		f.result = append(f.result, p)
	}
	if strings.HasSuffix(base, ".csv") || strings.HasSuffix(base, ".log") { // as Keras' manual names it
		f.csv = append(f.csv, p)
	}
	f.all = append(f.all, p)
}

func (f *files) lives(root string) {
	if !slices.Contains(f.dvclive, root) && len(f.dvclive) < 64 {
		f.dvclive = append(f.dvclive, root)
	}
}

// open opens a file that is read as a stream.
func (f *files) open(p string, most int64) (fs.File, error) {
	file, err := f.fsys.Open(p)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s cannot be read: %w", p, err)
	}
	st, err := file.Stat()
	if err == nil && st.Size() > most {
		err = tooMuch
	}
	if err == nil {
		err = f.spend(st.Size() + opening)
	}
	if err != nil {
		file.Close()
		return nil, fault.New(fault.Invalid, "%s: %w", p, err)
	}
	return file, nil
}

// text is a small file.
func (f *files) text(p string) ([]byte, error) {
	file, err := f.open(p, mostText)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, mostText))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s cannot be read: %w", p, err)
	}
	return raw, nil
}

// wandbLogs reads the logs of W&B's runs, the earliest first.
func (f *files) wandbLogs(r *recorder) error {
	slices.Sort(f.wandb) // offline-run-DATE_TIME-ID
	for _, p := range f.wandb {
		file, err := f.open(p, mostLog)
		if err != nil {
			return err
		}
		one := newRecorder()
		err = wandb.Read(file, wandb.Visitor{
			Config: one.config,
			History: func(name string, step int64, seconds, value float64) error {
				return one.point(name, point{step, millis(seconds), value})
			},
			Summary: one.final,
		})
		file.Close()
		if err != nil {
			return fault.New(fault.Invalid, "%s: %w", p, err)
		}
		if err := r.over(one); err != nil {
			return err
		}
	}
	return nil
}

// config takes a parameter that may be set anew, as W&B lets it.
func (r *recorder) config(name, value string) error {
	delete(r.params, name)
	return r.param(name, value)
}

// over takes in a later run of the same tool, whose values count before those of r.
func (r *recorder) over(later *recorder) error {
	for name := range later.series {
		if s := r.series[name]; s != nil {
			r.points -= len(s.points)
			delete(r.series, name)
		}
	}
	for name := range later.params {
		delete(r.params, name)
	}
	for _, name := range slices.Sorted(maps.Keys(later.pictures)) {
		r.replacePicture(name, later.pictures[name])
	}
	return r.merge(later)
}

// tensorboard reads the event files. Where they lie in several folders, as Keras has one for training
// and one for validation, the folder's name stands before the tag.
func (f *files) tensorboard(r *recorder) error {
	slices.SortFunc(f.events, byVersion) // so that those of a folder follow each other
	for from := 0; from < len(f.events); {
		of, to := versionOf(f.events[from]), from+1
		for to < len(f.events) && versionOf(f.events[to]) == of {
			to++
		}
		one := newRecorder()
		if err := f.board(f.events[from:to], one); err != nil {
			return err
		}
		if err := r.over(one); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// versionOf is the folder version_N that Lightning makes for each Trainer, with what is before it; "": there is none.
func versionOf(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts[:len(parts)-1] {
		if _, is := numbered(part); is {
			return strings.Join(parts[:i+1], "/")
		}
	}
	return ""
}

func numbered(part string) (n int, is bool) {
	digits, is := strings.CutPrefix(part, "version_")
	n, err := strconv.Atoi(digits)
	return n, is && err == nil && n >= 0
}

// byVersion is the order of their names, but that version_10 is after version_9.
func byVersion(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(as), len(bs)) {
		x, is := numbered(as[i])
		y, too := numbered(bs[i])
		if is && too && x != y {
			return cmp.Compare(x, y)
		}
		if c := strings.Compare(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// board reads the event files of one run.
func (f *files) board(events []string, r *recorder) error {
	var dirs []string
	for _, p := range events {
		if d := path.Dir(p); (len(dirs) == 0 || dirs[len(dirs)-1] != d) && len(dirs) < mostNames {
			dirs = append(dirs, d)
		}
	}
	top := common(dirs)
	for _, p := range events {
		file, err := f.open(p, mostLog)
		if err != nil {
			return err
		}
		prefix := strings.TrimPrefix(strings.TrimPrefix(path.Dir(p), top), "/")
		if _, err := strconv.ParseFloat(path.Base(prefix), 64); err == nil { // the time, as of add_hparams
			prefix = strings.TrimSuffix(strings.TrimSuffix(prefix, path.Base(prefix)), "/")
		}
		if prefix != "" {
			prefix += "/"
		}
		err = tfevents.Read(file, tfevents.Visitor{
			Scalar: func(s tfevents.Scalar) error {
				return r.point(prefix+s.Tag, point{s.Step, millis(s.Seconds), s.Value})
			},
			Image: func(tag string, step int64, encoded []byte) error {
				r.picture(prefix+tag, step, encoded)
				return nil
			},
			Param: r.param,
		})
		file.Close()
		if err != nil {
			return fault.New(fault.Invalid, "%s: %w", p, err)
		}
	}
	return nil
}

// common is the folder that holds all dirs.
func common(dirs []string) string {
	if len(dirs) == 0 {
		return ""
	}
	top := dirs[0]
	for _, d := range dirs[1:] {
		for top != "." && d != top && !strings.HasPrefix(d, top+"/") {
			top = path.Dir(top)
		}
	}
	if top == "." {
		return ""
	}
	return top
}

// millis are milliseconds of seconds that a stranger wrote.
func millis(seconds float64) int64 {
	if !(seconds > 0 && seconds < 1<<40) {
		return 0
	}
	return int64(seconds * 1000)
}
