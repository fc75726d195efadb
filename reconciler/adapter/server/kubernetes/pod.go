// The pods of a release: as little as they can be given, in the words of the pod security standard "restricted".
// The first container brings the release and verifies it; the one that serves sees it read-only.

package kubernetes

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// User is who serves: the number that images call nonroot.
const User = 65532

const (
	inside = "/vishwa/release" // where a release's files are, in its pods
	packed = "/vishwa/package" // where the model is that is mounted from a package

	contained = "/vishwa/code" // where the code is of an image that has it

	packedBelow = "models" // the folder of a package that has the model's files
	drain       = 5        // seconds that a pod goes on after it was told to end, until nobody asks it
	grace       = 30       // seconds that it has to end, besides
	spare       = 64 << 20 // bytes of a release's volume, besides its files
)

func containerPort(t *port.KubernetesRelease) int { return cmp.Or(t.ContainerPort, 8080) }

// template is what the pods are made of, but for what is named after it.
func (w *work) template(r port.Release) map[string]any {
	mounts := r.Package
	if r.Contained {
		mounts = ""
	}
	spec := w.podSpec(r.Kubernetes.Pods, r.Kubernetes.Image, mounts)
	if len(w.Bring.Release) == 0 {
		spec["volumes"] = []any{scratch, shared}
	}
	spec["containers"], spec["restartPolicy"] = []any{w.serverContainer(r)}, "Always"
	return plain(map[string]any{"metadata": map[string]any{}, "spec": spec})
}

// podSpec is what is said of the pods of a release but for who serves; image has the Python that fetches a worker, and
// packed is an image of the model that is mounted. Where nothing is brought, nothing is there to bring it.
func (w *work) podSpec(t schemas.Pods, image, packed string) map[string]any {
	room := w.size + spare + w.size/50
	spec := map[string]any{
		"automountServiceAccountToken": false, "enableServiceLinks": false,
		"terminationGracePeriodSeconds": drain + grace, "securityContext": podSecurity(),
	}
	var volumes []any
	if len(w.Bring.Release) > 0 {
		spec["initContainers"] = []any{w.fetcher(t, image)}
		volumes = []any{
			map[string]any{"name": "vishwa-ticket", "secret": map[string]any{"secretName": "", "defaultMode": 0o440, "items": w.items()}},
			map[string]any{"name": "vishwa-release", "emptyDir": map[string]any{"sizeLimit": strconv.FormatInt(room>>20+1, 10) + "Mi"}},
			scratch,
			map[string]any{"name": "vishwa-begin", "emptyDir": map[string]any{"sizeLimit": "128Mi"}},
			shared,
		}
	}
	if packed != "" {
		volumes = append(volumes, map[string]any{"name": "vishwa-package", "image": map[string]any{"reference": packed, "pullPolicy": "IfNotPresent"}})
	}
	spec["volumes"] = volumes
	placed(spec, t)
	return spec
}

// placed says on which nodes pods may be, as whom, and by which credentials their images are pulled.
func placed(spec map[string]any, t schemas.Pods) {
	if t.ServiceAccount != "" {
		spec["serviceAccountName"] = t.ServiceAccount
	}
	if len(t.NodeSelector) > 0 {
		spec["nodeSelector"] = t.NodeSelector
	}
	var tolerations, pulls []any
	for _, o := range t.Tolerations {
		tolerations = append(tolerations, toleration(o))
	}
	if t.Resources.GPU > 0 {
		tolerations = append(tolerations, map[string]any{"key": gpu(t.Resources), "operator": "Exists", "effect": "NoSchedule"})
	}
	for _, n := range t.PullSecrets {
		pulls = append(pulls, map[string]any{"name": n})
	}
	if len(tolerations) > 0 {
		spec["tolerations"] = tolerations
	}
	if len(pulls) > 0 {
		spec["imagePullSecrets"] = pulls
	}
}

// Volumes of every pod that serves by a command, beside what it is brought.
var (
	scratch = map[string]any{"name": "vishwa-tmp", "emptyDir": map[string]any{"sizeLimit": "512Mi"}}
	shared  = map[string]any{"name": "vishwa-shm", "emptyDir": map[string]any{"medium": "Memory"}}
)

// packageMount has the model's files of a package at a place.
func packageMount(at string) map[string]any {
	out := mount("vishwa-package", at, true)
	out["subPath"] = packedBelow
	return out
}

// complete names what is named after the pods themselves.
func (w *work) complete(template map[string]any, labels map[string]string) {
	template["metadata"] = plain(map[string]any{"labels": labels})
	spec := template["spec"].(map[string]any)
	if w.Bring.Secret == "" {
		return
	}
	w.bind(spec)
	env := spec["containers"].([]any)[0].(map[string]any)["env"].([]any)
	for _, v := range env {
		if from, ok := v.(map[string]any)["valueFrom"].(map[string]any); ok {
			from["secretKeyRef"].(map[string]any)["name"] = w.Bring.Secret
		}
	}
}

