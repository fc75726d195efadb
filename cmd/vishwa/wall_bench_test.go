// What the wall costs: a run's start, the opening of many files, and the work itself.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/schemas"
)

// BenchmarkRunStart runs /bin/true as a transform, from Start to its result, by each
// level in turn, and reports the medians and what the wall adds to the one without.
func BenchmarkRunStart(b *testing.B) {
	dir := b.TempDir()
	program := built.Program(b, "vishwa", dir)
	kept, err := store.Dir(filepath.Join(dir, "store"))
	if err != nil {
		b.Fatal(err)
	}
	sealed := filepath.Join(dir, "seal", "key")
	key, err := seal.Load(sealed)
	if err != nil {
		b.Fatal(err)
	}
	took := map[wall.Level][]time.Duration{}
	for i := 0; b.Loop(); i++ {
		for _, level := range wall.Levels {
			policy := wall.Policy{Level: level}
			args, err := json.Marshal(map[string]any{"store": fmt.Sprintf(`{"dir":%q}`, filepath.Join(dir, "store")), "envs": filepath.Join(dir, "envs"), "seal": sealed, "wall": policy})
			if err != nil {
				b.Fatal(err)
			}
			r := runner.Local(runner.Config{
				Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: os.LookupEnv, Self: program}, Store: kept,
				Dir: filepath.Join(dir, "runs"), Args: []string{string(args)}, Seal: key.Derive("runs "), Wall: policy,
			})
			took[level] = append(took[level], ranOnce(b, r, digest.Of([]byte(fmt.Sprint(level, i)))))
		}
	}
	report(b, took, "ms", func(d time.Duration) float64 { return float64(d) / 1e6 })
}

