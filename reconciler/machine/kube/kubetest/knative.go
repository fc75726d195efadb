// KServe's Knative mode, and as much of Knative as it needs: a revision for each template, and the requests divided between the newest that is
// ready and the one that had all of them last. Which targets there are, and what becomes of the status, is as KServe 0.15 has it
// (ksvc_reconciler.go, PropagateStatus); what a pod may have is Knative's (fieldmask.go), with podspec-init-containers enabled unless said otherwise.

package kubetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const revisionLabel = "serving.knative.dev/revision"

// knativeService is one of Knative's.
type knativeService struct {
	template string // the newest
	created  int    // revisions, which are numbered from 1
	ready    string // the newest that was ready
	traffic  []knativeTarget
	unused   map[string]time.Time // revisions without requests, and since when
}

// drains is how long a revision goes on that has no requests any more.
const drains = 500 * time.Millisecond

// retireRevision takes away what has no requests, once those that it had are over.
func (c *Cluster) retireRevision(k *knativeService, name string, used bool) {
	since, idle := k.unused[name]
	switch {
	case used:
		delete(k.unused, name)
	case !idle:
		k.unused[name] = time.Now()
	case time.Since(since) > drains:
		c.remove("deployments", name+"-deployment")
		c.remove("services", name)
	}
}

// knativeTarget is where requests go; of no revision: to the newest that is ready.
type knativeTarget struct {
	revision string
	percent  int64
}

// knative is one look at an InferenceService in the Knative mode; said is its status before.
func (c *Cluster) knative(is *inferenceService, child string, runtime Runtime, said object) object {
	labels, pod := c.podOf(is, runtime)
	if c.knativeTakes(pod) != "" { // the controller says so in its log, and in an event
		return said
	}
	if c.ksvcs == nil {
		c.ksvcs = map[string]*knativeService{}
	}
	k := c.ksvcs[is.Name]
	if k == nil {
		k = &knativeService{unused: map[string]time.Time{}}
		c.ksvcs[is.Name] = k
	}
	notes := maps.Clone(is.Annotations)
	maps.Copy(notes, is.Spec.Predictor.Annotations)
	delete(labels, knativeInside) // which is no part of the template
	raw, _ := json.Marshal([]any{labels, notes, pod, is.Spec.Predictor.MinReplicas})
	revision := func(n int) string { return fmt.Sprintf("%s-%05d", child, n) }
	newest := c.newest(k, string(raw), revision, func() { c.revise(is, revision(k.created), labels, pod) })
	before := as[struct {
		Rolled   string `json:"latestRolledoutRevision"`
		Previous string `json:"previousRolledoutRevision"`
	}](under(said, "components.predictor"))
	k.traffic = []knativeTarget{{percent: 100}}
	if p := is.Spec.Predictor.Canary; p != nil && before.Rolled != "" {
		k.traffic[0].percent = *p
		if *p < 100 {
			k.traffic = append(k.traffic, knativeTarget{before.Rolled, 100 - *p})
		}
	}
	referenced, sums, told := map[string]bool{newest: true}, map[string]int64{}, []any{}
	for _, t := range k.traffic {
		at := t.revision
		if at == "" {
			at = k.ready
		}
		if at != "" {
			referenced[at] = true
			sums[at] += t.percent
			told = append(told, object{"revisionName": at, "latestRevision": t.revision == "", "percent": t.percent})
		}
	}
	for n := 1; n <= k.created; n++ {
		c.retireRevision(k, revision(n), referenced[revision(n)])
	}
	rolled, previous := k.rolledOut(before.Rolled, before.Previous, newest, sums)
	ready, model := "False", object{"transitionStatus": "InProgress"}
	if k.ready == newest {
		ready = "True"
		model = object{"transitionStatus": "UpToDate", "states": object{"activeModelState": "Loaded", "targetModelState": "Loaded"}}
	}
	said["modelStatus"] = model
	said["conditions"] = []any{object{"type": "PredictorReady", "status": ready}, object{"type": "Ready", "status": ready}}
	said["components"] = object{"predictor": object{"latestCreatedRevision": newest, "latestReadyRevision": k.ready, "traffic": told,
		"latestRolledoutRevision": rolled, "previousRolledoutRevision": previous}}
	return plain(said)
}