// bind has the first container read from the release's Secret, and begin no other worker than those of today.
func (w *work) bind(spec map[string]any) {
	spec["volumes"].([]any)[0].(map[string]any)["secret"].(map[string]any)["secretName"] = w.Bring.Secret
	first := spec["initContainers"].([]any)[0].(map[string]any)
	for _, arch := range slices.Sorted(maps.Keys(w.Bring.Workers)) { // the Secret says where it is, and not what it is
		first["env"] = append(first["env"].([]any), plain(variable(dispatch.PinPrefix+strings.ToUpper(arch), string(w.Bring.Workers[arch]))))
	}
}

func (w *work) items() []any {
	out := []any{map[string]any{"key": served.TicketName, "path": served.TicketName}}
	if w.Bring.Fetched {
		out = append(out, map[string]any{"key": workerKey, "path": "ticket"})
	}
	return out
}

const (
	workerKey = "worker"
	passKey   = "env."
)

// fetcher is the container that brings the release.
func (w *work) fetcher(t schemas.Pods, of string) map[string]any {
	args := []string{"fetch", string(digest.Of(w.Bring.Release)), inside}
	image, command := t.Worker, append([]string{"/vishwa-worker"}, args...)
	if w.Bring.Fetched {
		image, command = of, append([]string{"python3", "-I", "-c", dispatch.Bootstrap}, args...)
	}
	return map[string]any{
		"name": status.Fetches, "image": image, "command": command, "imagePullPolicy": "IfNotPresent", "securityContext": security(),
		"terminationMessagePolicy": "FallbackToLogsOnError", "resources": given(t.Resources, false),
		"env": []any{variable("HOME", "/vishwa/work"), variable("TMPDIR", "/vishwa/work")},
		"volumeMounts": []any{
			mount("vishwa-ticket", "/vishwa/ticket", true), mount("vishwa-release", inside, false), mount("vishwa-begin", "/vishwa/work", false),
		},
	}
}

// serverContainer is the container that serves.
func (w *work) serverContainer(r port.Release) map[string]any {
	t := r.Kubernetes
	at, models, folder := containerPort(t), inside+"/model", inside+"/code"
	mounts := []any{mount("vishwa-release", inside, true), mount("vishwa-tmp", "/tmp", false), mount("vishwa-shm", "/dev/shm", false)}
	env := []any{variable("VISHWA_PORT", strconv.Itoa(at)), variable("HOME", "/tmp"), variable("TMPDIR", "/tmp"), variable("PYTHONDONTWRITEBYTECODE", "1")}
	switch {
	case r.Contained: // its image says where the model and the parameters are
		folder = contained
		if len(w.Bring.Release) == 0 {
			mounts = mounts[1:]
		}
	case r.Package != "":
		models, mounts = packed, append(mounts, packageMount(packed))
		fallthrough
	default:
		env = append(env, variable("VISHWA_MODEL_DIR", models), variable("VISHWA_PARAMS", inside+"/"+served.ParamsFile))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		v := sandbox.VarName(name)
		env = append(env, variable("VISHWA_INPUT_"+v, inside+"/inputs/"+v+"/data"))
	}
	for _, name := range w.Bring.Pass {
		env = append(env, map[string]any{"name": name, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "", "key": passKey + name, "optional": true}}})
	}
	return map[string]any{
		"name": status.Serves, "image": t.Image, "command": escaped(t.Run), "imagePullPolicy": "IfNotPresent", "workingDir": folder,
		"terminationMessagePolicy": "FallbackToLogsOnError", "securityContext": security(), "resources": given(t.Resources, true), "env": env,
		"ports":          []any{map[string]any{"name": "http", "containerPort": at, "protocol": "TCP"}},
		"readinessProbe": map[string]any{"httpGet": map[string]any{"path": r.Ready, "port": at}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3},
		"lifecycle":      map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": drain}}},
		"volumeMounts":   mounts,
	}
}

func mount(name, at string, readOnly bool) map[string]any {
	out := map[string]any{"name": name, "mountPath": at}
	if readOnly {
		out["readOnly"] = true
	}
	return out
}

// escaped are words that Kubernetes passes on as they are.
func escaped(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ReplaceAll(w, "$", "$$") // $$(NAME) as well is $(NAME) then, and not what it holds
	}
	return out
}

// variable is one that has value as it is: Kubernetes puts other variables, and so what they hold, in the place of $(NAME).
func variable(name, value string) map[string]any {
	return map[string]any{"name": name, "value": strings.ReplaceAll(value, "$", "$$")}
}

func gpu(r schemas.PodResources) string { return cmp.Or(r.GPUResource, "nvidia.com/gpu") }

// given are the resources of a container: what it asks for is what it has and no more.
func given(r schemas.PodResources, serves bool) map[string]any {
	amounts := map[string]string{}
	for name, value := range map[string]string{"cpu": r.CPU, "memory": r.Memory} {
		if value != "" {
			amounts[name] = value
		}
	}
	if r.GPU > 0 && serves {
		amounts[gpu(r)] = strconv.Itoa(r.GPU)
	}
	if len(amounts) == 0 {
		return map[string]any{}
	}
	return map[string]any{"requests": amounts, "limits": amounts}
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
