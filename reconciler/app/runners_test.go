// Every tool that a declaration may name begins workers: none is a field that does nothing.

package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestEveryToolOfARunnerHasItsRow(t *testing.T) {
	of := reflect.TypeFor[schemas.Runner]()
	for i := range of.NumField() {
		var r schemas.Runner
		reflect.ValueOf(&r).Elem().Field(i).Set(reflect.New(of.Field(i).Type.Elem()))
		if r.Traits().Tool == "" {
			t.Errorf("%s has no traits", of.Field(i).Name)
		}
		n := 0
		for _, row := range launchers {
			if row(&schemas.Project{}, r) != nil {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d rows begin workers on %s, want 1", n, of.Field(i).Name)
		}
	}
}

// TestSchedulersNeedASharedStore: they have no folder of this machine.
func TestSchedulersNeedASharedStore(t *testing.T) {
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}
	for name, r := range map[string]schemas.Runner{
		"ray":       {Ray: &schemas.RayRunner{URL: "http://head:8265"}},
		"airflow":   {Airflow: &schemas.AirflowRunner{URL: "http://airflow", DAG: "vishwa"}},
		"jenkins":   {Jenkins: &schemas.JenkinsRunner{URL: "http://jenkins", Job: "vishwa"}},
		"pipelines": {Kubeflow: &schemas.KubeflowRunner{Pipelines: &schemas.KubeflowPipelines{URL: "http://kubeflow"}}},
	} {
		for _, row := range launchers {
			l := row(&schemas.Project{}, r)
			if l == nil {
				continue
			}
			begins, mounts, err := l.open(env, "owner")
			if err != nil || begins == nil || mounts || l.brought || l.interpreter != "python3" {
				t.Errorf("%s: %+v, mounts %t, %v", name, l, mounts, err)
			}
		}
	}
}

// TestWorkersOfPullRequestsAreGuardedAsRunsHere: the rule of this machine's runs goes with them.
func TestWorkersOfPullRequestsAreGuardedAsRunsHere(t *testing.T) {
	h := &Repository{Paths: Paths{State: t.TempDir()}}
	key, err := seal.KeyOf([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	allow := []string{"10.0.0.0/8"}
	if cfg := h.remoteConfig(Options{}, "pulls", runs{For: "pulls", Allow: allow}, nil, key); cfg.Guard == nil || !slices.Equal(cfg.Guard.Allow, allow) {
		t.Errorf("of a pull request: %+v", cfg.Guard)
	}
	if cfg := h.remoteConfig(Options{}, "", runs{}, nil, key); cfg.Guard != nil {
		t.Errorf("of the tracked branch: %+v", cfg.Guard)
	}
}

// TestARunnerThatIsRemovedIsRememberedForItsRuns: as it was declared when it was used, and nobody else's word for it counts.
func TestARunnerThatIsRemovedIsRememberedForItsRuns(t *testing.T) {
	key, err := seal.KeyOf(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	base := runner.RemoteConfig{Dir: filepath.Join(t.TempDir(), "state"), Seal: key, Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}}
	project := &schemas.Project{
		Runners:  map[string]schemas.Runner{"pods": {Kubernetes: &schemas.KubernetesRunner{Cluster: "one"}}, "head": {Ray: &schemas.RayRunner{URL: "http://head:8265"}}},
		Clusters: map[string]schemas.Cluster{"one": {Namespace: "team-a", UID: "u"}},
	}
	for name, declared := range project.Runners {
		for range 2 {
			if err := rememberRunner(base, name, project, declared); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := formerRunners(base, project); len(got) != 0 {
		t.Errorf("declared ones are former: %v", got)
	}
	left := &schemas.Project{Runners: map[string]schemas.Runner{"head": project.Runners["head"]}}
	got := formerRunners(base, left)
	if len(got) != 1 || got["pods"].Runner.Kubernetes == nil || got["pods"].Clusters["one"].UID != "u" {
		t.Errorf("remembered are %+v", got)
	}
	routes := (&Repository{}).elsewhere(left, StoreRef{}, base, nil)
	if len(routes) != 2 || !routes["pods"].Former || routes["head"].Former {
		t.Errorf("the routes are %+v", routes)
	}
	forged := []byte(`{"runner":{"ray":{"url":"http://evil"}}}`)
	if err := os.WriteFile(runnerFile(base.Dir, "pods"), forged, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(runnerFile(base.Dir, "other"), key.Wrap(runnerPurpose("pods"), forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := formerRunners(base, left); len(got) != 0 {
		t.Errorf("what somebody else wrote is believed: %+v", got)
	}
}
