// A Gateway's controller, as far as HTTPRoutes go: each is told as accepted, and whether what it sends to is there.

package kubetest

import "time"

// routes has each HTTPRoute's status say how it stands.
func (c *Cluster) routes() {
	if c.stopped["gateway"] {
		return
	}
	for _, key := range c.store.keys("httproutes") {
		o := c.store.objects[key]
		resolved, reason := "True", "ResolvedRefs"
		for _, b := range backends(o) {
			if c.store.objects["services/"+b.name] == nil {
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
			parents = append(parents, object{"parentRef": ref, "controllerName": "tests.example/gateway",
				"conditions": []any{told("Accepted", "True", "Accepted"), told("ResolvedRefs", resolved, reason)}})
		}
		c.store.putStatus(key, plain(object{"parents": parents}))
	}
}

type backend struct {
	name   string
	weight int
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

// RouteTo is the Service that the n-th request for a host goes to, by the weights of its HTTPRoute; "" where nothing takes it.
func (c *Cluster) RouteTo(host string, n int) (service string) {
	c.locked(func() {
		for _, key := range c.store.keys("httproutes") {
			o := c.store.objects[key]
			spec, _ := o["spec"].(object)
			if names, _ := spec["hostnames"].([]any); len(names) == 0 || names[0] != host {
				continue
			}
			all, sum := backends(o), 0
			for _, b := range all {
				sum += b.weight
			}
			for at := n % max(sum, 1); len(all) > 0; all = all[1:] {
				if at -= all[0].weight; at < 0 {
					service = all[0].name
					return
				}
			}
		}
	})
	return service
}
