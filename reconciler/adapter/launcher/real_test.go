// The same promises on a real cluster: a launcher with no more rights than its file gives, in a
// namespace that takes restricted pods alone.

package launcher

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// real is a namespace of a real cluster, and what the launcher's account is let in with.
type realCluster struct {
	*enginetest.Kubernetes
	namespace, kubeconfig string
	asked                 atomic.Int64
	mu                    sync.Mutex
	pods                  map[string][]string // of tasks, by uid
}

// realNamespace makes a namespace with the account and the rights of templates/kubernetes.
func realNamespace(t testing.TB, name string) *realCluster {
	t.Helper()
	k := enginetest.Cluster(t)
	k.Kubectl(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+name+`", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`, "create", "-f", "-")
	t.Cleanup(func() { k.Kubectl(t, "", "delete", "namespace", name, "--wait=false") })
	raw, err := os.ReadFile("../../../templates/kubernetes/launcher.yaml")
	if err != nil {
		t.Fatal(err)
	}
	k.Kubectl(t, strings.ReplaceAll(string(raw), "NAMESPACE", name), "apply", "-f", "-")
	r := &realCluster{Kubernetes: k, namespace: name, pods: map[string][]string{}}
	token := strings.TrimSpace(k.Kubectl(t, "", "create", "token", "vishwa-launcher", "-n", name, "--duration=2h"))
	r.kubeconfig = r.admit(t, token)
	return r
}