// newest is the revision of a template, which is made where there is none; and notes which one is ready.
func (c *Cluster) newest(k *knativeService, template string, revision func(int) string, revise func()) string {
	if template != k.template {
		k.template = template
		k.created++
		revise()
	}
	for n := k.created; n > 0 && revision(n) != k.ready; n-- {
		if c.revisionReady(revision(n)) {
			k.ready = revision(n)
			break
		}
	}
	return revision(k.created)
}

// rolledOut are the revisions that had all requests last, and before: as PropagateStatus has it.
func (k *knativeService) rolledOut(last, before, newest string, sums map[string]int64) (rolled, previous string) {
	switch latest := k.traffic[0].percent; {
	case k.ready == "":
	case last != k.ready && latest == 100:
		return k.ready, last
	case last == k.ready && k.ready == newest && latest < 100 && sums[k.ready] == 100 && before != "":
		return before, before
	}
	return last, before
}

// knativeTakes is why Knative's webhook refuses a pod; "" where it does not.
func (c *Cluster) knativeTakes(p corev1.PodSpec) string {
	k := p.Containers[0]
	switch {
	case p.SecurityContext != nil, p.TerminationGracePeriodSeconds != nil, k.Lifecycle != nil, len(p.NodeSelector)+len(p.Tolerations) > 0:
		return "must not set the field(s)"
	case len(p.InitContainers) > 0 && c.o.NoInit:
		return "must not set the field(s): spec.template.spec.initContainers"
	}
	return ""
}

// revise makes a revision: a Deployment, and a Service that leads to its pods alone.
func (c *Cluster) revise(is *inferenceService, name string, labels map[string]string, pod corev1.PodSpec) {
	labels = maps.Clone(labels)
	labels[revisionLabel] = name
	owner := []any{object{"apiVersion": groups["inferenceservices"], "kind": "InferenceService", "name": is.Name, "uid": string(is.UID)}}
	d := plain(appsv1.Deployment{Spec: appsv1.DeploymentSpec{
		Replicas: is.Spec.Predictor.MinReplicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{revisionLabel: name}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
	}})
	d["apiVersion"], d["kind"] = groups["deployments"], "Deployment"
	d["metadata"] = plain(object{"name": name + "-deployment", "labels": labels, "ownerReferences": owner})
	c.keepMade("deployments", d)
	c.keepMade("services", object{"apiVersion": "v1", "kind": "Service", "metadata": plain(object{"name": name, "labels": labels, "ownerReferences": owner}),
		"spec": object{"selector": object{revisionLabel: name}}})
}

func (c *Cluster) revisionReady(name string) bool {
	return c.deploymentReady(name + "-deployment")
}

func (c *Cluster) deploymentReady(name string) bool {
	if c.store.objects["deployments/"+name] == nil {
		return false
	}
	d := known[appsv1.Deployment](c, "deployments/"+name)
	return d.Spec.Replicas != nil && d.Status.ObservedGeneration == d.Generation && d.Status.AvailableReplicas >= max(1, *d.Spec.Replicas)
}

// knativeEnds takes away the revisions of an InferenceService.
func (c *Cluster) knativeEnds(name string) {
	if c.ksvcs[name] == nil {
		return
	}
	for n := 1; n <= c.ksvcs[name].created; n++ {
		at := fmt.Sprintf("%s-predictor-%05d", name, n)
		c.remove("deployments", at+"-deployment")
		c.remove("services", at)
	}
	delete(c.ksvcs, name)
}

// Revision is the Service of the revision that the n-th request for an InferenceService in the Knative mode goes to; "" where there is none.
func (c *Cluster) Revision(name string, n int) (service string) {
	c.locked(func() {
		k := c.ksvcs[name]
		if k == nil {
			return
		}
		for at, all := int64(n%100), k.traffic; len(all) > 0; all = all[1:] {
			if at -= all[0].percent; at < 0 {
				if service = all[0].revision; service == "" {
					service = k.ready
				}
				return
			}
		}
	})
	return service
}
