// Serving from a cluster: what a deployment says of its pods, and of the way to them.

package schemas

import (
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// KubernetesTarget is pods of a Kubernetes cluster behind a Service of the deployment's name. Each finds the model, read-only, at VISHWA_MODEL_DIR and listens on every address of its own at VISHWA_PORT.
type KubernetesTarget struct {
	// Cluster is one of the project's clusters.
	Cluster string `json:"cluster" jsonschema:"required" part:"key"`
	// Image is the container image that it runs in, by digest, as registry.example.com/base@sha256:...; vishwa image pin writes it. Without it, the image of package serves.
	Image string `json:"image,omitempty" part:"key"`
	Work
	// Runtime serves in place of a command: a program of the image, for which Vishwa writes the settings.
	Runtime *Runtime `json:"runtime,omitempty" part:"key"`
	// Package has pods mount the model from a package of it, by its digest, as an image volume (Kubernetes 1.33 or newer): the registry is read, and not the store. Without image, pods are of the package's own image, which says what is run. Nobody checks a signature where it serves then.
	Package Ref `json:"package,omitzero" part:"key"`
	// ContainerPort is where the pods listen; it is their VISHWA_PORT.
	ContainerPort int `json:"containerPort,omitempty" jsonschema:"minimum=1,maximum=65535,default=8080" part:"key"`
	// Replicas is how many pods serve; with autoscale, the fewest.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1,maximum=1000,default=1" part:"key"`
	// Autoscale makes more pods of it when there is more to do (HorizontalPodAutoscaler); without it, there are as many as replicas says.
	Autoscale *Autoscale `json:"autoscale,omitempty" part:"key"`
	// MinAvailable is how many pods, or what part of them such as "50%", stay when nodes are drained (PodDisruptionBudget).
	MinAvailable string `json:"minAvailable,omitempty" jsonschema:"pattern=^[0-9]{1\\,4}%?$" part:"key"`
	Pods
	// Route has a Gateway send requests here (HTTPRoute of the Gateway API).
	Route *Route `json:"route,omitempty" part:"key"`
	// Ingress has an ingress controller send requests here.
	Ingress *Ingress `json:"ingress,omitempty" part:"key"`
	// Adopt lets it take over a Service, route, Ingress, autoscaler or disruption budget of its name that somebody else made, and that nobody marked as theirs.
	Adopt bool `json:"adopt,omitempty" part:"placement"`
	Readiness
}

// Pods is what is said of pods that serve, whatever makes them.
type Pods struct {
	// Resources is what each pod is given.
	Resources PodResources `json:"resources,omitzero" part:"key"`
	// ServiceAccount is that of the pods; without it, the namespace's default. Its token is not mounted.
	ServiceAccount string `json:"serviceAccount,omitempty" part:"key"`
	// NodeSelector has labels that nodes must have.
	NodeSelector map[string]string `json:"nodeSelector,omitempty" part:"key"`
	// Tolerations are taints of nodes that pods may run on all the same.
	Tolerations []Toleration `json:"tolerations,omitempty" part:"key"`
	// PullSecrets are Secrets of the namespace with credentials of registries.
	PullSecrets []string `json:"pullSecrets,omitempty" part:"key"`
	// Worker is an image by digest that has Vishwa's worker, which make image builds: it brings the model and verifies it. Without it, the Python of the image fetches the worker.
	Worker string `json:"worker,omitempty" part:"key"`
}

// Autoscale is between how many pods, and by what.
type Autoscale struct {
	// Max is the most pods.
	Max int `json:"max" jsonschema:"required,minimum=2,maximum=1000" part:"key"`
	// CPU is how much of the processors that pods ask for they use on average, in percent, when their number is right.
	CPU int `json:"cpu,omitempty" jsonschema:"minimum=1,maximum=1000,default=80" part:"key"`
}

// PodResources is what a pod that serves is given, and no more.
type PodResources struct {
	// CPU is a number of cores, such as "2" or "500m".
	CPU string `json:"cpu,omitempty" jsonschema:"pattern=^([0-9]+(\\.[0-9]{1\\,3})?|[0-9]+m)$" part:"key"`
	// Memory is in bytes, such as 2Gi or 500M.
	Memory string `json:"memory,omitempty" jsonschema:"pattern=^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$" part:"key"`
	// GPU is a number of GPUs, which are its own.
	GPU int `json:"gpu,omitempty" jsonschema:"minimum=0,maximum=64" part:"key"`
	// GPUResource is the resource that GPUs are asked for by.
	GPUResource string `json:"gpuResource,omitempty" jsonschema:"default=nvidia.com/gpu" part:"key"`
}

// Route is a way in by the Gateway API.
type Route struct {
	// Gateway is the Gateway's name.
	Gateway string `json:"gateway" jsonschema:"required" part:"key"`
	// Namespace is the Gateway's; without it, the cluster's namespace of the project.
	Namespace string `json:"namespace,omitempty" part:"key"`
	// Host is the host name that requests are for.
	Host string `json:"host" jsonschema:"required" part:"key"`
	// Path begins the path of requests.
	Path string `json:"path,omitempty" jsonschema:"pattern=^/,default=/" part:"key"`
}

// Ingress is a way in by an ingress controller.
type Ingress struct {
	// Class is the IngressClass; without it, the cluster's default.
	Class string `json:"class,omitempty" part:"key"`
	// Host is the host name that requests are for.
	Host string `json:"host" jsonschema:"required" part:"key"`
	// Path begins the path of requests.
	Path string `json:"path,omitempty" jsonschema:"pattern=^/,default=/" part:"key"`
	// TLSSecret is a Secret of the namespace with the host's certificate.
	TLSSecret string `json:"tlsSecret,omitempty" part:"key"`
}

func (t *KubernetesTarget) check(c *checker, d *document, field string) {
	if t == nil {
		return
	}
	image(d, field+".image", t.Image, d.decl.Ref().String())
	t.Pods.check(d, field)
	if d.has(field+".env.requirements") && !t.contained() {
		d.problem(field+".env.requirements", "is not installed into a pod; serve an image that a Package builds of them (its spec.image.env), or one that has them, and remove it")
	}
	onCluster(d)
	if t.Autoscale != nil && t.Autoscale.Max <= max(1, t.Replicas) && t.Autoscale.Max > 0 {
		d.problem(field+".autoscale.max", "%d is no more than replicas, which is %d; give more, or remove autoscale", t.Autoscale.Max, max(1, t.Replicas))
	}
	if t.Autoscale != nil && t.Resources.CPU == "" && !d.has(field+".resources.cpu") {
		d.problem(field+".autoscale", "goes by how much of their processors pods use, and no resources.cpu says how much they have; add it")
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(t.MinAvailable, "%")); err == nil && strings.HasSuffix(t.MinAvailable, "%") && n > 100 {
		d.problem(field+".minAvailable", "%s is more than all of the pods; give 100%% or less", t.MinAvailable)
	}
	if r := t.Route; r != nil {
		named(d, field+".route.gateway", r.Gateway)
		named(d, field+".route.namespace", r.Namespace)
		claimed(d, field+".route", r.Host, r.Path)
	}
	if r := t.Ingress; r != nil {
		named(d, field+".ingress.class", r.Class)
		claimed(d, field+".ingress", r.Host, r.Path)
		named(d, field+".ingress.tlsSecret", r.TLSSecret)
	}
	of := c.packaged(d, field+".package", t.Package)
	if t.contained() {
		c.contained(d, field, t.Package, of)
	}
	c.serving(d, field, t.Cluster, !t.contained() || t.Env.Pass != nil || d.has("spec.needs"))
}

// check reports what is wrong with what is said of the pods.
func (p Pods) check(d *document, field string) {
	worker(d, field+".worker", p.Worker)
	cores(d, field+".resources.cpu", p.Resources.CPU)
	amount(d, field+".resources.memory", p.Resources.Memory, minMemory)
	label(d, field+".resources.gpuResource", p.Resources.GPUResource, labelKey)
	named(d, field+".serviceAccount", p.ServiceAccount)
	labels(d, field+".nodeSelector", p.NodeSelector)
	tolerations(d, field+".tolerations", p.Tolerations)
	if few(d, field+".pullSecrets", len(p.PullSecrets)) {
		for i, name := range p.PullSecrets {
			named(d, field+".pullSecrets."+strconv.Itoa(i), name)
		}
	}
}

// onCluster reports what no target of a cluster can have.
func onCluster(d *document) {
	if d.has("spec.log") {
		d.problem("spec.log", "is written by the serving host of a machine, and what a cluster serves does not pass it; remove it, or serve from local or docker")
	}
	if name := d.decl.Ref().Name; name != "" && name[0] >= '0' && name[0] <= '9' {
		d.problem("metadata.name", "%s begins with a digit, and a Service of a cluster cannot; rename it", short(name))
	}
}

// serving reports a cluster that cannot serve; reads tells that what serves there reads the store.
func (c *checker) serving(d *document, field, cluster string, reads bool) {
	if c.project == nil {
		return
	}
	p := ProjectOf([]Declaration{c.project.decl})
	if p == nil || c.project.has("spec.clusters."+cluster) && p.Clusters[cluster].Namespace == "" { // what is wrong with it is reported there
		return
	}
	c.cluster(d, field+".cluster", p, cluster)
	switch _, known := p.Clusters[cluster]; {
	case !reads:
	case known && (p.Store == nil || p.Store.Dir != ""):
		d.problem(field+".cluster", "%s cannot reach the store, a folder of the machine that applies; declare spec.store.s3 in %s", short(cluster), Root)
	case known && p.Store.OCI != nil:
		d.problem(field+".cluster", "%s cannot be lent what it reads of a store in a registry; declare spec.store.s3 in %s", short(cluster), Root)
	}
}

// contained tells that the package's own image serves.
func (t *KubernetesTarget) contained() bool { return t.Image == "" && t.Package != (Ref{}) }

// packaged reports a package that does not have what is served, and gives the package.
func (c *checker) packaged(d *document, field string, ref Ref) *document {
	if !d.has(field) {
		return nil
	}
	of := c.ref(d, field, ref, func(t Traits) bool { return t.Packs })
	if of == nil {
		return nil
	}
	is, packs := of.decl.Spec.(Packs)
	s, serves := d.decl.Spec.(Serves)
	if packs && serves && is.Packs().Model != s.Serves().Model && is.Packs().Model != (Ref{}) && s.Serves().Model != (Ref{}) {
		d.problem(field, "%s packs %s, and this one serves %s; name a package of the same model", ref, is.Packs().Model, s.Serves().Model)
	}
	return of
}

// contained reports what is said of a process that the image of a package says already; of is that package, where it is known.
func (c *checker) contained(d *document, field string, ref Ref, of *document) {
	for _, name := range []string{"run", "runtime", "code", "params", "env.requirements"} {
		if d.has(field + "." + name) {
			d.problem(field+"."+name, "is what the image of %s says; remove it, or name an image", ref)
		}
	}
	if of == nil {
		return
	}
	if is, packs := of.decl.Spec.(Packs); packs && is.Packs().Image == nil {
		d.problem(field+".package", "%s has no image that serves; declare image in it, or name an image here", ref)
	}
}

// inImage reports a target without an image, and without a package that may have one.
func inImage(d *document, field string) {
	if !d.has(field+".image") && !d.wrong(field+".image") && !d.has(field+".package") && !d.misspelt(field, "image") {
		d.problem(field+".image", "is missing; add it: a container image by digest, or package, whose image serves")
	}
}

var requestPath = lazyregexp.New(`^/?[A-Za-z0-9/._~%:@+-]*$`)

// pathOfRequests checks the beginning of a path. Some of what routes requests writes it into settings of a
// language of its own, where a space or a brace would begin a setting.
func pathOfRequests(d *document, field, path string) {
	if plain(d, field, path) && !requestPath.MatchString(path) {
		d.problem(field, "%s cannot begin a path of requests there; use letters, digits and / . _ ~ %% : @ + -", short(path))
	}
}
