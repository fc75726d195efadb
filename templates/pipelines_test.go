// The pipeline of a graph, carried out: in an order of its own by its programs, with as much of
// kfp as those use; and by the SDK itself, where that is installed (make test-kfp).

package templates_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

const (
	exportedData = "1\n2\n3\n"
	exportedWork = `apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata: {name: raw}
spec: {source: {path: data/raw.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: double}
spec:
  run: [python3, src/double.py]
  code: [src]
  retries: 2
  inputs: {raw: dataset/raw}
  outputs: {doubled-rows: deep/doubled.csv}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: mean}
spec:
  run: [python3, src/train.py]
  code: [src]
  inputs: {rows: "transform/double:doubled-rows"}
  params: {text: "{{$.inputs}} 'é' \" \\ "}
  candidates:
    low: {params: {shift: -1}}
    high: {params: {shift: 1}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: mean}
spec:
  from: training/mean
  select: {metric: test.score}
  gates: [{metric: test.score, min: 1, maxRegression: 0.1}]
`
	exportedDouble = `import os, sys
at = os.environ["VISHWA_INPUT_RAW"]
assert not sys.argv[1:] or sys.argv[1:] == [at, "--to=" + os.environ["VISHWA_OUTPUT_DOUBLED_ROWS"] + ":2.5", "-c ${inputs.raw}"], sys.argv
assert at.endswith("/raw.csv") and "OWN" not in os.environ, os.environ
with open(os.environ["VISHWA_OUTPUT_DOUBLED_ROWS"], "w") as f:
    f.write("".join("%d\n" % (2 * int(r)) for r in open(at)))
`
	exportedTrain = `import json, os, sys
p = json.load(open(os.environ["VISHWA_PARAMS"]))
assert not sys.argv[1:] or sys.argv[1:] == [str(p["shift"]) + p["text"]], sys.argv
assert p["text"] == "{{$.inputs}} 'é' \" \\ ", p
rows = [int(x) for x in open(os.environ["VISHWA_INPUT_ROWS"])]
mean = sum(rows) / len(rows) + p["shift"]
json.dump(mean, open(os.path.join(os.environ["VISHWA_MODEL_DIR"], "mean.json"), "w"))
json.dump({"test": {"score": mean}, "n": len(rows)}, open(os.environ["VISHWA_METRICS"], "w"))
`
)

