// What a run made: declared outputs, model and metrics, from its directory into
// the Store. All of its processes are dead by now, so nothing changes underneath.

package work

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// collect checks everything before it keeps anything.
func (w *worker) collect(ctx context.Context) port.Result {
	job, l := w.Job, w.layout
	r := port.Result{Outputs: map[string]port.Artifact{}}
	names := slices.Sorted(maps.Keys(job.Outputs))
	for _, name := range names {
		variable := "VISHWA_OUTPUT_" + sandbox.VarName(name)
		if msg := absent(l.Dir(), l.OutputPath(job.Outputs[name])); msg != "" {
			return missing(fmt.Sprintf("output %s %s: write it to the path that %s holds", name, msg, variable))
		}
	}
	var told told
	var model string
	if job.Model {
		var bad port.Result
		if told, bad = w.tracked(); bad.Cause != "" {
			return bad
		}
		if model, bad = w.model(told); bad.Cause != "" {
			return bad
		}
		r.Metrics = told.metrics
	} else if job.Scores != nil {
		metrics, bad := readMetrics(l)
		if bad.Cause != "" {
			return bad
		}
		r.Metrics = metrics
	}
	if msg := w.hollow(); msg != "" {
		return port.Result{Cause: port.OverLimit, Message: msg}
	}
	for _, name := range names {
		art, err := w.output(ctx, l.OutputPath(job.Outputs[name]))
		if err != nil {
			return unkept("output "+name, err)
		}
		r.Outputs[name] = art
	}
	if job.Model {
		_, tree := w.keepers()
		art, err := tree(ctx, w.Store, model)
		if err != nil {
			return unkept("its model", err)
		}
		art.Name = filepath.Base(l.ModelDir()) // wherever it was
		r.Model = &art
		if r.Tracking, err = told.keep(ctx, w); err != nil {
			return unkept("what it logged", err)
		}
	}
	return r
}

// packed keeps the environment as one object.
func (w *worker) packed(ctx context.Context) port.Result {
	read, write := io.Pipe()
	fault.Go(func() { write.CloseWithError(sandbox.Pack(ctx, w.python, write)) }, func(err error) { write.CloseWithError(err) })
	defer read.Close()
	d, n, err := w.Store.Put(ctx, read)
	if err != nil {
		return unkept("its environment", err)
	}
	return port.Result{Outputs: map[string]port.Artifact{PackOutput: {Digest: d, Size: n, Name: PackOutput + ".tar.zst"}}}
}

// absent says what is wrong with the place of an output, or "": nothing there, or
// a symbolic link on the way from the run's directory, which may lead anywhere.
func absent(root, path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return "cannot be found"
	}
	at := root
	for _, part := range strings.Split(rel, string(filepath.Separator)) {
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		switch {
		case err != nil:
			return "was not written, though the command ended well"
		case info.Mode()&fs.ModeSymlink != 0:
			return "is or lies behind a symbolic link, which is not followed"
		case !info.IsDir() && !info.Mode().IsRegular():
			return "is neither a file nor a folder"
		}
	}
	return ""
}

// hollow says what is wrong with files that claim to be far larger than what was written:
// they would be copied in full.
func (w *worker) hollow() string {
	var claimed, written int64
	_ = filepath.WalkDir(w.layout.Dir(), func(p string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && unix.Lstat(p, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			claimed, written = claimed+min(st.Size, math.MaxInt64-claimed), written+st.Blocks*512 // a few of 8 EiB each are more than a number holds
		}
		return nil
	})
	if limit := w.Wall.Filled(0).Limits.Disk; claimed > limit && claimed > written {
		return fmt.Sprintf("its files claim %d MiB, and were written with %d MiB, more than its limit of %d MiB: write outputs without holes", claimed>>20, written>>20, limit>>20)
	}
	var disk unix.Statfs_t
	if unix.Statfs(w.layout.Dir(), &disk) == nil && claimed-written > int64(disk.Bavail)*int64(disk.Bsize) {
		return fmt.Sprintf("its files claim %d MiB more than was written to them, which the disk has not: write outputs without holes", (claimed-written)>>20)
	}
	return ""
}

func topLevel(dir string) (names []string, err error) {
	all, err := os.ReadDir(dir)
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names, err
}

type keeper func(ctx context.Context, store port.Store, path string) (port.Artifact, error)

// keepers put files and folders into the store: as they lie there, where all that could write to them is gone for certain.
func (w *worker) keepers() (file, tree keeper) {
	if w.isolation != nil && wall.Report(*w.isolation).Enclosed() && len(w.Wall.Write) == 0 {
		return artifact.GiveFile, artifact.GiveTree
	}
	return artifact.PutFile, artifact.PutTree
}

func (w *worker) output(ctx context.Context, path string) (port.Artifact, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return port.Artifact{}, err
	}
	put, tree := w.keepers()
	if info.IsDir() {
		put = tree
	}
	art, err := put(ctx, w.Store, path)
	art.Name = filepath.Base(path)
	return art, err
}

func missing(msg string) port.Result {
	return port.Result{Cause: port.MissingOutput, Message: msg}
}

// unkept tells an output that is no output from a store that cannot keep it.
func unkept(what string, err error) port.Result {
	if fault.Of(err) == fault.Invalid {
		return missing(what + " cannot be taken: " + explain(err))
	}
	return port.Result{Cause: port.Lost, Message: what + " was made but could not be kept: " + explain(err)}
}

func readMetrics(l *sandbox.Layout) (map[string]float64, port.Result) {
	bad := func(msg string) (map[string]float64, port.Result) {
		return nil, port.Result{Cause: port.BadMetrics, Message: msg}
	}
	if msg := absent(l.Dir(), l.MetricsFile()); msg != "" {
		return nil, missing("its metrics file " + msg + ": write one JSON object of numbers to the path that VISHWA_METRICS holds")
	}
	f, err := os.Open(l.MetricsFile())
	if err != nil {
		return bad("its metrics cannot be read: " + explain(err))
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, metricsSize+1))
	if err != nil {
		return bad("its metrics cannot be read: the path that VISHWA_METRICS holds is not a file")
	}
	m, err := ParseMetrics(raw)
	if err != nil {
		return bad("its metrics are refused: " + explain(err))
	}
	return m, port.Result{}
}
