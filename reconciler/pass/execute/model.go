// A model: the best candidate is selected, judged, signed and released.

package execute

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/selection"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// choose selects the best candidate, has it judged, signed and recorded.
func (a *execution) choose(ctx context.Context, j *job) error {
	spec := j.node.Decl.Spec.(schemas.Selects).Selects()
	best, trained, without := selection.Best(j.node.Candidates(), spec.By, a.of)
	for _, ref := range without {
		a.sendEvent(j.Ref, Output, ref.String()+" does not report "+a.lacks(spec.By, ref)+" (spec.select): it is not compared")
	}
	if n := a.endedEarly(j); n > 0 {
		a.sendEvent(j.Ref, Output, plural.Of(n, "trial")+" of "+spec.From.String()+" ended early (spec.search.stop): not compared")
	}
	if trained == nil {
		err := fault.New(fault.Invalid, "%s: no candidate of %s reports %s; %s", j.Ref, spec.From, wanted(spec.By), a.reported(j))
		return a.failure(ctx, j, ledger.Failure{Cause: fault.Invalid.String(), Message: err.Error()},
			fault.WithHint(err, "correct spec.select.metric, or have the training write it to the file that VISHWA_METRICS names"))
	}
	model := &ledger.Model{Candidate: best, Artifact: trained.Outputs.Named("model")}
	if j.node.Scored != nil { // no code reads a model that rules do not let by
		if err := a.judge(ctx, j, Material{Model: model, Metrics: trained.Metrics, Unscored: true}); err != nil {
			return err
		}
	}
	scores, found, err := a.evaluate(ctx, j, model.Artifact)
	if err != nil {
		return err
	}
	for _, line := range templates.Scores(scores) {
		a.sendEvent(j.Ref, Output, line)
	}
	if err := a.judge(ctx, j, Material{Model: model, Metrics: trained.Metrics, Scores: scores}); err != nil {
		return err
	}
	released, err := a.Release(ctx, j.node, a.Graph.Node(best), trained)
	if err != nil {
		return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	failpoint.At(failpoint.Signed)
	e := a.base(done(j), j)
	e.Model, e.Metrics, e.Scores, e.Findings = released, trained.Metrics, scores, append(e.Findings, found...)
	e.Outputs = ledger.Outputs{{As: "model", Artifact: released.Artifact}}
	return a.record(ctx, j, e)
}

// endedEarly is how many of the candidates of j were.
func (a *execution) endedEarly(j *job) (n int) {
	for _, ref := range j.node.Candidates() {
		if a.of(ref).Stopped() != nil {
			n++
		}
	}
	return n
}

// wanted are the metrics that a selection goes by.
func wanted(by schemas.Selection) string {
	names := []string{by.Metric + " (spec.select.metric)"}
	for _, o := range by.Objectives {
		names = append(names, o.Metric)
	}
	return strings.Join(names, " and ")
}

// lacks are those of them that a candidate does not report.
func (a *execution) lacks(by schemas.Selection, ref schemas.Ref) string {
	var names []string
	for _, o := range by.All() {
		if _, there := a.of(ref).Metrics[o.Metric]; !there {
			names = append(names, o.Metric)
		}
	}
	return strings.Join(names, " and ")
}

// reported says which metrics the candidates do report.
func (a *execution) reported(j *job) string {
	names := map[string]bool{}
	for _, ref := range j.node.Candidates() {
		if e := a.of(ref); e != nil {
			for m := range e.Metrics {
				names[m] = true
			}
		}
	}
	if len(names) == 0 {
		return "they report no metrics"
	}
	return "they report " + strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}
