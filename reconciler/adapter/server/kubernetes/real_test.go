// Pods of a real cluster serve as the port says: in a namespace that takes restricted pods alone, by an account
// with no more rights than its file gives, out of a real store that pods reach by requests that were signed ahead.

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// realStage is a stage in a namespace of its own.
type realStage struct {
	*stage
	*enginetest.Kubernetes
	namespace string
}

// account writes a kubeconfig that lets in the account of a namespace.
func account(t *testing.T, k *enginetest.Kubernetes, namespace string) string {
	t.Helper()
	raw, err := os.ReadFile("../../../../" + Rights)
	if err != nil {
		t.Fatal(err)
	}
	k.Kubectl(t, strings.ReplaceAll(string(raw), "NAMESPACE", namespace), "apply", "-f", "-")
	token := strings.TrimSpace(k.Kubectl(t, "", "create", "token", "vishwa-serving", "-n", namespace, "--duration=2h"))
	var admin struct {
		Clusters []struct {
			Cluster map[string]any `json:"cluster"`
		} `json:"clusters"`
	}
	if err := json.Unmarshal([]byte(k.Kubectl(t, "", "config", "view", "--raw", "-o", "json")), &admin); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "real",
		"clusters": []any{map[string]any{"name": "real", "cluster": admin.Clusters[0].Cluster}},
		"contexts": []any{map[string]any{"name": "real", "context": map[string]any{"cluster": "real", "user": "vishwa"}}},
		"users":    []any{map[string]any{"name": "vishwa", "user": map[string]any{"token": token}}},
	})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err == nil {
		err = os.WriteFile(file, config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func onCluster(t *testing.T) *realStage {
	t.Helper()
	k := enginetest.Cluster(t)
	endpoint := enginetest.MinIO(t)
	namespace := "serves-" + digest.Of([]byte(t.Name())).Hex()[:8]
	k.Kubectl(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+namespace+`", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`, "create", "-f", "-")
	t.Cleanup(func() { k.Kubectl(t, "", "delete", "namespace", namespace, "--wait=false") })
	c, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err == nil {
		err = c.MakeBucket(t.Context(), "artifacts", minio.MakeBucketOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, account(t, k, namespace), schemas.Cluster{Namespace: namespace})
	login := map[string]string{"AWS_ACCESS_KEY_ID": "minioadmin", "AWS_SECRET_ACCESS_KEY": "minioadmin"}
	shelf, err := bucket.S3(bucket.S3Options{Bucket: "artifacts", Endpoint: endpoint, Lookup: func(name string) (string, bool) { v, ok := login[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	s.o.Shelf = func() (port.Bucket, error) { return shelf, nil }
	s.o.Object = store.Key
	s.o.Store = store.On(shelf, s.o.Store)
	s.o.Worker = func(arch string) (string, error) {
		if arch != "amd64" {
			return "", fault.New(fault.Missing, "no worker for %s", arch)
		}
		return built.Once(t, "vishwa-worker"), nil
	}
	s.o.Patience = status.Patience{Image: 5 * time.Second, Room: 5 * time.Second, Start: 5 * time.Second}
	s.server = New(s.o)
	s.image = enginetest.Python(t)
	s.worker = enginetest.Push(t, "vishwa/worker", enginetest.Image{Programs: map[string]string{"/vishwa-worker": built.Once(t, "vishwa-worker")}})
	s.words = func(version, how string) []string {
		return append([]string{"python3", "src/serve.py", version}, strings.Fields(how)...)
	}
	r := &realStage{s, k, namespace}
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, at, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(host, ".")
		cluster := strings.TrimSpace(r.Kubectl(t, "", "get", "services", "-n", namespace, "--field-selector=metadata.name="+name, "-o", "jsonpath={.items[*].spec.clusterIP}"))
		if cluster == "" {
			return nil, fmt.Errorf("there is no service %s", name)
		}
		for { // its node learns of a Service a moment after everybody else
			conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, net.JoinHostPort(cluster, at))
			if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.EHOSTUNREACH) {
				return conn, err
			}
			time.Sleep(100 * time.Millisecond)
		}
	}}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(k.Kubectl(t, "", "get", "all,secrets,events", "-n", namespace))
		}
	})
	return r
}

func TestKubernetesServerKeepsItsPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving { s := onCluster(t); return s.serving(s.release) })
}

func TestKubernetesPodsSeeTheReleaseAlone(t *testing.T) {
	s := onCluster(t)
	for _, worker := range []string{s.worker, ""} { // by an image of the worker, and by the image's own Python
		r := s.release("one", "1")
		r.Kubernetes.Worker = worker
		r.Kubernetes.Env.Pass = []string{"DECLARED"}
		r.Inputs = map[string][]byte{"serving": []byte(`{"bucket":"b"}`)}
		r.Params = map[string]any{"limit": 3}
		l := s.apply(r)
		said := s.ask(l, "/inside")
		for _, want := range []string{"model weights of 1\n", "input {\"bucket\":\"b\"}\n", "\"limit\": 3", "write model cannot", "change model cannot", "chmod model cannot", "write root cannot", "write tmp can",
			"ticket False", "token False", "user 65532\n", "passed yes-", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !strings.Contains(said, want) {
				t.Errorf("not %q", want)
			}
		}
		if t.Failed() {
			t.Fatalf("inside:\n%s", said)
		}
		if l.Bytes != port.BytesVerified {
			t.Errorf("its bytes are %q", l.Bytes)
		}
	}
}

// TestKubernetesUndoesWhatIsDoneByHand: what kubectl does is found in the words of a real server, and undone.
func TestKubernetesUndoesWhatIsDoneByHand(t *testing.T) {
	s := onCluster(t)
	r := s.release("one", "1")
	l := s.apply(r)
	unit := "deployment/" + s.unit("one")
	for _, c := range []struct {
		says string
		by   []string
	}{
		{"spec.replicas is 2, and not 1", []string{"scale", unit, "--replicas=2"}},
		{"was set by kubectl-set", []string{"set", "env", unit, "LD_PRELOAD=hunter2"}},
		{"image is another", []string{"set", "image", unit, "serve=" + s.worker}},
		{"was set by kubectl-patch", []string{"patch", unit, "--type=strategic", "-p", `{"spec":{"template":{"spec":{"hostAliases":[{"ip":"10.0.0.1","hostnames":["store"]}]}}}}`}},
		{"spec.selector.app was added", []string{"patch", "service/one", "-p", `{"spec":{"selector":{"app":"theirs"}}}`}},
		{"spec.type was set by kubectl-patch", []string{"patch", "service/one", "-p", `{"spec":{"type":"NodePort"}}`}},
		{"somebody deleted Service one", []string{"delete", "service/one"}},
		{"somebody deleted Deployment one-", []string{"delete", unit, "--wait=false"}},
	} {
		s.Kubectl(t, "", append([]string{"-n", s.namespace}, c.by...)...)
		if now := s.observe("one"); now.Health != port.Failing || now.Key != r.Key || !strings.Contains(now.Message, c.says) || strings.Contains(now.Message, "hunter2") {
			t.Errorf("kubectl %q: observed %s %q, want %q", c.by, now.Health, now.Message, c.says)
		}
		if _, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key); err != nil {
			t.Fatalf("kubectl %q: Revive: %v (%s)", c.by, err, fault.HintOf(err))
		}
		s.until("it is undone", func() bool { now := s.observe("one"); return now.Health == port.Ready && now.Message == "" })
		if got := s.ask(l, "/"); got != "1" {
			t.Errorf("kubectl %q: %s answers", c.by, got)
		}
	}
	s.Kubectl(t, "", "annotate", "-n", s.namespace, "service/one", "external-dns/owner=them")
	if now := s.observe("one"); now.Health != port.Ready || now.Message != "" {
		t.Errorf("a note of somebody else: observed %+v", now)
	}
}

