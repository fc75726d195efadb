// Runs of W&B keep the promises of a Tracker: as they are read here always, and as wandb's own program uploads them
// where VISHWA_MLFLOW names an environment that has it.

package wandb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	wandblog "github.com/vishwaops/vishwa/reconciler/format/wandb"
	"github.com/vishwaops/vishwa/reconciler/format/wire"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// readRun reads a log as a run is shown.
func readRun(t *testing.T, path string) porttest.ShownRun {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := porttest.ShownRun{Params: map[string]string{}, Tags: map[string]string{}, Points: map[string][]float64{}}
	ends := map[string]float64{}
	err = wandblog.Read(f, wandblog.Visitor{
		Config: func(name, value string) error {
			switch {
			case strings.HasPrefix(name, "vishwa.inputs."):
				out.Inputs++
			case strings.HasPrefix(name, "vishwa."):
				out.Tags[name] = value
			default:
				out.Params[name] = value
			}
			return nil
		},
		History: func(name string, _ int64, _, value float64) error {
			out.Points[name] = append(out.Points[name], value)
			return nil
		},
		Summary: func(name string, value float64) error { ends[name] = value; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	out.Name, out.Commit = aboutRun(t, path)
	out.Status = "FINISHED" // else it is not read
	for name, all := range out.Points {
		if ends[name] != all[len(all)-1] {
			t.Errorf("%s ends with %v, and its summary is %v", name, all[len(all)-1], ends[name])
		}
	}
	return out
}

// aboutRun is the name and the commit of a run, whose record is the second and within the first block.
func aboutRun(t *testing.T, path string) (name, commit string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	piece := func(at int) (record []byte, next int) {
		next = at + 7 + int(binary.LittleEndian.Uint16(raw[at+4:]))
		return raw[at+7 : next], next
	}
	_, at := piece(7)
	record, _ := piece(at)
	unreadable := errors.New("no record of a run")
	field := func(b []byte, num protowire.Number, yield func([]byte) error) error {
		return wire.Fields(b, unreadable, func(f wire.Field) error {
			if f.Num != num {
				return nil
			}
			return yield(f.Data)
		})
	}
	err = field(record, 17, func(run []byte) error {
		return errors.Join(field(run, 8, func(b []byte) error { name = string(b); return nil }), field(run, 21, func(git []byte) error {
			return field(git, 2, func(b []byte) error { commit = string(b); return nil })
		}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return name, commit
}

// changed is how many files of a folder are not as they were the last time, over all times.
func changed(t *testing.T, dir string) func() int {
	n, was := 0, map[string]string{}
	return func() int {
		now := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			i, err := e.Info()
			if err != nil || e.IsDir() {
				return err
			}
			now[path] = fmt.Sprint(i.ModTime().UnixNano(), i.Size(), i.Sys().(*syscall.Stat_t).Ino)
			if was[path] != now[path] {
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		was = now
		return n
	}
}

func TestWandBKeepsThePromises(t *testing.T) {
	porttest.Tracker(t, func(t *testing.T) porttest.TrackerBench {
		dir := t.TempDir()
		var left atomic.Int64
		left.Store(-1)
		cut := New(schemas.WandBTracker{}, dir, time.Now)
		cut.(*wandb).changes = func() error {
			if left.Load() >= 0 && left.Add(-1) < 0 {
				left.Store(0)
				return errors.New("the disk is full")
			}
			return nil
		}
		runs := func(key digest.Digest) (out []string) {
			found, err := filepath.Glob(filepath.Join(dir, "wandb", "offline-run-*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				log, err := filepath.Glob(filepath.Join(f, "run-*.wandb"))
				if err != nil || len(log) != 1 {
					t.Fatalf("%s has %q, %v", f, log, err)
				}
				if readRun(t, log[0]).Tags["vishwa.key"] == string(key) {
					out = append(out, log[0])
				}
			}
			return out
		}
		return porttest.TrackerBench{
			Tracker: cut, Others: New(schemas.WandBTracker{}, dir, time.Now), Writes: changed(t, dir),
			Cut: func(n int) func() { left.Store(int64(n)); return func() { left.Store(-1) } },
			Show: func(t *testing.T, key digest.Digest) (out []porttest.ShownRun) {
				for _, r := range runs(key) {
					out = append(out, readRun(t, r))
				}
				return out
			},
			DeleteRun: func(t *testing.T, key digest.Digest) {
				for _, r := range runs(key) {
					if err := os.RemoveAll(filepath.Dir(r)); err != nil {
						t.Fatal(err)
					}
				}
			},
		}
	})
}

// TestARunOfWandBIsTheSameWhoeverWritesIt: byte for byte, so that two folders are uploaded as one run.
func TestARunOfWandBIsTheSameWhoeverWritesIt(t *testing.T) {
	p := wandbProjection(t)
	var logs []string
	for range 2 {
		logs = append(logs, writeRuns(t, p)[0])
	}
	one, err := os.ReadFile(logs[0])
	two, err2 := os.ReadFile(logs[1])
	if err != nil || err2 != nil || string(one) != string(two) || filepath.Base(filepath.Dir(logs[0])) != filepath.Base(filepath.Dir(logs[1])) {
		t.Errorf("%s and %s differ (%v, %v)", logs[0], logs[1], err, err2)
	}
	p.Ledger = "another"
	if other := writeRuns(t, p)[0]; filepath.Base(other) == filepath.Base(logs[0]) {
		t.Error("two ledgers come to one run")
	}
}

// TestWhatWandBHasNoPlaceForIsShownAllTheSame: steps below 0, several values of a step, and names that are W&B's own.
func TestWhatWandBHasNoPlaceForIsShownAllTheSame(t *testing.T) {
	r := readRun(t, writeRuns(t, wandbProjection(t))[0])
	for name, want := range map[string][]float64{"loss": {9, 4, 2}, "metric_step": {8}, "metric_step_": {7}, "auc": {0.5}} {
		if !slices.Equal(r.Points[name], want) {
			t.Errorf("%s is %v, want %v", name, r.Points[name], want)
		}
	}
	for name, want := range map[string]string{"depth": "3", "lr": "0.1", "name": "0x10", "vishwa.parameter": "mine", "vishwa.inputs.train": ""} {
		if r.Params[name] != want && r.Tags[name] != want {
			t.Errorf("%s is %q", name, r.Params[name]+r.Tags[name])
		}
	}
}

func wandbProjection(t *testing.T) port.Projection {
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	return port.Projection{Ledger: "one", Runs: []port.TrackerRun{{
		Key: digest.Of([]byte(t.Name())), Entry: 7, Name: "training/a:b", Started: at, Finished: at.Add(time.Minute),
		Params: map[string]string{"depth": "3", "lr": "0.1", "name": "0x10", "vishwa": "mine"}, Metrics: map[string]float64{"loss": 2, "_step": 7, "metric_step": 8, "auc": 0.5},
		Inputs: map[string]digest.Digest{"train": digest.Of(nil)}, Tags: map[string]string{port.TagRevision: strings.Repeat("a", 40), port.TagRemote: "https://git.example/a", port.TagReason: "data changed"},
		Logged: func(context.Context) (port.TrackerLog, error) {
			return port.TrackerLog{Series: []port.TrackerSeries{{Name: "loss", Steps: []int64{0, -2, -2, -1}, Times: []int64{5, 4, 3, 0}, Values: []float64{2, 9, 3, 4}}}}, nil
		},
	}}}
}

func writeRuns(t *testing.T, p port.Projection) []string {
	t.Helper()
	dir := t.TempDir()
	if _, err := New(schemas.WandBTracker{Project: "homes"}, dir, time.Now).Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	out, err := filepath.Glob(filepath.Join(dir, "wandb", "offline-run-*", "run-*.wandb"))
	if err != nil || len(out) != len(p.Runs) {
		t.Fatalf("%q, %v", out, err)
	}
	return out
}

// TestAFolderThatCannotBeWrittenToSaysWhatToDo, and leaves nothing behind.
func TestAFolderThatCannotBeWrittenToSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "wandb"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(schemas.WandBTracker{}, dir, time.Now).Record(t.Context(), wandbProjection(t), false)
	if fault.Of(err) != fault.Transient || !strings.Contains(fault.HintOf(err), dir) {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}
