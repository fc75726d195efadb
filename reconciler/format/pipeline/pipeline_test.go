// Pipelines of a team's: what is one, and how much of one a pull request may have.

package pipeline_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/pipeline"
	"github.com/vishwaops/vishwa/schemas"
)

// aPipeline is one of the team's, as its SDK writes it.
const aPipeline = `# PIPELINE DEFINITION
components:
  comp-build:
    executorLabel: exec-build
    inputDefinitions: {parameters: {to: {parameterType: STRING}}}
deploymentSpec:
  executors:
    exec-build:
      container:
        args: ["{{$.inputs.parameters['to']}}"]
        command: [sh, -c, 'echo made > "$0"']
        image: alpine
pipelineInfo: {name: nightly}
root:
  dag:
    tasks:
      build:
        cachingOptions: {enableCache: true}
        componentRef: {name: comp-build}
        inputs: {parameters: {to: {componentInputParameter: to}}}
        taskInfo: {name: build}
  inputDefinitions:
    parameters:
      to: {parameterType: STRING}
      n: {parameterType: NUMBER_INTEGER, defaultValue: 3}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.3
`

func TestAPipelineIsOneOfTheSDK(t *testing.T) {
	right := map[string]any{"to": "x"}
	for name, c := range map[string]struct {
		text string
		with map[string]any
		say  string
	}{
		"nothing":                {"", right, "is empty"},
		"no YAML":                {"{", right, "cannot be read"},
		"a list":                 {"- a\n", right, "cannot be read"},
		"three documents":        {aPipeline + "---\na: 1\n---\nb: 2\n", right, "more documents"},
		"a workflow of Argo":     {"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {}\n", right, "none of Kubeflow"},
		"a number that is none":  {strings.Replace(aPipeline, "defaultValue: 3", "defaultValue: .nan", 1), right, "as JSON"},
		"large":                  {aPipeline + "# " + strings.Repeat("x", pipeline.Most), right, "bytes"},
		"a parameter it has not": {aPipeline, map[string]any{"to": "x", "too": 1}, `no parameter "too"`},
		"one that it needs":      {aPipeline, nil, `needs parameter "to"`},
		"artifacts":              {strings.Replace(aPipeline, "  inputDefinitions:\n    parameters", "  inputDefinitions:\n    artifacts: {a: {}}\n    parameters", 1), right, "takes artifacts"},
	} {
		if _, err := pipeline.Read([]byte(c.text), c.with, true); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.say) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s), want %q", name, err, fault.HintOf(err), c.say)
		}
	}
}

// TestAnUnreviewedPipelineIsContainersAlone: each line that leads further is refused, however it
// is spelt, and taken where it was reviewed.
func TestAnUnreviewedPipelineIsContainersAlone(t *testing.T) {
	right := map[string]any{"to": "x"}
	if _, err := pipeline.Read([]byte(aPipeline), right, false); err != nil {
		t.Fatal(err)
	}
	at := func(old, now string) string { return strings.Replace(aPipeline, old, now, 1) }
	for what, text := range map[string]string{
		"platform":                aPipeline + "---\nplatforms: {kubernetes: {deploymentSpec: {executors: {exec-build: {secretAsEnv: [{secretName: s}]}}}}}\n",
		"importer":                at("  executors:\n", "  executors:\n    exec-other: {importer: {artifactUri: {constant: 's3://others/x'}}}\n"),
		"customJob":               at("  executors:\n", "  executors:\n    exec-other: {customJob: {}}\n"),
		"lifecycle":               at("image: alpine", "image: alpine\n        lifecycle: {}"),
		"defaultPipelineRoot":     at("schemaVersion", "defaultPipelineRoot: s3://others/x\nschemaVersion"),
		"default_pipeline_root":   at("schemaVersion", "default_pipeline_root: s3://others/x\nschemaVersion"),
		"singlePlatformSpecs":     at("executorLabel: exec-build", "executorLabel: exec-build\n    singlePlatformSpecs: []"),
		"single_platform_specs":   at("executorLabel: exec-build", "executorLabel: exec-build\n    single_platform_specs: []"),
		"taskConfigPassthroughs":  at("root:\n", "root:\n  taskConfigPassthroughs: []\n"),
		"deploymentSpec.platform": at("  executors:\n", "  platform: {}\n  executors:\n"),
		"valueFrom":               at("image: alpine", "image: alpine\n        env: [{name: a, valueFrom: {}}]"),
		"container.env":           at("image: alpine", "image: alpine\n        env: {a: b}"),
		"exec-other":              at("  executors:\n", "  executors:\n    exec-other: container\n"),
	} {
		if _, err := pipeline.Read([]byte(text), right, true); err != nil {
			t.Errorf("reviewed, %s: %v", what, err)
		}
		if _, err := pipeline.Read([]byte(text), right, false); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("unreviewed, %s: %v", what, err)
		}
	}
}

