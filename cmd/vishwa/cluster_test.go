// Stories of deployments to a cluster: one in this process, whose controllers say what KServe's and Seldon's say, and whose pods are
// processes that are brought what they serve from a store in S3.

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

const (
	podImage  = "registry.example.com/runtime@sha256:0000000000000000000000000000000000000000000000000000000000000001"
	podWorker = "registry.example.com/worker@sha256:0000000000000000000000000000000000000000000000000000000000000002"
)

func TestClusters(t *testing.T) {
	t.Parallel()
	keys, tiny := quickKeys(t), built.Program(t, "internal/tinyserver", t.TempDir())
	testscript.Run(t, testscript.Params{
		Dir: "testdata/cluster",
		Setup: func(env *testscript.Env) error {
			store := httptest.NewServer(peers.S3())
			t.Cleanup(store.Close)
			c := kubetest.New(t, kubetest.Options{
				ServerConfigs: map[string][]string{"mlserver": {"json"}}, Seldon: func(uri string, _ []string) (state, why string) {
					if raw, err := readModel(store.URL, uri); err != nil || strings.Contains(string(raw), "unreadable") {
						return "ModelFailed", fmt.Sprint("cannot load the model: ", err)
					}
					return "ModelAvailable", ""
				},
				Images: []string{podImage, podWorker}, Canaries: true, Runtimes: map[string]kubetest.Runtime{"tests": {Formats: []string{"json"}, Image: podImage, Command: []string{"runtime"}}},
				Programs: map[string][]string{"/vishwa-worker": {tiny}, "runtime": {tiny, "echo"}},
			})
			gateway := httptest.NewServer(gateway(c, store.URL))
			t.Cleanup(gateway.Close)
			env.Values["cluster"] = c
			for name, value := range map[string]string{
				"KUBECONFIG": c.Kubeconfig(), "S3": store.URL, "AWS_ACCESS_KEY_ID": "us", "AWS_SECRET_ACCESS_KEY": "ours",
				"GATEWAY": strings.TrimPrefix(gateway.URL, "http://"), "IMAGE": podImage, "WORKER": podWorker,
			} {
				env.Setenv(name, value)
			}
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "project": project, "edit": edit, "commit": commit, "answers": dividedInto, "pods": podsLeft, "objects": objectsLeft,
		},
	})
}

// readModel is what a server of Seldon's reads of a store.
func readModel(store, uri string) ([]byte, error) {
	r, err := http.Get(store + "/" + strings.TrimPrefix(uri, "s3://") + "/model.json")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("directory not found: %s", r.Status)
	}
	return io.ReadAll(r.Body)
}

// gateway has the requests of a cluster's ways in, each hundred of them divided as its routes say: those of Seldon's by their path, and
// those of HTTPRoutes by their host.
func gateway(c *kubetest.Cluster, store string) http.Handler {
	mesh := c.Mesh(func(service string) string { return service })
	to := func(host string) *httputil.ReverseProxy {
		return httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	}
	var asked atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1)-1) * 37
		if parts := strings.SplitN(r.URL.Path, "/", 5); len(parts) == 5 && parts[1] == "seldon" && parts[2] == kubetest.Namespace {
			ingress := to(c.Predictor(parts[3], n))
			ingress.Transport, r.URL.Path = mesh, "/"+parts[4]
			ingress.ServeHTTP(w, r)
			return
		}
		if parts := strings.Split(r.URL.Path, "/"); len(parts) == 5 && parts[1] == "v2" && parts[2] == "models" {
			uri, _ := c.Routed(parts[3], n)
			raw, err := readModel(store, uri)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			_, _ = w.Write(raw)
			return
		}
		at, ok := c.RouteTo(r.Host, n)
		if !ok {
			http.Error(w, "no pod", http.StatusBadGateway)
			return
		}
		to(at).ServeHTTP(w, r)
	})
}

// dividedInto insists on what a hundred requests are answered by: answers URL HOST TEXT=COUNT...
func dividedInto(ts *testscript.TestScript, _ bool, args []string) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	got, want := map[string]int{}, map[string]int{}
	for _, arg := range args[2:] {
		text, count, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(count)
		ts.Check(err)
		want[text] = n
	}
	for range 100 {
		q, err := http.NewRequest(http.MethodGet, args[0], nil)
		ts.Check(err)
		q.Host = args[1]
		a, err := client.Do(q)
		ts.Check(err)
		raw, err := io.ReadAll(a.Body)
		a.Body.Close()
		ts.Check(err)
		if a.StatusCode != http.StatusOK {
			ts.Fatalf("%s: %s", a.Status, raw)
		}
		for text := range want {
			if strings.Contains(string(raw), text) {
				got[text]++
			}
		}
	}
	for text, n := range want {
		if got[text] != n {
			ts.Fatalf("of 100 requests %v, want %v", got, want)
		}
	}
}

// podsLeft waits until there are so many: pods COUNT.
func podsLeft(ts *testscript.TestScript, _ bool, args []string) {
	c := ts.Value("cluster").(*kubetest.Cluster)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strconv.Itoa(len(c.Objects("pods"))) == args[0] {
			return
		}
	}
	ts.Fatalf("there are %d pods: %v", len(c.Objects("pods")), c.Objects("deployments"))
}

// objectsLeft waits until a cluster has so many of a kind: objects RESOURCE COUNT.
func objectsLeft(ts *testscript.TestScript, _ bool, args []string) {
	c := ts.Value("cluster").(*kubetest.Cluster)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strconv.Itoa(len(c.Objects(args[0]))) == args[1] {
			return
		}
	}
	ts.Fatalf("there are %v", c.Objects(args[0]))
}
