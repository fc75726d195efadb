// What the controller's file does not let a repository reach is never asked, and a plan says so; a plan says, too, what this machine lacks.

package app

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAControllersTokenGoesToTheRunnersOfItsFile(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Error(w, "{}", http.StatusTeapot)
	}))
	defer server.Close()
	key, err := seal.KeyOf(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"VISHWA_AIRFLOW_TOKEN": "secret", "VISHWA_JENKINS_TOKEN": "me:secret", "VISHWA_RAY_TOKEN": "secret", "VISHWA_KUBEFLOW_TOKEN": "secret", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Self: "/nowhere/vishwa", Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	base := runner.RemoteConfig{Env: env, Dir: filepath.Join(t.TempDir(), "state"), Seal: key, Worker: workerProgram(env.Self)}
	place := StoreRef{Dir: t.TempDir(), Away: &schemas.Store{S3: &schemas.S3{URL: "s3://bucket/x", Endpoint: server.URL, Region: "r"}}}
	project := &schemas.Project{Runners: map[string]schemas.Runner{
		"airflow": {Airflow: &schemas.AirflowRunner{URL: server.URL, DAG: "d"}}, "jenkins": {Jenkins: &schemas.JenkinsRunner{URL: server.URL, Job: "j"}},
		"ray": {Ray: &schemas.RayRunner{URL: server.URL}}, "kfp": {Kubeflow: &schemas.KubeflowRunner{Pipelines: &schemas.KubeflowPipelines{URL: server.URL}}},
		"engine": {Docker: &schemas.DockerRunner{Host: strings.Replace(server.URL, "http://", "tcp://", 1)}},
	}}
	h := &Repository{}
	for name, declared := range project.Runners { // they were used once, before the file said otherwise
		if err := rememberRunner(base, name, project, declared); err != nil {
			t.Fatal(err)
		}
	}
	listed := &wrap.Reach{Runners: []string{server.URL, strings.Replace(server.URL, "http://", "tcp://", 1)}}
	for name := range project.Runners {
		for what, routes := range map[string]map[string]wrap.Route{"declared": h.elsewhere(project, place, base, &wrap.Reach{}), "former": h.elsewhere(&schemas.Project{}, place, base, &wrap.Reach{})} {
			_, err := routes[name].Open()
			if err == nil || fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "runners of this repository in the controller's file") {
				t.Errorf("%s, %s: %v (%s)", what, name, err, fault.HintOf(err))
			}
			if what == "former" != routes[name].Former {
				t.Errorf("%s is former: %v", name, routes[name].Former)
			}
		}
		if _, err := h.elsewhere(project, place, base, listed)[name].Open(); err != nil {
			t.Errorf("%s, which is listed: %v", name, err)
		}
		if err := h.ready(Options{Env: env, Reach: &wrap.Reach{}}, place, base)(t.Context(), project, []pass.Place{{Runner: name}})[0]; fault.Of(err) != fault.Denied || err == nil {
			t.Errorf("the plan says of %s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("what the file does not list was asked %d times", n)
	}
}

func TestAPlanSaysWhatKeepsARunFromBeingBegun(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(config, []byte("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\"}}]\ncontexts: [{name: prod, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	worked := filepath.Join(dir, "bin")
	if err := os.MkdirAll(worked, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(worked, "vishwa-worker-linux-arm64"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"KUBECONFIG": config, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", token.FolderVariable: dir, "HOME": dir}
	s3 := &schemas.Store{S3: &schemas.S3{URL: "s3://bucket/x", Region: "r"}}
	oci := &schemas.Store{OCI: &schemas.OCI{URL: "oci://registry.example.com/team/store"}}
	project := &schemas.Project{
		Clusters: map[string]schemas.Cluster{"prod": {Context: "prod", Namespace: "models"}, "gone": {Context: "prdo", Namespace: "models"}},
		Runners: map[string]schemas.Runner{
			"pods": {Kubernetes: &schemas.KubernetesRunner{Cluster: "prod"}}, "brought": {Kubernetes: &schemas.KubernetesRunner{Cluster: "prod", Worker: "w@sha256:" + digest.Of(nil).Hex()}},
			"lost": {Kubernetes: &schemas.KubernetesRunner{Cluster: "gone"}}, "trains": {Kubeflow: &schemas.KubeflowRunner{Cluster: "gone", RuntimeRef: "r"}},
			"ray": {Ray: &schemas.RayRunner{URL: "http://127.0.0.1:1", Token: filepath.Join(dir, "nothing")}},
		},
	}
	env := port.Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	for _, isolated := range []*Isolation{nil, {}} { // also of a pull request
		err := (&Repository{}).ready(Options{Env: env, Reach: &wrap.Reach{Runners: []string{"ssh://ml@gpu-box"}}, Isolation: isolated}, StoreRef{}, runner.RemoteConfig{})(t.Context(), project, []pass.Place{{Engine: "ssh://root@gpu-box"}})[0]
		if fault.Of(err) != fault.Denied || err == nil || !strings.Contains(fault.HintOf(err), "runners of this repository") {
			t.Errorf("an engine that is not listed: %v", err)
		}
	}
	for name, c := range map[string]struct {
		at    pass.Place
		away  *schemas.Store
		self  string
		isol  bool
		says  string // "" is that nothing keeps it
		hints string
	}{
		"all is there":                        {at: pass.Place{Runner: "pods"}, away: s3, self: worked},
		"no worker":                           {at: pass.Place{Runner: "pods"}, away: s3, self: dir, says: "the worker's program for", hints: "make build makes it"},
		"a worker that an image brings":       {at: pass.Place{Runner: "brought"}, away: s3, self: dir},
		"work that has no worker":             {at: pass.Place{Runner: "pods", External: true}, away: s3, self: dir},
		"a context that is not there":         {at: pass.Place{Runner: "lost"}, away: s3, self: worked, says: `has no context "prdo"`, hints: "did you mean prod?"},
		"one of a TrainJob":                   {at: pass.Place{Runner: "trains"}, away: s3, self: worked, says: `has no context "prdo"`},
		"one of a deployment":                 {at: pass.Place{Cluster: "gone"}, away: s3, self: worked, says: `has no context "prdo"`},
		"a store in a registry":               {at: pass.Place{Runner: "pods"}, away: oci, self: worked, says: "cannot lend a worker", hints: "spec.store.s3"},
		"a deployment with one":               {at: pass.Place{Cluster: "prod"}, away: oci, self: worked, says: "cannot lend pods", hints: "spec.store.s3"},
		"a deployment":                        {at: pass.Place{Cluster: "prod"}, away: s3, self: worked},
		"a deployment without a worker":       {at: pass.Place{Cluster: "prod"}, away: s3, self: dir, says: "the worker's program for"},
		"a folder as store":                   {at: pass.Place{Runner: "pods"}, self: worked, says: "cannot reach the store"},
		"a token that is not there":           {at: pass.Place{Runner: "ray"}, away: s3, self: worked, says: "read the token for Ray", hints: "put it there"},
		"an engine over SSH":                  {at: pass.Place{Engine: "ssh://ml@gpu-box"}, says: "nobody knows whether it is that machine", hints: "connect once by hand"},
		"an engine without certificates":      {at: pass.Place{Engine: "tcp://gpu-box:2376"}, says: "there are no certificates to know it by", hints: "DOCKER_CERT_PATH"},
		"an engine of this machine":           {at: pass.Place{Engine: "unix:///run/team.sock"}},
		"one of a pull request":               {at: pass.Place{Engine: "ssh://ml@gpu-box"}, isol: true},
		"what is declared wrongly":            {at: pass.Place{Runner: "typo"}, away: s3, self: worked},
		"a pull request, which is told of no": {at: pass.Place{Runner: "lost"}, away: s3, self: dir, isol: true},
	} {
		t.Run(name, func(t *testing.T) {
			env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Self: filepath.Join(c.self, "vishwa"), Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
			o := Options{Env: env}
			if c.isol {
				o.Isolation = &Isolation{}
			}
			err := (&Repository{}).ready(o, StoreRef{Dir: t.TempDir(), Away: c.away}, runner.RemoteConfig{Env: env, Worker: workerProgram(env.Self)})(t.Context(), project, []pass.Place{c.at})[0]
			if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(fault.HintOf(err), c.hints)) {
				t.Errorf("%v (%s)", err, fault.HintOf(err))
			}
		})
	}
}

// forbidding lets no place be used.
type forbidding struct{ port.Bounds }

func (forbidding) Place(address string) error {
	return fault.WithHint(fault.New(fault.Denied, "%s is not lent", address), "list it")
}

// TestAPackageIsKnownNotToBePackable: by a base that is not lent, to whoever declares it; by registries, which are asked for no pull request.
func TestAPackageIsKnownNotToBePackable(t *testing.T) {
	var asked atomic.Int32
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer registry.Close()
	host := strings.TrimPrefix(registry.URL, "http://")
	plain := port.Package{At: port.Registry{Repository: host + "/team/price"}, Name: "price"}
	built := plain
	built.Image = &port.ServingImage{Base: host + "/library/python@" + string(digest.Of(nil)), Platform: "linux/amd64"}
	for name, c := range map[string]struct {
		of     port.Package
		bounds port.Bounds
		isol   *Isolation
		pull   bool
		kind   fault.Kind
		says   string // "" is that nothing keeps it
		nobody bool   // is asked
	}{
		"a base that is not lent":                     {of: built, bounds: forbidding{}, kind: fault.Denied, says: "is not lent", nobody: true},
		"one of a pull request, and a stranger's":     {of: built, bounds: forbidding{}, isol: &Isolation{}, kind: fault.Denied, says: "is not lent", nobody: true},
		"a base that a registry keeps to itself":      {of: built, kind: fault.Missing, says: "build the image that serves price"},
		"a registry that lets nobody in":              {of: plain, kind: fault.Missing, says: "the registry answers 403"},
		"a pull request's, for which nobody is asked": {of: built, pull: true, nobody: true},
		"a stranger's, for which nobody is asked":     {of: built, isol: &Isolation{}, nobody: true},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			o := Options{Env: port.Env{Bounds: c.bounds, Lookup: func(string) (string, bool) { return "", false }}, Isolation: c.isol}
			err := (&Repository{}).ready(o, StoreRef{}, runner.RemoteConfig{})(t.Context(), &schemas.Project{}, []pass.Place{{Package: &c.of, Declared: c.pull, Acts: true}})[0]
			if (err == nil) != (c.says == "") || err != nil && (fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.says) || fault.HintOf(err) == "") {
				t.Errorf("%v (%v; %s)", err, fault.Of(err), fault.HintOf(err))
			}
			if (asked.Load() == 0) != c.nobody {
				t.Errorf("the registry was asked %d times", asked.Load())
			}
		})
	}
}
