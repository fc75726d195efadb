// A real server of MLflow notifies: make test-mlflow.

package controller

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
)

// TestMLflowItselfNotifies: an alias that somebody sets in MLflow has the controller look, and one that another secret signed does not.
func TestMLflowItselfNotifies(t *testing.T) {
	venv := os.Getenv("VISHWA_MLFLOW")
	if venv == "" {
		t.Skip("VISHWA_MLFLOW names no environment with MLflow: make test-mlflow makes one")
	}
	for name, value := range map[string]string{"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
		"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="} {
		t.Setenv(name, value)
	}
	h, c := noticeDoors(time.Now)
	answers := make(chan int, 100)
	doors := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res := answer(h, r)
		w.WriteHeader(res.Code)
		answers <- res.Code
	}))
	defer doors.Close()
	url, _ := mlflowtest.Start(t, venv)
	ask := func(path string, body any) {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(url+"/api/2.0/mlflow/"+path, "application/json", bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", path, resp.Status, said)
		}
	}
	for name, secret := range map[string]string{"ours": "shared", "theirs": "another"} {
		ask("webhooks", map[string]any{"name": name, "url": doors.URL + "/webhooks/mlflow", "secret": secret, "status": "ACTIVE",
			"events": []any{map[string]string{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}}})
	}
	ask("registered-models/create", map[string]string{"name": "churn"})
	ask("model-versions/create", map[string]string{"name": "churn", "source": "s3://elsewhere/churn"})
	ask("registered-models/alias", map[string]string{"name": "churn", "alias": "production", "version": "1"})
	var got []int
	for len(got) < 2 {
		select {
		case code := <-answers:
			got = append(got, code)
		case <-time.After(time.Minute):
			t.Fatalf("MLflow sent %v", got)
		}
	}
	if slices.Sort(got); got[0] != http.StatusAccepted || got[1] != http.StatusUnauthorized {
		t.Errorf("answered %v", got)
	}
	if hints := noticed(c); !slices.Equal(hints, []Hint{{}}) {
		t.Errorf("hints %v", hints)
	}
}
