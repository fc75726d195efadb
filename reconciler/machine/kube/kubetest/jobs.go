// The controller of Jobs, and the collector of what nobody owns any more.

package kubetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	tracking   = "batch.kubernetes.io/job-tracking"
	foreground = "foregroundDeletion"
	jobUID     = "batch.kubernetes.io/controller-uid"
	jobName    = "batch.kubernetes.io/job-name"
	indexNote  = "batch.kubernetes.io/job-completion-index"
)

func now() metav1.Time { return metav1.NewTime(time.Now().UTC().Truncate(time.Second)) }

// invalid is why a server refuses an object whose fields are right.
func invalid(resource string, o object) string {
	if resource != "jobs" {
		return ""
	}
	j := as[batchv1.Job](o)
	if j.Spec.CompletionMode != nil && len(j.Name)+len(fmt.Sprintf("-%d", *j.Spec.Completions-1)) > 63 {
		return "Job.batch is invalid: metadata.name: Invalid value: must be no more than 63 characters"
	}
	s := j.Spec.Template.Spec
	if s.RestartPolicy != corev1.RestartPolicyNever || len(s.Containers) == 0 || s.Containers[0].Image == "" {
		return "Job.batch is invalid: spec.template.spec: Required value"
	}
	return ""
}

// remove begins to take an object away, as the client asks.
func (c *Cluster) remove(resource, object string) {
	key := resource + "/" + object
	o, there := c.store.objects[key]
	if !there {
		return
	}
	held := resource == "pods" || resource == "jobs" || resource == "trainjobs" || resource == "deployments" || resource == "inferenceservices" ||
		resource == "models" && len(conditionsOf(o)) > 0 && as[seldonModel](o).Spec.Server != "" // its Server unloads it first
	if !held {
		c.store.drop(key)
		return
	}
	o = plain(o)
	if metadata(o)["deletionTimestamp"] == nil {
		metadata(o)["deletionTimestamp"] = time.Now().UTC().Format(time.RFC3339)
		c.store.putObject(resource, o)
	}
}

// podsOf are the pods of a Job.
func (c *Cluster) podsOf(job string) []corev1.Pod { return c.podsByJob(job)[job] }

// podsByJob are the pods of Jobs, by the Jobs' uids; of one alone, where that is named.
func (c *Cluster) podsByJob(alone string) map[string][]corev1.Pod {
	out := map[string][]corev1.Pod{}
	for _, key := range c.store.keys("pods") {
		labels, _ := metadata(c.store.objects[key])["labels"].(object)
		if job, _ := labels[jobUID].(string); alone == "" || job == alone {
			out[job] = append(out[job], c.pod(key))
		}
	}
	return out
}

func (c *Cluster) jobs() {
	all := c.podsByJob("")
	for _, key := range c.store.keys("jobs") {
		j := as[batchv1.Job](c.store.objects[key])
		pods := all[string(j.UID)]
		if j.DeletionTimestamp != nil {
			for _, p := range pods {
				c.release(p)
				c.remove("pods", p.Name)
			}
			if len(pods) == 0 {
				c.store.drop(key)
			}
			continue
		}
		if !finished(j) {
			c.job(&j, pods)
			c.store.putObject("jobs", j)
		}
	}
}

func finished(j batchv1.Job) bool {
	return slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed
	})
}

// release lets a pod go that was counted.
func (c *Cluster) release(p corev1.Pod) {
	p.Finalizers = slices.DeleteFunc(p.Finalizers, func(f string) bool { return f == tracking })
	c.store.putObject("pods", p)
}

// job is one look at a Job that is under way.
func (c *Cluster) job(j *batchv1.Job, pods []corev1.Pod) {
	if *j.Spec.Suspend {
		for _, p := range pods {
			c.release(p)
			c.remove("pods", p.Name)
		}
		j.Status.StartTime = nil
		setCondition(j, batchv1.JobSuspended, "JobSuspended", "Job suspended")
		return
	}
	j.Status.Conditions = slices.DeleteFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobSuspended })
	if j.Status.StartTime == nil {
		at := now()
		j.Status.StartTime = &at
	}
	reason, message := c.verdict(j, pods)
	for _, t := range j.Status.Conditions { // what was decided stays, whatever its pods end as
		if t.Type == batchv1.JobFailureTarget {
			reason, message = t.Reason, t.Message
		}
	}
	if reason != "" && reason != "Complete" {
		setCondition(j, batchv1.JobFailureTarget, reason, message)
	}
	if reason == "" {
		c.fill(j, pods)
		return
	}
	over := true
	for _, p := range pods {
		if p.Status.Phase == corev1.PodPending || p.Status.Phase == corev1.PodRunning {
			c.remove("pods", p.Name)
			over = false
		}
	}
	if !over {
		return
	}
	for _, p := range pods {
		c.release(p)
	}
	if reason == "Complete" {
		setCondition(j, batchv1.JobComplete, "CompletionsReached", "Reached expected number of succeeded pods")
	} else {
		setCondition(j, batchv1.JobFailed, reason, message)
	}
}

