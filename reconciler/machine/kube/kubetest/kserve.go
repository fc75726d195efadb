// KServe's controller, as far as its Standard mode goes: an InferenceService becomes a Deployment and a Service. Its
// status says what that of 0.15 says, of an old release as well: it is that of whatever pods there are.

package kubetest

import (
	"cmp"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Runtime is a ClusterServingRuntime.
type Runtime struct {
	Formats []string // that it serves
	Image   string
	Command []string
}

// inferenceService has the fields that a client may set of serving.kserve.io/v1beta1, version 0.15.
type inferenceService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Predictor predictorSpec  `json:"predictor"`
		Canary    []kserveCanary `json:"canary,omitempty"` // 0.20 and newer
	} `json:"spec"`
	Status map[string]any `json:"status,omitempty"`
}

type predictorSpec struct {
	corev1.PodSpec `json:",inline"`
	Model          struct {
		corev1.Container `json:",inline"`
		Format           struct {
			Name    string `json:"name"`
			Version string `json:"version,omitempty"`
		} `json:"modelFormat"`
		Protocol       string `json:"protocolVersion,omitempty"`
		Runtime        string `json:"runtime,omitempty"`
		RuntimeVersion string `json:"runtimeVersion,omitempty"`
		StorageURI     string `json:"storageUri,omitempty"`
	} `json:"model"`
	MinReplicas *int32                     `json:"minReplicas,omitempty"`
	MaxReplicas int32                      `json:"maxReplicas,omitempty"`
	Timeout     *int64                     `json:"timeout,omitempty"`
	Labels      map[string]string          `json:"labels,omitempty"`
	Annotations map[string]string          `json:"annotations,omitempty"`
	Strategy    *appsv1.DeploymentStrategy `json:"deploymentStrategy,omitempty"`
	Canary      *int64                     `json:"canaryTrafficPercent,omitempty"`
}

// kserveCanary is what is tried next to the predictor.
type kserveCanary struct {
	Percent   int64 `json:"trafficPercent"`
	Predictor struct {
		predictorSpec `json:",inline"`
		Name          string `json:"name"`
	} `json:"predictor"`
}

// runtimeOf is the runtime that serves a model, or why there is none.
func (c *Cluster) runtimeOf(p predictorSpec) (r Runtime, reason, message string) {
	if p.Model.Runtime != "" {
		r, there := c.o.Runtimes[p.Model.Runtime]
		switch {
		case !there:
			return r, "RuntimeNotRecognized", "Waiting for runtime to become available"
		case !slices.Contains(r.Formats, p.Model.Format.Name):
			return r, "NoSupportingRuntime", "Specified runtime does not support specified framework/version"
		}
		return r, "", ""
	}
	for _, name := range slices.Sorted(maps.Keys(c.o.Runtimes)) {
		if r := c.o.Runtimes[name]; slices.Contains(r.Formats, p.Model.Format.Name) {
			return r, "", ""
		}
	}
	return r, "NoSupportingRuntime", "No runtime found to support specified framework/version"
}

func (c *Cluster) inferenceServices() {
	if c.stopped["kserve"] {
		return
	}
	for _, key := range c.store.keys("inferenceservices") {
		is := known[inferenceService](c, key)
		child := is.Name + "-predictor"
		_, there := c.store.objects["deployments/"+child]
		if is.DeletionTimestamp != nil {
			c.knativeEnds(is.Name)
			c.remove("deployments", child)
			c.remove("services", child)
			if !there {
				c.store.drop(key)
			}
			continue
		}
		c.store.putStatus(key, c.addressed(is, child, c.inference(is, child)))
	}
}

// knativeInside is the label by which Knative makes no way in from outside. KServe's own, networking.kserve.io/visibility, is of its Standard mode alone
// (kube_ingress_reconciler.go; ingress_reconciler.go, ksvc_reconciler.go).
const knativeInside = "networking.knative.dev/visibility"

// addressed is a status with the address of the way in, which is made once the predictor is ready. In the Knative mode that of the
// predictor's own route is told as well.
func (c *Cluster) addressed(is *inferenceService, child string, said object) object {
	knative, name := is.Annotations["serving.kserve.io/deploymentMode"] == "Serverless", child
	label, domain := "networking.kserve.io/visibility", ".example.com"
	if knative {
		label, name = knativeInside, is.Name
	}
	if is.Labels[label] == "cluster-local" {
		domain = "." + Namespace + ".svc.cluster.local"
	} else {
		name = is.Name
	}
	if parts, is := said["components"].(object); is && knative {
		if part, is := parts["predictor"].(object); is {
			part["url"] = "http://" + cmp.Or(c.o.OwnHost, child+domain)
		}
	}
	if model, _ := said["modelStatus"].(object); model["transitionStatus"] == "UpToDate" {
		said["url"] = "http://" + name + domain
	}
	return said
}

