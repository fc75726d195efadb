// The controller of Deployments, in the words of the real one. There are no ReplicaSets: pods are of a
// Deployment and a template of it.

package kubetest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const templateHash = "pod-template-hash"

// hashOf tells templates apart. It is looked for at each step, of what is the same object while it does not change.
func (c *Cluster) hashOf(d *appsv1.Deployment) string {
	if hash, known := c.hashes[d]; known {
		return hash
	}
	raw, _ := json.Marshal(d.Spec.Template)
	h := fnv.New32a()
	_, _ = h.Write(raw)
	c.hashes[d] = fmt.Sprintf("%08x", h.Sum32())
	return c.hashes[d]
}

func (c *Cluster) deployments() {
	for _, key := range c.store.keys("deployments") {
		d := known[appsv1.Deployment](c, key)
		var pods []*corev1.Pod
		for _, key := range c.store.keys("pods") {
			if p := known[corev1.Pod](c, key); len(p.OwnerReferences) > 0 && p.OwnerReferences[0].UID == d.UID {
				pods = append(pods, p)
			}
		}
		if d.DeletionTimestamp != nil {
			for _, p := range pods {
				c.remove("pods", p.Name)
			}
			if len(pods) == 0 && len(d.Finalizers) == 0 {
				c.store.drop(key)
			}
			continue
		}
		c.store.putStatus(key, c.deployment(d, pods))
	}
}

func readySince(p *corev1.Pod) (time.Time, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time, true
		}
	}
	return time.Time{}, false
}

// mostGenerated is how much of a name that is given a random end is kept, as Kubernetes does.
const mostGenerated = 58

// deployment is one look at a Deployment: pods of its template come before those of another go.
func (c *Cluster) deployment(d *appsv1.Deployment, pods []*corev1.Pod) (s appsv1.DeploymentStatus) {
	want, hash := 1, c.hashOf(d)
	if d.Spec.Replicas != nil {
		want = int(*d.Spec.Replicas)
	}
	s.ObservedGeneration = d.Generation
	var now, old []*corev1.Pod
	fresh := 0
	for _, p := range pods {
		if p.DeletionTimestamp != nil {
			continue
		}
		s.Replicas++
		since, ready := readySince(p)
		settled := ready && time.Since(since) >= time.Duration(d.Spec.MinReadySeconds)*time.Second
		if ready {
			s.ReadyReplicas++
		}
		if settled {
			s.AvailableReplicas++
		}
		if p.Labels[templateHash] != hash {
			old = append(old, p)
			continue
		}
		now = append(now, p)
		if settled {
			fresh++
		}
	}
	s.UpdatedReplicas = int32(len(now))
	for i := len(now); i < want && !d.Spec.Paused; i++ {
		p := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: *d.Spec.Template.Spec.DeepCopy()}
		base := fmt.Sprintf("%s-%s-", d.Name, hash)
		p.Name = base[:min(len(base), mostGenerated)] + newUID()[:5]
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[templateHash] = hash
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: d.Kind, Name: d.Name, UID: d.UID}}
		p.Status.Phase = corev1.PodPending
		if why := c.forbids(p); why != "" {
			s.Conditions = append(s.Conditions, appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate",
				Message: fmt.Sprintf("pods %q is forbidden: %s", p.Name, why), LastTransitionTime: failedSince(d)})
			break
		}
		c.store.putObject("pods", p)
	}
	for _, p := range now[min(want, len(now)):] {
		c.remove("pods", p.Name)
	}
	if fresh >= want {
		for _, p := range old {
			c.remove("pods", p.Name)
		}
	}
	return s
}

// endpoints tell which pods each Service has.
func (c *Cluster) endpoints() {
	for _, key := range c.store.keys("services") {
		o := c.store.objects[key]
		var all []any
		for _, pod := range c.store.keys("pods") {
			p := known[corev1.Pod](c, pod)
			if _, ready := readySince(p); labelsMatch(under(o, "spec.selector"), p.Labels) {
				all = append(all, object{"conditions": object{"ready": ready && p.DeletionTimestamp == nil}, "targetRef": object{"kind": "Pod", "name": p.Name}})
			}
		}
		c.store.putObject("endpointslices", object{"apiVersion": groups["endpointslices"], "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": all,
			"metadata": object{"name": name(o), "labels": object{"kubernetes.io/service-name": name(o)}, "ownerReferences": []any{object{"apiVersion": "v1", "kind": "Service", "name": name(o), "uid": uid(o)}}}})
	}
}

// failedSince is when a Deployment began to lack pods that it may not have.
func failedSince(d *appsv1.Deployment) metav1.Time {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure {
			return c.LastTransitionTime
		}
	}
	return now()
}
