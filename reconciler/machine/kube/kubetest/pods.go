// What a test asks of pods that serve, and does to them.

package kubetest

import (
	"fmt"
	"math/rand/v2"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// Endpoint is the address of a pod that a Service sends a request to; false where it has none.
func (c *Cluster) Endpoint(service string) (addr string, ok bool) {
	var all []string
	c.locked(func() { all = c.endpointsOf(service) })
	if len(all) == 0 {
		return "", false
	}
	return all[rand.N(len(all))], true
}

// endpointsOf are the addresses of the pods that a Service sends to.
func (c *Cluster) endpointsOf(service string) (all []string) {
	o, there := c.store.objects["services/"+service]
	if !there {
		return nil
	}
	selector := under(o, "spec.selector")
	for _, key := range c.store.keys("pods") {
		p := known[corev1.Pod](c, key)
		if _, ready := readySince(p); !ready || p.DeletionTimestamp != nil || !labelsMatch(selector, p.Labels) {
			continue
		}
		l := c.lastingOf(p)
		l.mu.Lock()
		if l.port != 0 {
			all = append(all, fmt.Sprintf("127.0.0.1:%d", l.port))
		}
		l.mu.Unlock()
	}
	return all
}

// Pods are the names of pods that have a label, and are not on their way out.
func (c *Cluster) Pods(label, value string) (names []string) {
	c.locked(func() {
		for _, key := range c.store.keys("pods") {
			if p := known[corev1.Pod](c, key); p.Labels[label] == value && p.DeletionTimestamp == nil {
				names = append(names, p.Name)
			}
		}
	})
	return names
}

// Strike ends what a pod's container runs, as the kernel does.
func (c *Cluster) Strike(pod string) {
	c.locked(func() {
		p := c.pod("pods/" + pod)
		c.lastingOf(&p).signal(syscall.SIGKILL)
	})
}
