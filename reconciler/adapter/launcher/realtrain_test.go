// TrainJobs on a real cluster, with JobSet and Trainer.

package launcher

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// runtime gives a namespace a TrainingRuntime of PyTorch's kind, as the docs of Kubeflow ask for it.
func (r *realCluster) runtime(t *testing.T) {
	t.Helper()
	r.Trainer(t)
	r.Kubectl(t, `apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainingRuntime
metadata: {name: torch, namespace: `+r.namespace+`, labels: {trainer.kubeflow.org/framework: torch}}
spec:
  mlPolicy: {numNodes: 1, torch: {}}
  template:
    spec:
      replicatedJobs:
      - name: node
        template:
          metadata: {labels: {trainer.kubeflow.org/trainjob-ancestor-step: trainer}}
          spec:
            backoffLimit: 0
            template:
              spec:
                restartPolicy: Never
                automountServiceAccountToken: false
                terminationGracePeriodSeconds: 1
                containers: [{name: node, image: "docker.io/pytorch/pytorch"}]
`, "create", "-f", "-")
}

func (r *realCluster) trains(t *testing.T) port.Launcher {
	t.Helper()
	l, err := Kubeflow(KubeflowOptions{
		Runner: schemas.KubeflowRunner{Cluster: "c", RuntimeRef: "namespace/torch"}, Cluster: schemas.Cluster{Namespace: r.namespace}, Env: env(r.kubeconfig),
		ClusterOptions: ClusterOptions{Patience: status.Patience{Image: 5 * time.Second, Room: 5 * time.Second, Start: time.Minute}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKubeflowIsALauncherOnARealCluster(t *testing.T) {
	r := realNamespace(t, "trained")
	r.runtime(t)
	l := r.trains(t)
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		b := r.bench(t, l)
		b.Stranger = func(t *testing.T, name string) {
			r.Kubectl(t, `{"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": "`+strange(name)+`", "namespace": "`+r.namespace+`"},
				"spec": {"suspend": true, "runtimeRef": {"name": "torch", "kind": "TrainingRuntime"}}}`, "create", "-f", "-")
			t.Cleanup(func() { r.Kubectl(t, "", "delete", "trainjob", strange(name), "-n", r.namespace, "--wait=false") })
		}
		b.Ticket = func(t *testing.T, id port.TaskID) ([]byte, fs.FileMode) {
			return []byte(r.in(t, id, node, "cat "+port.TicketFile)), r.mode(t, id, node)
		}
		b.InForce = func(t *testing.T, id port.TaskID) (int64, float64) { return r.inForce(t, id, node) }
		b.Shown = func(t *testing.T, id port.TaskID) string {
			return r.Kubectl(t, "", "get", "trainjobs,jobsets,jobs,pods", "-n", r.namespace, "-o", "json")
		}
		b.Outage = nil
		b.Lacks = map[porttest.Ability]string{porttest.HasOutages: "Trainer restarts with the API server, and the suite would test that"}
		return b
	})
	r.Await(t, time.Minute, "", "get", "secrets", "-n", r.namespace, "-o", "name")
}

func TestKubeflowNodesFindTheFirst(t *testing.T) {
	r := realNamespace(t, "trainednodes")
	r.runtime(t)
	l := r.trains(t)
	task := aTask("pair", "")
	task.Image, task.Nodes, task.Command = enginetest.Python(t), 2, []string{"python3", "-c", pair}
	if s := until(t, l, launch(t, l, task), over); s.Cause != "" {
		t.Errorf("they ended as %+v", s)
	}
	one := aTask(strings.Repeat("one-fails-", 6)+"x", `[ $VISHWA_NODE_RANK = 1 ] && exit 9; exec sleep 1000`)
	one.Image, one.Nodes = task.Image, 2
	if s := until(t, l, launch(t, l, one), over); s.Cause != port.Exit || s.ExitCode != 9 {
		t.Errorf("one of two that failed ended as %+v", s)
	}
}
