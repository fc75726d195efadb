// Tasks as runs of pipelines: the suite, the team's own pipelines, and what the suite cannot
// know of Kubeflow Pipelines.

package service

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

const pipelineImage = "registry.example.com/python@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

func pipelinesOn(p *pipelinesDouble) port.Launcher {
	return Pipelines(schemas.KubeflowPipelines{URL: p.URL + "/", Namespace: p.namespace}, testOptions(nil))
}

func pipelineTask(name string, command ...string) port.Task {
	t := rayTask(name, command...)
	t.Image = pipelineImage
	return t
}

func TestKubeflowPipelinesKeepThePromises(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("terminated runs fail ", fails), func(t *testing.T) {
			t.Parallel()
			porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
				p := newPipelinesDouble(t)
				p.fails, p.namespace = fails, map[bool]string{true: "team-a"}[fails]
				b := benchOf(p.double, pipelinesOn(p))
				b.Task = port.Task{Image: pipelineImage}
				b.Kill = func(_ *testing.T, id port.TaskID) {
					p.mu.Lock()
					defer p.mu.Unlock()
					for _, x := range p.runs {
						if x.id == id.UID {
							x.canceling = true
							x.stop()
						}
					}
				}
				b.Lacks = maps.Clone(lacksOfScheduler)
				b.Lacks[porttest.EndsForMemory] = "this double begins processes that are held to no memory"
				b.Lacks[porttest.HasImages] = "it shows a run whose image cannot be had as running, until its deadline"
				b.Lacks[porttest.KnowsItsRoom] = "it shows a run that has no room as running, until its deadline"
				b.Lacks[porttest.TellsExitCodes] = "what begins a step's command ends with 1, whatever the command ended with"
				b.Stranger = func(t *testing.T, name string) {
					p.mu.Lock()
					defer p.mu.Unlock()
					id := p.experiments["vishwa"]
					if id == "" {
						id = "e-x"
						p.experiments["vishwa"] = id
					}
					x := &pipelineProcess{process: &process{name: name, command: words("true"), note: object{}}, id: "stranger-" + name, description: "nightly", experiment: id}
					p.runs = append(p.runs, x)
					p.begin(x.process)
				}
				return b
			})
		})
	}
}

func TestAWholeRunOnKubeflowPipelines(t *testing.T) {
	p := newPipelinesDouble(t)
	wholeRunIn(t, p.double, pipelinesOn(p), pipelineImage)
}

