// Evidence about models: the one that would be selected, the one that would be served,
// and the one that is served now.

package pass

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/schemas"
)

// candidate is the evidence about a model that is to be selected: what act has
// chosen, or, while planning, what it would choose.
func (d *stepServices) candidate(ctx context.Context, s plan.Step, n *graph.Node, by schemas.Selection, m *execute.Material) (*policy.Model, error) {
	if m != nil && m.Model != nil {
		return d.model(ctx, s.Ref, m.Model, m.Metrics)
	}
	if s.Pending {
		return nil, nil
	}
	best, trained, _ := plan.Best(n.Inputs, by, func(ref schemas.Ref) *ledger.Entry {
		node := d.world.Graph.Node(ref)
		if node == nil {
			return nil
		}
		return d.world.Facts.ByKey[d.keys[ref]]
	})
	if trained == nil {
		return nil, nil
	}
	return d.model(ctx, s.Ref, &ledger.Model{Candidate: best, Artifact: trained.Outputs["model"]}, trained.Metrics)
}

// released is the evidence about a model that is to be deployed.
func (d *stepServices) released(ctx context.Context, s plan.Step, spec schemas.Service, m *execute.Material) (*policy.Model, error) {
	if m != nil && m.Model != nil {
		return d.signed(ctx, spec, m.Model, m.Metrics)
	}
	if s.Pending {
		return nil, nil
	}
	e := d.world.Facts.ByKey[d.keys[spec.Model]]
	if e == nil || e.Model == nil {
		return nil, nil
	}
	return d.signed(ctx, spec, e.Model, e.Metrics)
}

// signed is the evidence about a released model. Bytes or bundles that are gone
// or tampered with are evidence too: against it.
func (d *stepServices) signed(ctx context.Context, spec schemas.Service, m *ledger.Model, metrics map[string]float64) (*policy.Model, error) {
	out, err := d.model(ctx, spec.Model, m, metrics)
	by := ""
	if err == nil {
		by, err = d.Signer.Verify(ctx, m)
	}
	switch fault.Of(err) {
	case fault.Missing, fault.Corrupt, fault.Denied:
		out.Signature = &policy.Signature{Message: err.Error()}
		return out, nil
	}
	if err != nil {
		return out, err
	}
	d.past.Lock()
	defer d.past.Unlock()
	why, err := d.revoked(ctx, d.world, by, spec.Environment)
	out.Signature = &policy.Signature{Verified: true, By: by, Revoked: why}
	return out, err
}

func (d *stepServices) model(ctx context.Context, ref schemas.Ref, m *ledger.Model, metrics map[string]float64) (*policy.Model, error) {
	out := &policy.Model{Digest: m.Artifact.Digest, Candidate: m.Candidate, Metrics: metrics, Live: d.world.live(ref)}
	var err error
	if out.Files, err = d.scan(ctx, m.Artifact); err != nil {
		err = fmt.Errorf("read model %s: %w", m.Artifact.Digest.Short(), err)
	}
	return out, err
}

// live is the model that is served of ref: in production where it is, else by the
// newest deployment.
func (w *Snapshot) live(model schemas.Ref) *policy.Live {
	var newest *ledger.Entry
	guarded := func(e *ledger.Entry) bool {
		return e.Release != nil && w.Project.Environments[e.Release.Environment].Needs(e.Release.Environment) > 0
	}
	for ref, e := range w.Facts.Latest {
		n := w.Graph.Node(ref)
		if n == nil || e.Action != ledger.Deploy || e.Model == nil {
			continue
		}
		if spec, ok := n.Decl.Spec.(schemas.Serves); ok && spec.Serves().Model == model &&
			(newest == nil || guarded(e) && !guarded(newest) || guarded(e) == guarded(newest) && e.Seq > newest.Seq) {
			newest = e
		}
	}
	if newest == nil {
		return nil
	}
	return &policy.Live{Digest: newest.Model.Artifact.Digest, Metrics: newest.Metrics}
}