// admit writes a kubeconfig that leads to the cluster by a server that counts what is asked.
func (r *realCluster) admit(t testing.TB, token string) string {
	t.Helper()
	raw, err := os.ReadFile(r.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var admin struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
	}
	if err := yaml.Unmarshal(raw, &admin); err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(admin.Clusters[0].Cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(admin.Clusters[0].Cluster.CA)
	proxy := httputil.NewSingleHostReverseProxy(server)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true} // as clients of clusters speak
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) }
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.asked.Add(1)
		proxy.ServeHTTP(w, q)
	}))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	ca := base64.StdEncoding.EncodeToString(pemOf(front.Certificate()))
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "real",
		"clusters": [{"name": "real", "cluster": {"server": %q, "certificate-authority-data": %q}}],
		"contexts": [{"name": "real", "context": {"cluster": "real", "user": "vishwa"}}],
		"users": [{"name": "vishwa", "user": {"token": %q}}]}`, front.URL, ca, token)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (r *realCluster) bench(t *testing.T, l port.Launcher) porttest.LauncherBench {
	image := enginetest.Python(t)
	name, _, _ := strings.Cut(image, "@")
	return porttest.LauncherBench{
		Launcher: l, Task: port.Task{Image: image},
		Well: shell("true"), Badly: shell("exit 7"), Forever: shell("exec sleep 1000"),
		Hog:     []string{"python3", "-c", "x = bytearray(300 << 20)"},
		NoImage: name + "@sha256:" + strings.Repeat("0", 63) + "2",
		Never:   schemas.Resources{GPU: 3},
		Busy: func(t *testing.T) func() {
			r.Kubectl(t, "", "cordon", "node1")
			return func() { r.Kubectl(t, "", "uncordon", "node1") }
		},
		Kill: func(t *testing.T, id port.TaskID) {
			r.Kubectl(t, "", "delete", "pod", "-n", r.namespace, "-l", taskLabel+"="+id.Name, "--wait=false")
		},
		Stranger: func(t *testing.T, name string) {
			raw, _ := json.Marshal(stranger(name))
			r.Kubectl(t, string(raw), "create", "-n", r.namespace, "-f", "-")
			t.Cleanup(func() { r.Kubectl(t, "", "delete", "job", name, "-n", r.namespace, "--wait=false") })
		},
		Alive: r.alive,
		Ticket: func(t *testing.T, id port.TaskID) ([]byte, fs.FileMode) {
			return []byte(r.in(t, id, status.Container, "cat "+port.TicketFile)), r.mode(t, id, status.Container)
		},
		Shown: func(t *testing.T, id port.TaskID) string {
			return r.Kubectl(t, "", "get", "jobs,pods", "-n", r.namespace, "-o", "json")
		},
		InForce: func(t *testing.T, id port.TaskID) (int64, float64) { return r.inForce(t, id, status.Container) },
		Asked:   func() int { return int(r.asked.Load()) },
		Outage: func(t *testing.T) func() {
			r.Crash(t, "kube-apiserver")
			return func() { r.Restart(t, "kube-apiserver") }
		},
	}
}

// pod is the name of a task's pod.
func (r *realCluster) pod(t *testing.T, id port.TaskID) string {
	return r.Kubectl(t, "", "get", "pods", "-n", r.namespace, "-l", taskLabel+"="+id.Name, "-o", "jsonpath={.items[0].metadata.name}")
}

// mode is that of the ticket's file.
func (r *realCluster) mode(t *testing.T, id port.TaskID, container string) fs.FileMode {
	t.Helper()
	mode, err := strconv.ParseUint(strings.TrimSpace(r.in(t, id, container, "stat -L -c %a "+port.TicketFile)), 8, 32)
	if err != nil {
		t.Fatal(err)
	}
	return fs.FileMode(mode)
}

// in runs a line of shell in a task's container.
func (r *realCluster) in(t *testing.T, id port.TaskID, container, line string) string {
	t.Helper()
	return r.Kubectl(t, "", "exec", "-n", r.namespace, r.pod(t, id), "-c", container, "--", "sh", "-c", line)
}

// alive counts the processes in the groups of a task's pods, which it remembers.
func (r *realCluster) alive(t *testing.T, id port.TaskID) int {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.Kubectl(t, "", "get", "pods", "-n", r.namespace, "-l", taskLabel+"="+id.Name, "-o", "jsonpath={.items[*].metadata.uid}")
	r.pods[id.UID] = append(r.pods[id.UID], strings.Fields(found)...)
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range groups {
		raw, _ := os.ReadFile(file)
		for _, uid := range r.pods[id.UID] {
			if bytes.Contains(raw, []byte(uid)) || bytes.Contains(raw, []byte(strings.ReplaceAll(uid, "-", "_"))) {
				n++
				break
			}
		}
	}
	return n
}

func (r *realCluster) inForce(t *testing.T, id port.TaskID, container string) (int64, float64) {
	t.Helper()
	said := strings.Fields(r.in(t, id, container, "cd /sys/fs/cgroup; if [ -e cpu.max ]; then cat memory.max cpu.max; else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us; fi"))
	var n [3]float64
	for i := range n {
		f, err := strconv.ParseFloat(said[i], 64)
		if err != nil {
			t.Fatalf("the task's limits are %q", said)
		}
		n[i] = f
	}
	return int64(n[0]), n[1] / n[2]
}

func pemOf(cert *x509.Certificate) []byte {
	return []byte("-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(cert.Raw) + "\n-----END CERTIFICATE-----\n")
}

// launcher is one with the rights of the file.
func (r *realCluster) launcher(t testing.TB, runner schemas.KubernetesRunner) port.Launcher {
	t.Helper()
	l, err := Kubernetes(KubernetesOptions{
		Runner: runner, Cluster: schemas.Cluster{Namespace: r.namespace}, Env: env(r.kubeconfig),
		ClusterOptions: ClusterOptions{Grace: time.Second, Patience: status.Patience{Image: 5 * time.Second, Room: 5 * time.Second, Start: time.Minute}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKubernetesIsALauncherOnARealCluster(t *testing.T) {
	r := realNamespace(t, "launched")
	l := r.launcher(t, schemas.KubernetesRunner{Cluster: "c"})
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench { return r.bench(t, l) })
	// What is gone took its Secret with it.
	r.Await(t, time.Minute, "", "get", "secrets", "-n", r.namespace, "-o", "name")
}

// queues gives a namespace a LocalQueue team-a with so many cores.
func (r *realCluster) queues(t testing.TB, cores string) {
	t.Helper()
	r.Kueue(t)
	r.Kubectl(t, `apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: `+r.namespace+`}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: `+r.namespace+`}
spec:
  namespaceSelector: {}
  preemption: {withinClusterQueue: LowerPriority}
  resourceGroups:
  - coveredResources: [cpu, memory, nvidia.com/gpu]
    flavors: [{name: `+r.namespace+`, resources: [{name: cpu, nominalQuota: `+cores+`}, {name: memory, nominalQuota: 64Gi}, {name: nvidia.com/gpu, nominalQuota: 8}]}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: team-a, namespace: `+r.namespace+`}