// ranOnce runs one job to its end.
func ranOnce(b *testing.B, r port.Runner, key digest.Digest) time.Duration {
	began := time.Now()
	if _, err := r.Start(context.Background(), port.Job{Key: key, Ref: schemas.Ref{Kind: "transform", Name: "x"}, Command: []string{"true"}}); err != nil {
		b.Fatal(err)
	}
	for {
		run, err := r.Poll(context.Background(), key)
		if err != nil || run.State == port.Done && run.Result.Cause != "" {
			b.Fatal(err, run.Result)
		}
		if run.State == port.Done {
			return time.Since(began)
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// BenchmarkOpens opens and reads a hundred thousand files, and BenchmarkCompute spends
// processor time in Python, by each level in turn.
func BenchmarkOpens(b *testing.B) {
	inside(b, plain(b, `
import os
for d in range(100):
    os.mkdir(str(d))
    for f in range(10): open(f"{d}/{f}", "w").write("x")
for _ in range(100):
    for d in range(100):
        for f in range(10): open(f"{d}/{f}", "rb").close()
`))
}

// BenchmarkCompute is the example's kind of work without its packages.
func BenchmarkCompute(b *testing.B) {
	inside(b, plain(b, `
import random
r = random.Random(7)
rows = [[r.random() for _ in range(20)] for _ in range(2000)]
w = [0.0] * 20
for _ in range(120):
    for row in rows:
        e = sum(a * b for a, b in zip(row, w)) - row[0]
        w = [a - 0.01 * e * b for a, b in zip(w, row)]
`))
}

// BenchmarkExample trains the example's boosted trees with its own packages, by each
// level in turn.
func BenchmarkExample(b *testing.B) {
	dir := b.TempDir()
	example, err := filepath.Abs("../../examples/student-intelligence")
	if err != nil {
		b.Fatal(err)
	}
	env := filepath.Join(dir, "env")
	python := filepath.Join(env, "bin", "python")
	ran(b, exec.Command("python3", "-m", "venv", env))
	ran(b, exec.Command(python, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "-r", filepath.Join(example, "requirements.lock")))
	made := filepath.Join(dir, "features")
	variables := []string{"PATH=/usr/bin:/bin", "VISHWA_INPUT_STUDENTS=" + filepath.Join(example, "data", "students.csv")}
	for _, name := range []string{"train.csv", "test.csv", "encoding.json"} {
		key, _, _ := strings.Cut(strings.ToUpper(name), ".")
		variables = append(variables, "VISHWA_OUTPUT_"+key+"="+filepath.Join(made, name), "VISHWA_INPUT_"+key+"="+filepath.Join(made, name))
	}
	params := filepath.Join(made, "params.json")
	if err := errors.Join(os.Mkdir(made, 0o755), os.WriteFile(params, []byte(`{"seed":7,"estimator":"xgboost","n_estimators":150,"max_depth":4,"learning_rate":0.05,"subsample":0.9}`), 0o644)); err != nil {
		b.Fatal(err)
	}
	variables = append(variables, "VISHWA_PARAMS="+params, "VISHWA_MODEL_DIR=.", "VISHWA_METRICS=metrics.json")
	features := exec.Command(python, filepath.Join(example, "src", "features.py"))
	features.Env = variables
	ran(b, features)
	inside(b, command{python: python, args: []string{filepath.Join(example, "src", "train.py")}, env: variables, read: []string{env, example, made}})
}

// ran runs cmd, and ends the benchmark with what it said where it fails.
func ran(b *testing.B, cmd *exec.Cmd) {
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %s: %v", cmd, out, err)
	}
}

// plain is a program for the machine's Python.
func plain(b *testing.B, program string) command {
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable, end='')").Output()
	if err != nil {
		b.Fatal(err)
	}
	return command{python: string(python), args: []string{"-I", "-c", program}, env: []string{"PATH=/usr/bin:/bin"}}
}

// command is what is run in a folder of its own, and what else it may read.
type command struct {
	python    string
	args, env []string
	read      []string
}

func inside(b *testing.B, c command) {
	took := map[wall.Level][]time.Duration{}
	for b.Loop() {
		for _, level := range wall.Levels {
			dir := b.TempDir()
			work, tmp := filepath.Join(dir, "work"), filepath.Join(dir, "tmp")
			for _, d := range []string{work, tmp} {
				if err := os.Mkdir(d, 0o700); err != nil {
					b.Fatal(err)
				}
			}
			cmd := &exec.Cmd{Path: c.python, Args: append([]string{c.python}, c.args...), Dir: work, Env: c.env, Stderr: os.Stderr}
			spec := wall.Policy{Level: level}.Spec()
			if spec != nil {
				spec.Write, spec.Tmp, spec.Read = []string{work}, tmp, append(wall.Programs("", c.python, nil), c.read...)
			}
			runtime.GC()
			before := spent(b)
			g, err := sandbox.Start(cmd, filepath.Base(dir), spec)
			if err != nil {
				b.Fatal(err)
			}
			if end, err := g.End(); err != nil || !end.Success() || g.Stop(0) != nil {
				b.Fatal(end, err)
			}
			took[level] = append(took[level], spent(b)-before)
		}
	}
	report(b, took, "cpu-s", time.Duration.Seconds)
}

// spent is the processor time of this process's ended children, user and system.
func spent(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// report tells the median of each level, and that of the pairs' ratios to the one
// without: what else the machine does falls on both of a pair alike.
func report(b *testing.B, took map[wall.Level][]time.Duration, unit string, in func(time.Duration) float64) {
	for _, level := range wall.Levels {
		values, ratios := make([]float64, len(took[level])), make([]float64, len(took[level]))
		for i, d := range took[level] {
			values[i], ratios[i] = in(d), in(d)/in(took[wall.None][i])
		}
		b.ReportMetric(middle(values), string(level)+"-"+unit)
		if level != wall.None {
			b.ReportMetric(middle(ratios), string(level)+"-ratio")
		}
	}
	b.ReportMetric(0, "ns/op")
}

func middle(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
