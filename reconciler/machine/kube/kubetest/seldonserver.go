// Seldon Core 2's Servers, as far as its documentation and its controller's conditions go: what one offers, whether it is ready, and what
// it has loaded. Its pods are not carried out; an image that cannot be pulled keeps it from being ready.

package kubetest

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// seldonServer has the fields that a client may set of mlops.seldon.io/v1alpha1, as its documentation has them.
type seldonServer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ServerConfig      string   `json:"serverConfig"`
		ExtraCapabilities []string `json:"extraCapabilities,omitempty"`
		Capabilities      []string `json:"capabilities,omitempty"`
		ImageOverrides    *struct {
			Agent  *corev1.Container `json:"agent,omitempty"`
			RClone *corev1.Container `json:"rclone,omitempty"`
		} `json:"imageOverrides,omitempty"`
		PodSpec           *corev1.PodSpec `json:"podSpec,omitempty"`
		Replicas          *int32          `json:"replicas,omitempty"`
		MinReplicas       *int32          `json:"minReplicas,omitempty"`
		MaxReplicas       *int32          `json:"maxReplicas,omitempty"`
		DisableAutoUpdate bool            `json:"disableAutoUpdate,omitempty"`
	} `json:"spec"`
	Status map[string]any `json:"status,omitempty"`
}

// offers are the capabilities of a Server: its own in place of its ServerConfig's, or besides.
func (c *Cluster) offers(s seldonServer) []string {
	if len(s.Spec.Capabilities) > 0 {
		return s.Spec.Capabilities
	}
	return slices.Concat(c.o.ServerConfigs[s.Spec.ServerConfig], s.Spec.ExtraCapabilities)
}

// seldonServers is its controller, and what its scheduler says of Servers.
func (c *Cluster) seldonServers() {
	for _, key := range c.store.keys("servers") {
		s := as[seldonServer](c.store.objects[key])
		replicas := int32(1)
		switch {
		case s.Spec.Replicas != nil:
			replicas = *s.Spec.Replicas
		case s.Spec.MinReplicas != nil:
			replicas = *s.Spec.MinReplicas
		}
		loaded := 0
		for _, m := range c.store.keys("models") {
			if as[seldonModel](c.store.objects[m]).Spec.Server == s.Name && is(c.store.objects[m], "ModelReady") {
				loaded++
			}
		}
		reason, message := c.notReady(s)
		connected := replicas
		if reason != "" {
			connected = 0
		}
		o := plain(c.store.objects[key])
		was, _ := o["status"].(object)
		o["status"] = object{
			"loadedModels": float64(loaded), "replicas": float64(replicas), "replicasConnectedToControlPlane": float64(connected),
			"selector": "seldon-server-name=" + s.Name, "conditions": was["conditions"],
		}
		if o["status"].(object)["conditions"] == nil {
			delete(o["status"].(object), "conditions")
		}
		c.condition(c.store.putObject("servers", o), "Ready", reason == "", reason, message)
	}
}

// notReady is why a Server has no pods that serve; "" where it has.
func (c *Cluster) notReady(s seldonServer) (reason, message string) {
	if _, there := c.o.ServerConfigs[s.Spec.ServerConfig]; !there {
		return "FailedReconcile", fmt.Sprintf("ServerConfig.mlops.seldon.io %q not found", s.Spec.ServerConfig)
	}
	if s.Spec.PodSpec != nil {
		for _, k := range s.Spec.PodSpec.Containers {
			if k.Image != "" && !slices.Contains(c.o.Images, k.Image) {
				return "WaitingForReplicas", "Waiting for server replica pods to connect to control plane"
			}
		}
	}
	return "", ""
}

// load is how a Model does on the Server that it names, or on any.
func (c *Cluster) load(m seldonModel) (state, why string) {
	if m.Spec.Server != "" {
		o, there := c.store.objects["servers/"+m.Spec.Server]
		fits := there && is(o, "Ready")
		for _, name := range m.Spec.Requirements {
			fits = fits && slices.Contains(c.offers(as[seldonServer](o)), name)
		}
		if !fits {
			return "ScheduleFailed", "Failed to schedule model as no matching servers are available"
		}
	}
	return c.o.Seldon(m.Spec.StorageURI, m.Spec.Requirements)
}

// unload takes a Model away that is being deleted: the Server that has loaded it does, and where that is gone before, nobody does.
func (c *Cluster) unload(key string, m seldonModel) {
	if _, there := c.store.objects["servers/"+m.Spec.Server]; m.Spec.Server == "" || there {
		c.store.drop(key)
	}
}
