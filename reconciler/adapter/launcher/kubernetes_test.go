// Launching Jobs keeps its port's promises, on a cluster in one process.

package launcher

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	image   = "registry.example.com/base@sha256:0000000000000000000000000000000000000000000000000000000000000001"
	noSuch  = "registry.example.com/none@sha256:0000000000000000000000000000000000000000000000000000000000000002"
	hogging = `x=; while :; do x="$x$(head -c 1000000 /dev/zero | tr "\0" x)"; done`
)

// shell is a command of a shell.
func shell(script string) []string { return []string{"sh", "-c", script} }

// hasty is patience for tests.
var hasty = ClusterOptions{Grace: time.Second, Patience: status.Patience{Image: time.Second, Room: 2 * time.Second, Start: 5 * time.Second}}

// env is a machine with one kubeconfig.
func env(kubeconfig string) port.Env {
	vars := map[string]string{"KUBECONFIG": kubeconfig}
	return port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

// rights are those that templates/kubernetes/launcher.yaml gives.
func rights(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	raw, err := os.ReadFile("../../../templates/kubernetes/launcher.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	for _, doc := range strings.Split(string(raw), "\n---\n") {
		var role rbacv1.Role
		if err := yaml.UnmarshalStrict([]byte(doc), &role); err == nil && role.Kind == "Role" {
			rules = append(rules, role.Rules...)
		}
	}
	if len(rules) == 0 {
		t.Fatal("the file gives no rights")
	}
	return rules
}

// on is a launcher on a double.
func on(t *testing.T, c *kubetest.Cluster, runner schemas.KubernetesRunner) port.Launcher {
	t.Helper()
	l, err := Kubernetes(KubernetesOptions{
		Runner: runner, Cluster: schemas.Cluster{Namespace: kubetest.Namespace}, Env: env(c.Kubeconfig()), ClusterOptions: hasty,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func bench(t *testing.T, c *kubetest.Cluster, l port.Launcher) porttest.LauncherBench {
	return porttest.LauncherBench{
		Launcher: l, Task: port.Task{Image: image},
		Well: shell("true"), Badly: shell("exit 7"), Forever: shell("exec sleep 1000"),
		Hog: shell(hogging), NoImage: noSuch, Never: schemas.Resources{GPU: 3},
		Busy: func(*testing.T) func() { return c.Cordon() },
		Kill: func(_ *testing.T, id port.TaskID) { c.Kill(id.UID) },
		Stranger: func(t *testing.T, name string) {
			c.Put("jobs", stranger(name))
			t.Cleanup(func() { c.Delete("jobs", name) })
		},
		Alive: func(_ *testing.T, id port.TaskID) int { return c.Alive(id.UID) },
		Ticket: func(t *testing.T, id port.TaskID) ([]byte, fs.FileMode) {
			file := filepath.Join(c.Root(podName(t, c, id)), port.TicketFile)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			return text, info.Mode()
		},
		Shown: func(t *testing.T, id port.TaskID) string {
			return c.Objects("jobs")[id.Name] + c.Objects("pods")[podName(t, c, id)]
		},
		Lacks:  map[porttest.Ability]string{porttest.ShowsLimits: "a process of the double is given no share of the machine"},
		Asked:  c.Asked,
		Outage: func(*testing.T) func() { return c.Outage() },
	}
}

// podName is the name of a task's pod.
func podName(t *testing.T, c *kubetest.Cluster, id port.TaskID) string {
	t.Helper()
	for name, text := range c.Objects("pods") {
		if strings.Contains(text, id.UID) {
			return name
		}
	}
	t.Fatalf("task %+v has no pod", id)
	return ""
}

// stranger is a Job of somebody else's.
func stranger(name string) map[string]any {
	var o map[string]any
	text := `{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "` + name + `"}, "spec": {"suspend": true, "completions": 1, "parallelism": 1,
		"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}}}`
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	return o
}

func TestKubernetesIsALauncher(t *testing.T) {
	t.Parallel()
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		c := kubetest.New(t, kubetest.Options{Images: []string{image}, Rules: rights(t)})
		return bench(t, c, on(t, c, schemas.KubernetesRunner{Cluster: "c"}))
	})
}

// In a queue every law holds as well: what Kueue does between Vishwa and the cluster changes nothing of it.
func TestKubernetesBehindAQueueIsALauncher(t *testing.T) {
	t.Parallel()
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		c := kubetest.New(t, kubetest.Options{Images: []string{image}, Queues: map[string]string{"team-a": "8"}, Rules: rights(t)})
		return bench(t, c, on(t, c, schemas.KubernetesRunner{Cluster: "c", Queue: "team-a"}))
	})
}
