// Seldon Core 2's scheduler, as far as a Model and an Experiment go. A condition is of whatever generation the last
// word was about, as the real one's.

package kubetest

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// seldonModel has the fields that a client may set of mlops.seldon.io/v1alpha1, as its documentation has them.
type seldonModel struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		StorageURI      string   `json:"storageUri"`
		ArtifactVersion *uint32  `json:"artifactVersion,omitempty"`
		ModelType       string   `json:"modelType,omitempty"`
		Requirements    []string `json:"requirements,omitempty"`
		SecretName      string   `json:"secretName,omitempty"`
		Memory          string   `json:"memory,omitempty"`
		Server          string   `json:"server,omitempty"`
		Replicas        *int32   `json:"replicas,omitempty"`
		MinReplicas     *int32   `json:"minReplicas,omitempty"`
		MaxReplicas     *int32   `json:"maxReplicas,omitempty"`
	} `json:"spec"`
	Status map[string]any `json:"status,omitempty"`
}

type seldonExperiment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Default      string          `json:"default,omitempty"`
		ResourceType string          `json:"resourceType,omitempty"`
		Candidates   []seldonWeight  `json:"candidates"`
		Mirror       *seldonMirrored `json:"mirror,omitempty"`
	} `json:"spec"`
	Status map[string]any `json:"status,omitempty"`
}

type seldonWeight struct {
	Name   string `json:"name"`
	Weight uint32 `json:"weight"`
}

type seldonMirrored struct {
	Name    string `json:"name"`
	Percent uint32 `json:"percent"`
}

func (c *Cluster) seldon() {
	if c.stopped["seldon"] || c.o.Seldon == nil {
		return
	}
	if !c.stopped["servers"] {
		c.seldonServers()
	}
	for _, key := range c.store.keys("models") {
		m := as[seldonModel](c.store.objects[key])
		if m.DeletionTimestamp != nil {
			c.unload(key, m)
			continue
		}
		reason, message := c.load(m)
		c.condition(c.store.objects[key], "ModelReady", reason == "ModelAvailable", reason, message)
	}
	for _, key := range c.store.keys("experiments") {
		e := as[seldonExperiment](c.store.objects[key])
		ready := len(e.Spec.Candidates) > 0
		for _, w := range e.Spec.Candidates {
			m, there := c.store.objects["models/"+w.Name]
			ready = ready && there && is(m, "ModelReady")
		}
		c.condition(c.store.objects[key], "ExperimentReady", ready, map[bool]string{true: "ExperimentReady", false: "candidates not ready"}[ready], "")
	}
}

// Routed is where the model is read that the n-th request with the header Seldon-Model: NAME.experiment reaches, by the weights of the
// Experiment.
func (c *Cluster) Routed(experiment string, n int) (storageURI string, ok bool) {
	c.locked(func() {
		o, there := c.store.objects["experiments/"+experiment]
		if !there || !is(o, "ExperimentReady") {
			return
		}
		all, sum := as[seldonExperiment](o).Spec.Candidates, 0
		for _, one := range all {
			sum += int(one.Weight)
		}
		for at := n % max(sum, 1); len(all) > 0; all = all[1:] {
			if at -= int(all[0].Weight); at >= 0 {
				continue
			}
			m, there := c.store.objects["models/"+all[0].Name]
			if there && is(m, "ModelReady") {
				storageURI, ok = as[seldonModel](m).Spec.StorageURI, true
			}
			return
		}
	})
	return storageURI, ok
}
