// What will keep packages from being packed: their registries are asked, where somebody has reviewed that they are named.

package app

import (
	"context"
	"errors"

	"github.com/vishwaops/vishwa/reconciler/adapter/packager"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
)

// packable tells in out, of each package among places, what will keep it from being packed: Denied is what the owner of this machine does not let it.
// Each registry has observeWithin to answer, side by side. A pull request declares whom to ask, with this machine's credentials: nobody is asked for it,
// nor for a plan of a checkout that names others than the published branch does.
func (h *Repository) packable(ctx context.Context, o Options, places []pass.Place, out []error) {
	var ask []port.Package
	var of []int
	var asks *agreement
	for i, at := range places {
		if at.Package == nil {
			continue
		}
		out[i] = packager.Allowed(o.Env, *at.Package)
		if out[i] == nil && o.Packages != nil {
			out[i] = wrap.MayPack(*o.Packages, at.Package.At)
		}
		if out[i] != nil || o.Isolation != nil || at.Declared {
			continue
		}
		if !at.Acts && asks == nil {
			asks = h.agreed(ctx, o)
		}
		if !at.Acts {
			if out[i] = asks.packing(*at.Package); out[i] != nil {
				continue
			}
		}
		ask, of = append(ask, *at.Package), append(of, i)
	}
	if len(ask) == 0 {
		return
	}
	within, done := context.WithTimeout(ctx, observeWithin)
	defer done()
	for k, err := range packager.Ready(within, o.Env, ask) {
		out[of[k]] = unanswered(ctx, err)
	}
}

// unanswered is err of a package's registries, as a plan tells it.
func unanswered(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() != nil:
		return nil // what ends the command is told by itself
	case errors.Is(err, context.DeadlineExceeded):
		return fault.WithHint(fault.New(fault.Transient, "its registries did not answer within %s", observeWithin), "see that they are up; it is tried all the same")
	case fault.Of(err) == fault.Denied: // by a registry, which may let another machine in
		return fault.WithHint(fault.New(fault.Missing, "%w", err), "%s", fault.HintOf(err))
	}
	return err
}
