// Scripts as people have them, with the real MLflow, W&B, DVCLive and TensorBoard, and a real server of
// MLflow: make test-mlflow.

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
)

func TestMLflowItself(t *testing.T) {
	venv := os.Getenv("VISHWA_MLFLOW")
	if venv == "" {
		t.Skip("VISHWA_MLFLOW names no environment with MLflow: make test-mlflow makes one")
	}
	url, _ := mlflowtest.Start(t, venv)
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/mlflow",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Join(venv, "bin")+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("MLFLOW", url)
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
	})
}
