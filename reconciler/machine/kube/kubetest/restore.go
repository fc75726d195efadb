// A cluster whose store is restored: it is again as it was, and counts its versions from there.

package kubetest

import (
	"maps"
	"slices"
	"syscall"
)

// Snapshot keeps how everything is, as one of etcd does. What it returns restores that: what was
// made since is forgotten, versions are given a second time, and whoever watches is cut off, as
// the API servers begin anew.
func (c *Cluster) Snapshot() (restore func()) {
	var version int
	var objects map[string]object
	c.locked(func() { version, objects = c.store.version, maps.Clone(c.store.objects) })
	return func() {
		c.locked(func() {
			c.store.version, c.store.objects = version, maps.Clone(objects)
			c.store.log = slices.DeleteFunc(c.store.log, func(e change) bool { return e.version > version })
			clear(c.known)
			c.forget()
		})
		c.Server.CloseClientConnections()
	}
}

// forget has the kubelet end what it has of pods that are not there.
func (c *Cluster) forget() {
	there := map[string]bool{}
	for _, key := range c.store.keys("pods") {
		there[uid(c.store.objects[key])] = true
	}
	c.nodes.mu.Lock()
	defer c.nodes.mu.Unlock()
	for pod, p := range c.nodes.procs {
		if !there[pod] && !p.done {
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	}
}

// Version is the last one that was given.
func (c *Cluster) Version() (version int) {
	c.locked(func() { version = c.store.version })
	return version
}