// TestTwoThatBeginAtOnceAreOneRun: they are other processes, and the server takes both.
func TestTwoThatBeginAtOnceAreOneRun(t *testing.T) {
	p := newPipelinesDouble(t)
	task := pipelineTask("twice", "sleep", "600")
	first, second := pipelinesOn(p).(*launcher), pipelinesOn(p).(*launcher)
	a, err := first.submit(t.Context(), task, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b, err := second.submit(t.Context(), task, time.Now())
	if err != nil || a.uid != b.uid {
		t.Fatalf("%+v and %+v, %v", a, b, err)
	}
	p.mu.Lock()
	ended := p.runs[1].canceling && !p.runs[0].canceling
	p.mu.Unlock()
	if !ended {
		t.Error("the second was not ended, or the first was")
	}
}

// TestManyPipelinesAreFoundTogether: by few questions, whatever the pages are.
func TestManyPipelinesAreFoundTogether(t *testing.T) {
	p := newPipelinesDouble(t)
	l := pipelinesOn(p).(*launcher)
	p.mu.Lock()
	p.experiments["vishwa"] = "e-1"
	names := []string{"none"}
	for i := range 60 {
		x := &pipelineProcess{process: &process{name: fmt.Sprint("n", i), phase: "ended", note: object{}}, id: fmt.Sprint("id", i), experiment: "e-1"}
		p.runs, names = append(p.runs, x), append(names, x.name)
	}
	p.mu.Unlock()
	found, err := l.find(t.Context(), names)
	if err != nil || len(found) != 60 || found["n59"].uid != "id59" {
		t.Errorf("%d are found, %v", len(found), err)
	}
}

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

// teamsTask is external work of that pipeline.
func teamsTask(name, text, out string, parameters map[string]any) port.Task {
	t := delegated(name, schemas.External{Kubeflow: &schemas.ExternalPipeline{Pipeline: "p.yaml", Parameters: parameters, Artifacts: true}}, out)
	t.External.Manifest = []byte(text)
	return t
}

func TestATeamsPipelineIsRun(t *testing.T) {
	p, out := newPipelinesDouble(t), filepath.Join(t.TempDir(), "out")
	l := pipelinesOn(p)
	task := teamsTask("good", aPipeline, out, map[string]any{"to": "${VISHWA_OUTPUTS}", "n": 7})
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if s := until(t, l, id, hasEnded); s.Cause != "" {
		t.Errorf("%+v", s)
	}
	if raw, err := os.ReadFile(out); err != nil || string(raw) != "made\n" {
		t.Errorf("%q, %v", raw, err)
	}
	if again, err := l.Launch(t.Context(), task); err != nil || again != id {
		t.Errorf("launched again it is %v, %v", again, err)
	}
	p.mu.Lock()
	if p.last["root"] != out+"/artifacts" || p.last["parameters"].(map[string]any)["n"] != 7.0 {
		t.Errorf("it was asked for %v", p.last)
	}
	p.mu.Unlock()
	bad := teamsTask("bad", strings.Replace(aPipeline, "echo made", "exit 9; echo made", 1), out, map[string]any{"to": "x"})
	if id, err = l.Launch(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	if s := until(t, l, id, hasEnded); s.Cause != port.Exit || !strings.Contains(s.Reason, "task work") {
		t.Errorf("%+v", s)
	}
	// What its platform is told goes with it.
	two := teamsTask("two", aPipeline+"---\nplatforms: {kubernetes: {deploymentSpec: {executors: {exec-build: {}}}}}\n", out, map[string]any{"to": out})
	if id, err = l.Launch(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	until(t, l, id, hasEnded)
	p.mu.Lock()
	if spec := p.last["spec"].(map[string]any); spec["platform_spec"] == nil || spec["pipeline_spec"] == nil {
		t.Errorf("it was asked for %v", spec)
	}
	p.mu.Unlock()
}

// TestHowARunOfAPipelineStands: by the documented states, and with nothing of what its pods say
// but words that are known.
func TestHowARunOfAPipelineStands(t *testing.T) {
	failed := func(message string) pipelineRun {
		run := pipelineRun{State: "FAILED"}
		step := pipelineStep{State: "FAILED", Name: "train"}
		step.Error.Message = message
		run.Details.Tasks = []pipelineStep{step}
		return run
	}
	for name, c := range map[string]struct {
		run   pipelineRun
		phase port.TaskPhase
		cause port.Cause
	}{
		"no state":          {pipelineRun{}, port.TaskWaiting, ""},
		"not said":          {pipelineRun{State: "RUNTIME_STATE_UNSPECIFIED"}, port.TaskWaiting, ""},
		"paused":            {pipelineRun{State: "PAUSED"}, port.TaskWaiting, ""},
		"a state to come":   {pipelineRun{State: "RESTING\x1b[2J"}, port.TaskWaiting, ""},
		"skipped":           {pipelineRun{State: "SKIPPED"}, port.TaskEnded, port.Lost},
		"canceled":          {pipelineRun{State: "CANCELED"}, port.TaskEnded, port.Stopped},
		"failed":            {failed("hunter2"), port.TaskEnded, port.Exit},
		"out of memory":     {failed("OOMKilled (exit code 137) hunter2"), port.TaskEnded, port.OutOfMemory},
		"an image it lacks": {failed("ImagePullBackOff: Back-off pulling image hunter2"), port.TaskEnded, port.BadImage},
	} {
		s := c.run.stands()
		if s.Phase != c.phase || s.Cause != c.cause || s.Reason == "" || strings.Contains(s.Reason, "hunter2") || strings.Contains(s.Reason, "\x1b") {
			t.Errorf("%s: %+v, want %s %s and a reason", name, s, c.phase, c.cause)
		}
	}
	if s := failed("main: Error (exit code 4)").stands(); s.ExitCode != 4 {
		t.Errorf("%+v, want exit code 4", s)
	}
}

// TestAPipelineIsGivenWhatItsTaskAsksFor: by the fields of old servers and of new ones.
func TestAPipelineIsGivenWhatItsTaskAsksFor(t *testing.T) {
	p := newPipelinesDouble(t)
	l := Pipelines(schemas.KubeflowPipelines{URL: p.URL, ServiceAccount: "train", Experiment: "churn"}, testOptions(nil))
	task := pipelineTask("asks", "true")
	task.Resources = schemas.Resources{CPU: "1500m", Memory: "2Gi", GPU: 2}
	if _, err := l.Launch(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	spec := p.last["spec"].(map[string]any)
	got := asText(spec["deploymentSpec"].(map[string]any)["executors"].(map[string]any)["exec-work"].(map[string]any)["container"].(map[string]any)["resources"])
	want := `{"accelerator":{"count":"2","resourceCount":"2","resourceType":"nvidia.com/gpu","type":"nvidia.com/gpu"},"cpuLimit":1.5,"cpuRequest":1.5,"memoryLimit":2.147483648,"memoryRequest":2.147483648,"resourceCpuLimit":"1500m","resourceCpuRequest":"1500m","resourceMemoryLimit":"2Gi","resourceMemoryRequest":"2Gi"}`
	if got != want || p.last["account"] != "train" || p.experiments["churn"] == "" {
		t.Errorf("it is given %s to %v", got, p.last["account"])
	}
}

func TestWhatIsNoKubeflowPipelinesIsSaid(t *testing.T) {
	d := newDouble(t, func(_ *double, w http.ResponseWriter, _ *http.Request) { reply(w, 404, "<html>") })
	if _, err := Pipelines(schemas.KubeflowPipelines{URL: d.URL}, testOptions(nil)).Launch(t.Context(), pipelineTask("x", "true")); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("another server: %v", err)
	}
	p := newPipelinesDouble(t)
	if _, err := pipelinesOn(p).Launch(t.Context(), rayTask("x", "true")); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("without an image: %v", err)
	}
}
