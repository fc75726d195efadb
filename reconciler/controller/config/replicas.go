// How controllers that have one file find each other.

package config

import (
	"net"
	"strconv"

	"github.com/vishwaops/vishwa/schemas"
)

// Meeting is the repository where replicas find each other; false: there are none.
func (c Spec) Meeting() (Repository, bool) {
	for _, r := range c.Repositories {
		if name := c.Replicas.Repository; name != "" && r.Title() == name {
			return r, true
		}
	}
	return Repository{}, false
}

// replicas checks how controllers find each other, once the repositories are known.
func (d *decoder) replicas(c *Spec) {
	if name := c.Replicas.Repository; name != "" && len(d.problems) == 0 {
		r, listed := c.Meeting()
		if !listed {
			titles := make([]string, len(c.Repositories))
			for i, r := range c.Repositories {
				titles[i] = r.Title()
			}
			way := "; write the name of one that repositories lists"
			if near := schemas.Nearest(name, titles); near != "" {
				way = "; did you mean " + near + "?"
			}
			d.problem("spec.replicas.repository", "%s is not the name of a listed repository%s", Quoted(name), way)
		} else if r.Path != "" {
			d.problem("spec.replicas.repository", "is a folder of one machine; name one that is listed with its url")
		}
	}
	for i, p := range c.Replicas.Peers {
		path := join("spec.replicas.peers", strconv.Itoa(i))
		d.listen(path, p)
		if host, _, err := net.SplitHostPort(p); err == nil && host == "" {
			d.problem(path, "names no host; write host:port, such as controllers.example.org:8700")
		}
	}
	switch {
	case len(c.Replicas.Peers) == 0:
	case c.Replicas.Repository == "":
		d.problem("spec.replicas.peers", "there is nothing to hand on, as each controller works on all repositories; give replicas.repository")
	case !c.Webhooks():
		d.problem("spec.replicas.peers", "no webhooks are served that could be handed on; give webhook.secret, or remove this")
	case len(c.Replicas.Peers) > 100:
		d.problem("spec.replicas.peers", "are more than 100; give a name that has all addresses")
	}
}
