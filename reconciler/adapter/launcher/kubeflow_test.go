// Launching TrainJobs keeps its port's promises.

package launcher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// trains is a launcher of TrainJobs on a double.
func trains(t *testing.T, c *kubetest.Cluster) port.Launcher {
	t.Helper()
	l, err := Kubeflow(KubeflowOptions{
		Runner: schemas.KubeflowRunner{RuntimeRef: "torch-distributed"}, Cluster: schemas.Cluster{Namespace: kubetest.Namespace},
		Env: env(c.Kubeconfig()), ClusterOptions: hasty,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKubeflowIsALauncher(t *testing.T) {
	t.Parallel()
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		c := kubetest.New(t, kubetest.Options{Images: []string{image}, Rules: rights(t)})
		b := bench(t, c, trains(t, c))
		jobs := map[string]string{} // of TrainJobs, by uid
		job := func(id port.TaskID) string {
			if j := c.JobOf(id.Name); j != "" {
				jobs[id.UID] = j
			}
			return jobs[id.UID]
		}
		b.Kill = func(_ *testing.T, id port.TaskID) { c.Kill(job(id)) }
		b.Alive = func(_ *testing.T, id port.TaskID) int { return c.Alive(job(id)) }
		shown, ticket := b.Shown, b.Ticket
		b.Shown = func(t *testing.T, id port.TaskID) string {
			return c.Objects("trainjobs")[id.Name] + shown(t, port.TaskID{Name: id.Name, UID: job(id)})
		}
		b.Ticket = func(t *testing.T, id port.TaskID) ([]byte, os.FileMode) {
			return ticket(t, port.TaskID{Name: id.Name, UID: job(id)})
		}
		b.Stranger = func(t *testing.T, name string) {
			c.Put("trainjobs", map[string]any{
				"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": map[string]any{"name": strange(name)},
				"spec": map[string]any{"suspend": true, "trainer": map[string]any{"numNodes": 1}},
			})
			t.Cleanup(func() { c.Delete("trainjobs", strange(name)) })
		}
		return b
	})
}

// strange is what the object of a task of that name is called.
func strange(name string) string {
	return objectName(port.Task{Name: name}, trainKind{}.room(port.Task{}))
}

func TestWhatARunTellsItsTrainerIsShown(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := trains(t, c)
	id := launch(t, l, aTask("t", "exec sleep 1000"))
	until(t, l, id, running)
	c.Progress(id.Name, `{"progressPercentage": 40, "estimatedRemainingSeconds": 120, "metrics": [{"name": "loss", "value": "0.2"}]}`)
	until(t, l, id, func(s port.TaskStatus) bool {
		return s.Phase == port.TaskRunning && s.Reason == "40% done, 120 s to go, loss 0.2"
	})
}

func TestSeveralNodesOfATrainJobKnowTheFirst(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := trains(t, c)
	out := t.TempDir()
	task := aTask("9"+strings.Repeat("long", 15), fmt.Sprintf(`echo $VISHWA_NODES $VISHWA_NODE_ADDRESS > %s/$VISHWA_NODE_RANK`, out))
	task.Nodes = 2
	id := launch(t, l, task)
	if s := until(t, l, id, over); s.Cause != "" {
		t.Fatalf("it ended as %+v", s)
	}
	for rank := range 2 {
		raw, err := os.ReadFile(filepath.Join(out, fmt.Sprint(rank)))
		if want := fmt.Sprintf("2 %s-node-0-0.%s\n", id.Name, id.Name); err != nil || string(raw) != want {
			t.Errorf("node %d was told %q, %v; want %q", rank, raw, err, want)
		}
	}
}

func TestWhatATrainJobCannotSayIsRefused(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	for what, change := range map[string]func(*port.Task){
		"a kind of GPU": func(o *port.Task) { o.Resources.GPU, o.Resources.GPUKind = 1, "a100" },
		"a priority":    func(o *port.Task) { o.Priority = "high" },
		"no image":      func(o *port.Task) { o.Image = "" },
		"a mount":       func(o *port.Task) { o.Mounts = []port.Mount{{From: "/data", To: "/vishwa/data"}} },
		"no network":    func(o *port.Task) { o.Isolated = true },
	} {
		task := aTask("t", "true")
		change(&task)
		if _, err := trains(t, c).Launch(t.Context(), task); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, want Invalid and what to do", what, err)
		}
	}
}