func exportedTree(work string) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range map[string]string{
		"vishwa.yaml":   "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: tiny-one}\nspec: {}\n",
		"vishwa/a.yaml": work, "data/raw.csv": exportedData, "src/double.py": exportedDouble, "src/train.py": exportedTrain,
	} {
		tree[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return tree
}

func graphOf(t *testing.T, tree fs.FS) graph.Graph {
	t.Helper()
	decls, problems := schemas.Load(t.Context(), tree)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	pins, problems := graph.Survey(tree, decls)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g, problems := graph.Build(decls, pins)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return g
}

func exported(t *testing.T, work string) []byte {
	t.Helper()
	tree := exportedTree(work)
	raw, err := templates.KubeflowPipeline("tiny-one", graphOf(t, tree), tree, templates.Exported{Image: "registry.example.com/python:3.11"})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// someKFP is as much of kfp as a step's program uses; then it calls the step as kfp's executor does.
const someKFP = `
import json, sys, types
class Artifact:
    def __init__(self, path): self.path, self.metadata = path, {}
class Metrics(Artifact):
    def log_metric(self, name, value): self.metadata[name] = value
class Of:
    def __class_getitem__(cls, of): return of
dsl = types.ModuleType("kfp.dsl")
dsl.__dict__.update(Artifact=Artifact, Metrics=Metrics, Model=Artifact, Dataset=Artifact, Input=Of, Output=Of)
kfp = types.ModuleType("kfp"); kfp.dsl, kfp.__path__ = dsl, []
sys.modules.update({"kfp": kfp, "kfp.dsl": dsl})
order = json.load(sys.stdin)
has = {"__name__": "step"}
exec(compile(order["program"], "step", "exec"), has)
step = has["step"]
given = {name: step.__annotations__[name](path) for name, path in order["artifacts"].items()}
step(**given)
json.dump({name: a.metadata for name, a in given.items()}, open(order["metadata"], "w"))
`

// ir is a pipeline as far as this test carries it out.
type ir struct {
	Root struct {
		DAG struct {
			Tasks map[string]struct {
				Before []string `yaml:"dependentTasks"`
				Retry  struct {
					Most int `yaml:"maxRetryCount"`
				} `yaml:"retryPolicy"`
				Inputs struct {
					Artifacts map[string]struct {
						From struct {
							Task string `yaml:"producerTask"`
							Key  string `yaml:"outputArtifactKey"`
						} `yaml:"taskOutputArtifact"`
					}
				}
			}
		}
	}
	Components map[string]struct {
		Out struct{ Artifacts map[string]any } `yaml:"outputDefinitions"`
	}
	Deployment struct {
		Executors map[string]struct {
			Container *struct {
				Image         string
				Command, Args []string
			}
		}
	} `yaml:"deploymentSpec"`
}

// carried carries a pipeline out below dir, with its dataset in a file; it tells what each step
// said that failed.
func carried(t *testing.T, raw []byte, dir, dataset string) (failed map[string]string) {
	t.Helper()
	var p ir
	if err := yaml.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	failed = map[string]string{}
	done, tasks := map[string]bool{}, p.Root.DAG.Tasks
	for len(done) < len(tasks) {
		before := len(done)
	tasks:
		for name, task := range tasks {
			c := p.Deployment.Executors["exec-"+name].Container
			for _, first := range task.Before {
				if !done[first] {
					continue tasks
				}
				if failed[first] != "" {
					failed[name] = "it has nothing to read"
				}
			}
			if done[name] {
				continue
			}
			done[name] = true
			if c == nil || failed[name] != "" {
				continue
			}
			artifacts := map[string]string{}
			for in, a := range task.Inputs.Artifacts {
				artifacts[in] = filepath.Join(dir, a.From.Task, a.From.Key)
				if a.From.Key == "artifact" {
					artifacts[in] = dataset
				}
			}
			for out := range p.Components["comp-"+name].Out.Artifacts {
				artifacts[out] = filepath.Join(dir, name, out)
			}
			if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			order, err := json.Marshal(map[string]any{"program": c.Command[len(c.Command)-1], "artifacts": artifacts, "metadata": filepath.Join(dir, name, "metadata")})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "python3", "-I", "-c", someKFP)
			cmd.Stdin, cmd.Env = bytes.NewReader(order), append(os.Environ(), "OWN=hidden", "TMPDIR="+t.TempDir())
			if out, err := cmd.CombinedOutput(); err != nil {
				failed[name] = string(out)
			}
		}
		if len(done) == before {
			t.Fatal("its steps wait for one another")
		}
	}
	return failed
}

func inFile(t *testing.T, text string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "anything")
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// TestAnExportedPipelineDoesWhatIsDeclared: by the variables of runs, and the best candidate is chosen.
func TestAnExportedPipelineDoesWhatIsDeclared(t *testing.T) {
	raw, dir := exported(t, exportedWork), t.TempDir()
	if again := exported(t, exportedWork); !bytes.Equal(raw, again) {
		t.Error("written again it is another")
	}
	if failed := carried(t, raw, dir, inFile(t, exportedData)); len(failed) > 0 {
		t.Fatal(failed)
	}
	for at, want := range map[string]string{"transform-double/out_doubled_rows": "2\n4\n6\n", "training-mean-low/out_model/mean.json": "3.0", "model-mean/out_model/mean.json": "5.0"} {
		if got, err := os.ReadFile(filepath.Join(dir, at)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v, want %q", at, got, err, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "model-mean", "metadata")); err != nil || !strings.Contains(string(got), `"out_metrics": {"n": 3.0, "test.score": 5.0}`) {
		t.Errorf("its metrics are %s, %v", got, err)
	}
	var p ir
	if err := yaml.Unmarshal(raw, &p); err != nil || p.Root.DAG.Tasks["transform-double"].Retry.Most != 2 {
		t.Errorf("retries are %+v, %v", p.Root.DAG.Tasks["transform-double"].Retry, err)
	}
}

// TestAnExportedPipelineSaysItsArguments: as a run does, with what the step is given in place of what they name. The scripts hold them.
func TestAnExportedPipelineSaysItsArguments(t *testing.T) {
	work := strings.NewReplacer(
		"src/double.py]\n", `src/double.py, "${inputs.raw}", "--to=${outputs.doubled-rows}:${params.times}", "-c ${inputs.raw}"]`+"\n  params: {times: 2.50}\n",
		"src/train.py]\n", `src/train.py, "${params.shift}${params.text}"]`+"\n").Replace(exportedWork)
	if failed := carried(t, exported(t, work), t.TempDir(), inFile(t, exportedData)); len(failed) > 0 {
		t.Fatal(failed)
	}
}

// TestAnExportedPipelineEndsBadly: where a run would be held or fail, and says why.
func TestAnExportedPipelineEndsBadly(t *testing.T) {
	for name, c := range map[string]struct{ old, now, data, step, say string }{
		"other data":        {"", "", "4\n", "transform-double", "is not the data that the repository pins"},
		"a gate":            {"min: 1", "min: 5.5", exportedData, "model-mean", "test.score is 5.0, and the gate is"},
		"no such metric":    {"metric: test.score}", "metric: test.auc}", exportedData, "model-mean", "no candidate reports test.auc"},
		"a command fails":   {"[python3, src/train.py]", "[sh, -c, exit 7]", exportedData, "training-mean-low", "exit code 7"},
		"an output is left": {"[python3, src/double.py]", "['true']", exportedData, "transform-double", "VISHWA_OUTPUT_DOUBLED_ROWS"},
		"no model":          {"[python3, src/train.py]", "['true']", exportedData, "training-mean-high", "no model or no metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := carried(t, exported(t, strings.Replace(exportedWork, c.old, c.now, 1)), t.TempDir(), inFile(t, c.data))
			if !strings.Contains(failed[c.step], c.say) {
				t.Errorf("%v, want %s to say %q", failed, c.step, c.say)
			}
		})
	}
}

// TestWhatNoPipelineCarriesOutIsRefused: with what to do.
func TestWhatNoPipelineCarriesOutIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ old, now, image, say string }{
		"external work":                {"  run: [python3, src/double.py]\n  code: [src]\n", "  external: {ray: {entrypoint: x}}\n  runner: ray\n", "x", "external work"},
		"no image":                     {"", "", "", "declares no image"},
		"several nodes":                {"  retries: 2\n", "  nodes: 2\n  runner: pods\n  image: \"x@sha256:" + strings.Repeat("0", 64) + "\"\n", "x", "has 2 nodes"},
		"a model that is scored apart": {"  from: training/mean\n", "  from: training/mean\n  evaluate: {run: [python3, src/train.py], code: [src], rows: {test: dataset/raw}}\n", "x", "scored apart from its training"},
		"nothing at all":               {exportedWork, "apiVersion: vishwa.dev/v1alpha1\nkind: Infrastructure\nmetadata: {name: x}\nspec: {module: src}\n", "x", "nothing is declared"},
	} {
		tree := exportedTree(strings.Replace(exportedWork, c.old, c.now, 1))
		tree["vishwa.yaml"].Data = []byte("apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: tiny}\nspec:\n  clusters: {c: {namespace: n}}\n  runners: {ray: {ray: {url: http://head}}, pods: {kubernetes: {cluster: c}}}\n")
		_, err := templates.KubeflowPipeline("tiny", graphOf(t, tree), tree, templates.Exported{Image: c.image})
		if err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.say) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s), want %q", name, err, fault.HintOf(err), c.say)
		}
	}
}