// verdict is how a Job ends, or "".
func (c *Cluster) verdict(j *batchv1.Job, pods []corev1.Pod) (reason, message string) {
	done := int32(0)
	for _, p := range pods {
		switch p.Status.Phase {
		case corev1.PodSucceeded:
			done++
		case corev1.PodFailed:
			for _, rule := range j.Spec.PodFailurePolicy.Rules {
				for _, want := range rule.OnPodConditions {
					if slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == want.Type && c.Status == want.Status }) {
						return "PodFailurePolicy", fmt.Sprintf("Pod %s/%s has condition %s matching %s rule at index 0", Namespace, p.Name, want.Type, rule.Action)
					}
				}
			}
			return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
		}
	}
	if done == *j.Spec.Completions {
		return "Complete", ""
	}
	if d := j.Spec.ActiveDeadlineSeconds; d != nil && time.Since(j.Status.StartTime.Time) >= time.Duration(*d)*time.Second {
		return "DeadlineExceeded", "Job was active longer than specified deadline"
	}
	return "", ""
}

// setCondition has a Job tell something.
func setCondition(j *batchv1.Job, kind batchv1.JobConditionType, reason, message string) {
	for _, c := range j.Status.Conditions {
		if c.Type == kind {
			return
		}
	}
	j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: now(),
	})
}

// fill makes the pods that a Job lacks.
func (c *Cluster) fill(j *batchv1.Job, pods []corev1.Pod) {
	for i := len(pods); i < int(*j.Spec.Parallelism); i++ {
		p := corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: *j.Spec.Template.ObjectMeta.DeepCopy(), Spec: *j.Spec.Template.Spec.DeepCopy(),
		}
		p.Name = fmt.Sprintf("%s-%s", j.Name, newUID()[:5])
		if j.Spec.CompletionMode != nil && *j.Spec.CompletionMode == batchv1.IndexedCompletion {
			p.Name = fmt.Sprintf("%s-%d-%s", j.Name, i, newUID()[:5])
			p.Annotations[indexNote] = fmt.Sprint(i)
		}
		p.Labels[jobUID], p.Labels[jobName] = string(j.UID), j.Name
		p.Finalizers = []string{tracking}
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: j.Name, UID: j.UID}}
		p.Status.Phase = corev1.PodPending
		if why := c.forbids(p); why != "" {
			c.event(j, fmt.Sprintf("Error creating: pods %q is forbidden: %s", p.Name, why))
			return
		}
		c.store.putObject("pods", p)
	}
}

// forbids is why admission refuses a pod: a quota, or the pod security standard restricted.
func (c *Cluster) forbids(p corev1.Pod) string {
	if c.quota != "" {
		return fmt.Sprintf("exceeded quota: %s, requested: pods=1, used: pods=0, limited: pods=0", c.quota)
	}
	yes := func(b *bool) bool { return b != nil && *b }
	var wrong []string
	apart := func(nonRoot *bool, seccomp *corev1.SeccompProfile) bool {
		return yes(nonRoot) && seccomp != nil && seccomp.Type == corev1.SeccompProfileTypeRuntimeDefault
	}
	whole := p.Spec.SecurityContext != nil && apart(p.Spec.SecurityContext.RunAsNonRoot, p.Spec.SecurityContext.SeccompProfile)
	for _, k := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		s := k.SecurityContext
		if !whole && (s == nil || !apart(s.RunAsNonRoot, s.SeccompProfile)) {
			wrong = append(wrong, "runAsNonRoot != true or seccompProfile (pod or container "+k.Name+")")
		}
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
			wrong = append(wrong, "allowPrivilegeEscalation != false or unrestricted capabilities (container "+k.Name+")")
		}
	}
	for _, v := range p.Spec.Volumes {
		if v.HostPath != nil {
			wrong = append(wrong, "restricted volume types (volume "+v.Name+")")
		}
	}
	if len(wrong) > 0 {
		return `violates PodSecurity "restricted:latest": ` + strings.Join(wrong, ", ")
	}
	return ""
}

// event says once why a Job has no pod.
func (c *Cluster) event(j *batchv1.Job, message string) {
	e := corev1.Event{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, ObjectMeta: metav1.ObjectMeta{Name: j.Name + "." + newUID()[:8]},
		InvolvedObject: corev1.ObjectReference{Kind: "Job", APIVersion: "batch/v1", Name: j.Name, UID: j.UID},
		Reason:         "FailedCreate", Message: message, LastTimestamp: now(),
	}
	for _, key := range c.store.keys("events") {
		if was := as[corev1.Event](c.store.objects[key]); was.InvolvedObject.UID == j.UID {
			return
		}
	}
	c.store.putObject("events", e)
}

// collect takes away what is owned by what is not there.
func (c *Cluster) collect() {
	there := map[string]bool{}
	for _, o := range c.store.objects {
		there[uid(o)] = true
	}
	for _, key := range c.store.keys("") {
		owners, _ := metadata(c.store.objects[key])["ownerReferences"].([]any)
		orphan := len(owners) > 0
		for _, o := range owners {
			ref, _ := o.(object)
			u, _ := ref["uid"].(string)
			orphan = orphan && !there[u]
		}
		if resource, _, _ := strings.Cut(key, "/"); orphan {
			if resource == "pods" {
				c.release(c.pod(key))
			}
			c.remove(resource, name(c.store.objects[key]))
		}
	}
}
