// Tasks as TrainJobs of Kubeflow Trainer: the runtime that a team keeps gives the pods, and the
// worker is what its trainer begins.

package launcher

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// KubeflowOptions are what a launcher of TrainJobs is made of. Runner, Cluster and Env are
// needed. An Install has to be an image alone: a runtime takes no container from a TrainJob.
type KubeflowOptions struct {
	Runner  schemas.KubeflowRunner
	Cluster schemas.Cluster
	Env     port.Env
	ClusterOptions
}

// Kubeflow launches tasks as TrainJobs on the runtime that o.Runner names. What the runtime says
// of restarts, of the service account and of its token holds: it should have a backoffLimit of 0,
// restartPolicy Never and automountServiceAccountToken false.
func Kubeflow(o KubeflowOptions) (port.Launcher, error) {
	if o.Install != nil && len(o.Install.Command) > 0 {
		return nil, fault.New(fault.Invalid, "a TrainJob is given no container: the image that brings the worker has to be mounted")
	}
	client, err := open(o.Cluster, o.Env)
	if err != nil {
		return nil, err
	}
	o.fill()
	return newCluster(client, o.Env, o.ClusterOptions, o.Runner.Queue, trainKind{o}), nil
}

// trainKind are TrainJobs of trainer.kubeflow.org.
type trainKind struct{ o KubeflowOptions }

var trainJobs = kube.Resource{Group: "trainer.kubeflow.org", Version: "v1alpha1", Name: "trainjobs"}

func (trainKind) resource() kube.Resource { return trainJobs }
func (trainKind) word() string            { return "TrainJob" }

// node is the name of a runtime's Job that trains, and of its container.
const node = "node"

// events are of the Job that JobSet makes.
func (trainKind) events(name string) string { return name + "-" + node + "-0" }

// room is for what JobSet puts behind the name of a pod, which is a label: numbers, and five letters.
func (trainKind) room(port.Task) int { return len("-" + node + "-0-1023-abcde") }

// mine takes every pod of the name: what tells them apart is that they were made later.
func (trainKind) mine(status.Unit, status.Pod) bool { return true }

// headless is false: JobSet makes a Service of its own.
func (trainKind) headless() bool { return false }

func (k trainKind) takes(t port.Task) error {
	if t.External != nil {
		return fault.New(fault.Invalid, "%s is work of another tool than Kubeflow Trainer", t.Ref)
	}
	wrong := func(what, hint string) error {
		return fault.WithHint(fault.New(fault.Invalid, "%s %s, which a TrainJob has no field for", t.Ref, what), "%s", hint)
	}
	switch {
	case t.Resources.GPUKind != "":
		return wrong("asks for a kind of GPU", "let the runner's runtime choose its nodes, and take gpuKind out")
	case t.Priority != "" && k.o.Runner.Queue == "":
		return wrong("has a priority", "give the runner a queue of Kueue, or take priority out")
	}
	return nil
}

// begin is as of a Job.
func (k trainKind) begin() map[string]any {
	if k.o.Runner.Queue != "" {
		return nil
	}
	return map[string]any{"suspend": false}
}

// runtime is the reference to what TrainJobs are made on.
func (k trainKind) runtime() map[string]any {
	kind, name := "ClusterTrainingRuntime", k.o.Runner.RuntimeRef
	if rest, ours := strings.CutPrefix(name, "namespace/"); ours {
		kind, name = "TrainingRuntime", rest
	}
	return map[string]any{"apiGroup": trainJobs.Group, "kind": kind, "name": name}
}

// object is the TrainJob of a task.
func (k trainKind) object(t port.Task, n names) map[string]any {
	own := worker(t, n, k.o.Install != nil)
	env := own["env"].([]any)
	if t.Nodes > 1 {
		env = append(env, nodeEnv(t, n.object+"-"+node+"-0", n.object)...)
	}
	trainer := map[string]any{"image": t.Image, "command": t.Command, "env": env, "numNodes": max(1, t.Nodes)}
	if r := resources(t.Resources, gpuResource); len(r) > 0 {
		trainer["resourcesPerNode"] = r
	}
	more := map[string]string{}
	if t.Priority != "" {
		more["kueue.x-k8s.io/priority-class"] = t.Priority
	}
	pod := map[string]any{
		"metadata": map[string]any{"labels": labels(t, map[string]string{taskLabel: n.object}), "annotations": notes(t)},
		"spec": map[string]any{
			"volumes": volumes(t, n, k.o.Install), "securityContext": podSecurity(),
			"containers": []any{map[string]any{"name": node, "volumeMounts": own["volumeMounts"], "securityContext": security()}},
		},
	}
	if t.Spot {
		pod["spec"].(map[string]any)["tolerations"] = spotTaints
	}
	return map[string]any{
		"apiVersion": trainJobs.APIVersion(), "kind": "TrainJob",
		"metadata": map[string]any{"name": n.object, "labels": labels(t, more), "annotations": notes(t)},
		"spec": map[string]any{
			"suspend": true, "runtimeRef": k.runtime(), "trainer": trainer, "activeDeadlineSeconds": seconds(t.Deadline),
			"runtimePatches": []any{map[string]any{
				"manager": "vishwa.dev/launcher",
				"trainingRuntimeSpec": map[string]any{"template": map[string]any{"spec": map[string]any{"replicatedJobs": []any{map[string]any{
					"name": node, "template": map[string]any{"spec": map[string]any{"template": pod}},
				}}}}},
			}},
		},
	}
}

// nodeEnv tells each of several nodes which it is, and where all are: job is what the pods' host
// names begin with, and service the name that these are below.
func nodeEnv(t port.Task, job, service string) []any {
	all := make([]string, t.Nodes)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%d.%s", job, i, service)
	}
	return []any{
		map[string]any{"name": port.NodeRank, "valueFrom": map[string]any{
			"fieldRef": map[string]any{"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"},
		}},
		variable(port.NodeCount, strconv.Itoa(t.Nodes)),
		variable(port.NodeAddress, all[0]),
		variable(port.NodeAddresses, strings.Join(all, ",")),
	}
}
