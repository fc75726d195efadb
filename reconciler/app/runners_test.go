// Every tool that a declaration may name begins workers: none is a field that does nothing.

package app

import (
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

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
		"ray":     {Ray: &schemas.RayRunner{URL: "http://head:8265"}},
		"airflow": {Airflow: &schemas.AirflowRunner{URL: "http://airflow", DAG: "vishwa"}},
		"jenkins": {Jenkins: &schemas.JenkinsRunner{URL: "http://jenkins", Job: "vishwa"}},
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
