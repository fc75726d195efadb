// Generated repositories whose ledger holds every fact, for benchmarks of the real program.

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/made"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
)

// estate is a generated repository with the program and its surroundings.
type estate struct {
	program string
	dir     string
	env     map[string]string
}

const pipelineYAML = `apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata:
  name: students-%[1]d
  description: Who studied how long, and who enrolled.
  labels: {team: team-%[2]d}
spec:
  source: {path: data/students-%[1]d.csv}
  columns:
    hours_studied: {type: number, min: 0, max: 24}
    enrolled: {type: boolean}
---
apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: features-%[1]d}
spec:
  run: [python, src/features-%[2]d.py]
  code: [src/features-%[2]d.py, src/common]
  env: {requirements: requirements.lock}
  inputs: {students: dataset/students-%[1]d}
  outputs: {train: train.csv, test: test.csv}
  params: {seed: %[1]d, fraction: 0.25}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: enrollment-%[1]d}
spec:
  run: [python, src/train-%[2]d.py]
  code: [src/train-%[2]d.py, src/common]
  env: {requirements: requirements.lock}
  inputs: {train: "transform/features-%[1]d:train", test: "transform/features-%[1]d:test"}
  params: {seed: %[1]d}
  candidates:
    logistic: {params: {estimator: logistic, C: 1.0}}
    xgboost: {params: {estimator: xgboost, max_depth: 4}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: enrollment-%[1]d}
spec:
  from: training/enrollment-%[1]d
  select: {metric: test.roc_auc, goal: maximize}
  gates: [{metric: test.roc_auc, min: 0.80, maxRegression: 0.005}]
`

const projectYAML = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: estate}
spec:
  environments: {staging: {}}
  policy: {paths: [policy]}
`

// teamRules are five that need no more than what is declared, so that conftest can be asked the same: of ours, a step's kind is
// input.step.kind, of conftest's input.kind.
const teamRules = `package %[1]s

import rego.v1

deny contains sprintf("%%s has a longer name than 40", [input.metadata.name]) if count(input.metadata.name) > 40

deny contains sprintf("%%s names no team", [input.metadata.name]) if {
	%[2]s == "Dataset"
	not input.metadata.labels.team
}

deny contains sprintf("%%s has %%d rounds, of at most 20", [input.metadata.name, count(input.spec.candidates)]) if count(input.spec.candidates) > 20

deny contains sprintf("%%s: code is in src, and not in %%s", [input.metadata.name, file]) if {
	some file in input.spec.code
	not startswith(file, "src/")
}