// TestKubernetesTakesAllThatCanBeDeclared: a real server knows every field, and what it does not have is said.
func TestKubernetesTakesAllThatCanBeDeclared(t *testing.T) {
	s := onCluster(t)
	r := s.everything("1")
	r.Kubernetes.NodeSelector, r.Kubernetes.Tolerations = map[string]string{"kubernetes.io/os": "linux"}, []schemas.Toleration{{Key: "spot", Operator: "Exists"}}
	s.refused(r, fault.Invalid, "has no httproutes.gateway.networking.k8s.io", "install what brings")
	r.Kubernetes.Route = nil
	if l := s.apply(r); l.URL != "https://one.example.com" || l.Health != port.Ready || l.Message != "" {
		t.Errorf("applied %+v", l)
	}
	if l := s.observe("one"); l.Health != port.Ready || l.Message != "" {
		t.Errorf("observed %+v", l)
	}
	said := s.Kubectl(t, "", "get", "hpa,pdb,ingress", "-n", s.namespace, "-o", "name")
	for _, want := range []string{"horizontalpodautoscaler.autoscaling/" + s.unit("one"), "poddisruptionbudget.policy/one", "ingress.networking.k8s.io/one"} {
		if !strings.Contains(said, want) {
			t.Errorf("there is no %s:\n%s", want, said)
		}
	}
	s.apply(port.Release{Name: "one"})
	s.Await(t, time.Minute, "", "get", "deployments,services,hpa,pdb,ingress,secrets,pods", "-n", s.namespace, "-o", "name")
}

// TestKubernetesSaysWhyNothingServes: in the words of a real cluster.
func TestKubernetesSaysWhyNothingServes(t *testing.T) {
	s := onCluster(t)
	name, _, _ := strings.Cut(s.image, "@")
	s.apply(s.release("one", "1"))
	for what, c := range map[string]struct {
		how        func(t *testing.T, r *port.Release)
		kind       fault.Kind
		words, way string
	}{
		"an image that is not there": {func(_ *testing.T, r *port.Release) {
			r.Kubernetes.Image = name + "@sha256:" + strings.Repeat("0", 63) + "2"
		}, fault.Invalid, "cannot be pulled", "pullSecrets"},
		"a program that ends":    {func(_ *testing.T, r *port.Release) { r.Kubernetes.Run = s.words("2", "exit") }, fault.Invalid, "with exit code 3: cannot load the model: no such column", "serving command"},
		"more than any node has": {func(_ *testing.T, r *port.Release) { r.Kubernetes.Resources.CPU = "1000" }, fault.Invalid, "no node has", "add a node"},
		"too little memory": {func(_ *testing.T, r *port.Release) {
			r.Kubernetes.Resources.Memory, r.Kubernetes.Run = "64Mi", []string{"python3", "-c", "x = bytearray(300 << 20)"}
		}, fault.Invalid, "it took more memory, of which it is given 64Mi", "raise spec.target.kubernetes.resources.memory"},
		"a quota": {func(t *testing.T, r *port.Release) {
			s.Kubectl(t, "", "create", "quota", "team", "--hard=pods=1", "-n", s.namespace)
			t.Cleanup(func() { s.Kubectl(t, "", "delete", "quota", "team", "-n", s.namespace) })
			s.Await(t, time.Minute, "1", "get", "quota", "team", "-n", s.namespace, "-o", "jsonpath={.status.used.pods}")
			r.Timeout = 3 * time.Second
		}, fault.Transient, "exceeded quota: team", "larger quota"},
	} {
		t.Run(what, func(t *testing.T) {
			r := s.release("one", "2")
			c.how(t, &r)
			s.refused(r, c.kind, c.words, c.way)
			if now := s.observe("one"); now.Health != port.Ready || now.Message != "" || now.Restarts != 0 {
				t.Errorf("observed %+v", now)
			}
		})
	}
}
