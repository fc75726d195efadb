// The stories of trackers, each with a server of MLflow in one process.

package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
)

func TestTrackers(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	type server struct {
		*mlflowtest.Server
		refuse atomic.Int64
	}
	of := func(ts *testscript.TestScript) *server { return ts.Value("mlflow").(*server) }
	testscript.Run(t, testscript.Params{
		Dir: "testdata/trackers",
		Setup: func(env *testscript.Env) error {
			s := &server{Server: mlflowtest.New()}
			s.Before = func(*http.Request) int { return int(s.refuse.Load()) }
			srv := httptest.NewServer(s)
			env.Defer(srv.Close)
			env.Setenv("MLFLOW", srv.URL)
			env.Values["mlflow"] = s
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "project": project, "edit": edit, "commit": commit,
			// mlflow shows TEXT; mlflow delete deletes a run; mlflow refuse STATUS.
			"mlflow": func(ts *testscript.TestScript, _ bool, args []string) {
				s := of(ts)
				switch args[0] {
				case "shows":
					if got := s.Shown(); got != args[1] {
						ts.Fatalf("MLflow shows %q", got)
					}
				case "delete":
					s.DeleteOne()
				case "refuse":
					n, err := strconv.Atoi(args[1])
					ts.Check(err)
					s.refuse.Store(int64(n))
				}
			},
		},
	})
}
