// Serving by Seldon Core 2: what a deployment says of its Model.

package schemas

import "strconv"

// SeldonTarget is a Model of Seldon Core 2 for each release, and an Experiment of the deployment's name that sends all requests to one of them. Seldon reads the model from a folder of the store that Vishwa writes, and checks no signature: the class of what is served is trusted.
type SeldonTarget struct {
	// Cluster is one of the project's clusters; its namespace has the Servers.
	Cluster string `json:"cluster" jsonschema:"required" part:"key"`
	// Requirements is what a server has to offer that loads it, such as [sklearn].
	Requirements []string `json:"requirements" jsonschema:"required,minItems=1" part:"key"`
	// Server is the one that loads it; without it, Seldon takes one that fits.
	Server string `json:"server,omitempty" part:"key"`
	// Memory is what it takes in its server, such as 100Mi.
	Memory string `json:"memory,omitempty" jsonschema:"pattern=^[1-9][0-9]*(k|M|G|T|Ki|Mi|Gi|Ti)?$" part:"key"`
	// Replicas is how many replicas of the server load it.
	Replicas int `json:"replicas,omitempty" jsonschema:"minimum=1,maximum=1000,default=1" part:"key"`
	// Secret is one of the namespace by which Seldon reads the store (rclone's configuration); without it, what the servers are set up with.
	Secret string `json:"secret,omitempty" part:"key"`
	// Adopt lets it take over an Experiment of its name that somebody else made.
	Adopt bool `json:"adopt,omitempty" part:"placement"`
	// ReadyTimeout is how long it may take to be loaded; without it, five minutes.
	ReadyTimeout Duration `json:"readyTimeout,omitempty" part:"placement"`
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
	if few(d, field+".requirements", len(t.Requirements)) {
		for i, name := range t.Requirements {
			named(d, field+".requirements."+strconv.Itoa(i), name)
		}
	}
	c.serving(d, field, t.Cluster, true)
}
