// Several servers as one: each release goes to the one of its target, and what another served under the name
// ends once the new one serves.

package wrap

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Served is host, which has the traffic of this machine, and others by their targets. A release that has what may refuses
// is not begun.
func Served(host port.Server, others map[string]port.Server, may *Reach) port.Server {
	s := &serving{host: host, others: others, may: may}
	for _, target := range slices.Sorted(maps.Keys(others)) { // of two that hold one name, the same is told each time
		if !slices.Contains(s.all, others[target]) { // one may serve several targets
			s.all = append(s.all, others[target])
		}
	}
	s.all = append(s.all, host)
	return s
}

type serving struct {
	host   port.Server
	others map[string]port.Server
	all    []port.Server
	may    *Reach
}

var (
	_ port.Splitter = (*serving)(nil)

	_ port.Reviver  = (*serving)(nil)
	_ port.Renewer  = (*serving)(nil)
	_ port.Surveyor = (*serving)(nil)
)

// Observe is the first that serves something under name.
func (s *serving) Observe(ctx context.Context, name string) (port.Live, error) {
	var all firstOf
	for _, o := range s.all {
		all = append(all, o)
	}
	return all.Observe(ctx, name)
}

// Survey looks at many names at once, by whoever can.
func Survey(s port.Server) port.Observer {
	if many, can := s.(port.Surveyor); can {
		return many.Survey()
	}
	return s
}

func (s *serving) Survey() port.Observer {
	var all firstOf
	for _, o := range s.all {
		all = append(all, Survey(o))
	}
	return all
}

// firstOf tells what the first of them does that serves something.
type firstOf []port.Observer

func (all firstOf) Observe(ctx context.Context, name string) (port.Live, error) {
	for _, o := range all {
		l, err := o.Observe(ctx, name)
		if err != nil || l != (port.Live{}) {
			return l, err
		}
	}
	return port.Live{}, nil
}

// Renew asks each of them that can.
func (all firstOf) Renew(ctx context.Context, name string) error {
	for _, o := range all {
		if r, can := o.(port.Renewer); can {
			if err := r.Renew(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *serving) Apply(ctx context.Context, r port.Release) (port.Live, error) {
	if !r.Serves() {
		return port.Live{}, s.retire(ctx, r.Name)
	}
	if err := s.may.Release(r); err != nil {
		return port.Live{}, err
	}
	to := s.host
	if o, ok := s.others[r.Target()]; ok {
		to = o
	}
	live, err := to.Apply(ctx, r)
	if err != nil {
		return live, err
	}
	for _, o := range s.all {
		if o == to {
			continue
		}
		if was, err := o.Observe(ctx, r.Name); err == nil && was == (port.Live{}) {
			continue
		}
		if _, err := o.Apply(ctx, port.Release{Name: r.Name}); err != nil {
			return live, fmt.Errorf("%s is served, and what was served before by another target stays: %w", r.Name, err)
		}
	}
	return live, nil
}

// retire ends what is served under name: what is known to be this machine's needs nobody else to be asked.
func (s *serving) retire(ctx context.Context, name string) error {
	here, err := s.host.Observe(ctx, name)
	local := err == nil && here != (port.Live{})
	for _, o := range s.all {
		if o != s.host && local {
			if there, err := o.Observe(ctx, name); err == nil && there == (port.Live{}) {
				continue
			}
		}
		if _, err := o.Apply(ctx, port.Release{Name: name}); err != nil {
			return err
		}
	}
	return nil
}

func (s *serving) Revive(ctx context.Context, name string, key digest.Digest) (port.Live, error) {
	err := fault.WithHint(fault.New(fault.Missing, "%s is not served", name), "run vishwa apply: it serves what the branch declares")
	for _, o := range s.all {
		r, can := o.(port.Reviver)
		if !can {
			continue
		}
		var live port.Live
		if live, err = r.Revive(ctx, name, key); err == nil || fault.Of(err) != fault.Missing {
			return live, err
		}
	}
	return port.Live{}, err
}

func (s *serving) Splits(target string) bool {
	to := s.host
	if o, ok := s.others[target]; ok {
		to = o
	}
	splits, can := to.(port.Splitter)
	return can && splits.Splits(target)
}

// Split asks the server of r's target, where it can: what another serves under the name cannot have a release of r's beside it.
func (s *serving) Split(ctx context.Context, r port.Release, part port.Part) (port.Live, error) {
	to := s.host
	if o, ok := s.others[r.Target()]; ok {
		to = o
	}
	if err := s.may.Release(r); err != nil {
		return port.Live{}, err
	}
	splits, can := to.(port.Splitter)
	if !can {
		return port.Live{}, fault.WithHint(fault.New(fault.Invalid, "try %s: target %s serves one release at a time", r.Name, r.Target()), "remove spec.rollout.canary, or blueGreen; or serve it by target local")
	}
	return splits.Split(ctx, r, part)
}

// Join asks whoever serves something under name.
func (s *serving) Join(ctx context.Context, name string, of port.Trial, promote bool) (port.Live, error) {
	for _, o := range s.all {
		splits, can := o.(port.Splitter)
		if !can {
			continue
		}
		if there, err := o.Observe(ctx, name); err != nil || there != (port.Live{}) {
			return splits.Join(ctx, name, of, promote)
		}
	}
	return port.Live{}, fault.WithHint(fault.New(fault.Missing, "nothing is served under %s that could be tried", name), "see vishwa rollout status: it tells what is tried")
}

func (s *serving) Renew(ctx context.Context, name string) error {
	var all firstOf
	for _, o := range s.all {
		all = append(all, o)
	}
	return all.Renew(ctx, name)
}