// inference makes what an InferenceService is made of, and says how it stands.
func (c *Cluster) inference(is *inferenceService, child string) object {
	said := plain(is.Status)
	if said == nil {
		said = object{}
	}
	said["deploymentMode"] = is.Annotations["serving.kserve.io/deploymentMode"]
	p := is.Spec.Predictor
	runtime, reason, message := c.runtimeOf(p)
	if reason != "" {
		said["modelStatus"] = object{"transitionStatus": "InvalidSpec", "lastFailureInfo": object{"reason": reason, "message": message}}
		return said
	}
	if is.Annotations["serving.kserve.io/deploymentMode"] == "Serverless" {
		return c.knative(is, child, runtime, said)
	}
	c.makes(is, child, runtime)
	said["canaryStatuses"] = c.canaries(is, child, runtime)
	d := known[appsv1.Deployment](c, "deployments/"+child)
	ready := "False"
	if want := max(1, *d.Spec.Replicas); d.Status.AvailableReplicas >= want {
		ready = "True"
	}
	said["observedGeneration"] = d.Status.ObservedGeneration // of the Deployment, as it is there
	said["conditions"] = []any{object{"type": "PredictorReady", "status": ready}, object{"type": "Ready", "status": ready}}
	model := object{"transitionStatus": "InProgress", "states": object{"targetModelState": "Pending"}}
	for _, key := range c.store.keys("pods") {
		pod := known[corev1.Pod](c, key)
		for _, s := range pod.Status.ContainerStatuses {
			if pod.Labels["app"] == "isvc."+child && s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff" && s.LastTerminationState.Terminated != nil {
				model = object{"transitionStatus": "BlockedByFailedLoad", "states": object{"targetModelState": "FailedToLoad"},
					"lastFailureInfo": object{"reason": "ModelLoadFailed", "message": s.LastTerminationState.Terminated.Message}}
			}
		}
	}
	if ready == "True" {
		model = object{"transitionStatus": "UpToDate", "states": object{"activeModelState": "Loaded", "targetModelState": "Loaded"}}
	}
	said["modelStatus"] = model
	return plain(said)
}

// makes has the Deployment and the Service of an InferenceService there.
func (c *Cluster) makes(is *inferenceService, child string, runtime Runtime) {
	labels, pod := c.podOf(is, runtime)
	labels["app"] = "isvc." + child
	p := is.Spec.Predictor
	owner := []any{object{"apiVersion": groups["inferenceservices"], "kind": "InferenceService", "name": is.Name, "uid": string(is.UID)}}
	meta := func() object {
		m := object{"name": child, "labels": labels, "ownerReferences": owner}
		return plain(m)
	}
	d := appsv1.Deployment{Spec: appsv1.DeploymentSpec{
		Replicas: p.MinReplicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "isvc." + child}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
	}}
	o := plain(d)
	o["apiVersion"], o["kind"], o["metadata"] = groups["deployments"], "Deployment", meta()
	c.keepMade("deployments", o)
	c.keepMade("services", object{"apiVersion": "v1", "kind": "Service", "metadata": meta(), "spec": object{"selector": object{"app": "isvc." + child}}})
}

// podOf is what a pod of an InferenceService is, and its labels.
func (c *Cluster) podOf(is *inferenceService, runtime Runtime) (map[string]string, corev1.PodSpec) {
	p := is.Spec.Predictor
	labels := maps.Clone(is.Labels)
	maps.Copy(labels, p.Labels)
	labels["serving.kserve.io/inferenceservice"] = is.Name
	k := p.Model.Container
	k.Name = "kserve-container"
	k.Command = runtime.Command
	if k.Image == "" {
		k.Image = runtime.Image
	}
	if k.ReadinessProbe == nil {
		k.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/v2/health/ready"}}}
	}
	k.Env = append(slices.Clip(k.Env), corev1.EnvVar{Name: "MODEL_DIR", Value: "/mnt/models"}, corev1.EnvVar{Name: "VISHWA_PORT", Value: "8080"})
	pod := p.PodSpec
	pod.RestartPolicy, pod.Containers = corev1.RestartPolicyAlways, []corev1.Container{k}
	return labels, pod
}

// keepMade has an object that a controller makes as it is to be.
func (c *Cluster) keepMade(resource string, o object) {
	was := c.store.objects[resource+"/"+name(o)]
	if was != nil {
		m := maps.Clone(metadata(was))
		maps.Copy(m, metadata(o))
		o["metadata"] = m
		o["status"] = was["status"]
	}
	if o["status"] == nil {
		delete(o, "status")
	}
	generations(was, o)
	c.store.putObject(resource, o)
}

// Halt has a controller do nothing, until what it returns is called: kserve, seldon, gateway.
func (c *Cluster) Halt(controller string) (end func()) {
	c.locked(func() { c.stopped[controller] = true })
	return func() { c.locked(func() { delete(c.stopped, controller) }) }
}