// TestAPinnedDatasetLiesInTheSharedStore: and the parameter says so, unless somebody says otherwise.
func TestAPinnedDatasetLiesInTheSharedStore(t *testing.T) {
	tree := exportedTree(exportedWork)
	raw, err := templates.KubeflowPipeline("tiny", graphOf(t, tree), tree, templates.Exported{Image: "x", Lies: func(d digest.Digest) string { return "s3://team/" + d.Hex() }})
	if want := "defaultValue: s3://team/" + digest.Of([]byte(exportedData)).Hex(); err != nil || !strings.Contains(string(raw), want) {
		t.Errorf("%v, want %s in\n%s", err, want, raw)
	}
}

// TestKFPItselfRunsAnExportedPipeline: the SDK loads it, and its local runner carries it out.
func TestKFPItselfRunsAnExportedPipeline(t *testing.T) {
	venv := os.Getenv("VISHWA_KFP")
	if venv == "" {
		t.Skip("the SDK of Kubeflow Pipelines is installed and tried by make test-kfp")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pipeline.yaml"), exported(t, exportedWork), 0o600); err != nil {
		t.Fatal(err)
	}
	const program = `
import sys
from kfp import components, local
from kfp.client.client import _extract_pipeline_yaml
spec = _extract_pipeline_yaml("pipeline.yaml").pipeline_spec
assert spec.pipeline_info.name == "vishwa-tiny-one", spec.pipeline_info
assert spec.root.dag.tasks["transform-double"].retry_policy.max_retry_count == 2
pipeline = components.load_component_from_file("pipeline.yaml")
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="root", raise_on_error=True)
pipeline(dataset_raw=sys.argv[1])
`
	cmd := exec.CommandContext(t.Context(), filepath.Join(venv, "bin", "python"), "-c", program, inFile(t, exportedData))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, _ := filepath.Glob(filepath.Join(dir, "root", "*", "model-mean", "out_model", "mean.json"))
	if len(made) != 1 {
		t.Fatalf("made are %v\n%s", made, out)
	}
	if got, err := os.ReadFile(made[0]); err != nil || string(got) != "5.0" || !strings.Contains(string(out), fmt.Sprintf("'test.score': %.1f", 5.0)) {
		t.Errorf("the model is %q, %v\n%s", got, err, out)
	}
}
