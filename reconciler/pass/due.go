// What is due about one deployment, for who asks outside of a pass. One that could not be asked how it stands is neither this nor that.

package pass

import (
	"context"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// unbegun is the rollout of a release that is declared and could not begin, as what serves does not answer.
func (h *Reconciler) unbegun(ctx context.Context, in *Intent, rev port.Revision, ref schemas.Ref) (standing, error) {
	w, s, err := h.due(ctx, in, rev, ref)
	if err != nil {
		return standing{}, err
	}
	if strings.HasPrefix(s.Held, plan.InCanary) && s.Key != "" {
		return standing{rollout.State{Change: rollout.Change{Key: s.Key, Declared: s.Canary}}, w.Facts.Rollouts[ref]}, nil
	}
	return standing{}, fault.WithHint(fault.New(fault.Invalid, "%s has no release that is tried, nor one that waits to be", ref), "vishwa plan shows what is due")
}

// due is what is due about ref, as it is declared; the zero step: it is not declared. Transient says that it could not be asked how it stands.
func (h *Reconciler) due(ctx context.Context, in *Intent, rev port.Revision, ref schemas.Ref) (*Snapshot, plan.Step, error) {
	w, err := Observe(ctx, in, rev, h.Observers)
	if err != nil {
		return nil, plan.Step{}, err
	}
	w.Now = h.Now()
	for _, s := range plan.Compute(w.Graph, w.Observed).Steps {
		if s.Ref == ref {
			return w, s, notAsked(s)
		}
	}
	return w, plan.Step{}, nil
}

// notAsked is Transient where s is of a deployment that could not be asked how it stands, and nil elsewhere.
func notAsked(s plan.Step) error {
	if !s.Unanswered() {
		return nil
	}
	return fault.WithHint(fault.New(fault.Transient, "%s %s", s.Ref, s.Held), "see that what it is served on is up, and try again")
}

// WasRolledBack tells whether the release of ref, as it is declared, was rolled back and is tried no more.
func (h *Reconciler) WasRolledBack(ctx context.Context, in *Intent, rev port.Revision, ref schemas.Ref) (bool, error) {
	_, s, err := h.due(ctx, in, rev, ref)
	return err == nil && strings.HasPrefix(s.Held, plan.RolledBack), err
}

// RolledBack lists the deployments whose release, as it is declared, was rolled back and is tried no more. Those that could not be asked
// how they stand are not among them.
func (h *Reconciler) RolledBack(ctx context.Context, in *Intent, rev port.Revision) (out []schemas.Ref, err error) {
	w, err := Observe(ctx, in, rev, h.Observers)
	if err != nil {
		return nil, err
	}
	w.Now = h.Now()
	for _, s := range plan.Compute(w.Graph, w.Observed).Steps {
		if strings.HasPrefix(s.Held, plan.RolledBack) {
			out = append(out, s.Ref)
		}
	}
	return out, nil
}
