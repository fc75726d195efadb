// A Gateway's controller, as far as HTTPRoutes go, and what carries its requests. It does as Traefik 3.6 is seen to: a route of a Gateway that
// is not there it leaves without a word; of another it says that it takes it before it does; it sends to the addresses of pods, which
// it follows late; and it may hear of a route before it hears of the Service that the route names, and answers for nobody meanwhile.

package kubetest

import (
	"math/rand/v2"
	"reflect"
	"time"
)

// gateways are those that there are.
var gateways = map[string]bool{"public": true, "kserve": true}

// late is how long after a change requests still go as before it.
const late = 60 * time.Millisecond

// unheard is how long a Gateway does not hear of a Service that is there.
const unheard = 500 * time.Millisecond

// routes has each HTTPRoute's status say how it stands.
func (c *Cluster) routes() {
	if c.stopped["gateway"] {
		return
	}
	c.hear()
	var carried []way
	for _, key := range c.store.keys("httproutes") {
		o := c.store.objects[key]
		resolved, reason := "True", "ResolvedRefs"
		for _, b := range backends(o) {
			if !c.knows(b.name) {
				resolved, reason = "False", "BackendNotFound"
			}
		}
		generation := metadata(o)["generation"]
		told := func(kind, status, reason string) object {
			return object{"type": kind, "status": status, "reason": reason, "message": "", "observedGeneration": generation, "lastTransitionTime": time.Time{}.Format(time.RFC3339)}
		}
		var parents []any
		spec, _ := o["spec"].(object)
		refs, _ := spec["parentRefs"].([]any)
		for _, ref := range refs {
			parent, _ := ref.(object)
			if name, _ := parent["name"].(string); !gateways[name] {
				continue
			}
			parents = append(parents, object{"parentRef": ref, "controllerName": "tests.example/gateway",
				"conditions": []any{told("Accepted", "True", "Accepted"), told("ResolvedRefs", resolved, reason)}})
		}
		if len(parents) == 0 {
			continue
		}
		c.store.putStatus(key, plain(object{"parents": parents}))
		if names, _ := spec["hostnames"].([]any); len(names) > 0 {
			host, _ := names[0].(string)
			w := way{host: host, backends: backends(o)}
			for i, b := range w.backends {
				if c.knows(b.name) {
					w.backends[i].pods = c.endpointsOf(b.name)
				}
			}
			carried = append(carried, w)
		}
	}
	if !reflect.DeepEqual(carried, c.ways) {
		c.ways = carried
		c.coming = append(c.coming, coming{time.Now().Add(late), carried})
	}
}

// hear has the Gateway hear of the Services that there are.
func (c *Cluster) hear() {
	heard := map[string]time.Time{}
	for _, key := range c.store.keys("services") {
		heard[key] = time.Now()
		if at, before := c.heard[key]; before {
			heard[key] = at
		}
	}
	c.heard = heard
}

// knows tells whether the Gateway has heard of a Service: that it was there a while ago.
func (c *Cluster) knows(service string) bool {
	at, heard := c.heard["services/"+service]
	return heard && time.Since(at) >= unheard
}

// way is where the requests for a host go.
type way struct {
	host     string
	backends []backend
}

// coming is where requests go from a moment on.
type coming struct {
	from time.Time
	ways []way
}

type backend struct {
	name   string
	weight int
	pods   []string // their addresses
}

// backends are the Services that an HTTPRoute sends to.
func backends(o object) (out []backend) {
	spec, _ := o["spec"].(object)
	rules, _ := spec["rules"].([]any)
	for _, r := range rules {
		rule, _ := r.(object)
		refs, _ := rule["backendRefs"].([]any)
		for _, b := range refs {
			ref, _ := b.(object)
			one := backend{weight: 1}
			one.name, _ = ref["name"].(string)
			if w, said := ref["weight"].(float64); said {
				one.weight = int(w)
			}
			out = append(out, one)
		}
	}
	return out
}

// RouteTo is the address of the pod that the n-th request for a host goes to, by the weights of its HTTPRoute; false where nothing takes it.
func (c *Cluster) RouteTo(host string, n int) (addr string, ok bool) {
	c.locked(func() {
		for len(c.coming) > 0 && !time.Now().Before(c.coming[0].from) {
			c.carries, c.coming = c.coming[0].ways, c.coming[1:]
		}
		for _, w := range c.carries {
			if w.host != host {
				continue
			}
			all, sum := w.backends, 0
			for _, b := range all {
				sum += b.weight
			}
			for at := n % max(sum, 1); len(all) > 0; all = all[1:] {
				if at -= all[0].weight; at >= 0 {
					continue
				}
				if ok = len(all[0].pods) > 0; ok {
					addr = all[0].pods[rand.N(len(all[0].pods))]
				}
				return
			}
		}
	})
	return addr, ok
}
