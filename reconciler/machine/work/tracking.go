// What a training logged by the tools of others: its metrics where it wrote no metrics file, its model
// where the declaration says so, and evidence in any case. All of its processes are dead by now; what
// they left is a stranger's, and no symbolic link is followed.

package work

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// told is what a training said of its model, in its metrics file and by the tools that it logs with.
type told struct {
	metrics map[string]float64
	logged  tracking.Document
	media   []string
}

// tracked reads the metrics, and what was logged.
func (w *worker) tracked() (told, port.Result) {
	var t told
	written := absent(w.layout.Dir(), w.layout.MetricsFile()) == ""
	needed := !written || len(w.Job.MetricsFrom) > 0
	err := w.within(func(fsys fs.FS) (err error) {
		o := tracking.Options{From: w.Job.MetricsFrom, Skip: w.declared()}
		if needed {
			log, err := os.Open(w.Config.Log)
			if err != nil {
				return err
			}
			defer log.Close()
			o.Output = log
		}
		if t.logged, err = tracking.Read(fsys, o); err != nil {
			return err
		}
		var left int
		t.media, left, err = tracking.Media(fsys, o.Skip)
		t.logged.LeftOut(left)
		return err
	})
	switch {
	case err != nil && needed:
		return t, port.Result{Cause: port.BadMetrics, Message: "what it logged is refused: " + explain(err)}
	case err != nil:
		fmt.Fprintln(w.log, "vishwa: what it logged in addition to its metrics file is left out:", explain(err))
		t.logged, t.media = tracking.Document{}, nil
	}
	for _, n := range t.logged.Notes {
		fmt.Fprintln(w.log, "vishwa:", n)
	}
	if !needed || written {
		m, bad := readMetrics(w.layout)
		if bad.Cause != "" {
			return t, bad
		}
		t.metrics = m
	}
	if needed {
		all := t.logged.Metrics()
		maps.Copy(all, t.metrics) // what it wrote for Vishwa counts before what it logged
		t.metrics = all
	}
	switch {
	case len(t.metrics) > 0 && len(t.metrics) <= metricsCount:
		return t, port.Result{}
	case len(t.metrics) > 0:
		return t, port.Result{Cause: port.BadMetrics, Message: fmt.Sprintf("its metrics are refused: it logged more than %d numbers", metricsCount)}
	case len(w.Job.MetricsFrom) > 0:
		return t, port.Result{Cause: port.BadMetrics, Message: "it logged no metric that is a finite number by " + strings.Join(w.Job.MetricsFrom, " or ") + ", which spec.metricsFrom names: log one, or name there what it logs by"}
	}
	msg := absent(w.layout.Dir(), w.layout.MetricsFile())
	return t, missing("its metrics file " + msg + ": write one JSON object of numbers to the path that VISHWA_METRICS holds, or log metrics by " + strings.Join(tracking.Tools[:len(tracking.Tools)-1], ", ") + " or a CSV log")
}

// model is the folder of the model.
func (w *worker) model(t told) (string, port.Result) {
	dir := w.layout.ModelDir()
	none := func(why string) (string, port.Result) {
		way := "write the model's files into the folder that VISHWA_MODEL_DIR holds"
		if found, err := w.models(); err == nil && len(found) > 0 {
			way += ", or declare spec.modelFrom: mlflow, as it logged a model by MLflow"
		}
		return "", missing("its model directory " + why + ": " + way)
	}
	if at := w.Job.ModelFrom; at != "" && at != tracking.MLflow {
		return w.modelAt(filepath.Join(w.layout.CodeDir(), filepath.FromSlash(at)))
	}
	if w.Job.ModelFrom != "" {
		found, err := w.models()
		if err != nil {
			return "", missing("the model that it logged is refused: " + explain(err))
		}
		if len(found) == 0 {
			return "", missing("it logged no model by MLflow, which spec.modelFrom names: let it call log_model, or autolog with log_models=True")
		}
		if len(found) > 1 {
			fmt.Fprintf(w.log, "vishwa: it logged %d models; the newest is its model\n", len(found))
		}
		dir = filepath.Join(w.layout.Dir(), filepath.FromSlash(found[0]))
	}
	if msg := absent(w.layout.Dir(), dir); msg != "" {
		return none(msg)
	}
	held, err := topLevel(dir)
	if err == nil && len(held) == 0 {
		return none("is empty")
	} else if name := attest.Unsigned(held); name != "" {
		return "", missing("its model directory holds " + name + ", which no signature of a model covers: leave it out")
	}
	return dir, port.Result{}
}

// modelAt is the folder of a model that the command wrote to a place of its own; a file is moved to a
// folder that holds it alone.
func (w *worker) modelAt(at string) (string, port.Result) {
	where := "its model at " + w.Job.ModelFrom + ", which spec.modelFrom names, "
	if msg := absent(w.layout.Dir(), at); msg != "" {
		return "", missing(where + msg)
	}
	if w.committed(at) {
		return "", missing(where + "is of the repository, and the command wrote nothing there")
	}
	held, err := topLevel(at)
	if err != nil { // a file
		held = []string{filepath.Base(at)}
		alone, err := os.MkdirTemp(w.layout.Dir(), "model-") // that of the run may be a link by now
		if err == nil {
			err = os.Rename(at, filepath.Join(alone, held[0]))
		}
		if err != nil {
			return "", port.Result{Cause: port.Lost, Message: where + "could not be taken: " + explain(err)}
		}
		at = alone
	}
	if len(held) == 0 {
		return "", missing(where + "is empty")
	}
	if name := attest.Unsigned(held); name != "" {
		return "", missing(where + "holds " + name + ", which no signature of a model covers: leave it out")
	}
	return at, port.Result{}
}

