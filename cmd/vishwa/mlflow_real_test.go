// Scripts as people have them, with the real MLflow, W&B, DVCLive and TensorBoard, and a real server of
// MLflow, whose aliases people move: make test-mlflow.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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
	commands := forgeCommands()
	commands["mlflow"] = func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(realMLflow(url, args)) }
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/trackers/alias.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("MLFLOW", url)
			if err := settle(t, env, keys); err != nil {
				return err
			}
			return begin(t, env)
		},
		Cmds: commands,
	})
}

// realMLflow is mlflow of the double's stories, of the experiment homes and the registered model price, that a real server has among others.
func realMLflow(url string, args []string) error {
	switch args[0] {
	case "alias":
		return askMLflow(http.MethodPost, url, "registered-models/alias", map[string]any{"name": args[1], "alias": args[2], "version": args[3]}, nil)
	case "shows":
		got, err := shownByMLflow(url)
		if err == nil && got != args[1] {
			err = fmt.Errorf("MLflow shows %q", got)
		}
		return err
	}
	return fmt.Errorf("mlflow %q is none of its words", args[0])
}

func shownByMLflow(url string) (string, error) {
	var of struct {
		Experiment struct {
			ID string `json:"experiment_id"`
		} `json:"experiment"`
		Runs     []json.RawMessage `json:"runs"`
		Versions []json.RawMessage `json:"model_versions"`
		Model    struct {
			Aliases []struct{ Alias, Version string } `json:"aliases"`
		} `json:"registered_model"`
	}
	if err := askMLflow(http.MethodGet, url, "experiments/get-by-name?experiment_name=homes", nil, &of); err != nil {
		return "", err
	}
	if err := askMLflow(http.MethodPost, url, "runs/search", map[string]any{"experiment_ids": []string{of.Experiment.ID}, "filter": "attributes.status = 'FINISHED'", "max_results": 100}, &of); err != nil {
		return "", err
	}
	if err := askMLflow(http.MethodGet, url, "model-versions/search?filter=name%3D%27price%27", nil, &of); err != nil {
		return "", err
	}
	if err := askMLflow(http.MethodGet, url, "registered-models/get?name=price", nil, &of); err != nil {
		return "", err
	}
	aliases := map[string]string{}
	for _, a := range of.Model.Aliases {
		aliases[a.Alias] = a.Version
	}
	out := fmt.Sprintf("runs %d versions %d", len(of.Runs), len(of.Versions))
	for _, a := range slices.Sorted(maps.Keys(aliases)) {
		out += " " + a + " " + aliases[a]
	}
	return out, nil
}

func askMLflow(method, url, what string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, url+"/api/2.0/mlflow/"+what, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if raw, err = io.ReadAll(res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s %s", method, what, res.Status, raw)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(raw, into)
}
