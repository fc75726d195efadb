// What applies a branch to the cluster, as Argo CD and Flux do: by server-side apply under its own name, pruning what
// it applied once and the branch has no more.

package kubetest

import (
	"bytes"
	"strings"

	"sigs.k8s.io/yaml"
)

// Follow has the cluster be as the manifests that read tells say, from now on; nil tells that nothing is there.
// It is Halt's as gitops. It is level-triggered, and undoes what others do to its objects.
func (c *Cluster) Follow(read func() []byte) {
	c.locked(func() { c.follows, c.followed, c.applied.raw, c.applied.docs = read, map[string]bool{}, nil, nil })
}

// appliedDoc is what a document of the branch was applied as: the object, and its version then.
type appliedDoc struct {
	key     string
	version any
}

// follow looks once.
func (c *Cluster) follow() {
	if c.follows == nil || c.stopped["gitops"] {
		return
	}
	raw := c.follows()
	if c.applied.version == c.store.version && bytes.Equal(c.applied.raw, raw) {
		return // it would change nothing
	}
	now, done := map[string]bool{}, map[string]appliedDoc{}
	for _, doc := range strings.Split(string(raw), "\n---\n") {
		if d, known := c.applied.docs[doc]; known && c.store.objects[d.key] != nil && d.version == metadata(c.store.objects[d.key])["resourceVersion"] {
			now[d.key], done[doc] = true, d // nobody touched it since
			continue
		}
		var wants object
		if err := yaml.Unmarshal([]byte(strings.TrimPrefix(doc, "---\n")), &wants); err != nil {
			continue // as they do: what cannot be read is told in their status
		}
		kind, _ := wants["kind"].(string)
		resource := strings.ToLower(kind) + "s"
		if strings.HasSuffix(kind, "s") {
			resource = strings.ToLower(kind) + "es"
		}
		if groups[resource] == "" || metadata(wants)["namespace"] != Namespace {
			continue
		}
		key := resource + "/" + name(wants)
		now[key] = true
		was := c.store.objects[key]
		made, err := applied(was, wants, "argocd-controller")
		if err != nil {
			c.t.Errorf("apply %s: %v", key, err)
			continue
		}
		generations(was, made)
		done[doc] = appliedDoc{key, metadata(c.store.putObject(resource, made))["resourceVersion"]}
	}
	for key := range c.followed {
		if resource, object, _ := strings.Cut(key, "/"); !now[key] && c.store.objects[key] != nil {
			c.remove(resource, object)
		}
	}
	c.followed = now
	c.applied.version, c.applied.raw, c.applied.docs = c.store.version, raw, done
}