// committed tells whether all that is at a place came with the repository; of nothing it is not so.
func (w *worker) committed(at string) bool {
	theirs := w.declared()
	some, all := false, true
	err := filepath.WalkDir(at, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(w.layout.Dir(), p)
		if some = true; err != nil || !theirs(filepath.ToSlash(rel)) {
			all = false
			return fs.SkipAll
		}
		return nil
	})
	return err == nil && some && all
}

func (w *worker) models() (found []string, err error) {
	err = w.within(func(fsys fs.FS) (err error) { found, err = tracking.Models(fsys, w.declared()); return err })
	return found, err
}

// within shows the folders that a run logs to: its code's, where tools that are told nothing begin,
// and that of the trackers.
func (w *worker) within(look func(fs.FS) error) error {
	root, err := os.OpenRoot(w.layout.Dir())
	if err != nil {
		return err
	}
	defer root.Close()
	return look(written{root.FS()})
}

// written is the work folder without what others laid out in it.
type written struct{ fs.FS }

// ReadDir leaves out what a run does not log to.
func (f written) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(f.FS, name)
	if name == "." {
		all = slices.DeleteFunc(all, func(e fs.DirEntry) bool { return e.Name() != "code" && e.Name() != "tracking" })
	}
	return all, err
}

// declared tells of the files that the repository has: what they say was not measured by this run.
func (w *worker) declared() func(string) bool {
	code := make(map[string]bool, len(w.Job.Code))
	for _, f := range w.Job.Code {
		code["code/"+f.Path] = true
	}
	return func(p string) bool { return code[p] }
}

// keep keeps what was logged as a folder; nil where nothing was.
func (t told) keep(ctx context.Context, w *worker) (*port.Artifact, error) {
	if t.logged.Empty() && len(t.media) == 0 {
		return nil, nil
	}
	raw, err := t.logged.Encode()
	if err != nil {
		return nil, fault.New(fault.Invalid, "it cannot be written: %w", err)
	}
	m := digest.Manifest{}
	put := func(name string, r io.Reader) error {
		d, n, err := w.Store.Put(ctx, r)
		m = append(m, digest.File{Path: name, Digest: d, Size: n})
		return err
	}
	if err := put(port.TrackingFile, bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	for _, p := range t.media {
		name := port.TrackingMedia + p
		if digest.Manifest.Check(digest.Manifest{{Path: name, Digest: digest.Of(nil)}}) != nil {
			continue // a name that none of ours has
		}
		art, err := artifact.PutFile(ctx, w.Store, filepath.Join(w.layout.Dir(), filepath.FromSlash(p)))
		if fault.Of(err) == fault.Invalid {
			continue
		}
		if err != nil {
			return nil, err
		}
		m = append(m, digest.File{Path: name, Digest: art.Digest, Size: art.Size})
	}
	for _, p := range t.logged.Pictures {
		name := port.TrackingMedia + p.Name
		with := append(slices.Clone(m), digest.File{Path: name, Digest: digest.Of(p.Data), Size: int64(len(p.Data))})
		slices.SortFunc(with, byPath)
		media := m[1:] // the document comes first
		if with.Check() != nil || len(media) >= tracking.MostMedia || media.Size()+int64(len(p.Data)) > tracking.MostMediaSize {
			continue // a name that none of ours has, or that stands where another one does
		}
		if err := put(name, bytes.NewReader(p.Data)); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(m, byPath)
	if err := artifact.PutManifest(ctx, w.Store, m); err != nil {
		return nil, err
	}
	return &port.Artifact{Name: "tracking", Digest: m.Digest(), Size: m.Size(), Files: m}, nil
}

func byPath(a, b digest.File) int { return strings.Compare(a.Path, b.Path) }

// CheckTracking holds a folder of what was logged, which came from elsewhere, against the rules of one
// that is kept here.
func CheckTracking(art *port.Artifact, job port.Job) error {
	switch {
	case art == nil:
		return nil
	case !job.Model:
		return fault.New(fault.Corrupt, "the job trains nothing")
	case art.Files.Check() != nil || art.Files.Digest() != art.Digest || art.Files.Size() != art.Size || len(art.Name) > 255:
		return fault.New(fault.Corrupt, "its list of files is another one than it is named")
	case len(art.Files) > tracking.MostMedia+1 || art.Size > tracking.MostSize+tracking.MostMediaSize:
		return fault.New(fault.Corrupt, "it holds %d files of %d bytes, more than is kept", len(art.Files), art.Size)
	}
	for _, f := range art.Files {
		if f.Path != port.TrackingFile && !strings.HasPrefix(f.Path, port.TrackingMedia) {
			return fault.New(fault.Corrupt, "it holds %q", f.Path)
		}
	}
	if !slices.ContainsFunc(art.Files, func(f digest.File) bool { return f.Path == port.TrackingFile }) {
		return fault.New(fault.Corrupt, "it holds no %s", port.TrackingFile)
	}
	return nil
}
