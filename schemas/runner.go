// Where runs are carried out: the runners that a project names, and what a run asks of one.

package schemas

import (
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// ImageTags says how the tags of images are followed. An image runs by its digest: what its tag names meanwhile is proposed.
type ImageTags struct {
	// Schedule says when the controller asks registries whether tags name other images by now, as a cron expression ("0 6 * * 1") or @daily, @weekly and so on, in UTC; without it, vishwa image refresh alone does.
	Schedule string `json:"schedule,omitempty" part:"placement"`
}

// Cluster is a Kubernetes cluster.
type Cluster struct {
	// Context is a context of the kubeconfig; without it, its current one, or the cluster that Vishwa runs in.
	Context string `json:"context,omitempty" part:"placement"`
	// Namespace is where Vishwa's objects are made.
	Namespace string `json:"namespace" jsonschema:"required,pattern=^[a-z0-9]([-a-z0-9]{0\\,61}[a-z0-9])?$" part:"placement"`
	// UID is that of the cluster's namespace kube-system: a cluster that was made anew under the same name is refused. Without it, any cluster will do.
	UID string `json:"uid,omitempty" part:"placement"`
}

// Runner carries out runs. Exactly one tool is given. Its credentials come from the tool's usual places on the controller's machine.
type Runner struct {
	// Docker runs containers on a Docker Engine, or on what speaks its API.
	Docker *DockerRunner `json:"docker,omitempty" part:"placement"`
	// Kubernetes runs jobs on a cluster.
	Kubernetes *KubernetesRunner `json:"kubernetes,omitempty" part:"placement"`
	// Kubeflow runs TrainJobs of Kubeflow Trainer on a cluster, or runs of Kubeflow Pipelines.
	Kubeflow *KubeflowRunner `json:"kubeflow,omitempty" part:"placement"`
	// Airflow triggers runs of a DAG that begins Vishwa's worker. Whoever may see a run of the DAG sees what it was given: they can read what the run reads, and write what comes out of it, until it ends.
	Airflow *AirflowRunner `json:"airflow,omitempty" part:"placement"`
	// Ray submits jobs to a Ray cluster. Whoever may use its dashboard sees what a job was given: they can read what a run reads, and write what comes out of it, until it ends.
	Ray *RayRunner `json:"ray,omitempty" part:"placement"`
	// Jenkins triggers builds of a parameterised job that begins Vishwa's worker, as vishwa export jenkins prints it.
	Jenkins *JenkinsRunner `json:"jenkins,omitempty" part:"placement"`
}

// DockerRunner is a Docker Engine.
type DockerRunner struct {
	// Host is the engine's address, such as unix:///var/run/docker.sock or tcp://host:2376; without it, DOCKER_HOST, or the usual socket.
	Host string `json:"host,omitempty" part:"placement"`
	// Network is the engine's network that containers join, unless a run reaches nothing; without it, the engine's default.
	Network string `json:"network,omitempty" part:"placement"`
}

// KubernetesRunner runs batch/v1 Jobs.
type KubernetesRunner struct {
	// Cluster is one of the project's clusters.
	Cluster string `json:"cluster" jsonschema:"required" part:"placement"`
	// ServiceAccount is that of the pods; without it, the namespace's default. Its token is not mounted.
	ServiceAccount string `json:"serviceAccount,omitempty" part:"placement"`
	// Queue is the name of a LocalQueue of Kueue.
	Queue string `json:"queue,omitempty" part:"placement"`
	// NodeSelector has labels that nodes must have.
	NodeSelector map[string]string `json:"nodeSelector,omitempty" part:"placement"`
	// Tolerations are taints of nodes that pods may run on all the same.
	Tolerations []Toleration `json:"tolerations,omitempty" part:"placement"`
	// GPUResource is the resource that GPUs are asked for by.
	GPUResource string `json:"gpuResource,omitempty" jsonschema:"default=nvidia.com/gpu" part:"placement"`
	// GPULabel is the node label whose value is the kind of GPU, for resources.gpuKind.
	GPULabel string `json:"gpuLabel,omitempty" part:"placement"`
	// PullSecrets are Secrets of the namespace with credentials of registries.
	PullSecrets []string `json:"pullSecrets,omitempty" part:"placement"`
	// Worker is an image by digest that has Vishwa's worker, which make image builds: a step of its own brings it. Without it, the Python of a run's image fetches the worker, and no level of isolation counts.
	Worker string `json:"worker,omitempty" part:"placement"`
}

// Toleration is a taint of nodes that pods may run on all the same.
type Toleration struct {
	// Key is the taint's key; without it, every taint.
	Key string `json:"key,omitempty" part:"placement"`
	// Operator is Exists or Equal.
	Operator string `json:"operator,omitempty" jsonschema:"enum=Exists,enum=Equal,default=Equal" part:"placement"`
	// Value is the taint's value.
	Value string `json:"value,omitempty" part:"placement"`
	// Effect is the taint's effect; without it, every one.
	Effect string `json:"effect,omitempty" jsonschema:"enum=NoSchedule,enum=PreferNoSchedule,enum=NoExecute" part:"placement"`
}

// KubeflowRunner makes TrainJobs, for which it has a cluster and a runtime, or runs of pipelines.
type KubeflowRunner struct {
	// Cluster is one of the project's clusters.
	Cluster string `json:"cluster,omitempty" part:"placement"`
	// RuntimeRef is the ClusterTrainingRuntime or, as namespace/NAME, the TrainingRuntime that TrainJobs are made on.
	RuntimeRef string `json:"runtimeRef,omitempty" part:"placement"`
	// Queue is the name of a LocalQueue of Kueue.
	Queue string `json:"queue,omitempty" part:"placement"`
	// Pipelines has runs begun as pipelines of one step in place of TrainJobs, by the REST API of Kubeflow Pipelines; nothing else is given then. Whoever may see a run there sees what it was given: they can read what the run reads, and write what comes out of it, until it ends.
	Pipelines *KubeflowPipelines `json:"pipelines,omitempty" part:"placement"`
}

// KubeflowPipelines is a server of Kubeflow Pipelines.
type KubeflowPipelines struct {
	// URL is where its REST API is, without /apis.
	URL string `json:"url" jsonschema:"required,pattern=^https?://[^ ]+$" part:"placement"`
	// Namespace is whose runs they are, where the server serves several.
	Namespace string `json:"namespace,omitempty" part:"placement"`
	// Experiment is the one that runs are put into; it is made where it is not there.
	Experiment string `json:"experiment,omitempty" jsonschema:"default=vishwa" part:"placement"`
	// ServiceAccount is that of the pods; without it, the server's default.
	ServiceAccount string `json:"serviceAccount,omitempty" part:"placement"`
	// Token is the file on the controller's machine that has a bearer token; without it, VISHWA_KUBEFLOW_TOKEN.
	Token string `json:"token,omitempty" part:"placement"`
}

// AirflowRunner is an Airflow with the DAG that `vishwa export airflow` writes.
type AirflowRunner struct {
	// URL is where its REST API is, without /api.
	URL string `json:"url" jsonschema:"required,pattern=^https?://[^ ]+$" part:"placement"`
	// DAG is the name of the DAG.
	DAG string `json:"dag" jsonschema:"required" part:"placement"`
	// Token is the file on the controller's machine that has a bearer token, or user:password; without it, VISHWA_AIRFLOW_TOKEN.
	Token string `json:"token,omitempty" part:"placement"`
}

// RayRunner is a Ray cluster.
type RayRunner struct {
	// URL is the dashboard's address, such as http://ray-head:8265.
	URL string `json:"url" jsonschema:"required,pattern=^https?://[^ ]+$" part:"placement"`
	// Token is the file on the controller's machine that has a bearer token; without it, VISHWA_RAY_TOKEN.
	Token string `json:"token,omitempty" part:"placement"`
}

// JenkinsRunner is a parameterised job of a Jenkins, with the steps that `vishwa export jenkins` writes.
type JenkinsRunner struct {
	// URL is that of the Jenkins.
	URL string `json:"url" jsonschema:"required,pattern=^https?://[^ ]+$" part:"placement"`
	// Job is the job's path, such as team/vishwa-work.
	Job string `json:"job" jsonschema:"required" part:"placement"`
	// Token is the file on the controller's machine that has user:token; without it, VISHWA_JENKINS_TOKEN.
	Token string `json:"token,omitempty" part:"placement"`
}

// Reaches are the addresses that r is asked at, as far as it declares them, and the names of the project's clusters that it uses.
func (r Runner) Reaches() (addresses, clusters []string) {
	for _, s := range services(r) {
		addresses = append(addresses, s.url)
	}
	if r.Docker != nil && r.Docker.Host != "" {
		addresses = append(addresses, r.Docker.Host)
	}
	if r.Kubernetes != nil {
		clusters = append(clusters, r.Kubernetes.Cluster)
	}
	if r.Kubeflow != nil && r.Kubeflow.Pipelines == nil {
		clusters = append(clusters, r.Kubeflow.Cluster)
	}
	return addresses, clusters
}

// LocalRunner is the runner that is always there: processes of the machine that reconciles.
const LocalRunner = "local"

// RunnerTraits are what a tool that carries out runs can do.
type RunnerTraits struct {
	// Tool is its field in Runner; the machine that reconciles is local.
	Tool string
	// Containers has a run begin in its image, which it must have then. Without it a run has
	// none: its software is the environment that its requirements name.
	Containers bool
	// Nodes lets one run have several machines.
	Nodes bool
	// Queue knows classes of priority.
	Queue bool
	// GPU hands out GPUs, and GPUKind those of one kind.
	GPU, GPUKind bool
}

// runnerTable has one row a tool: a new one is a field of Runner and a row here.
var runnerTable = []RunnerTraits{
	{Tool: LocalRunner, GPU: true, GPUKind: true},
	{Tool: "docker", Containers: true, GPU: true},
	{Tool: "kubernetes", Containers: true, Nodes: true, Queue: true, GPU: true, GPUKind: true},
	{Tool: "kubeflow", Containers: true, Nodes: true, Queue: true, GPU: true},
	{Tool: "airflow"}, // its workers' machines are as their owner made them
	{Tool: "ray", GPU: true},
	{Tool: "jenkins"},
}

// Tool names the tool that r is; "" where it is none, or several.
func (r Runner) Tool() string {
	tool, v := "", reflect.ValueOf(r)
	for i, name := range runnerTools {
		switch {
		case v.Field(i).IsNil():
		case tool != "":
			return ""
		default:
			tool = name
		}
	}
	return tool
}

// runnerTools are the fields of a runner, each a tool: one of them is given.
var runnerTools = namesOf(reflect.TypeFor[Runner]())

// Traits are what r's tool can do; none where r is no tool. A pipeline is one pod that no queue knows.
func (r Runner) Traits() RunnerTraits {
	t := traitsOfTool(r.Tool())
	if r.Kubeflow != nil && r.Kubeflow.Pipelines != nil {
		t.Nodes, t.Queue = false, false
	}
	return t
}

func traitsOfTool(tool string) RunnerTraits {
	for _, t := range runnerTable {
		if t.Tool == tool {
			return t
		}
	}
	return RunnerTraits{}
}

// Runner is the runner of that name, and what it can do. Local is always there.
func (p *Project) Runner(name string) (Runner, RunnerTraits, bool) {
	if name == LocalRunner {
		return Runner{}, traitsOfTool(LocalRunner), true
	}
	if p == nil {
		return Runner{}, RunnerTraits{}, false
	}
	r, ok := p.Runners[name]
	return r, r.Traits(), ok
}

// PullRequestRunners are the runners that pull requests may use.
func (p *Project) PullRequestRunners() []string {
	if p == nil || len(p.PullRequests.Runners) == 0 {
		return []string{LocalRunner}
	}
	return p.PullRequests.Runners
}

// ByDigest tells whether image is a container image by digest, name[:tag]@sha256:...
func ByDigest(image string) bool {
	return len(image) <= maxImage && byDigest.MatchString(image)
}

// maxImage bounds the name of an image, as the registries of this world do, with its digest.
const maxImage = 512

const imageName = `((([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?\.?)+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?/)?[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*`

var (
	byDigest = lazyregexp.New(`^` + imageName + `(:[A-Za-z0-9_][-.A-Za-z0-9_]{0,127})?@sha256:[0-9a-f]{64}$`)
	byTag    = lazyregexp.New(`^` + imageName + `(:[A-Za-z0-9_][-.A-Za-z0-9_]{0,127})?$`)
)

// Millicores is a number of processors, such as 4 or 500m, in thousandths of one; zero
// is not declared, and false is none that can be had.
func Millicores(cpu string) (int64, bool) {
	if cpu == "" {
		return 0, true
	}
	if milli, ok := strings.CutSuffix(cpu, "m"); ok {
		n, err := strconv.ParseInt(milli, 10, 64)
		return n, err == nil
	}
	n, err := strconv.ParseFloat(cpu, 64)
	if err != nil || !(n >= 0 && n <= 1e12) { // nor what is no number
		return 0, false
	}
	return int64(math.Round(n * 1000)), true
}

// units of bytes, as Kubernetes writes them.
var units = map[string]int64{
	"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

// Bytes is a number of bytes, such as 16Gi or 500M; zero is not declared, and false is none
// that can be had.
func Bytes(s string) (int64, bool) {
	if s == "" {
		return 0, true
	}
	digits := strings.TrimRight(s, "kKMGTi")
	unit, known := units[s[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n < 0 || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}
