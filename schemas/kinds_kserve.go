// Serving by KServe: what a deployment says of its InferenceService.

package schemas

import "fmt"

// KServeKnative is the mode of KServe in which Knative serves.
const KServeKnative = "knative"

// KServeTarget is an InferenceService of KServe with the deployment's name. A container before the runtime's brings the model to /mnt/models and verifies it, or a package is mounted there.
type KServeTarget struct {
	// Cluster is one of the project's clusters.
	Cluster string `json:"cluster" jsonschema:"required" part:"key"`
	// Mode is how KServe serves it: by a Deployment, which is its Standard mode (once RawDeployment), or by Knative (once Serverless), which divides requests among releases. KServe changes the mode of none that is there.
	Mode string `json:"mode,omitempty" jsonschema:"enum=standard,enum=knative,default=standard" part:"key"`
	// ModelFormat is what the model is, by which KServe finds a runtime, such as sklearn, xgboost or onnx.
	ModelFormat string `json:"modelFormat" jsonschema:"required,pattern=^[a-z0-9]([-a-z0-9._]{0\\,61}[a-z0-9])?$" part:"key"`
	// FormatVersion is the version of the format, such as "1".
	FormatVersion string `json:"formatVersion,omitempty" jsonschema:"pattern=^[A-Za-z0-9][A-Za-z0-9._-]{0\\,31}$" part:"key"`
	// Runtime is a ServingRuntime of the namespace, or a ClusterServingRuntime; without it, KServe takes one that serves the format.
	Runtime string `json:"runtime,omitempty" part:"key"`
	// Protocol is how it is asked: v1, or v2, which is the Open Inference Protocol.
	Protocol string `json:"protocol,omitempty" jsonschema:"enum=v1,enum=v2,default=v2" part:"key"`
	// Image is the runtime's container image, by digest, in place of the one that the runtime names; vishwa image pin writes its digest.
	Image string `json:"image,omitempty" part:"key"`
	// Package has pods mount the model from a package of it, by its digest, as an image volume (Kubernetes 1.33 or newer): the registry is read, and not the store. Nobody checks a signature where it serves then.
	Package Ref `json:"package,omitzero" part:"key"`
	// Replicas is how many pods serve; with maxReplicas, the fewest.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1,maximum=1000,default=1" part:"key"`
	// MaxReplicas is the most pods, where KServe scales them; without it, there are as many as replicas says.
	MaxReplicas int `json:"maxReplicas,omitempty" jsonschema:"minimum=1,maximum=1000" part:"key"`
	// Expose has KServe make the way in that it is set up for, an Ingress or a route; without it, the model is reached within the cluster alone.
	Expose bool `json:"expose,omitempty" part:"key"`
	// Host is the host name that KServe gives the way in, by its ingressDomain and domainTemplate, such as churn-served.example.com; a release that is given another does not come to serve. It is needed where hosts of the environment or of the controller's file say which there may be.
	Host string `json:"host,omitempty" part:"key"`
	Pods
	// Adopt lets it take over an InferenceService of its name that somebody else made, and that nobody marked as theirs.
	Adopt bool `json:"adopt,omitempty" part:"placement"`
	// Ready is the path that answers 200 when a pod can serve; without it, the runtime's own probe counts.
	Ready string `json:"ready,omitempty" jsonschema:"pattern=^/" part:"key"`
	// ReadyPort is the port of the pod that ready is asked at.
	ReadyPort int `json:"readyPort,omitempty" jsonschema:"minimum=1,maximum=65535,default=8080" part:"key"`
	// ReadyTimeout is how long it may take to become ready; without it, five minutes.
	ReadyTimeout Duration `json:"readyTimeout,omitempty" part:"placement"`
}

// What names are made of: of what KServe makes for the part that serves, and of what Knative makes of that for the release before.
const (
	predictor = "-predictor"
	previous  = "prev-"
)

