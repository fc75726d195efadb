//go:build linux

// What the plan of a pull request may reach, and when it is ended.

package provisioner

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestWhatAPullRequestMayNotReachIsNamed: the message says what to declare.
func TestWhatAPullRequestMayNotReachIsNamed(t *testing.T) {
	w := newTown(t)
	for name, one := range map[string]struct {
		module string
		hosts  []string
		want   string
	}{
		"a provider":            {evil, nil, "asked for " + registries[product(t)] + ":443"},
		"a provider, by proxy":  {evil, []string{"example.invalid:443"}, "asked for " + registries[product(t)] + ":443"},
		"a module":              {`module "far" { source = "git::https://git.example.invalid/x.git" }`, nil, "asked for git.example.invalid:443"},
		"a module, by proxy":    {`module "far" { source = "git::https://git.example.invalid/x.git" }`, []string{"example.invalid:443"}, "asked for git.example.invalid:443"},
		"an archive, by proxy":  {`module "far" { source = "https://git.example.invalid/x.zip" }`, []string{"example.invalid:443"}, "asked for git.example.invalid:443"},
		"a remote state":        {"terraform {\n  backend \"http\" { address = \"http://state.example.invalid/x\" }\n}\n", nil, "asked for state.example.invalid:80"},
		"a remote state, proxy": {"terraform {\n  backend \"http\" { address = \"http://state.example.invalid/x\" }\n}\n", []string{"example.invalid:443"}, "asked for state.example.invalid:80"},
	} {
		_, err := w.pulls(t, wall.Namespaces).Diff(t.Context(), port.Infrastructure{Name: "db", Source: module(one.module), Network: one.hosts})
		if err == nil || fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), one.want) || !strings.Contains(fault.HintOf(err), "spec.network") {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
	}
}

// TestAPlanThatDoesNotEndIsEnded also ends what it has begun.
func TestAPlanThatDoesNotEndIsEnded(t *testing.T) {
	w := newTown(t)
	w.provider(t, "sleep 300\n")
	p := w.pulls(t, wall.Namespaces)
	p.cfg.Patience, p.cfg.Grace = 3*time.Second, 100*time.Millisecond
	_, err := p.Diff(t.Context(), port.Infrastructure{Name: "db", Source: module(evil)})
	if err == nil || !strings.Contains(err.Error(), "ended after 3s") {
		t.Errorf("got %v", err)
	}
	if left := tree(t, filepath.Join(w.dir, "state", "pulls")); len(left) != 1 {
		t.Errorf("left behind: %d files", len(left))
	}
}

// TestWithoutGuaranteesNothingIsPlanned: hosts cannot be told apart on the second rung.
func TestWithoutGuaranteesNothingIsPlanned(t *testing.T) {
	w := newTown(t)
	_, err := w.pulls(t, wall.Landlock).Diff(t.Context(), port.Infrastructure{Name: "db", Source: module(kept), Vars: map[string]any{"secret": "s"}, Network: []string{"example.com:443"}})
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "cannot guarantee network") {
		t.Errorf("got %v", err)
	}
}

// TestTheStateOfTheBaseIsRead: also where the base names the file.
func TestTheStateOfTheBaseIsRead(t *testing.T) {
	w := newTown(t)
	s := port.Infrastructure{Name: "db", Source: module(kept), Vars: map[string]any{"secret": stateText}, State: schemas.State{Path: filepath.Join(w.dir, "srv", "db.tfstate")}}
	w.stand(t, s)
	c, err := w.pulls(t, wall.Namespaces).Diff(t.Context(), s)
	if err != nil || !c.Empty {
		t.Errorf("got %+v, %v", c, err)
	}
	put(t, s.State.Path, `{"half`)
	if _, err := w.pulls(t, wall.Namespaces).Diff(t.Context(), s); fault.Of(err) != fault.Transient {
		t.Errorf("half a state: %v", err)
	}
}

// TestARemoteStateIsReadWhereTheBaseLetsIt: by the proxy, with the settings of the base.
func TestARemoteStateIsReadWhereTheBaseLetsIt(t *testing.T) {
	w := newTown(t)
	local := port.Infrastructure{Name: "db", Source: module(kept), Vars: map[string]any{"secret": stateText}}
	w.stand(t, local)
	raw, err := os.ReadFile(filepath.Join(w.states, "db", "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	var wrote atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			wrote.Add(1)
		}
		_, _ = out.Write(raw)
	}))
	defer server.Close()
	s := local
	s.Source = module("terraform {\n  backend \"http\" {}\n}\n" + kept)
	s.State = schemas.State{Backend: map[string]string{"address": "http://state.example.com/db", "lock_address": "http://state.example.com/lock"}}
	s.Network = []string{"state.example.com:80"}
	p := w.pulls(t, wall.Namespaces)
	p.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "state.example.com:80" {
			t.Errorf("dialled %s", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	c, err := p.Diff(t.Context(), s)
	if err != nil || !c.Empty {
		t.Errorf("got %+v, %v", c, err)
	}
	s.Network = nil
	if _, err = p.Diff(t.Context(), s); fault.Of(err) != fault.Denied {
		t.Errorf("without its host: %v", err)
	}
	if n := wrote.Load(); n > 0 {
		t.Errorf("the state was written or locked %d times", n)
	}
}
