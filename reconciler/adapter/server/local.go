// Package server serves releases. Local serves them from processes on this
// machine, by a host process of its own that outlives whoever applies: this file
// and its neighbours prepare.go and start.go are the applying side; host.go,
// service.go, unit.go, process.go and proxy.go are the host.
package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Config is what Local needs.
type Config struct {
	Env   port.Env
	Store port.Store
	Dir   string // the host's state folder; one host a folder
	Seal  string // the file of the key that seals what is recorded; it is made where it is not there
	Envs  sandbox.Environments
	Wall  wall.Policy // what the machine's owner says of how served processes are kept apart
	Pace  Timeouts    // zero fields have defaults
	// Limits of each public port; zero fields have defaults.
	Limits Limits
	// Starters begin what is no process of this machine, by the name of its target.
	Starters map[string]port.Starter
	// Answers is how long the host may take to say that it is there; zero is 20 s.
	Answers time.Duration
}

type local struct {
	cfg   Config
	place folder
}

// Local serves from processes of this machine, on 127.0.0.1. Env.Self is begun
// with the arguments "host" and Dir, and is to call Host.
func Local(cfg Config) port.Server {
	dir := cfg.Dir
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return &local{cfg: cfg, place: folder(dir)}
}

// Observe never starts a host: where none runs, it tells what should be there.
func (s *local) Observe(ctx context.Context, name string) (port.Live, error) {
	if err := checkName(name); err != nil {
		return port.Live{}, err
	}
	if !s.place.used() {
		return port.Live{}, nil
	}
	l, err := s.line()
	if err != nil {
		return port.Live{}, err
	}
	o, read := s.place.readOrder(l.key, name)
	live, err := l.ask(ctx, "GET", name, nil)
	switch {
	case errors.Is(err, errOther):
		read = nil
		live.Health, live.Message = port.Down, "its serving host is of another version of vishwa; run vishwa apply to bring it back under this one"
	case err != nil && !errors.Is(err, errGone):
		return live, err
	case err == nil && fault.Of(read) != fault.Corrupt:
		return live, nil
	case err == nil:
		live.Health = port.Failing
	case fault.Of(read) == fault.Missing:
		return port.Live{}, nil
	case read == nil:
		live = o.live()
		live.Health, live.Message = port.Down, "its serving host is not running; run vishwa apply to bring it back"
	default:
		live.Health = port.Down
	}
	if read != nil {
		live.Message = read.Error() + "; run vishwa apply: it lays the release out anew"
	}
	return live, nil
}

// line leads to the host; who first needs the key makes it.
func (s *local) line() (line, error) {
	key, err := seal.Load(s.cfg.Seal)
	return line{string(s.place), key, s.cfg.Answers}, err
}

// Apply holds the name's lock throughout: of two applies of one name, in whatever
// processes, one goes after the other.
func (s *local) Apply(ctx context.Context, r port.Release) (port.Live, error) {
	if err := checkName(r.Name); err != nil {
		return port.Live{}, err
	}
	if err := ctx.Err(); err != nil {
		return port.Live{}, fault.New(fault.Cancelled, "serve %s: %w", r.Name, err)
	}
	if err := os.MkdirAll(string(s.place), 0o700); err != nil {
		return port.Live{}, artifact.Disk(fault.New(fault.Internal, "make state folder: %w", err), string(s.place))
	}
	names := []string{r.Name}
	if r.Over != "" {
		if err := checkName(r.Over); err != nil {
			return port.Live{}, err
		}
		names = append(names, r.Over)
		slices.Sort(names) // whoever takes both takes them in one order
	}
	for _, name := range slices.Compact(names) {
		held, err := holder.Told(s.cfg.Env.Log).Lock(ctx, s.place.lock(name))
		if err != nil {
			return port.Live{}, artifact.Disk(err, string(s.place))
		}
		defer sandbox.Unlock(held)
	}
	if !r.Serves() {
		return port.Live{}, s.retire(ctx, r.Name)
	}
	return s.serve(ctx, r)
}

