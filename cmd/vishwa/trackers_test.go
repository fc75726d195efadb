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

// mlflowOf is the MLflow of one script, and one that nobody is to ask.
type mlflowOf struct {
	*mlflowtest.Server
	refuse atomic.Int64
	evil   *mlflowtest.Server
}

func TestTrackers(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	commands := forgeCommands()
	commands["mlflow"] = mlflow
	testscript.Run(t, testscript.Params{
		Dir: "testdata/trackers",
		Setup: func(env *testscript.Env) error {
			s := &mlflowOf{Server: mlflowtest.New(), evil: mlflowtest.New()}
			s.Before = func(*http.Request) int { return int(s.refuse.Load()) }
			for name, of := range map[string]*mlflowtest.Server{"MLFLOW": s.Server, "EVIL": s.evil} {
				srv := httptest.NewServer(of)
				env.Defer(srv.Close)
				env.Setenv(name, srv.URL)
			}
			env.Values["mlflow"] = s
			if err := settle(t, env, keys); err != nil {
				return err
			}
			return begin(t, env)
		},
		Cmds: commands,
	})
}

// mlflow is: mlflow shows TEXT; mlflow delete, of a run; mlflow alias MODEL ALIAS VERSION, which moves it; mlflow refuse STATUS; mlflow unasked, of the
// server that nobody is to ask.
func mlflow(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("mlflow").(*mlflowOf)
	switch args[0] {
	case "shows":
		if got := s.Shown(); got != args[1] {
			ts.Fatalf("MLflow shows %q", got)
		}
	case "delete":
		s.DeleteOne()
	case "alias":
		s.MoveAlias(args[1], args[2], args[3])
	case "refuse":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		s.refuse.Store(int64(n))
	case "unasked":
		if log := s.evil.Log(); len(log) > 0 {
			ts.Fatalf("it was asked: %q", log)
		}
	default:
		ts.Fatalf("mlflow %q is none of its words", args[0])
	}
}
