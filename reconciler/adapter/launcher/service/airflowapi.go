// Which REST API an Airflow has, and how one proves to it who one is.

package service

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// version asks once which API there is. It needs no token.
func (a *airflow) version(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.api != "" {
		return a.api, nil
	}
	for _, api := range []string{"/api/v2", "/api/v1"} {
		code, raw, err := a.do(ctx, http.MethodGet, api+"/version", nil)
		if err != nil {
			return "", err
		}
		var is struct {
			Version string `json:"version"`
		}
		if code == http.StatusOK && json.Unmarshal(raw, &is) == nil && is.Version != "" {
			a.api = api
			return api, nil
		}
		if code != http.StatusOK && code != http.StatusNotFound {
			return "", a.refused("ask for the version", code)
		}
	}
	return "", fault.WithHint(fault.New(fault.Invalid, "there is no REST API of Airflow 2 or 3 at %s", a.url), "give the address of its web server as the runner's url, without /api")
}

// ask is do, below the API that there is.
func (a *airflow) ask(ctx context.Context, method, path string, body any) (int, []byte, error) {
	api, err := a.version(ctx)
	if err != nil {
		return 0, nil, err
	}
	token, err := a.token()
	if err != nil {
		return 0, nil, err
	}
	if api != "/api/v2" {
		return a.doAs(ctx, token, method, api+path, body)
	}
	return a.session.Ask(ctx, token, method, api+path, body)
}
