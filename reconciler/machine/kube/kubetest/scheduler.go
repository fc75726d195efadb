// The scheduler: one node, and why a pod does not fit.

package kubetest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// asked is what a pod asks for of a resource.
func asked(p corev1.Pod, of corev1.ResourceName) resource.Quantity {
	sum := resource.Quantity{}
	for _, k := range p.Spec.Containers {
		sum.Add(k.Resources.Requests[of])
	}
	return sum
}

// schedule gives pods their node, or says why not, in the scheduler's words.
func (c *Cluster) schedule() {
	gpu := corev1.ResourceName("nvidia.com/gpu")
	has := map[corev1.ResourceName]resource.Quantity{
		corev1.ResourceCPU: resource.MustParse(c.o.CPU), corev1.ResourceMemory: resource.MustParse(c.o.Memory),
		gpu: *resource.NewQuantity(int64(c.o.GPUs), resource.DecimalSI),
	}
	free := map[corev1.ResourceName]resource.Quantity{}
	for of, q := range has {
		free[of] = q.DeepCopy()
	}
	var pending []corev1.Pod
	for _, key := range c.store.keys("pods") {
		p := c.pod(key)
		switch {
		case p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed:
		case p.Spec.NodeName == "":
			pending = append(pending, p)
		default:
			for of := range has {
				q := free[of]
				q.Sub(asked(p, of))
				free[of] = q
			}
		}
	}
	for _, p := range pending {
		why, help := c.unfit(p, has, free)
		cond := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now()}
		if why == "" {
			p.Spec.NodeName = "node1"
			for of := range has {
				q := free[of]
				q.Sub(asked(p, of))
				free[of] = q
			}
		} else {
			cond.Status, cond.Reason = corev1.ConditionFalse, "Unschedulable"
			cond.Message = fmt.Sprintf("0/1 nodes are available: %s. no new claims to deallocate, preemption: 0/1 nodes are available: 1 %s.", why, help)
		}
		if i := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == cond.Type }); i < 0 {
			p.Status.Conditions = append(p.Status.Conditions, cond)
		} else if was := p.Status.Conditions[i]; was.Message != cond.Message || was.Status != cond.Status {
			p.Status.Conditions[i] = cond
		}
		if p.DeletionTimestamp != nil && p.Spec.NodeName == "" { // nothing runs that has to end first
			p.Status.Phase = corev1.PodFailed
		}
		c.store.putObject("pods", p)
	}
}

// unfit is why the node does not take a pod, and whether taking others away would help.
func (c *Cluster) unfit(p corev1.Pod, has, free map[corev1.ResourceName]resource.Quantity) (why, help string) {
	const no, perhaps = "Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"
	if c.cordoned {
		return "1 node(s) were unschedulable", no
	}
	for k, v := range p.Spec.NodeSelector {
		if c.o.Labels[k] != v {
			return "1 node(s) didn't match Pod's node affinity/selector", no
		}
	}
	var lacks []string
	help = perhaps
	for of, all := range has {
		want, left := asked(p, of), free[of]
		if want.Cmp(left) > 0 {
			lacks = append(lacks, "1 Insufficient "+string(of))
		}
		if want.Cmp(all) > 0 {
			help = no
		}
	}
	slices.Sort(lacks)
	return strings.Join(lacks, ", "), help
}