// MostKServeName is how long the name of an InferenceService may be: KServe makes a Service of it and -predictor. MostKnativeName is how long in
// the Knative mode, where Knative makes one of that for the release before.
const (
	MostKServeName  = 63 - len(predictor)
	MostKnativeName = MostKServeName - len(previous)
)

// MostName is how long the name of the deployment may be.
func (t *KServeTarget) MostName() int {
	if t.Mode == KServeKnative {
		return MostKnativeName
	}
	return MostKServeName
}

func (t *KServeTarget) check(c *checker, d *document) {
	if t == nil {
		return
	}
	const field = "spec.target.kserve"
	onCluster(d)
	t.Pods.check(d, field)
	image(d, field+".image", t.Image, d.decl.Ref().String())
	named(d, field+".runtime", t.Runtime)
	c.duration(d, field+".readyTimeout", t.ReadyTimeout)
	c.packaged(d, field+".package", t.Package)
	if d.has(field+".package") && d.has(field+".worker") {
		d.problem(field+".worker", "brings the model from the store, and the package is mounted; remove it, or package")
	}
	if t.Worker == "" && !d.has(field+".worker") && !d.has(field+".package") {
		d.problem(field+".worker", "is missing; add it: an image by digest that has Vishwa's worker, which brings the model and verifies it")
	}
	if t.MaxReplicas > 0 && t.MaxReplicas < max(1, t.Replicas) {
		d.problem(field+".maxReplicas", "%d is less than replicas, which is %d; give more, or remove it", t.MaxReplicas, max(1, t.Replicas))
	}
	if name, most := d.decl.Ref().Name, t.MostName(); len(name) > most {
		d.problem("metadata.name", "%s is longer than the %d letters that KServe has room for; shorten it", short(name), most)
	}
	if t.ReadyPort != 0 && t.Ready == "" {
		d.problem(field+".readyPort", "is asked nothing without ready; add that, or remove it")
	}
	if t.Mode == KServeKnative && d.has(field+".package") {
		d.problem(field+".package", "is mounted as an image, which Knative does not do; name worker in its place, or remove mode")
	}
	pathOfRequests(d, field+".ready", t.Ready)
	claimed(d, field, t.Host, "")
	if d.has(field+".host") && !t.Expose {
		d.problem(field+".host", "is that of a way in, and KServe makes none; add expose: true, or remove it")
	}
	c.serving(d, field, t.Cluster, t.Package == (Ref{}))
}

// MostCanaryName is how long it may be where KServe makes a Service of it, of the name of a canary and -predictor.
const MostCanaryName = MostKServeName - len("-r0123456789")

// checkDivided refuses what KServe does not divide the requests of.
func (t *KServeTarget) checkDivided(d *document, r *Rollout) {
	if t == nil {
		return
	}
	switch knative, name := t.Mode == KServeKnative, d.decl.Ref().Name; {
	case !knative && !t.Expose:
		d.problem("spec.target.kserve", "has no way in, and in its Standard mode KServe divides those requests alone that come by a route of its own; set expose: true, with KServe 0.20 or newer, or mode: knative; or remove canary or blueGreen from spec.rollout")
	case !knative && len(name) > MostCanaryName:
		d.problem("metadata.name", "%s is longer than the %d letters that KServe has room for next to the name of a canary; shorten it", short(name), MostCanaryName)
	case knative && r.BlueGreen != nil:
		d.problem("spec.rollout.blueGreen", "gives a new release all requests while the old one goes on, and Knative ends pods that have none; declare canary in its place")
	case knative && r.Canary != nil:
		for i, step := range r.Canary.Steps {
			if step.SetWeight != nil && *step.SetWeight == 100 {
				d.problem(fmt.Sprintf("spec.rollout.canary.steps.%d.setWeight", i), "is 100, with which Knative ends the pods of the release that serves, so that nothing could go back at once; remove the step: after the last one the new release has all requests")
			}
		}
	}
}
