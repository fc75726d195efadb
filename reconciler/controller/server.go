// What the controller serves: health, readiness, metrics and webhooks. Where metrics
// have an address of their own, the other one serves webhooks and nothing else.

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

// Status is how a repository stands, for readers of /readyz.
type Status struct {
	Repository string `json:"repository"`
	Looked     bool   `json:"looked"`            // its refs were seen once
	Problem    string `json:"problem,omitempty"` // why the last look failed; it is tried again
	Kind       string `json:"kind,omitempty"`    // of the problem
	// Elsewhere says that another replica works on it, and this one knows nothing of it.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Unserved are its deployments that do not answer. They do not make the controller
	// unready: it is the one that brings them back.
	Unserved []Unserved `json:"unserved,omitempty"`
}

// Statuses tells how the repositories stand, in the order of the configuration.
// The controller is ready when its keys are open and each was looked at, or is known
// not to answer.
func (c *Controller) Statuses() (all []Status, ready bool) {
	ready = true
	for _, w := range c.workers {
		s := Status{Repository: w.name, Elsewhere: c.roll != nil && !w.ours.Load()}
		if now := w.state.Load(); now != nil {
			s.Looked, s.Problem = now.looked, now.problem
			if s.Problem != "" {
				s.Kind = now.kind.String()
			}
		}
		if ill := w.ill.Load(); ill != nil {
			s.Unserved = *ill
		}
		ready = ready && (s.Looked || s.Problem != "" || s.Elsewhere)
		all = append(all, s)
	}
	if ready && (c.roll == nil || c.shared.Load()) {
		c.readied.Store(true)
	}
	return all, c.readied.Load() && c.keys.opens() && !c.stopping()
}

// served is the server at work.
type served struct {
	server *http.Server
	failed chan error
}

// serve serves what routes says at listener.
func (c *Controller) serve(listener net.Listener, routes func(*http.ServeMux, *connectionLimiter)) *served {
	crowd, mux := newConnectionLimiter(c.now, c.metrics.madeRoom), http.NewServeMux()
	routes(mux, crowd)
	s := &served{failed: make(chan error, 1), server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
		ConnState:      moved,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if g, ok := conn.(*guest); ok {
				ctx = withGuest(ctx, g)
			}
			return ctx
		},
	}}
	fault.Go(func() {
		if err := s.server.Serve(guardedListener{listener, crowd}); err != http.ErrServerClosed {
			s.failed <- fault.New(fault.Internal, "serve: %w", err)
		}
	}, func(err error) { s.failed <- err })
	return s
}

func (s *served) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
}

// health serves what tells how it goes.
func (c *Controller) health(mux *http.ServeMux, _ *connectionLimiter) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		all, ready := c.Statuses()
		w.Header().Set("Content-Type", "application/json")
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		told := map[string]any{"ready": ready, "repositories": all}
		if p := c.keys.problem(); p != nil {
			told["keys"] = p
		}
		_ = json.NewEncoder(w).Encode(told)
	})
	mux.Handle("GET /metrics", c.metrics.Handler())
}

// webhooks serves those of GitHub, and the notifications of others, as far as there are secrets.
func (c *Controller) webhooks(s doorSecrets) func(*http.ServeMux, *connectionLimiter) {
	return func(mux *http.ServeMux, crowd *connectionLimiter) {
		if len(s.github) > 0 {
			mux.Handle("/webhooks/github", c.hook(s.github, crowd))
		}
		c.notices(s.token, s.mlflow, crowd).routes(mux)
	}
}

// entrance is an address and what is served there.
type entrance struct {
	field, address string // of the configuration
	told           func(string)
	routes         func(*http.ServeMux, *connectionLimiter)
	listener       net.Listener
}

// listen takes the addresses, and serves nothing yet. It takes all or none.
func (c *Controller) listen(secrets doorSecrets) ([]entrance, error) {
	hooks := c.webhooks(secrets)
	all := []entrance{{field: "listen", address: c.config.Listen, told: c.told, routes: hooks}}
	if inner := c.config.Metrics.Listen; inner != "" {
		all = append(all, entrance{field: "metrics.listen", address: inner, told: c.observed, routes: c.health})
	} else {
		all[0].routes = func(mux *http.ServeMux, crowd *connectionLimiter) {
			c.health(mux, crowd)
			hooks(mux, crowd)
		}
	}
	for i := range all {
		p, err := &all[i], error(nil)
		if p.listener, err = net.Listen("tcp", p.address); err != nil {
			for _, p := range all[:i] {
				p.listener.Close()
			}
			return nil, fault.WithHint(fault.New(fault.Invalid, "listen: %w", err), "free the address %s, or give another one as %s", p.address, p.field)
		}
	}
	return all, nil
}

// listening is the servers at work.
type listening []*served

// serveAll begins to serve at all.
func (c *Controller) serveAll(all []entrance) (out listening) {
	for _, p := range all {
		out = append(out, c.serve(p.listener, p.routes))
		if p.told != nil {
			p.told(p.listener.Addr().String())
		}
	}
	return out
}

// failed tells why the first of them ended by itself.
func (l listening) failed(ctx context.Context) <-chan error {
	first := make(chan error, len(l))
	for _, s := range l {
		fault.Go(func() {
			select {
			case err := <-s.failed:
				first <- err
			case <-ctx.Done():
			}
		}, func(error) {}) // it only hands on
	}
	return first
}

func (l listening) close() {
	for _, s := range l {
		s.close()
	}
}
