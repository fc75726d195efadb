// The serving host: a process of Vishwa's own that outlives apply, brings back
// what was served, and leaves by itself when it serves nothing.

package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// linger is how long a host that serves nothing waits for something to serve.
const linger = 2 * time.Second

// host serves all names of one state folder.
type host struct {
	place   folder
	key     seal.Key
	env     port.Env
	log     *slog.Logger
	touched chan struct{}
	starters

	end func() // ends the host; what it serves stays recorded

	mu       sync.Mutex
	services map[string]*service
	asked    int  // demands under way
	leaving  bool // takes no more demands
}

// Host serves what is recorded in dir and what it is asked for, until ctx is done,
// it is sent SIGTERM, or it has nothing left to serve. It is the body of the
// process that Local begins; where another host already serves dir, it returns at once.
// The key at keyFile seals what it records, and whoever asks it must know that key.
func Host(ctx context.Context, dir, keyFile string, env port.Env, begin map[string]port.Starter) error {
	signal.Ignore(syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	place := folder(dir)
	key, err := seal.Load(keyFile)
	if err != nil {
		return err
	}
	// Whoever looks at the lock holds it for an instant; a living host holds it on.
	patient, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	held, err := sandbox.Lock(patient, place.path(hostLock))
	if fault.Of(err) == fault.Cancelled {
		return nil
	}
	if err != nil {
		return err
	}
	defer held.Close()
	out := &logfile{path: place.path("host.log"), limit: logLimit}
	defer out.Close()
	h := &host{
		place: place, key: key, env: env, log: slog.New(slog.NewTextHandler(out, nil)),
		touched: make(chan struct{}, 1), starters: begin, services: map[string]*service{}, end: stop,
	}
	listen, err := listenFolder(dir, h.log)
	if err != nil {
		return err
	}
	// Releases run as the same user: what one was given is none of the others' business.
	if err := sandbox.SetNonDumpable(); err != nil {
		h.log.Warn("not concealed", "error", err)
	}
	h.restore()
	asking, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	control := &http.Server{
		Handler: h.known(h.routes()), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return asking },
	}
	fault.Go(func() { control.Serve(listen) }, routine.Logged(h.log, "the serving of orders"))
	h.log.Info("serving", "pid", os.Getpid())
	h.wait(ctx)
	giveUp() // changes that are under way, so that what they replace is what stays
	h.halt()
	answered, enough := context.WithTimeout(context.Background(), time.Second)
	defer enough()
	if control.Shutdown(answered) != nil {
		control.Close()
	}
	h.log.Info("left")
	return nil
}

// restore brings back what a host before this one served, after ending what it
// may have left running.
func (h *host) restore() {
	all := map[string]order{}
	for _, name := range h.place.names() {
		sweep(h.place, name)
		o, err := h.place.readOrder(h.key, name)
		if fault.Of(err) == fault.Missing {
			continue
		}
		if err != nil {
			h.log.Error("not brought back", "name", name, "error", err)
			continue
		}
		all[name] = o
	}
	h.place.ceded(all)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := h.newService(name)
		h.services[name] = s
		s.restore(all[name], h.env.Lookup)
		h.log.Info("bringing back", "name", name, "release", all[name].Key.Short())
	}
}

// sweep ends processes that a killed host has left of name.
func sweep(place folder, name string) {
	for _, sub := range place.releases(name) {
		_ = sandbox.Sweep(place.group(name, sub+second), 0)
		_ = sandbox.Sweep(place.group(name, sub), 0) // what hangs in the kernel keeps its private port, and no more
	}
}

