// Package airflow asks an Airflow: how one proves to it who one is, what its answers mean, and how what it lists by the page is looked
// through.
package airflow

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Session asks an Airflow 3 with a bearer token, or with what it gives for a user and a password: it takes no password for each question.
// A session that has ended is begun anew. The zero value but for its functions is ready.
type Session struct {
	// Send asks one question with a bearer token, "" being none, and has the answer whatever its status is.
	Send func(ctx context.Context, bearer, method, path string, body any) (int, []byte, error)
	// Refused is what a status that is an error means.
	Refused func(doing string, status int) error

	mu    sync.Mutex // held while a session is begun
	token string
	of    string // the user and password that it is for
}

// Ask asks with a credential: a bearer token, or user:password. The credential may be another each time.
func (s *Session) Ask(ctx context.Context, credential, method, path string, body any) (int, []byte, error) {
	if !strings.Contains(credential, ":") {
		return s.Send(ctx, credential, method, path, body)
	}
	for ended := ""; ; {
		session, err := s.begun(ctx, credential, ended)
		if err != nil {
			return 0, nil, err
		}
		status, raw, err := s.Send(ctx, session, method, path, body)
		if status != http.StatusUnauthorized || err != nil || ended != "" {
			return status, raw, err
		}
		ended = session
	}
}

// begun is a session for a user and a password, and not the one that has ended.
func (s *Session) begun(ctx context.Context, credential, ended string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && s.of == credential && s.token != ended {
		return s.token, nil
	}
	const doing = "begin a session"
	user, password, _ := strings.Cut(credential, ":")
	status, raw, err := s.Send(ctx, "", http.MethodPost, "/auth/token", map[string]string{"username": user, "password": password})
	if err != nil {
		return "", err
	}
	if status != http.StatusOK && status != http.StatusCreated {
		return "", s.Refused(doing, status)
	}
	var got struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(raw, &got) != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s: Airflow answers with something that cannot be read", doing), "see that the address is that of Airflow 3")
	}
	if got.Token == "" || strings.ContainsFunc(got.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fault.WithHint(fault.New(fault.Denied, "Airflow gave no session"), "give a bearer token instead of a user and a password")
	}
	s.token, s.of = got.Token, credential
	return s.token, nil
}
