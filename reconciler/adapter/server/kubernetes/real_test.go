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
	"os/exec"
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

// program is the worker, built once for this process.
func program(t *testing.T) string {
	t.Helper()
	at := filepath.Join(os.TempDir(), fmt.Sprintf("vishwa-worker-%d", os.Getpid()))
	if _, err := os.Stat(at); err == nil {
		return at
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", at, "github.com/vishwaops/vishwa/cmd/vishwa-worker")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	return at
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
		return program(t), nil
	}
	s.o.Patience = status.Patience{Image: 5 * time.Second, Room: 5 * time.Second, Start: 5 * time.Second}
	s.server = New(s.o)
	s.image = enginetest.Python(t)
	s.worker = enginetest.Push(t, "vishwa/worker", enginetest.Image{Programs: map[string]string{"/vishwa-worker": program(t)}})
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
			if !errors.Is(err, syscall.ECONNREFUSED) {
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
	porttest.Server(t, func(t *testing.T) porttest.Serving { return onCluster(t).serving() })
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
