// Kueue: who has a queue's name and is suspended waits for quota, in the order of coming.

package kubetest

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const queueLabel = "kueue.x-k8s.io/queue-name"

// cores is what a Job asks of its queue, in thousandths.
func cores(j batchv1.Job) int64 {
	var sum resource.Quantity
	for _, k := range j.Spec.Template.Spec.Containers {
		sum.Add(k.Resources.Requests[corev1.ResourceCPU])
	}
	return sum.MilliValue() * int64(*j.Spec.Parallelism)
}

func (c *Cluster) queues() {
	free := map[string]int64{}
	for queue, quota := range c.o.Queues {
		q := resource.MustParse(quota)
		free[queue] = q.MilliValue()
	}
	var waiting []batchv1.Job
	there := map[string]bool{}
	for _, key := range c.store.keys("jobs") {
		j := as[batchv1.Job](c.store.objects[key])
		queue := j.Labels[queueLabel]
		if queue == "" {
			continue
		}
		there["job-"+j.Name] = true
		switch w := c.store.objects["workloads/job-"+j.Name]; {
		case w == nil || uidOfJob(w) != string(j.UID):
			c.store.drop("workloads/job-" + j.Name)
			c.store.putObject("workloads", load(j, queue))
			waiting = append(waiting, j)
		case is(w, "QuotaReserved") && !finished(j):
			free[queue] -= cores(j)
		case finished(j):
			c.condition(w, "Finished", true, "Succeeded", "")
		default:
			waiting = append(waiting, j)
		}
	}
	for _, key := range c.store.keys("workloads") {
		if !there[name(c.store.objects[key])] {
			c.store.drop(key)
		}
	}
	for _, j := range waiting {
		c.admit(j, free)
	}
}

func uidOfJob(w object) string { return labelsOf(w)["kueue.x-k8s.io/job-uid"] }

func load(j batchv1.Job, queue string) object {
	return object{
		"apiVersion": groups["workloads"], "kind": "Workload",
		"metadata": object{
			"name": "job-" + j.Name, "labels": object{"kueue.x-k8s.io/job-uid": string(j.UID)},
			"ownerReferences": []any{object{"apiVersion": "batch/v1", "kind": "Job", "name": j.Name, "uid": string(j.UID)}},
		},
		"spec": object{"queueName": queue, "active": true, "priority": 0},
	}
}

// admit lets a Job go where its queue has room.
func (c *Cluster) admit(j batchv1.Job, free map[string]int64) {
	w, queue := c.store.objects["workloads/job-"+j.Name], j.Labels[queueLabel]
	quota, known := c.o.Queues[queue]
	total := resource.MustParse("0")
	if known {
		total = resource.MustParse(quota)
	}
	switch {
	case !known:
		c.condition(w, "QuotaReserved", false, "Inadmissible", fmt.Sprintf("LocalQueue %s doesn't exist", queue))
	case cores(j) > total.MilliValue():
		c.condition(w, "QuotaReserved", false, "Pending", fmt.Sprintf("couldn't assign flavors to pod set main: insufficient quota for cpu in flavor default, previously considered podsets requests (0) + current podset request (%dm) > maximum capacity (%s)", cores(j), quota))
	case cores(j) > free[queue]:
		c.condition(w, "QuotaReserved", false, "Pending", fmt.Sprintf("couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor default, %dm more needed", cores(j)-free[queue]))
	default:
		free[queue] -= cores(j)
		w = c.condition(w, "QuotaReserved", true, "QuotaReserved", "Quota reserved in ClusterQueue "+queue)
		w = c.condition(w, "Evicted", false, "QuotaReserved", "")
		c.condition(w, "Admitted", true, "Admitted", "The workload is admitted")
		*j.Spec.Suspend = false
		c.store.putObject("jobs", j)
	}
}

func is(w object, kind string) bool {
	for _, x := range conditionsOf(w) {
		if x["type"] == kind {
			return x["status"] == "True"
		}
	}
	return false
}

func conditionsOf(w object) []object {
	s, _ := w["status"].(object)
	list, _ := s["conditions"].([]any)
	var out []object
	for _, x := range list {
		out = append(out, x.(object))
	}
	return out
}

// condition sets one of an object's, and gives the object back.
func (c *Cluster) condition(w object, kind string, yes bool, reason, message string) object {
	status := map[bool]string{true: "True", false: "False"}[yes]
	at := now().Format("2006-01-02T15:04:05Z")
	var list []any
	for _, x := range conditionsOf(w) {
		if x["type"] != kind {
			list = append(list, x)
		} else if x["status"] == status {
			at, _ = x["lastTransitionTime"].(string)
		}
	}
	if len(list) == len(conditionsOf(w)) && !yes && kind == "Evicted" {
		return w
	}
	list = append(list, object{"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at})
	w = plain(w)
	s, _ := w["status"].(object)
	if s == nil {
		s = object{}
	}
	s["conditions"], w["status"] = list, s
	resource := "workloads"
	if of := map[any]string{"TrainJob": "trainjobs", "Model": "models", "Experiment": "experiments", "Server": "servers"}[w["kind"]]; of != "" {
		resource = of
	}
	return c.store.putObject(resource, w)
}

// Preempt has Kueue take a Job back for one of higher priority. It is not let go again while
// until is not called.
func (c *Cluster) Preempt(job string) {
	c.locked(func() {
		w := c.store.objects["workloads/job-"+job]
		c.o.Queues[as[batchv1.Job](c.store.objects["jobs/"+job]).Labels[queueLabel]] = "0"
		w = c.condition(w, "Evicted", true, "Preempted", "Preempted to accommodate a workload (UID: x) due to prioritization in the ClusterQueue")
		w = c.condition(w, "Admitted", false, "NoReservation", "The workload has no reservation")
		c.condition(w, "QuotaReserved", false, "Pending", "Preempted to accommodate a workload (UID: x) due to prioritization in the ClusterQueue")
		j := as[batchv1.Job](c.store.objects["jobs/"+job])
		*j.Spec.Suspend = true
		c.store.putObject("jobs", j)
	})
}

// Requeue gives a queue its quota.
func (c *Cluster) Requeue(queue, quota string) { c.locked(func() { c.o.Queues[queue] = quota }) }