deny contains sprintf("%%s: a gate without a bound", [input.metadata.name]) if {
	some gate in input.spec.gates
	not gate.min
	not gate.max
}
`

// newPlace is a repository in a folder of its own, in which nothing is yet.
func newPlace(program, base string) estate {
	return estate{program: program, dir: filepath.Join(base, "repository"), env: map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": base, "VISHWA_KEYS": filepath.Join(base, "keys"), "VISHWA_KEY_PASSWORD": "benchmark", "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
	}}
}

// begin commits what was written, with keys that are trusted.
func (s estate) begin(b *testing.B) {
	s.run(b, "git", "init", "-q", "-b", "main")
	s.run(b, s.program, "keys", "generate")
	s.run(b, "git", "add", ".")
	s.run(b, "git", "commit", "-q", "-m", "Declare the estate")
}

// newEstate declares n things, and records every fact.
func newEstate(b *testing.B, program, base string, n int) estate {
	s := newPlace(program, base)
	if _, err := os.Stat(filepath.Join(base, "complete")); err == nil {
		return s
	}
	s.declare(b, n)
	s.record(b)
	s.run(b, "git", "gc", "-q")
	if err := os.WriteFile(filepath.Join(base, "complete"), nil, 0o644); err != nil {
		b.Fatal(err)
	}
	return s
}

// declare declares n things in pipelines of four, a file each, and ten pipelines a team, which share code.
func (s estate) declare(b *testing.B, n int) {
	s.write(b, "vishwa.yaml", projectYAML)
	s.write(b, "requirements.lock", "pandas==2.3.3\n")
	s.write(b, "src/common/text.py", "def tidy(s): return s.strip()\n")
	s.write(b, "src/common/io.py", "import csv\n")
	s.write(b, "policy/team.rego", fmt.Sprintf(teamRules, "team", "input.step.kind"))
	for i := range (n + 3) / 4 {
		team := i / 10
		s.write(b, fmt.Sprintf("vishwa/team-%d/pipeline-%d.yaml", team, i), fmt.Sprintf(pipelineYAML, i, team))
		s.write(b, fmt.Sprintf("data/students-%d.csv", i), "hours_studied,enrolled\n"+strings.Repeat(fmt.Sprintf("%d,true\n", i%24), 100))
		if i%10 == 0 {
			s.write(b, fmt.Sprintf("src/features-%d.py", team), fmt.Sprintf("TEAM = %d\n", team))
			s.write(b, fmt.Sprintf("src/train-%d.py", team), fmt.Sprintf("TEAM = %d\n", team))
		}
	}
	s.begin(b)
}

func (s estate) write(b *testing.B, name, text string) {
	p := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

// command is a program that is run in the estate.
func (s estate) command(b *testing.B, args ...string) beside.Command {
	c := beside.Command{B: b, Dir: s.dir, Args: args}
	for _, k := range slices.Sorted(maps.Keys(s.env)) {
		c.Env = append(c.Env, k+"="+s.env[k])
	}
	return c
}

func (s estate) run(b *testing.B, args ...string) {
	b.Helper()
	s.command(b, args...).Run()
}

// record appends an entry for every node of the graph, as if all had been made.
func (s estate) record(b *testing.B) {
	ctx := context.Background()
	lookup := func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }
	h, err := app.Open(ctx, app.Options{
		Dir: s.dir, Act: true, Version: "benchmark", Password: func() ([]byte, error) { return []byte(s.env["VISHWA_KEY_PASSWORD"]), nil },
		Env: port.Env{Now: time.Now, Lookup: lookup, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Self: s.program},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	rev, in, err := h.Head(ctx)
	if err != nil {
		b.Fatal(err)
	}
	known, made := made.Known{}, map[string]*ledger.Entry{}
	for i := range in.Graph.Nodes {
		n := &in.Graph.Nodes[i]
		r, _ := known.Recipe(n)
		e, err := fact(n, r, made)
		if err != nil {
			b.Fatal(err)
		}
		e.Revision, e.Author, e.Actor = rev.SHA, rev.Author, h.Actor.String()
		e.Policy = in.Policy.Digest()
		got, err := h.Ledger.Append(ctx, e)
		if err != nil {
			b.Fatal(err)
		}
		known.Add(n, &got)
		made[n.Ref.String()] = &got
	}
}

// fact is an entry of the size that a real one has.
func fact(n *graph.Node, r port.Recipe, made map[string]*ledger.Entry) (ledger.Entry, error) {
	key, err := r.Key()
	if err != nil {
		return ledger.Entry{}, err
	}
	output := func(name string) port.Artifact {
		return port.Artifact{Name: name, Digest: digest.Of([]byte(string(key) + name)), Size: 4096}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := ledger.Entry{Ref: n.Ref, Key: key, Plan: digest.Of([]byte("plan")), Verdict: "allow", Reason: "never made", MadeBy: &r}
	switch n.Ref.Kind {
	case "dataset":
		e.Action, e.Outputs = ledger.Pin, ledger.OutputsOf(map[string]port.Artifact{"data": n.Data})
	case "transform":
		e.Action, e.Outputs = ledger.Transform, ledger.OutputsOf(map[string]port.Artifact{"train": output("train.csv"), "test": output("test.csv")})
	case "training":
		m := output("model")
		m.Files = digest.Manifest{{Path: "model.json", Digest: digest.Of([]byte(key)), Size: 4096}}
		m.Digest = m.Files.Digest()
		e.Action, e.Outputs = ledger.Train, ledger.OutputsOf(map[string]port.Artifact{"model": m})
		e.Metrics = map[string]float64{"test.roc_auc": 0.83, "test.f1": 0.75, "train.roc_auc": 0.9}
	case "model":
		best := n.Inputs[slices.Sorted(maps.Keys(n.Inputs))[0]]
		trained := made[best.String()]
		e.Action, e.Metrics = ledger.Select, trained.Metrics
		e.Model = &ledger.Model{Candidate: best, Artifact: trained.Outputs.Named("model"), Signature: output("oms").Digest, Provenance: output("slsa").Digest}
		e.Outputs = ledger.OutputsOf(map[string]port.Artifact{"model": e.Model.Artifact})
	}
	if e.Action == ledger.Transform || e.Action == ledger.Train {
		e.Run = &ledger.Run{Started: at, Finished: at.Add(time.Minute), Host: "linux/amd64", Python: "3.11.2", Log: output("log").Digest}
	}
	return e, nil
}

// forget removes the folded ledger.
func (s estate) forget(b *testing.B) {
	if err := os.RemoveAll(filepath.Join(s.env["HOME"], ".cache", "vishwa")); err != nil {
		b.Fatal(err)
	}
}