// TestNothingIsTakenFromFormerRuns: of a pipeline within a pipeline, too, however it is spelt.
func TestNothingIsTakenFromFormerRuns(t *testing.T) {
	text := strings.Replace(aPipeline, "deploymentSpec:", "  comp-inner: {dag: {tasks: {deep: {caching_options: {enableCache: true}, cachingOptions: {enableCache: true}}}}}\ndeploymentSpec:", 1)
	spec, err := pipeline.Read([]byte(text), map[string]any{"to": "x"}, true)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(spec)
	if err != nil || strings.Contains(string(raw), "enableCache") || strings.Count(string(raw), `"cachingOptions":{}`) != 2 {
		t.Errorf("%s, %v", raw, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(aPipeline), true)
	f.Add([]byte(aPipeline+"---\nplatforms: {}\n"), false)
	f.Add([]byte(strings.Replace(aPipeline, "defaultValue: 3", "defaultValue: {1: .inf}", 1)), true)
	f.Fuzz(func(t *testing.T, raw []byte, reviewed bool) {
		if spec, err := pipeline.Read(raw, map[string]any{"to": "x"}, reviewed); err == nil {
			if _, err := json.Marshal(spec); err != nil {
				t.Errorf("what was read cannot be sent: %v", err)
			}
		}
	})
}

// TestKFPItselfReadsWhatAServerIsGiven: a run's pipeline of one step, and a team's with what its
// platform is given, in the words of the SDK's own messages, which know no others.
func TestKFPItselfReadsWhatAServerIsGiven(t *testing.T) {
	venv := os.Getenv("VISHWA_KFP")
	if venv == "" {
		t.Skip("the SDK of Kubeflow Pipelines is installed and tried by make test-kfp")
	}
	team, err := pipeline.Read([]byte(aPipeline+"---\nplatforms: {kubernetes: {deploymentSpec: {executors: {exec-build: {}}}}}\n"), map[string]any{"to": "x"}, true)
	if err != nil {
		t.Fatal(err)
	}
	one := pipeline.OneStep("vishwa-churn-0a1b", pipeline.Container{
		Image: "x@sha256:00", Command: []string{"python3", "-I", "-c", "pass"}, Env: map[string]string{"VISHWA_TICKET": `{"a":{"b":1}}`, "EMPTY": ""},
		Resources: schemas.Resources{CPU: "1500m", Memory: "2Gi", GPU: 2},
	})
	const program = `
import json, sys
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
one, team = json.load(sys.stdin)
spec = json_format.ParseDict(one, pb.PipelineSpec())
components.load_component_from_text(json.dumps(one))
deployment = json_format.ParseDict(one["deploymentSpec"], pb.PipelineDeploymentConfig())
c = deployment.executors["exec-work"].container
env = {v.name: v.value for v in c.env}
assert c.resources.resource_cpu_limit == "1500m" and c.resources.cpu_limit == 1.5 and c.resources.accelerator.resource_count == "2", c
assert env["VISHWA_TICKET"] == '{"a":{"b":1}}' and env["EMPTY"] == "" and list(c.command)[:2] == ["python3", "-I"], c
spec = json_format.ParseDict(team["pipeline_spec"], pb.PipelineSpec())
json_format.ParseDict(team["platform_spec"], pb.PlatformSpec())
assert not spec.root.dag.tasks["build"].caching_options.enable_cache and spec.pipeline_info.name == "nightly", spec
`
	raw, err := json.Marshal([]any{one, team})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(venv, "bin", "python"), "-c", program)
	cmd.Stdin = bytes.NewReader(raw)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
