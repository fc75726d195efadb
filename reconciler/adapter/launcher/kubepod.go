// The pod of a task: as little as it can be given, in the words of the pod security standard
// "restricted", which a cluster may insist on.

package launcher

import (
	"maps"
	"path"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// workDir is where a task writes; besides it, only /tmp and /dev/shm.
const workDir = port.WorkerDir + "/work"

// sayWhy keeps the end of a container's own output with its pod's status, where it failed: what a
// worker that never reached the store says there is said nowhere else. A TrainJob has no field for
// it; there the worker's own word in its termination file is all.
const sayWhy = "FallbackToLogsOnError"

// spotTaints are what clouds put on machines that may be taken back.
var spotTaints = []map[string]any{
	{"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
	{"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
}

// pod is what a task's pods are made of.
func (k jobKind) pod(t port.Task, n names) map[string]any {
	main := worker(t, n, k.o.Install != nil)
	main["name"], main["image"], main["command"] = status.Container, t.Image, t.Command
	main["imagePullPolicy"], main["workingDir"] = "IfNotPresent", workDir
	main["terminationMessagePolicy"] = sayWhy
	main["resources"] = resources(t.Resources, k.o.Runner.GPUResource)
	if t.Nodes > 1 {
		main["env"] = append(main["env"].([]any), nodeEnv(t, n.object, n.service)...)
	}
	spec := map[string]any{
		"restartPolicy": "Never", "containers": []any{main}, "volumes": volumes(t, n, k.o.Install),
		"automountServiceAccountToken": false, "enableServiceLinks": false, "shareProcessNamespace": false,
		"terminationGracePeriodSeconds": seconds(k.o.Grace), "securityContext": podSecurity(),
	}
	if k.o.Install != nil && len(k.o.Install.Command) > 0 {
		spec["initContainers"] = []any{installer(*k.o.Install, t)}
	}
	if t.Nodes > 1 {
		spec["subdomain"] = n.service
	}
	k.place(spec, t)
	return spec
}

// place says where the pods may be.
func (k jobKind) place(spec map[string]any, t port.Task) {
	r := k.o.Runner
	selector := maps.Clone(r.NodeSelector)
	if t.Resources.GPUKind != "" {
		if selector == nil {
			selector = map[string]string{}
		}
		selector[r.GPULabel] = t.Resources.GPUKind
	}
	var tolerations []any
	for _, o := range r.Tolerations {
		tolerations = append(tolerations, toleration(o))
	}
	if t.Resources.GPU > 0 {
		tolerations = append(tolerations, map[string]any{"key": r.GPUResource, "operator": "Exists", "effect": "NoSchedule"})
	}
	if t.Spot {
		for _, o := range spotTaints {
			tolerations = append(tolerations, o)
		}
	}
	var pulls []any
	for _, name := range r.PullSecrets {
		pulls = append(pulls, map[string]any{"name": name})
	}
	for field, value := range map[string]string{"serviceAccountName": r.ServiceAccount, "priorityClassName": t.Priority} {
		if value != "" {
			spec[field] = value
		}
	}
	if len(selector) > 0 {
		spec["nodeSelector"] = selector
	}
	if len(tolerations) > 0 {
		spec["tolerations"] = tolerations
	}
	if len(pulls) > 0 {
		spec["imagePullSecrets"] = pulls
	}
}

func toleration(o schemas.Toleration) map[string]any {
	out := map[string]any{"operator": "Equal"}
	if o.Key == "" {
		out["operator"] = "Exists" // of every taint
	}
	for field, value := range map[string]string{"key": o.Key, "operator": o.Operator, "value": o.Value, "effect": o.Effect} {
		if value != "" {
			out[field] = value
		}
	}
	return out
}

// worker is what the task's container has wherever it is: its mounts, variables and walls.
func worker(t port.Task, n names, installed bool) map[string]any {
	mounts := []any{
		map[string]any{"name": "vishwa-ticket", "mountPath": path.Dir(port.TicketFile), "readOnly": true},
		map[string]any{"name": "vishwa-work", "mountPath": workDir},
		map[string]any{"name": "vishwa-tmp", "mountPath": "/tmp"},
		map[string]any{"name": "vishwa-shm", "mountPath": "/dev/shm"},
	}
	if installed {
		mounts = append(mounts, map[string]any{"name": "vishwa-bin", "mountPath": InstallDir, "readOnly": true})
	}
	env := []any{variable("HOME", "/tmp"), variable("TMPDIR", "/tmp")}
	for _, name := range port.WorkerVariables() { // whatever the image says
		if t.Nodes <= 1 || !strings.HasPrefix(name, "VISHWA_NODE") {
			env = append(env, variable(name, ""))
		}
	}
	return map[string]any{"volumeMounts": mounts, "securityContext": security(), "env": env}
}

// variable is one of a container that has value as it is: Kubernetes puts other variables, and so what they hold, in the place of $(NAME).
func variable(name, value string) map[string]any {
	return map[string]any{"name": name, "value": strings.ReplaceAll(value, "$", "$$")}
}

// volumes are what the mounts are of. The ticket can be read by the task's group, which nobody
// else is in: a file of a Secret is root's, and a task is not.
func volumes(t port.Task, n names, install *Install) []any {
	work := map[string]any{}
	if t.Resources.EphemeralStorage != "" {
		work["sizeLimit"] = t.Resources.EphemeralStorage
	}
	out := []any{
		map[string]any{"name": "vishwa-ticket", "secret": map[string]any{"secretName": n.secret, "defaultMode": 0o400}},
		map[string]any{"name": "vishwa-work", "emptyDir": work},
		map[string]any{"name": "vishwa-tmp", "emptyDir": work},
		// Shared memory is what workers of a data loader use; it counts as the task's memory.
		map[string]any{"name": "vishwa-shm", "emptyDir": map[string]any{"medium": "Memory"}},
	}
	switch {
	case install == nil:
	case len(install.Command) == 0:
		out = append(out, map[string]any{"name": "vishwa-bin", "image": map[string]any{"reference": install.Image, "pullPolicy": "IfNotPresent"}})
	default:
		out = append(out, map[string]any{"name": "vishwa-bin", "emptyDir": map[string]any{}})
	}
	return out
}

// installer is the container that brings the worker.
func installer(i Install, t port.Task) map[string]any {
	return map[string]any{
		"name": "vishwa-install", "image": i.Image, "command": i.Command, "imagePullPolicy": "IfNotPresent", "terminationMessagePolicy": sayWhy,
		"securityContext": security(), "resources": resources(schemas.Resources{CPU: t.Resources.CPU, Memory: t.Resources.Memory}, ""),
		"volumeMounts": []any{map[string]any{"name": "vishwa-bin", "mountPath": InstallDir}},
	}
}

func podSecurity() map[string]any {
	return map[string]any{
		"runAsNonRoot": true, "runAsUser": User, "runAsGroup": User, "fsGroup": User,
		"fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}
}

func security() map[string]any {
	return map[string]any{
		"runAsNonRoot": true, "runAsUser": User, "runAsGroup": User, "allowPrivilegeEscalation": false, "privileged": false,
		"readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		"seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}
}

// resources are given whole: what a task asks for is what it has and no more.
func resources(r schemas.Resources, gpu string) map[string]any {
	amounts := map[string]string{}
	for name, value := range map[string]string{"cpu": r.CPU, "memory": r.Memory, "ephemeral-storage": r.EphemeralStorage} {
		if value != "" {
			amounts[name] = value
		}
	}
	if r.GPU > 0 {
		amounts[gpu] = strconv.Itoa(r.GPU)
	}
	if len(amounts) == 0 {
		return map[string]any{}
	}
	return map[string]any{"requests": amounts, "limits": amounts}
}