// known answers only who knows the key's token: a served process that finds the
// socket is of the same user.
func (h *host) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.key.Knows(controlPurpose, r.Header.Get(controlHeader)) {
			h.log.Warn("refused somebody who does not know the token", "method", r.Method)
			http.Error(w, "who asks is not known", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *host) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+protocol+"{$}", h.countedHandler(func(*http.Request) (port.Live, error) { return port.Live{}, nil }))
	mux.HandleFunc("DELETE "+protocol+"{$}", h.countedHandler(func(*http.Request) (port.Live, error) {
		h.end()
		return port.Live{}, nil
	}))
	mux.HandleFunc("GET "+protocol+"{name}", h.countedHandler(func(r *http.Request) (port.Live, error) {
		if s := h.find(r.PathValue("name")); s != nil {
			return s.live(r.Context()), nil
		}
		return port.Live{}, nil
	}))
	mux.HandleFunc("DELETE "+protocol+"{name}", h.countedHandler(func(r *http.Request) (port.Live, error) {
		s, err := h.service(r.PathValue("name"))
		if err != nil {
			return port.Live{}, err
		}
		return port.Live{}, s.retire(r.Context())
	}))
	serve := h.countedHandler(func(r *http.Request) (port.Live, error) {
		s, err := h.service(r.PathValue("name"))
		if err != nil {
			return port.Live{}, err
		}
		d, err := decodeDemand(r.Body, r.PathValue("name"))
		if err != nil {
			return port.Live{}, err
		}
		s.logWith(d.LogEnv)
		if d.Revive {
			return s.revive(r.Context(), d.Order, d.Env)
		}
		if from := h.find(d.Order.Over); from != nil && from != s {
			return s.succeed(r.Context(), d.Order, d.Env, from)
		}
		return s.apply(r.Context(), d.Order, d.Env)
	})
	attempt := h.countedHandler(func(r *http.Request) (port.Live, error) {
		s, err := h.service(r.PathValue("name"))
		if err != nil {
			return port.Live{}, err
		}
		d, err := decodeDemand(r.Body, r.PathValue("name"))
		if err != nil {
			return port.Live{}, err
		}
		return s.attempt(r.Context(), d)
	})
	mux.HandleFunc("PUT "+tries+"{name}", attempt)
	mux.HandleFunc("PUT "+shadows+"{name}", attempt)
	mux.HandleFunc("PUT "+protocol+"{name}", serve)
	mux.HandleFunc("PUT "+started+"{name}", serve)
	return mux
}

// decodeDemand reads what is asked for name.
func decodeDemand(body io.Reader, name string) (demand, error) {
	var d demand
	raw, err := io.ReadAll(io.LimitReader(body, 64<<20))
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		return d, fault.New(fault.Invalid, "read demand: %w", err)
	}
	if d.Order.Name != name {
		return d, fault.New(fault.Invalid, "read demand: it is for %q, not %q", d.Order.Name, name)
	}
	if !d.Revive {
		return d, d.Order.check()
	}
	return d, nil
}

// countedHandler counts a demand as under way and answers it; a host that is leaving takes none.
func (h *host) countedHandler(do func(*http.Request) (port.Live, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		leaving := h.leaving
		if !leaving {
			h.asked++
		}
		h.mu.Unlock()
		if leaving {
			http.Error(w, "leaving", http.StatusServiceUnavailable)
			return
		}
		live, err := do(r)
		h.mu.Lock()
		h.asked--
		h.mu.Unlock()
		select {
		case h.touched <- struct{}{}:
		default:
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusUnprocessableEntity)
			json.NewEncoder(w).Encode(complain(err))
			return
		}
		json.NewEncoder(w).Encode(live)
	}
}

func (h *host) find(name string) *service {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.services[name]
}

// service is the one of this name, made where it is not there.
func (h *host) service(name string) (*service, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.services[name]
	if s == nil {
		s = h.newService(name)
		h.services[name] = s
	}
	return s, nil
}

// wait returns when the host is to leave.
func (h *host) wait(ctx context.Context) {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			h.leave(true)
			return
		case <-h.touched:
			timer.Reset(linger)
		case <-timer.C:
			if h.leave(false) {
				return
			}
		}
	}
}

// leave makes the host take no more demands, where it has nothing to do or must.
func (h *host) leave(must bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !must {
		if h.asked > 0 {
			return false // touched comes when it is answered
		}
		for _, s := range h.services {
			if u, _ := s.current(); u != nil {
				return false
			}
		}
	}
	h.leaving = true
	return true
}

// halt lets everything that is under way finish, all names at once. What is
// recorded stays, to be brought back.
func (h *host) halt() {
	var all routine.Set
	for _, s := range h.services {
		all.Start(func() {
			err := fault.Guard(func() error {
				if s.takeTurn(context.Background()) == nil {
					u, pub := s.current()
					s.halt(u, pub)
				}
				return nil
			})
			if err != nil {
				routine.Logged(s.log, "the end of a service")(err)
			}
		})
	}
	all.Wait()
}
