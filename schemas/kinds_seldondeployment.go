// Serving by Seldon Core 1: what a deployment says of its SeldonDeployment.

package schemas

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
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
	// Parameters are those of the graph's model, as texts, which Seldon hands to the server in PREDICTIVE_UNIT_PARAMETERS; model_uri is /mnt/models where they do not say it. One that names another place for a model, such as another model_uri or any address, is refused.
	Parameters map[string]string `json:"parameters,omitempty" part:"key"`
	// Variables are those of the server's environment, such as MLSERVER_MODELS_DIR. Nothing in them is secret: the cluster shows them. One that names another place for a model is refused.
	Variables map[string]string `json:"variables,omitempty" part:"key"`
	// Replicas is how many pods serve.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1,maximum=1000,default=1" part:"key"`
	Pods
	// Adopt lets it take over a SeldonDeployment of its name that somebody else made, and that nobody marked as theirs.
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
	for _, name := range t.Elsewhere() {
		d.problem(field+"."+name, "may have the server load another model than the one that is verified; remove it, or where it is the path of a model, write %s or one below it", SeldonModels)
	}
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

// SeldonModels is where the verified model is in a container of Seldon Core 1.
const SeldonModels = "/mnt/models"

var (
	// placesOfModels end the names by which servers are told where a model is: model_uri of Seldon's, MLSERVER_MODELS_DIR, MODEL_BASE_PATH of
	// TensorFlow Serving's, pretrained_model and MODEL_ID of those of Hugging Face.
	placesOfModels = lazyregexp.New(`(?i)(^|_)((models?|storage|artifacts?|repository)(_?(base|config))?_?(uri|url|path|dir|root|file|id|name_?or_?path)|base_?path|pretrained_?(model|tokenizer)|optimum_?model)$`)
	// settingsOfModels begin the names of variables that hold such a place among others, or choose what looks for models.
	settingsOfModels = lazyregexp.New(`(?i)^(predictive_unit_|mlserver_model_(parameters|extra|repository_implementation))`)
	endpoints        = lazyregexp.New(`(?i)(^|_)endpoint$`)
)

// Elsewhere are the fields that may lead the server to another model than the one that is brought and verified: those by which the known
// servers are told of one. What the image itself reads, nobody can tell.
func (t *SeldonDeploymentTarget) Elsewhere() (fields []string) {
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		value := t.Parameters[name]
		if placesOfModels.MatchString(name) && !belowModels(value) || endpoints.MatchString(name) || strings.Contains(value, "://") {
			fields = append(fields, "parameters."+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		value := t.Variables[name]
		ofSeldon := strings.HasPrefix(strings.ToLower(name), "seldon_") && strings.Contains(value, "://")
		if placesOfModels.MatchString(name) && !belowModels(value) || settingsOfModels.MatchString(name) || ofSeldon {
			fields = append(fields, "variables."+name)
		}
	}
	return fields
}

// belowModels tells whether a path is that of the verified model, or of a part of it.
func belowModels(at string) bool {
	at = path.Clean(at)
	return at == SeldonModels || strings.HasPrefix(at, SeldonModels+"/")
}