// serve asks for r as it may stand already, and lays it out only where it does
// not: what is well needs no store.
func (s *local) serve(ctx context.Context, r port.Release) (port.Live, error) {
	o, err := s.order(r)
	if err != nil {
		return port.Live{}, fault.WithHint(fault.New(fault.Of(err), "serve %s: %w", r.Name, err), "%s", wayOr(err, "correct what the message names, then run vishwa apply; the release before is still served"))
	}
	l, err := s.line()
	if err != nil {
		return port.Live{}, err
	}
	had, err := s.place.readOrder(l.key, r.Name)
	if err != nil && fault.Of(err) != fault.Missing {
		s.cfg.Env.Log.Warn("record is not believed; laying the release out anew", "name", r.Name, "error", err)
	}
	if err == nil && o.alike(had) {
		live, err := s.demand(ctx, demand{Order: o, Env: had.environ(s.cfg.Env.Lookup), LogEnv: o.logEnviron(s.cfg.Env.Lookup), Revive: true}, r.Name)
		switch kind := fault.Of(err); {
		case err == nil, kind == fault.Conflict, kind == fault.Cancelled, kind == fault.Denied, errors.As(err, new(hung)):
			return live, err
		case kind != fault.Missing:
			s.cfg.Env.Log.Info("release does not come back; laying it out anew", "name", r.Name, "kind", kind.String(), "error", err)
		}
	}
	if err == nil {
		o.Port = had.Port
	}
	if r.Hosted().Port != 0 {
		o.Port = 0
	}
	o, err = s.layOut(ctx, r, o)
	if err != nil {
		return port.Live{}, fault.WithHint(fault.New(fault.Of(err), "serve %s: %w", r.Name, err), "%s", wayOr(err, "correct what the message names, then run vishwa apply; the release before is still served"))
	}
	live, err := s.demand(ctx, demand{Order: o, Env: o.environ(s.cfg.Env.Lookup), LogEnv: o.logEnviron(s.cfg.Env.Lookup)}, r.Name)
	if err != nil {
		return port.Live{}, fault.WithHint(err, "%s", wayOr(err, "read "+s.place.log(r.Name)+", put the serving command right, then run vishwa apply; what was served before goes on"))
	}
	if o.Log != nil && live.Log == nil {
		return live, fault.WithHint(fault.New(fault.Conflict, "serve %s: it is served, and its serving host, which is of another version of vishwa, logs no predictions", r.Name),
			"run vishwa down, then vishwa apply: it begins a host of this version")
	}
	return live, nil
}

// Revive brings back what is recorded under name, where that is the release of key. Who
// changes what is served under name is not disturbed.
func (s *local) Revive(ctx context.Context, name string, key digest.Digest) (port.Live, error) {
	if err := checkName(name); err != nil {
		return port.Live{}, err
	}
	if held, err := sandbox.Held(s.place.lock(name)); err == nil && held {
		return port.Live{}, nil
	}
	return s.locked(ctx, name, func(_ line, o order) (port.Live, error) {
		if o.Key != key {
			return port.Live{}, fault.WithHint(fault.New(fault.Missing, "%s has %s recorded, not %s", name, o.Key.Short(), key.Short()), "run vishwa apply: it serves what the branch declares")
		}
		return s.demand(ctx, demand{Order: o, Env: o.environ(s.cfg.Env.Lookup), LogEnv: o.logEnviron(s.cfg.Env.Lookup), Revive: true}, name)
	})
}

func wayOr(err error, way string) string {
	if w := fault.HintOf(err); w != "" {
		return w
	}
	return way
}

// demand asks the host, beginning one where none runs.
func (s *local) demand(ctx context.Context, d demand, name string) (port.Live, error) {
	for {
		if err := s.ensure(ctx); err != nil {
			return port.Live{}, err
		}
		l, err := s.line()
		if err != nil {
			return port.Live{}, err
		}
		live, err := l.ask(ctx, "PUT", name, &d)
		if errors.Is(err, errOther) { // it answers, and knows no starters
			if err = l.dismiss(ctx); err == nil {
				continue
			}
		}
		if !errors.Is(err, errGone) { // gone: it served nothing and has just left
			return live, err
		}
	}
}

// retire stops what is served under name; without a host, all that there is to
// stop is what a host that was killed may have left.
func (s *local) retire(ctx context.Context, name string) error {
	l, err := s.line()
	if err != nil {
		return err
	}
	for {
		_, err := l.ask(ctx, "DELETE", name, nil)
		if errors.Is(err, errOther) {
			if err = l.dismiss(ctx); err == nil {
				continue
			}
		}
		if !errors.Is(err, errGone) {
			return err
		}
		done, err := s.alone(ctx, func() error {
			sweep(s.place, name)
			if o, err := s.place.readOrder(l.key, name); err == nil {
				if err := starters(s.cfg.Starters).clear(ctx, owner(s.place, l.key), o); err != nil {
					return err
				}
			}
			return sandbox.Remove(s.place.served(name))
		})
		if done || err != nil {
			return err
		}
	}
}
