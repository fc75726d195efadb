// Work that a team has already: a run may begin it instead of a command, and takes what it made.

package schemas

import (
	"slices"
	"strings"
)

// External is work of the team's that was not written for Vishwa. The run begins it and takes what it writes below VISHWA_OUTPUTS. Exactly one tool is given, which is that of the runner.
type External struct {
	// Airflow triggers a DAG.
	Airflow *ExternalDAG `json:"airflow,omitempty" part:"key"`
	// Kubeflow runs a pipeline of Kubeflow Pipelines.
	Kubeflow *ExternalPipeline `json:"kubeflow,omitempty" part:"key"`
	// Kubernetes makes a Job.
	Kubernetes *ExternalJob `json:"kubernetes,omitempty" part:"key"`
	// Ray submits a job.
	Ray *ExternalScript `json:"ray,omitempty" part:"key"`
}

// ExternalDAG is a DAG of an Airflow.
type ExternalDAG struct {
	// DAG is its name.
	DAG string `json:"dag" jsonschema:"required,minLength=1" part:"key"`
	// Conf is what its run is given; ${VISHWA_OUTPUTS}, ${VISHWA_PARAMS} and ${VISHWA_INPUT_<NAME>} in its texts are replaced.
	Conf map[string]any `json:"conf,omitempty" part:"key"`
}

// ExternalPipeline is a pipeline of Kubeflow Pipelines.
type ExternalPipeline struct {
	// Pipeline is a file of the repository that holds one pipeline as the SDK of Kubeflow Pipelines 2 compiles it.
	Pipeline string `json:"pipeline" jsonschema:"required,minLength=1" part:"key"`
	// Parameters are those of the run; ${VISHWA_OUTPUTS}, ${VISHWA_PARAMS} and ${VISHWA_INPUT_<NAME>} in their texts are replaced.
	Parameters map[string]any `json:"parameters,omitempty" part:"key"`
	// Artifacts has the pipeline's artifacts written below VISHWA_OUTPUTS, too: an output whose path is artifacts/TASK/NAME is then the artifact NAME of the task TASK.
	Artifacts bool `json:"artifacts,omitempty" part:"key"`
}

// ExternalJob is a Job of a Kubernetes cluster.
type ExternalJob struct {
	// Manifest is a file of the repository that holds one Job of batch/v1; its containers find VISHWA_OUTPUTS, VISHWA_PARAMS and VISHWA_INPUT_<NAME> among their variables.
	Manifest string `json:"manifest" jsonschema:"required,minLength=1" part:"key"`
}

// ExternalScript is a job of a Ray cluster.
type ExternalScript struct {
	// Entrypoint is the command line that Ray begins; it finds VISHWA_OUTPUTS, VISHWA_PARAMS and VISHWA_INPUT_<NAME> among its variables.
	Entrypoint string `json:"entrypoint" jsonschema:"required,minLength=1" part:"key"`
	// RuntimeEnv is Ray's own: what the job is begun with.
	RuntimeEnv map[string]any `json:"runtimeEnv,omitempty" part:"key"`
}

// Tool is the field of the tool that is given; "" where none or several are.
func (e *External) Tool() string {
	if e == nil {
		return ""
	}
	tools := e.tools()
	if len(tools) != 1 {
		return ""
	}
	return tools[0]
}

func (e *External) tools() (out []string) {
	for name, given := range map[string]bool{"airflow": e.Airflow != nil, "kubeflow": e.Kubeflow != nil, "kubernetes": e.Kubernetes != nil, "ray": e.Ray != nil} {
		if given {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Files are those of the repository that it consists of.
func (e *External) Files() []string {
	switch {
	case e == nil:
	case e.Kubernetes != nil && e.Kubernetes.Manifest != "":
		return []string{e.Kubernetes.Manifest}
	case e.Kubeflow != nil && e.Kubeflow.Pipeline != "":
		return []string{e.Kubeflow.Pipeline}
	}
	return nil
}

// command checks that a run has a command or is external, and not both.
func (c *checker) command(d *document, field string, e *External) {
	switch {
	case e == nil && !d.has("spec.external"):
		if !d.has(field+".run") && !d.wrong(field+".run") && !d.misspelt(field, "run") {
			d.problem(field+".run", "is missing; add it: the command and its arguments; no shell is involved")
		}
		return
	case e == nil: // and what is wrong with it is reported there
		return
	case d.has("spec.run"):
		d.problem("spec.external", "and run are both given, but work is a command of the repository's or the team's own; remove one of them")
		return
	}
	switch tools := e.tools(); {
	case len(tools) == 0 && !d.wrong("spec.external"):
		d.problem("spec.external", "names no tool; give one of airflow, kubeflow, kubernetes, ray")
	case len(tools) > 1:
		d.problem("spec.external."+tools[1], "and %s are both given, but work is of one tool; remove one of them", tools[0])
	}
	for _, name := range []string{"code", "env", "image", "nodes", "resources", "priority", "spot", "network"} {
		if d.has("spec." + name) {
			d.problem("spec."+name, "says how a command is carried out, and external work says so itself; remove it")
		}
	}
	if e.Kubernetes != nil {
		c.path(d, "spec.external.kubernetes.manifest", e.Kubernetes.Manifest, file)
	}
	if e.Kubeflow != nil {
		c.path(d, "spec.external.kubeflow.pipeline", e.Kubeflow.Pipeline, file)
	}
	if e.Airflow != nil {
		plain(d, "spec.external.airflow.dag", e.Airflow.DAG)
	}
	if e.Ray != nil && strings.TrimSpace(e.Ray.Entrypoint) == "" {
		d.problem("spec.external.ray.entrypoint", "is empty; write the command line that Ray begins")
	}
}

// external checks that work of the team's is of its runner's tool.
func (c *checker) external(d *document, e *External, runner string, r Runner) {
	is := r.Traits()
	if runner == LocalRunner {
		is = traitsOfTool(LocalRunner)
	}
	if e.Tool() == "kubeflow" && r.Kubeflow != nil && r.Kubeflow.Pipelines == nil {
		d.problem("spec.external.kubeflow", "is a pipeline, and runner %s makes TrainJobs; name a runner of kubeflow that has pipelines", runner)
	}
	if tool := e.Tool(); tool != "" && tool != is.Tool {
		d.problem("spec.external."+tool, "is not what runner %s is (%s); name a runner of %s", runner, is.Tool, tool)
	}
}
