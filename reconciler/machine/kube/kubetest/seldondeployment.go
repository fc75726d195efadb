// The controller of Seldon Core 1, as far as predictors of one container go: a Deployment and a Service each, and routes that are changed
// once all Deployments are ready. What of before is not declared any more goes after that. Its status is of no generation.

package kubetest

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// seldonDeployment has the fields that a client may set of machinelearning.seldon.io/v1, as its documentation has them, but for those of
// graphs of more than one model, explainers and KEDA.
type seldonDeployment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Name        string            `json:"name,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Protocol    string            `json:"protocol,omitempty"`
		Transport   string            `json:"transport,omitempty"`
		Replicas    *int32            `json:"replicas,omitempty"`
		Predictors  []seldonPredictor `json:"predictors"`
	} `json:"spec"`
	Status map[string]any `json:"status,omitempty"`
}

type seldonPredictor struct {
	Name        string            `json:"name"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Replicas    *int32            `json:"replicas,omitempty"`
	Traffic     int32             `json:"traffic,omitempty"`
	Shadow      bool              `json:"shadow,omitempty"`
	Graph       struct {
		Name           string `json:"name"`
		Type           string `json:"type,omitempty"`
		Implementation string `json:"implementation,omitempty"`
		ModelURI       string `json:"modelUri,omitempty"`
		Secret         string `json:"envSecretRefName,omitempty"`
		ServiceAccount string `json:"serviceAccountName,omitempty"`
		Parameters     []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"parameters,omitempty"`
	} `json:"graph"`
	Components []struct {
		Metadata struct {
			Name        string            `json:"name,omitempty"`
			Labels      map[string]string `json:"labels,omitempty"`
			Annotations map[string]string `json:"annotations,omitempty"`
		} `json:"metadata,omitempty"`
		Replicas *int32         `json:"replicas,omitempty"`
		Spec     corev1.PodSpec `json:"spec"`
	} `json:"componentSpecs,omitempty"`
}

// predictorsWrong is why Seldon's webhook refuses an object; "" where it does not.
func predictorsWrong(resource string, o object) string {
	if resource != "seldondeployments" {
		return ""
	}
	d, sum, shadows, names := as[seldonDeployment](o), int32(0), 0, map[string]bool{}
	for _, p := range d.Spec.Predictors {
		if names[p.Name] {
			return "Duplicate predictor name"
		}
		names[p.Name] = true
		if p.Shadow {
			shadows++
		} else {
			sum += p.Traffic
		}
		if len(p.Components) == 0 || !slices.ContainsFunc(p.Components[0].Spec.Containers, func(k corev1.Container) bool { return k.Name == p.Graph.Name }) {
			return "Can't find container for Predictive Unit"
		}
	}
	switch n := len(d.Spec.Predictors); {
	case n == 0:
		return "Graph contains no predictors"
	case n == 1 && shadows == 1:
		return "Shadow can not exist as only predictor"
	case shadows > 1:
		return "Multiple shadows are not allowed"
	case n-shadows > 1 && sum != 100:
		return "Traffic must sum to 100 for multiple predictors"
	case n == 1 && sum > 0 && sum < 100:
		return "Traffic must sum be 100 for a single predictor when set"
	}
	return ""
}

func (c *Cluster) seldonDeployments() {
	if c.stopped["seldon"] {
		return
	}
	for _, key := range c.store.keys("seldondeployments") {
		d := known[seldonDeployment](c, key)
		said := plain(d.Status)
		if said == nil {
			said = object{}
		}
		if why := c.predictors(d, said); why != "" {
			said["state"], said["description"] = "Failed", why
		}
		c.store.putStatus(key, plain(said))
	}
}

// predictors makes those of a SeldonDeployment and says how they stand; or why they cannot be made.
func (c *Cluster) predictors(d *seldonDeployment, said object) (failed string) {
	told, _ := said["deploymentStatus"].(object)
	if told == nil {
		told = object{}
	}
	ready, stays, routes := true, map[string]bool{}, []backend{}
	for _, p := range d.Spec.Predictors {
		at, made := fmt.Sprintf("%s-%s-0-%s", d.Name, p.Name, p.Components[0].Spec.Containers[0].Name), c.predictor(d, p)
		if rule := c.rule.Load(); rule != nil {
			if why := (*rule)("deployments", made); why != "" {
				return why
			}
		}
		metadata(made)["name"] = at
		stays[at], stays[d.Name+"-"+p.Name] = true, true
		c.keepMade("deployments", made)
		is := known[appsv1.Deployment](c, "deployments/"+at)
		told[at] = object{"replicas": is.Status.Replicas, "availableReplicas": is.Status.AvailableReplicas}
		ready = ready && c.deploymentReady(at)
		if !p.Shadow {
			routes = append(routes, backend{name: d.Name + "-" + p.Name, weight: int(p.Traffic)})
		}
	}
	if len(routes) == 1 {
		routes[0].weight = 100
	}
	said["state"], said["description"], said["deploymentStatus"] = "Creating", "", told
	if !ready {
		return ""
	}
	var to []any
	for _, r := range routes {
		to = append(to, object{"destination": object{"host": r.name}, "weight": r.weight})
	}
	c.keepMade("virtualservices", object{"apiVersion": groups["virtualservices"], "kind": "VirtualService",
		"metadata": plain(object{"name": d.Name + "-http", "ownerReferences": seldonOwner(d)}), "spec": plain(object{"http": []any{object{"route": to}}})})
	for at := range told {
		if !stays[at] && c.store.objects["deployments/"+at] == nil {
			delete(told, at)
		} else if !stays[at] {
			c.remove("deployments", at)
		}
	}
	for _, key := range c.store.keys("services") {
		if s := as[corev1.Service](c.store.objects[key]); len(s.OwnerReferences) > 0 && s.OwnerReferences[0].UID == d.UID && !stays[s.Name] {
			c.remove("services", s.Name)
		}
	}
	said["state"], said["address"] = "Available", object{"url": "http://" + routes[0].name + "." + Namespace + ".svc.cluster.local:8000/api/v1.0/predictions"}
	return ""
}

// predictor is the Deployment of one, and makes its Service. The pod's own security context is the controller's and not who declares it.
func (c *Cluster) predictor(d *seldonDeployment, p seldonPredictor) object {
	owner, service := seldonOwner(d), d.Name+"-"+p.Name
	labels := map[string]string{"seldon-deployment-id": d.Name, "seldon-app": service, "version": p.Name}
	for k, v := range p.Labels {
		labels[k] = v
	}
	pod := *p.Components[0].Spec.DeepCopy()
	pod.SecurityContext, pod.RestartPolicy = nil, corev1.RestartPolicyAlways
	k := &pod.Containers[0]
	if len(k.Command) == 0 {
		k.Command = []string{"runtime"}
	}
	k.Env = append(k.Env, corev1.EnvVar{Name: "PREDICTIVE_UNIT_ID", Value: k.Name})
	for _, one := range p.Graph.Parameters {
		if one.Name == "model_uri" { // as the image's program reads it out of PREDICTIVE_UNIT_PARAMETERS
			k.Env = append(k.Env, corev1.EnvVar{Name: "MODEL_DIR", Value: one.Value})
		}
	}
	k.Env = append(k.Env, corev1.EnvVar{Name: "VISHWA_PORT", Value: fmt.Sprint(k.Ports[0].ContainerPort)})
	made := plain(appsv1.Deployment{Spec: appsv1.DeploymentSpec{
		Replicas: p.Replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"seldon-app": service}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
	}})
	made["apiVersion"], made["kind"] = groups["deployments"], "Deployment"
	made["metadata"] = plain(object{"labels": labels, "ownerReferences": owner})
	c.keepMade("services", object{"apiVersion": "v1", "kind": "Service", "metadata": plain(object{"name": service, "ownerReferences": owner}),
		"spec": object{"selector": object{"seldon-app": service}}})
	return made
}

func seldonOwner(d *seldonDeployment) []any {
	return []any{object{"apiVersion": groups["seldondeployments"], "kind": "SeldonDeployment", "name": d.Name, "uid": string(d.UID)}}
}

// Predictor is the Service that the n-th request for a SeldonDeployment goes to, by the routes that are made of it; "" where none is.
func (c *Cluster) Predictor(name string, n int) (service string) {
	c.locked(func() {
		type routes struct {
			Spec struct {
				HTTP []struct {
					Route []struct {
						To struct {
							Host string `json:"host"`
						} `json:"destination"`
						Weight int `json:"weight"`
					} `json:"route"`
				} `json:"http"`
			} `json:"spec"`
		}
		o, there := c.store.objects["virtualservices/"+name+"-http"]
		if !there {
			return
		}
		var all []backend
		sum := 0
		for _, to := range as[routes](o).Spec.HTTP[0].Route {
			all, sum = append(all, backend{name: to.To.Host, weight: to.Weight}), sum+to.Weight
		}
		for at := n % max(sum, 1); len(all) > 0; all = all[1:] {
			if at -= all[0].weight; at < 0 {
				service = all[0].name
				return
			}
		}
	})
	return service
}
