// Serving by Seldon Core 2: what a deployment says of its Model, and of the Server that loads it.

package schemas

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// SeldonTarget is a Model of Seldon Core 2 for each release, and an Experiment of the deployment's name that sends all requests to one of them. Seldon reads the model from a folder of the store that Vishwa writes, and checks no signature: the class of what is served is trusted.
type SeldonTarget struct {
	// Cluster is one of the project's clusters; its namespace has the Servers.
	Cluster string `json:"cluster" jsonschema:"required" part:"key"`
	// Requirements is what a server has to offer that loads it, such as [sklearn].
	Requirements []string `json:"requirements" jsonschema:"required,minItems=1" part:"key"`
	// Server is the one that loads it, which others than Vishwa made; without it and ownServer, Seldon takes one that fits.
	Server string `json:"server,omitempty" part:"key"`
	// OwnServer is a Server of the deployment's own, which Vishwa makes, and takes away after the last of its Models.
	OwnServer *SeldonServer `json:"ownServer,omitempty" part:"key"`
	// Memory is what it takes in its server, such as 100Mi.
	Memory string `json:"memory,omitempty" jsonschema:"pattern=^[1-9][0-9]*(k|M|G|T|Ki|Mi|Gi|Ti)?$" part:"key"`
	// Replicas is how many replicas of the server load it.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1,maximum=1000,default=1" part:"key"`
	// Secret is one of the namespace by which Seldon reads the store (rclone's configuration); without it, what the servers are set up with.
	Secret string `json:"secret,omitempty" part:"key"`
	// Adopt lets it take over an Experiment, or an own Server, of its name that somebody else made, and that nobody marked as theirs.
	Adopt bool `json:"adopt,omitempty" part:"placement"`
	// ReadyTimeout is how long it may take to be loaded; without it, five minutes.
	ReadyTimeout Duration `json:"readyTimeout,omitempty" part:"placement"`
}

// SeldonServer is a Server of Seldon Core 2. It stays from release to release; where what is declared of it changes, another is made next to it, which takes its place when it serves.
type SeldonServer struct {
	// Config is the ServerConfig that it is made by, such as mlserver or triton.
	Config string `json:"config" jsonschema:"required" part:"key"`
	// Capabilities is all that it offers, in place of what its ServerConfig says.
	Capabilities []string `json:"capabilities,omitempty" part:"key"`
	// ExtraCapabilities is what it offers besides what its ServerConfig says.
	ExtraCapabilities []string `json:"extraCapabilities,omitempty" part:"key"`
	// Replicas is how many pods it has; without it and maxReplicas, one.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1,maximum=1000" part:"key"`
	// MinReplicas is the fewest pods that it has, where Seldon scales it.
	MinReplicas int `json:"minReplicas,omitempty" jsonschema:"minimum=1,maximum=1000" part:"key"`
	// MaxReplicas has Seldon scale it, by the Models that it is to load, up to so many pods.
	MaxReplicas int `json:"maxReplicas,omitempty" jsonschema:"minimum=1,maximum=1000" part:"key"`
	// Image is that of the container that loads models, by digest; without it, what its ServerConfig says. vishwa image pin writes the digest.
	Image string `json:"image,omitempty" part:"key"`
	// Container is the name of that container in its ServerConfig; without it, the name of the ServerConfig.
	Container string `json:"container,omitempty" part:"key"`
	// Resources is what that container is given. Seldon loads no more models into it than its memory has room for.
	Resources PodResources `json:"resources,omitzero" part:"key"`
	// ServiceAccount is that of its pods; without it, what its ServerConfig says.
	ServiceAccount string `json:"serviceAccount,omitempty" part:"key"`
	// NodeSelector has labels that nodes must have.
	NodeSelector map[string]string `json:"nodeSelector,omitempty" part:"key"`
	// Tolerations are taints of nodes that pods may run on all the same.
	Tolerations []Toleration `json:"tolerations,omitempty" part:"key"`
	// PullSecrets are Secrets of the namespace with credentials of registries.
	PullSecrets []string `json:"pullSecrets,omitempty" part:"key"`
}

