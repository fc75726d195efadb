// Serving by Seldon Core 1: what a deployment says of its SeldonDeployment.

package schemas

import (
	"maps"
	"slices"
)

// SeldonDeploymentTarget is a SeldonDeployment of Seldon Core 1 with the deployment's name, and a predictor of it for each release. A container before the image's brings the model to /mnt/models and verifies it.
type SeldonDeploymentTarget struct {
	// Cluster is one of the project's clusters.
	Cluster string `json:"cluster" jsonschema:"required" part:"key"`
	// Image is the container image of the model server, by digest, such as one of Seldon's for scikit-learn, or MLServer's; vishwa image pin writes it.
	Image string `json:"image" jsonschema:"required" part:"key"`
	// Gateway is the host, with its port where that is not 80, at which the ingress that Seldon is set up for takes requests, such as istio-ingressgateway.istio-system. It divides them among releases.
	Gateway string `json:"gateway" jsonschema:"required,pattern=^[a-z0-9]([-a-z0-9.]{0\\,251}[a-z0-9])?(:[1-9][0-9]{0\\,4})?$" part:"key"`
	// ContainerPort is where the server listens.
	ContainerPort int `json:"containerPort,omitempty" jsonschema:"minimum=1,maximum=65535,default=9000" part:"key"`
	// Parameters are those of the graph's model, as texts, which Seldon hands to the server in PREDICTIVE_UNIT_PARAMETERS; model_uri is /mnt/models where they do not say it.
	Parameters map[string]string `json:"parameters,omitempty" part:"key"`
	// Variables are those of the server's environment, such as MLSERVER_MODELS_DIR. Nothing in them is secret: the cluster shows them.
	Variables map[string]string `json:"variables,omitempty" part:"key"`
	// Replicas is how many pods serve.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1,maximum=1000,default=1" part:"key"`
	Pods
	// Adopt lets it take over a SeldonDeployment of its name that somebody else made.
	Adopt bool `json:"adopt,omitempty" part:"placement"`
	// Ready is the path that answers 200 when a pod can serve.
	Ready string `json:"ready,omitempty" jsonschema:"pattern=^/,default=/v2/health/ready" part:"key"`
	// ReadyTimeout is how long it may take to become ready; without it, five minutes.
	ReadyTimeout Duration `json:"readyTimeout,omitempty" part:"placement"`
}

// MostSeldonName is how long the name of a SeldonDeployment may be: Seldon makes a Deployment of it, and of a predictor and a container, and names it
// otherwise where that is longer.
const MostSeldonName = 63 - len("-r0123456789-0-model")

func (t *SeldonDeploymentTarget) check(c *checker, d *document) {
	if t == nil {
		return
	}
	const field = "spec.target.seldonDeployment"
	onCluster(d)
	t.Pods.check(d, field)
	image(d, field+".image", t.Image, d.decl.Ref().String())
	c.duration(d, field+".readyTimeout", t.ReadyTimeout)
	pathOfRequests(d, field+".ready", t.Ready)
	if t.Worker == "" && !d.has(field+".worker") {
		d.problem(field+".worker", "is missing; add it: an image by digest that has Vishwa's worker, which brings the model and verifies it")
	}
	words(d, field+".parameters", t.Parameters)
	words(d, field+".variables", t.Variables)
	if name := d.decl.Ref().Name; len(name) > MostSeldonName {
		d.problem("metadata.name", "%s is longer than the %d letters that Seldon has room for; shorten it", short(name), MostSeldonName)
	}
	c.serving(d, field, t.Cluster, true)
}

// words reports names that a program's environment cannot have.
func words(d *document, field string, all map[string]string) {
	if !few(d, field, len(all)) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !variable(name) {
			d.problem(field, "%s cannot be a name there; use letters, digits and underscores", short(name))
		}
	}
}
