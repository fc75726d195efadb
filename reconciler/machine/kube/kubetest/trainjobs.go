// Kubeflow's TrainJobs: each becomes a Job of the runtime (the real one has a JobSet in between).

package kubetest

import (
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// trainJob is what the double reads of a TrainJob; who made the patches names each list.
type trainJob struct {
	Metadata struct {
		Name    string  `json:"name"`
		UID     string  `json:"uid"`
		Deleted *string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Suspend  bool   `json:"suspend"`
		Deadline *int64 `json:"activeDeadlineSeconds"`
		Trainer  struct {
			Image     string                      `json:"image"`
			Command   []string                    `json:"command"`
			Env       []corev1.EnvVar             `json:"env"`
			Nodes     int32                       `json:"numNodes"`
			Resources corev1.ResourceRequirements `json:"resourcesPerNode"`
		} `json:"trainer"`
		Patches []struct {
			Runtime struct {
				Template struct {
					Spec struct {
						Jobs []struct {
							Name     string `json:"name"`
							Template struct {
								Spec struct {
									Template corev1.PodTemplateSpec `json:"template"`
								} `json:"spec"`
							} `json:"template"`
						} `json:"replicatedJobs"`
					} `json:"spec"`
				} `json:"template"`
			} `json:"trainingRuntimeSpec"`
		} `json:"runtimePatches"`
	} `json:"spec"`
}

// job is the Job that a TrainJob becomes.
func (t trainJob) job() object {
	no := false
	pod := t.Spec.Patches[0].Runtime.Template.Spec.Jobs[0].Template.Spec.Template
	pod.Spec.RestartPolicy, pod.Spec.AutomountServiceAccountToken = corev1.RestartPolicyNever, &no
	grace := int64(1)
	pod.Spec.TerminationGracePeriodSeconds = &grace
	k := &pod.Spec.Containers[0]
	k.Image, k.Command, k.Env, k.Resources = t.Spec.Trainer.Image, t.Spec.Trainer.Command, t.Spec.Trainer.Env, t.Spec.Trainer.Resources
	indexed, zero := batchv1.IndexedCompletion, int32(0)
	j := batchv1.Job{Spec: batchv1.JobSpec{
		Template: pod, CompletionMode: &indexed, Completions: &t.Spec.Trainer.Nodes, Parallelism: &t.Spec.Trainer.Nodes,
		BackoffLimit: &zero, Suspend: &no, ActiveDeadlineSeconds: t.Spec.Deadline, PodFailurePolicy: &batchv1.PodFailurePolicy{},
	}}
	o := plain(j)
	o["apiVersion"], o["kind"] = "batch/v1", "Job"
	o["metadata"] = object{"name": t.Metadata.Name + "-node-0", "ownerReferences": []any{
		object{"apiVersion": groups["trainjobs"], "kind": "TrainJob", "name": t.Metadata.Name, "uid": t.Metadata.UID},
	}}
	return o
}

func (c *Cluster) trainJobs() {
	for _, key := range c.store.keys("trainjobs") {
		o := c.store.objects[key]
		t, child := as[trainJob](o), "jobs/"+name(o)+"-node-0"
		j, there := c.store.objects[child]
		switch {
		case t.Metadata.Deleted != nil && there:
			c.remove("jobs", name(j))
		case t.Metadata.Deleted != nil:
			c.store.drop(key)
		case t.Spec.Suspend || is(o, "Complete") || is(o, "Failed"):
		case !there && len(fmt.Sprintf("%s-node-0-%d-abcde", name(o), t.Spec.Trainer.Nodes-1)) > 63: // JobSet refuses it, and nobody is told
		case !there:
			c.store.putObject("jobs", t.job())
		default:
			for _, cond := range conditionsOf(j) {
				reason, _ := cond["reason"].(string)
				message, _ := cond["message"].(string)
				if cond["type"] == "Complete" {
					c.condition(o, "Complete", true, "AllJobsCompleted", "jobset completed successfully")
				} else if cond["type"] == "Failed" && reason == "DeadlineExceeded" {
					c.condition(o, "Failed", true, "DeadlineExceeded", message)
				} else if cond["type"] == "Failed" {
					c.condition(o, "Failed", true, "FailedJobs", "jobset failed due to one or more job failures (first failed job: "+name(j)+")")
				}
			}
		}
	}
}

// Progress is what a run has told Trainer of how far it is, as JSON of a trainerStatus.
func (c *Cluster) Progress(job, status string) {
	c.locked(func() {
		o := plain(c.store.objects["trainjobs/"+job])
		s, _ := o["status"].(object)
		if s == nil {
			s = object{}
		}
		var told object
		c.fail(json.Unmarshal([]byte(status), &told), "progress")
		s["trainerStatus"], o["status"] = told, s
		c.store.putObject("trainjobs", o)
	})
}

// JobOf is the uid of the Job that a TrainJob became.
func (c *Cluster) JobOf(train string) string {
	u := ""
	c.locked(func() { u = uid(c.store.objects["jobs/"+train+"-node-0"]) })
	return u
}