// Lacks are the requirements that it does not offer. Where it does not list all that it offers, its ServerConfig says the rest, and none is known.
func (t SeldonServer) Lacks(requirements []string) (out []string) {
	for _, name := range requirements {
		if len(t.Capabilities) > 0 && !slices.Contains(t.Capabilities, name) {
			out = append(out, name)
		}
	}
	return out
}

func (t *SeldonTarget) check(c *checker, d *document) {
	if t == nil {
		return
	}
	const field = "spec.target.seldon"
	onCluster(d)
	amount(d, field+".memory", t.Memory, 0)
	named(d, field+".server", t.Server)
	named(d, field+".secret", t.Secret)
	c.duration(d, field+".readyTimeout", t.ReadyTimeout)
	names(d, field+".requirements", t.Requirements)
	if t.OwnServer != nil && t.Server != "" {
		d.problem(field+".server", "names a Server, and ownServer has one made; remove one of the two")
	}
	t.OwnServer.check(d, field+".ownServer", t)
	c.serving(d, field, t.Cluster, true)
}

// check is of the Server of t.
func (s *SeldonServer) check(d *document, field string, t *SeldonTarget) {
	if s == nil {
		return
	}
	names(d, field+".capabilities", s.Capabilities)
	names(d, field+".extraCapabilities", s.ExtraCapabilities)
	named(d, field+".config", s.Config)
	named(d, field+".container", s.Container)
	image(d, field+".image", s.Image, d.decl.Ref().String())
	Pods{
		Resources: s.Resources, ServiceAccount: s.ServiceAccount, NodeSelector: s.NodeSelector, Tolerations: s.Tolerations, PullSecrets: s.PullSecrets,
	}.check(d, field)
	if len(s.Capabilities) > 0 && len(s.ExtraCapabilities) > 0 {
		d.problem(field+".extraCapabilities", "counts for nothing to Seldon where capabilities lists all; move its entries there, and remove it")
	}
	if lacks := s.Lacks(t.Requirements); len(lacks) > 0 {
		d.problem(field+".capabilities", "does not have %s, which spec.target.seldon.requirements asks for: Seldon would load no model; add it, or correct the requirements", short(strings.Join(lacks, ", ")))
	}
	switch {
	case s.Replicas > 0 && s.MaxReplicas > 0:
		d.problem(field+".replicas", "is what Seldon changes where maxReplicas is given; remove one of the two")
	case s.MinReplicas > 0 && s.MaxReplicas == 0 && !d.has(field+".maxReplicas"):
		d.problem(field+".minReplicas", "is of a Server that Seldon scales; add maxReplicas, or write replicas instead")
	case s.MinReplicas > s.MaxReplicas:
		d.problem(field+".maxReplicas", "%d is less than minReplicas, which is %d; give more", s.MaxReplicas, s.MinReplicas)
	}
	if most := cmp.Or(s.MaxReplicas, max(1, s.Replicas)); t.Replicas > most {
		d.problem("spec.target.seldon.replicas", "%d is more than the pods of ownServer, which are %d, and each of them loads a model once; give ownServer more, or load it less often", t.Replicas, most)
	}
	needs, known := Bytes(t.Memory)
	has, all := Bytes(s.Resources.Memory)
	if known && all && has > 0 && needs > has {
		d.problem("spec.target.seldon.memory", "%s is more than ownServer.resources.memory, which is %s: Seldon would load no model; raise that", short(t.Memory), short(s.Resources.Memory))
	}
}

// names reports what cannot be a name in a list of them.
func names(d *document, field string, all []string) {
	if few(d, field, len(all)) {
		for i, name := range all {
			named(d, field+"."+strconv.Itoa(i), name)
		}
	}
}
