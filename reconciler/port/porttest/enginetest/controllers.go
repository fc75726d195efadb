// What a cluster of a team has beside Kubernetes: Kueue, and Kubeflow's Trainer on JobSet.

package enginetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// controller is a program that runs in a pod of the cluster, with the manifest that its makers give it.
type controller struct {
	name      string // of the program, and of its manifest beside
	upstream  string // the last word of its image's name
	program   string // where that image has it
	namespace string
	probe     string // an object that its webhooks are asked about
}

var (
	kueue = controller{"kueue", "kueue", "/manager", "kueue-system", `apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: probe}
`}
	jobset = controller{"jobset", "jobset", "/manager", "jobset-system", `apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: probe, namespace: default}
spec: {replicatedJobs: [{name: x, template: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: x, image: x}]}}}}}]}
`}
	trainer = controller{"trainer", "trainer-controller-manager", "/manager", "kubeflow-system", `apiVersion: trainer.kubeflow.org/v1alpha1
kind: ClusterTrainingRuntime
metadata: {name: probe}
spec: {template: {spec: {replicatedJobs: [{name: node, template: {spec: {template: {spec: {containers: [{name: node, image: x}]}}}}}]}}}
`}
)

// Kueue installs Kueue where it is not: from then on a Job that names a LocalQueue waits for its quota.
func (k *Kubernetes) Kueue(t testing.TB) {
	t.Helper()
	begun(t, "Kueue", func() error { return k.install(kueue) })
}

// Trainer installs JobSet and Kubeflow's Trainer where they are not. There are no runtimes: a test brings what it names.
func (k *Kubernetes) Trainer(t testing.TB) {
	t.Helper()
	begun(t, "JobSet", func() error { return k.install(jobset) })
	begun(t, "Kubeflow's Trainer", func() error {
		if err := k.install(trainer); err != nil {
			return err
		}
		if k.try("", "get", "deployment", "-n", kueue.namespace, "kueue-controller-manager") != nil {
			return nil // there is no Kueue
		}
		// Kueue knows the kinds of jobs that there are when it begins, and refuses TrainJobs until it begins anew.
		return k.again(kueue, "kueue-controller-manager", "rollout", "restart")
	})
}

// again changes a controller's Deployment, and waits until the controller has begun anew.
func (k *Kubernetes) again(c controller, deployment string, change ...string) error {
	for _, args := range [][]string{append(change, "-n", c.namespace, "deployment", deployment), {"rollout", "status", "-n", c.namespace, "deployment", deployment, "--timeout=180s"}} {
		if err := k.try("", args...); err != nil {
			return err
		}
	}
	return k.answers(c)
}

// TrainerStatus has Trainer take from runs how far they are, which it does where its operator asks for it.
func (k *Kubernetes) TrainerStatus(t testing.TB) {
	t.Helper()
	k.Trainer(t)
	begun(t, "what Trainer is told", func() error {
		return k.again(trainer, "kubeflow-trainer-controller-manager", "patch", "--type=json",
			"-p", `[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--feature-gates=TrainJobStatus=true"}]`)
	})
}

// install applies a controller's manifest and waits until its webhooks answer. What it watches before they do, it may never start.
func (k *Kubernetes) install(c controller) error {
	program, err := tool(c.name)
	if err != nil {
		return err
	}
	manifest := filepath.Join(filepath.Dir(filepath.Dir(program)), "share", c.name+".yaml")
	if _, err := os.Stat(manifest); err != nil {
		return err
	}
	ours, err := (Image{Programs: map[string]string{c.program: program}, Entrypoint: []string{c.program}, User: "65532:65532"}).push("vishwa/" + c.name)
	if err != nil {
		return err
	}
	text, err := localize(manifest, c.upstream, ours)
	if err != nil {
		return err
	}
	if err := k.apply(text); err != nil {
		return err
	}
	if err := k.try("", "wait", "-n", c.namespace, "--for=condition=Available", "deployment", "--all", "--timeout=180s"); err != nil {
		return err
	}
	return k.answers(c)
}

// apply applies a manifest. The types that it brings, or that came a moment ago, are there a moment later.
func (k *Kubernetes) apply(manifest string) error {
	for late := time.Now().Add(30 * time.Second); ; {
		err := k.try(manifest, "apply", "--server-side", "--force-conflicts", "-f", "-")
		if err == nil || time.Now().After(late) || !strings.Contains(err.Error(), "no matches for kind") {
			return err
		}
	}
}

// answers waits until a controller's webhooks do.
func (k *Kubernetes) answers(c controller) error {
	return k.procs["kube-apiserver"].await(2*time.Minute, func() error {
		return k.try(c.probe, "create", "--dry-run=server", "-f", "-")
	})
}
