// What begins what is served where that is no process of this machine: one row a target, from who wired
// the program.

package server

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// starters are by the name of their target.
type starters map[string]port.Starter

func (s starters) of(target string) (port.Starter, error) {
	if begins, ok := s[target]; ok {
		return begins, nil
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "target %s is not known here", target), "upgrade Vishwa, or declare another target")
}

// contained starts o, which was verified, by its starter.
func (l launcher) contained(ctx context.Context, o order, env []string, log io.Writer) (port.Started, error) {
	begins, err := l.starters.of(o.Starter)
	if err != nil {
		return nil, err
	}
	return begins.Start(ctx, o.Settled, port.Start{
		Owner: owner(l.place, l.key), Name: o.Name, Unit: o.as(), Dir: l.place.release(o.Name, o.Folder), Files: o.Laid,
		Command: o.Run, Set: o.Set, Pass: env, Out: log,
		Kept: func(unit string) bool {
			of, baseline := strings.CutSuffix(unit, second)
			if unit == o.as() || baseline && l.ending.Load() == 0 && !exists(l.place.trial(o.Name)) { // of its own, nothing runs any more when it is begun anew
				return false
			}
			return slices.Contains(l.place.releases(o.Name), of)
		},
	})
}

// owner is whose it is what is begun from a state folder, under the installation's key.
func owner(place folder, key seal.Key) port.Owner {
	return port.Owner{Folder: place.owner(), Installation: key.Name()}
}

// clear takes away all that was begun for o's name.
func (s starters) clear(ctx context.Context, of port.Owner, o order) error {
	if o.Starter == "" {
		return nil
	}
	begins, err := s.of(o.Starter)
	if err != nil {
		return err
	}
	return begins.Clear(ctx, o.Settled, of, o.Name)
}
