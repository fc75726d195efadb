// Package launcher begins workers on tools that carry them out elsewhere. It is apart from the
// runner that a worker is itself: a worker has no cluster's client in it.
package launcher

import (
	"maps"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// KubernetesOptions are what a launcher of Jobs is made of. Runner, Cluster and Env are needed.
type KubernetesOptions struct {
	Runner  schemas.KubernetesRunner
	Cluster schemas.Cluster
	Env     port.Env
	ClusterOptions
}

// ClusterOptions are what every launcher on a cluster has besides what is declared; all have a
// value that works.
type ClusterOptions struct {
	// Owner has it watch the tasks of that owner alone; empty is those of all.
	Owner string
	// Install puts the worker into images that do not have it; nil is none.
	Install *Install
	// Grace is what a task has from being told to end until it is killed; zero is 30 seconds.
	Grace time.Duration
	// Keep is how long what has ended stays, should nobody remove it; zero is a day.
	Keep time.Duration
	status.Patience
}

// Install brings the worker into InstallDir, where the task's command finds it.
type Install struct {
	Image string // by digest
	// Command is carried out first, in a container of the image, and puts the worker there.
	// Without one the image's files are mounted there, for which a cluster has to be of
	// Kubernetes 1.35 with containerd 2.1, or newer.
	Command []string
}

// InstallDir is where an Install puts the worker.
const InstallDir = port.WorkerDir + "/bin"

// User is who tasks are: the number that images call nonroot.
const User = 65532

const gpuResource = "nvidia.com/gpu"

const queueLabel = "kueue.x-k8s.io/queue-name"

// Labels and annotations of what a launcher makes. The digest is too long for a label.
const (
	ownerLabel    = "vishwa.dev/owner"
	launchLabel   = "vishwa.dev/launch"
	taskLabel     = "vishwa.dev/task" // of pods: the name of the object that they are of
	jobLabel      = "vishwa.dev/job"  // the beginning of the digest, for people
	pullLabel     = "vishwa.dev/pull" // of what nobody reviewed, for the cluster's own rules
	jobAnnotation = "vishwa.dev/job"  // the whole of it
	refAnnotation = "vishwa.dev/ref"
	managedBy     = "app.kubernetes.io/managed-by"
)

// Kubernetes launches tasks as Jobs of batch/v1. Nothing is asked of the cluster yet.
//
// A Job is made suspended, then the Secret with its ticket as its own, then it is let go: a
// crash in between leaves a Job that does nothing and is found again, and never a Secret that
// nobody owns. The launcher cannot read, change or delete a Secret.
func Kubernetes(o KubernetesOptions) (port.Launcher, error) {
	client, err := open(o.Cluster, o.Env)
	if err != nil {
		return nil, err
	}
	if o.Runner.GPUResource == "" {
		o.Runner.GPUResource = gpuResource
	}
	o.fill()
	kind := jobKind{o: o}
	return newCluster(client, o.Env, o.ClusterOptions, o.Runner.Queue, kind), nil
}

func open(cluster schemas.Cluster, env port.Env) (*kube.Client, error) {
	if cluster.Namespace == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "a cluster is given without the namespace for Vishwa's objects"), "name one: spec.clusters.NAME.namespace in vishwa.yaml")
	}
	return kube.Open(kube.Options{Cluster: cluster, Env: env})
}

func (o *ClusterOptions) fill() {
	for _, d := range []struct {
		at *time.Duration
		is time.Duration
	}{
		{&o.Grace, 30 * time.Second}, {&o.Keep, 24 * time.Hour}, {&o.Image, 2 * time.Minute},
		{&o.Room, 15 * time.Minute}, {&o.Start, 5 * time.Minute},
	} {
		if *d.at == 0 {
			*d.at = d.is
		}
	}
}

// jobKind are Jobs of batch/v1.
type jobKind struct{ o KubernetesOptions }

func (jobKind) resource() kube.Resource { return kube.Jobs }

func (jobKind) word() string { return "Job" }

// events are where the cluster says that it may not make the task's pods.
func (jobKind) events(name string) string { return name }

func (jobKind) headless() bool { return true }

// room is for the number of a node, whose name is a host name.
func (jobKind) room(t port.Task) int {
	if t.Nodes > 1 {
		return len("-1023")
	}
	return 0
}

// mine tells the pods of a Job from those of a namesake.
func (jobKind) mine(u status.Unit, p status.Pod) bool {
	uid := p.Labels[controllerUID]
	return uid == "" || uid == u.UID
}

func (k jobKind) takes(t port.Task) error {
	if t.External != nil {
		return takesExternal(t)
	}
	if t.Resources.GPUKind != "" && k.o.Runner.GPULabel == "" {
		return fault.WithHint(fault.New(fault.Invalid, "%s asks for a GPU of kind %s, and its runner does not say which label of nodes tells the kind", t.Ref, t.Resources.GPUKind),
			"set kubernetes.gpuLabel of the runner, such as nvidia.com/gpu.product")
	}
	return nil
}

// object is the Job of a task.
func (k jobKind) object(t port.Task, n names) map[string]any {
	if t.External != nil {
		return k.external(t, n)
	}
	nodes := max(1, t.Nodes)
	spec := map[string]any{
		"suspend": true, "backoffLimit": 0, "completions": nodes, "parallelism": nodes,
		"activeDeadlineSeconds":   seconds(t.Deadline),
		"ttlSecondsAfterFinished": seconds(k.o.Keep),
		// What the owner of the machines takes back ends as such, and is never begun again
		// behind our back: of several nodes, the others would go on alone.
		"podReplacementPolicy": "Failed",
		"podFailurePolicy": map[string]any{"rules": []any{map[string]any{
			"action": "FailJob", "onPodConditions": []any{map[string]any{"type": "DisruptionTarget", "status": "True"}},
		}}},
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels(t, map[string]string{taskLabel: n.object}), "annotations": notes(t)},
			"spec":     k.pod(t, n),
		},
	}
	if nodes > 1 {
		spec["completionMode"] = "Indexed"
	}
	return map[string]any{
		"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"name": n.object, "labels": labels(t, nil), "annotations": notes(t)},
		"spec":     spec,
	}
}

// begin is the change that lets a task go: at once, or when its queue says.
func (k jobKind) begin() (spec map[string]any) {
	if k.o.Runner.Queue != "" {
		return nil
	}
	return map[string]any{"suspend": false}
}

func labels(t port.Task, more map[string]string) map[string]string {
	out := map[string]string{managedBy: "vishwa", ownerLabel: t.Owner, launchLabel: t.Launch, jobLabel: t.Job.Hex()[:16]}
	if t.Pull {
		out[pullLabel] = "true"
	}
	maps.Copy(out, more)
	return out
}

func notes(t port.Task) map[string]string {
	return map[string]string{jobAnnotation: string(t.Job), refAnnotation: t.Ref.String()}
}

// seconds are whole ones, and at least one.
func seconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }
