// Evidence about models: the one that would be selected, the one that would be served,
// and the one that is served now.

package pass

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/selection"
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
	best, trained, _ := selection.Best(n.Candidates(), by, func(ref schemas.Ref) *ledger.Entry {
		node := d.world.Graph.Node(ref)
		if node == nil {
			return nil
		}
		return d.world.Facts.ByKey[d.key(ref)]
	})
	if trained == nil {
		return nil, nil
	}
	return d.model(ctx, s.Ref, &ledger.Model{Candidate: best, Artifact: trained.Outputs.Named("model")}, trained.Metrics)
}

// scores are how the model of s did on rows, as far as that is known: while planning, those that
// are carried out by now, of both models.
func (d *stepServices) scores(s plan.Step, m *execute.Material) []ledger.Score {
	switch e := d.world.Facts.ByKey[s.Key]; {
	case m != nil && !m.Unscored:
		return m.Scores
	case s.Do == plan.Keep && e != nil:
		return e.Scores
	}
	all, _ := plan.Scores(s.Evaluations)
	return slices.DeleteFunc(all, func(s ledger.Score) bool {
		return s.Metrics == nil || s.Champion != "" && s.ChampionMetrics == nil
	})
}

// released is the evidence about a model that is to be deployed.
func (d *stepServices) released(ctx context.Context, s plan.Step, spec schemas.Service, m *execute.Material) (*policy.Model, error) {
	if m != nil && m.Model != nil {
		return d.signed(ctx, spec, m.Model, m.Metrics)
	}
	if s.Pending {
		return nil, nil
	}
	e := d.world.Facts.ByKey[d.key(spec.Model)]
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

// live is the model that is served of ref.
func (w *Snapshot) live(model schemas.Ref) *policy.Live {
	e := w.champion(model)
	if e == nil {
		return nil
	}
	return &policy.Live{Digest: e.Model.Artifact.Digest, Metrics: e.Metrics}
}

// champion is the deployment of the model that is served of ref: in production where it is, else
// the newest. A pull request does not say which that is.
func (w *Snapshot) champion(model schemas.Ref) *ledger.Entry {
	declared := w.Graph
	if w.Base != nil {
		declared = w.Base.Graph
	}
	var newest *ledger.Entry
	guarded := func(e *ledger.Entry) bool {
		return e.Release != nil && w.Project.Environments[e.Release.Environment].Needs(e.Release.Environment) > 0
	}
	for ref, e := range w.Facts.Latest {
		n := declared.Node(ref)
		if n == nil || e.Action != ledger.Deploy || e.Model == nil {
			continue
		}
		if spec, ok := n.Decl.Spec.(schemas.Serves); ok && spec.Serves().Model == model &&
			(newest == nil || guarded(e) && !guarded(newest) || guarded(e) == guarded(newest) && e.Seq > newest.Seq) {
			newest = e
		}
	}
	return newest
}

// champions notes what each model that is scored is compared with.
func (w *Snapshot) champions() {
	w.Champions = map[schemas.Ref]*ledger.Entry{}
	for i := range w.Graph.Nodes {
		if n := &w.Graph.Nodes[i]; n.Scored != nil {
			w.Champions[n.Ref] = w.champion(n.Ref)
		}
	}
}

// compareAgain notes the selections that were compared with another model than the one that is
// served now: that may be better than both.
func (w *Snapshot) compareAgain() {
	w.champions()
	if len(w.Champions) == 0 {
		return
	}
	for _, s := range plan.Compute(w.Graph, w.Observed).Steps {
		champion, e := w.Champions[s.Ref], w.Facts.ByKey[s.Key]
		if champion == nil || s.Do != plan.Keep || e == nil || e.Model == nil || champion.Model.Artifact.Digest == e.Model.Artifact.Digest {
			continue
		}
		for _, was := range e.Scores {
			if is := champion.Model.Artifact.Digest; was.Champion != is {
				w.Unfit[s.Key] = fmt.Sprintf("entry %d compared it with %s, and %s is served now", e.Seq, cmp.Or(was.Champion.Short(), "no other model"), is.Short())
			}
		}
	}
}