spec: {clusterQueue: `+r.namespace+`}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: urgent-`+r.namespace+`}
value: 1000
`, "create", "-f", "-")
	t.Cleanup(func() {
		r.Kubectl(t, "", "delete", "localqueue/team-a", "-n", r.namespace)
		r.Kubectl(t, "", "delete", "clusterqueue/"+r.namespace, "resourceflavor/"+r.namespace, "priorityclass/urgent-"+r.namespace)
	})
}

func TestKubernetesBehindARealQueueIsALauncher(t *testing.T) {
	r := realNamespace(t, "queued")
	r.queues(t, "8")
	l := r.launcher(t, schemas.KubernetesRunner{Cluster: "c", Queue: "team-a"})
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		b := r.bench(t, l)
		// A pod of Kueue's finds the API server gone as well, and needs a while to come back.
		b.Outage = nil
		b.Lacks = map[porttest.Ability]string{porttest.HasOutages: "Kueue restarts with the API server, and the suite would test that"}
		return b
	})
}

// A full queue is told by position, what is more urgent takes a place, and who lost it goes on by itself.
func TestKubernetesTellsWhatARealQueueDoes(t *testing.T) {
	r := realNamespace(t, "positions")
	r.queues(t, "1")
	l := r.launcher(t, schemas.KubernetesRunner{Cluster: "c", Queue: "team-a"})
	task := func(name string) port.Task {
		o := aTask(name, "exec sleep 1000")
		o.Image, o.Resources.CPU = enginetest.Python(t), "1"
		return o
	}
	first := launch(t, l, task("first"))
	until(t, l, first, running)
	second := launch(t, l, task("second"))
	until(t, l, second, func(s port.TaskStatus) bool { return strings.HasPrefix(s.Reason, "position 1 in queue team-a: ") })
	third := launch(t, l, task("third"))
	until(t, l, third, func(s port.TaskStatus) bool { return strings.HasPrefix(s.Reason, "position 2 in queue team-a: ") })
	urgent := task("urgent")
	urgent.Priority = "urgent-" + r.namespace
	u := launch(t, l, urgent)
	if s := until(t, l, first, over); s.Cause != port.Preempted || !strings.Contains(s.Reason, "queue team-a took it back") {
		t.Errorf("what its queue took back stands as %+v", s)
	}
	until(t, l, u, running)
	for _, id := range []port.TaskID{u, second, third} {
		if err := l.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	until(t, l, first, running)
	large := task("large")
	large.Resources.CPU = "3"
	if s := until(t, l, launch(t, l, large), over); s.Cause != port.Unschedulable || !strings.Contains(s.Reason, "maximum capacity") {
		t.Errorf("what its queue never has room for stands as %+v", s)
	}
}

// pair is a program of two nodes: the second tells the first what it was told.
const pair = `
import os, socket, sys, time
rank, nodes, at = (os.environ["VISHWA_" + n] for n in ("NODE_RANK", "NODES", "NODE_ADDRESS"))
if rank == "0":
    s = socket.create_server(("", 7000)); c, _ = s.accept(); sys.exit(0 if c.recv(9) == b"1 of 2" else 5)
for _ in range(600):
    try: c = socket.create_connection((at, 7000), 5); break
    except OSError: time.sleep(.1)
c.sendall((rank + " of " + nodes).encode())
`

// Nodes of a real cluster reach the first by the name that they are given.
func TestKubernetesNodesFindTheFirst(t *testing.T) {
	r := realNamespace(t, "nodes")
	l := r.launcher(t, schemas.KubernetesRunner{Cluster: "c"})
	task := aTask("pair", "")
	task.Image, task.Nodes, task.Command = enginetest.Python(t), 2, []string{"python3", "-c", pair}
	if s := until(t, l, launch(t, l, task), over); s.Cause != "" {
		t.Errorf("they ended as %+v", s)
	}
	one := aTask("one-fails", "")
	one.Image, one.Nodes = task.Image, 2
	one.Command = shell(`[ $VISHWA_NODE_RANK = 1 ] && exit 9; exec sleep 1000`)
	if s := until(t, l, launch(t, l, one), over); s.Cause != port.Exit || s.ExitCode != 9 {
		t.Errorf("one of two that failed ended as %+v", s)
	}
}

// What the owner of the machines takes back is told as that, also when nobody watched.
func TestKubernetesTellsAnEviction(t *testing.T) {
	r := realNamespace(t, "evicted")
	l := r.launcher(t, schemas.KubernetesRunner{Cluster: "c"})
	task := aTask("t", "exec sleep 1000")
	task.Image = enginetest.Python(t)
	id := launch(t, l, task)
	until(t, l, id, running)
	pod := r.pod(t, id)
	r.Kubectl(t, fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q, "namespace": %q}}`, pod, r.namespace),
		"create", "--raw", "/api/v1/namespaces/"+r.namespace+"/pods/"+pod+"/eviction", "-f", "-")
	r.Await(t, time.Minute, "True", "get", "job", id.Name, "-n", r.namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Failed")].status}`)
	if s := until(t, r.launcher(t, schemas.KubernetesRunner{Cluster: "c"}), id, over); s.Cause != port.Preempted {
		t.Errorf("it stands as %+v", s)
	}
	// More than it is given of disk is its own doing.
	task = aTask("disk", "head -c 50000000 /dev/zero > /vishwa/work/x; exec sleep 1000")
	task.Image, task.Resources.EphemeralStorage = enginetest.Python(t), "10Mi"
	if s := until(t, l, launch(t, l, task), over); s.Cause != port.OverLimit {
		t.Errorf("what took too much disk stands as %+v", s)
	}
}
