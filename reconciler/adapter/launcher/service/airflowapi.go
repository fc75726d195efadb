// Which REST API an Airflow has, and how one proves to it who one is.

package service

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

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

// ask is do, below the API that there is. Airflow 3 takes no password for each question: it
// gives a session for one, which is renewed when it has ended.
func (a *airflow) ask(ctx context.Context, method, path string, body any) (int, []byte, error) {
	api, err := a.version(ctx)
	if err != nil {
		return 0, nil, err
	}
	token, err := a.token()
	if err != nil {
		return 0, nil, err
	}
	if api != "/api/v2" || !strings.Contains(token, ":") {
		return a.do(ctx, method, api+path, body)
	}
	for again := false; ; again = true {
		session, err := a.begun(ctx, token, again)
		if err != nil {
			return 0, nil, err
		}
		code, raw, err := a.doAs(ctx, session, method, api+path, body)
		if code != http.StatusUnauthorized || err != nil || again {
			return code, raw, err
		}
	}
}

// begun is a session for a user and a password.
func (a *airflow) begun(ctx context.Context, token string, anew bool) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != "" && a.of == token && !anew {
		return a.session, nil
	}
	user, password, _ := strings.Cut(token, ":")
	code, raw, err := a.doAs(ctx, "", http.MethodPost, "/auth/token", map[string]string{"username": user, "password": password})
	if err != nil {
		return "", err
	}
	if code != http.StatusOK && code != http.StatusCreated {
		return "", a.refused("begin a session", code)
	}
	var got struct {
		Token string `json:"access_token"`
	}
	if err := a.decodeAnswer("begin a session", raw, &got); err != nil {
		return "", err
	}
	if got.Token == "" {
		return "", fault.WithHint(fault.New(fault.Denied, "Airflow gave no session"), "give a bearer token instead of a user and a password")
	}
	a.session, a.of = got.Token, token
	return a.session, nil
}
