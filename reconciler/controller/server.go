// What the controller serves: health, readiness, metrics and webhooks.
package controller

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// status is how a repository stands, as its worker last told.
type status struct {
	looked  bool   // its refs were seen once
	problem string // why the last look failed; it is tried again
	kind    fault.Kind
}

var sound = status{looked: true}

// Standing is how a repository stands, for readers of /readyz.
type Standing struct {
	Repository string `json:"repository"`
	Looked     bool   `json:"looked"`            // its refs were seen once
	Problem    string `json:"problem,omitempty"` // why the last look failed; it is tried again
	Kind       string `json:"kind,omitempty"`    // of the problem
	// Unserved are its deployments that do not answer. They do not make the controller
	// unready: it is the one that brings them back.
	Unserved []Unserved `json:"unserved,omitempty"`
}

// Standings tells how the repositories stand, in the order of the configuration.
// The controller is ready when each was looked at, or is known not to answer.
func (c *Controller) Standings() (all []Standing, ready bool) {
	ready = true
	for _, w := range c.workers {
		s := Standing{Repository: w.name}
		if now := w.state.Load(); now != nil {
			s.Looked, s.Problem = now.looked, now.problem
			if s.Problem != "" {
				s.Kind = now.kind.String()
			}
		}
		if ill := w.ill.Load(); ill != nil {
			s.Unserved = *ill
		}
		ready = ready && (s.Looked || s.Problem != "")
		all = append(all, s)
	}
	return all, ready && !c.stopping()
}

// served is the server at work.
type served struct {
	server *http.Server
	failed chan error
}

func (c *Controller) serve(listener net.Listener, secrets [][]byte) *served {
	s := &served{failed: make(chan error, 1), server: &http.Server{
		Handler:           c.handler(secrets),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}}
	go func() {
		if err := s.server.Serve(listener); err != http.ErrServerClosed {
			s.failed <- fault.New(fault.Internal, "serve: %w", err)
		}
	}()
	return s
}

func (s *served) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
}

func (c *Controller) handler(secrets [][]byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		all, ready := c.Standings()
		w.Header().Set("Content-Type", "application/json")
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": ready, "repositories": all})
	})
	mux.Handle("GET /metrics", c.metrics.Handler())
	if len(secrets) > 0 {
		mux.Handle("/webhooks/github", c.hook(secrets))
	}
	return mux
}
