// The canaries of KServe 0.20, by its documentation and the pull requests that made them (kserve/kserve 5672, 5912, 5984): a Deployment and a
// Service each, and a part of the weights of the route once it is ready.

package kubetest

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
)

// canaries makes those of an InferenceService, and says how they stand.
func (c *Cluster) canaries(is *inferenceService, child string, runtime Runtime) (told []any) {
	stays := map[string]bool{child: true}
	rest, backends := int64(100), []any{}
	for _, one := range is.Spec.Canary {
		its := *is
		its.Spec.Predictor = one.Predictor.predictorSpec
		at := is.Name + "-" + one.Predictor.Name + "-predictor"
		stays[at] = true
		c.makes(&its, at, runtime)
		ready := c.deploymentReady(at)
		if ready {
			rest -= one.Percent
			backends = append(backends, object{"name": at, "port": 80, "weight": one.Percent})
		}
		told = append(told, object{"name": one.Predictor.Name, "ready": ready, "trafficPercent": one.Percent})
	}
	for _, key := range c.store.keys("deployments") {
		name := strings.TrimPrefix(key, "deployments/")
		d := known[appsv1.Deployment](c, key)
		if len(d.OwnerReferences) > 0 && d.OwnerReferences[0].UID == is.UID && !stays[name] {
			c.remove("deployments", name)
			c.remove("services", name)
		}
	}
	if c.o.Canaries && is.Labels["networking.kserve.io/visibility"] != "cluster-local" {
		backends = append([]any{object{"name": child, "port": 80, "weight": rest}}, backends...)
		c.keepMade("httproutes", object{"apiVersion": groups["httproutes"], "kind": "HTTPRoute",
			"metadata": plain(object{"name": is.Name, "ownerReferences": []any{object{"apiVersion": groups["inferenceservices"], "kind": "InferenceService", "name": is.Name, "uid": string(is.UID)}}}),
			"spec":     plain(object{"parentRefs": []any{object{"name": "kserve", "namespace": "kserve"}}, "hostnames": []any{is.Name + ".example.com"}, "rules": []any{object{"backendRefs": backends}}})})
	}
	return told
}
