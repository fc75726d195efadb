// Stories of who is asked by the way, by a plan or a status: nobody that a stranger's checkout names, and nobody at all offline.

package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// TestAStrangersCheckoutDoesNotSayHowARegistryIsAsked: neither where, nor whether TLS is used, of the registry and of the store.
func TestAStrangersCheckoutDoesNotSayHowARegistryIsAsked(t *testing.T) { asks(t, "asked") }

// TestOfflineNobodyIsAsked: neither the registry of a package, nor that of an image, nor the store, nor a data source, a gauge or a server of MLflow.
func TestOfflineNobodyIsAsked(t *testing.T) { asks(t, "offline") }

// besideNobody serves h where no test before it was served: what still asks a server that is gone asks 127.0.0.1, whose ports are given anew.
func besideNobody(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err == nil { // Linux has all of 127.0.0.0/8
		_ = srv.Listener.Close()
		srv.Listener = l
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func asks(t *testing.T, story string) {
	t.Parallel()
	keys := quickKeys(t)
	var heard atomic.Int64
	counted := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			heard.Add(1)
			next.ServeHTTP(w, r)
		})
	}
	host, theirs := besideNobody(t, counted(locked(registrytest.Memory()))), besideNobody(t, counted(http.NotFoundHandler()))
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/" + story + ".txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", host)
			env.Setenv("THEIRS", theirs)
			env.Setenv("VISHWA_OCI_REGISTRY", host)
			env.Setenv("VISHWA_OCI_USERNAME", registryUser)
			env.Setenv("VISHWA_OCI_PASSWORD", registryPassword)
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "project": project, "edit": edit, "commit": commit,
			// heard: somebody was asked since the last time, or, negated, nobody was.
			"heard": func(ts *testscript.TestScript, neg bool, _ []string) {
				if n := heard.Swap(0); neg != (n == 0) {
					ts.Fatalf("%d questions were asked", n)
				}
			},
		},
	})
}
