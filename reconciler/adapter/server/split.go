// Trying a release beside the one that serves, from the applying side.

package server

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var _ port.Splitter = (*local)(nil)

// Splits is of what this machine's serving host begins, processes and containers.
func (s *local) Splits(target string) bool {
	return target == port.TargetLocal || s.cfg.Starters[target] != nil
}

// Split tries r, or changes its part of the requests. It holds the name's lock throughout, as Apply does.
func (s *local) Split(ctx context.Context, r port.Release, part port.Part) (port.Live, error) {
	if r.Hosted() == nil {
		return port.Live{}, fault.WithHint(fault.New(fault.Invalid, "try %s: releases are tried as processes of this machine, or containers of it", r.Name), "remove shadow, canary or blueGreen from spec.rollout; or serve it by target local or docker")
	}
	if part.Weight < 0 || part.Weight > whole {
		return port.Live{}, fault.WithHint(fault.New(fault.Invalid, "try %s: %d is not a weight from 0 to %d", r.Name, part.Weight, whole), "set a weight from 1 to 100: setWeight in the steps of spec.rollout")
	}
	try := &attempt{Weight: part.Weight, Shadow: part.Shadow}
	return s.locked(ctx, r.Name, func(l line, had order) (port.Live, error) {
		if had.Key == r.Key {
			return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "try %s: %s serves already", r.Name, r.Key.Short()), "run vishwa plan to see what is left to do")
		}
		o, err := s.order(r)
		if err != nil {
			return port.Live{}, err
		}
		if o.Declared != 0 && o.Declared != had.Port {
			return port.Live{}, fault.WithHint(fault.New(fault.Invalid, "try %s: it declares port %d, and what serves answers at %d: two releases that share the requests share the port", r.Name, o.Declared, had.Port),
				"declare port %d, or none; or have it serve at once at its own: remove spec.rollout.canary, shadow or blueGreen, until it does", had.Port)
		}
		if was, err := s.place.readTrial(l.key, r.Name); err == nil && was.Order.Key == r.Key && o.alike(was.Order) {
			live, err := s.demand(ctx, demand{Order: o, LogEnv: o.logEnviron(s.cfg.Env.Lookup), Revive: true, Try: try}, r.Name)
			if err == nil || fault.Of(err) != fault.Missing {
				return live, err
			}
		}
		if o, err = s.layOut(ctx, r, o); err != nil {
			return port.Live{}, fault.WithHint(fault.New(fault.Of(err), "try %s: %w", r.Name, err), "%s", wayOr(err, "correct what the message names, then run vishwa apply; the release that serves goes on"))
		}
		return s.demand(ctx, demand{Order: o, Env: o.environ(s.cfg.Env.Lookup), LogEnv: o.logEnviron(s.cfg.Env.Lookup), Try: try}, r.Name)
	})
}

// Join ends what is tried under name.
func (s *local) Join(ctx context.Context, name string, of port.Trial, promote bool) (port.Live, error) {
	return s.locked(ctx, name, func(l line, _ order) (port.Live, error) {
		d := demand{Order: order{Name: name, Key: of.Key}, Revive: true, Try: &attempt{End: true, Promote: promote, Since: of.Since}}
		if t, err := s.place.readTrial(l.key, name); err == nil && t.Order.Key == of.Key {
			d.LogEnv = t.Order.logEnviron(s.cfg.Env.Lookup) // a host that was begun since may lack it
		}
		return s.demand(ctx, d, name)
	})
}

// locked calls do with what is recorded under name, while nobody else changes it.
func (s *local) locked(ctx context.Context, name string, do func(line, order) (port.Live, error)) (port.Live, error) {
	if err := checkName(name); err != nil {
		return port.Live{}, err
	}
	if !s.place.used() {
		return port.Live{}, fault.WithHint(fault.New(fault.Missing, "nothing is served on this machine"), "run vishwa apply on this machine first: a release is tried next to one that serves")
	}
	held, err := holder.Told(s.cfg.Env.Log).Lock(ctx, s.place.lock(name))
	if err != nil {
		return port.Live{}, artifact.Disk(err, string(s.place))
	}
	defer sandbox.Unlock(held)
	l, err := s.line()
	if err != nil {
		return port.Live{}, err
	}
	had, err := s.place.readOrder(l.key, name)
	if err != nil {
		return port.Live{}, err
	}
	return do(l, had)
}
