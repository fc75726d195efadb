// Scoring: the model that would be released, and the one that is served, are run on the same rows,
// each once for its bytes, the rows' and the code's. Where one of them cannot be scored, nothing is
// compared, and nothing is released.

package execute

import (
	"context"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// OldRows is the rule of a warning about rows that are no longer to be had.
const OldRows = "model/old-rows"

// evaluate scores the model that j selects, and what is served.
func (a *execution) evaluate(ctx context.Context, j *job, model port.Artifact) ([]ledger.Score, []ledger.Finding, error) {
	all, err := plan.Evaluations(j.node, plan.Comparison{Model: model, Champion: a.Champions[j.Ref], Input: a.input, Facts: a.Facts})
	if err != nil || len(all) == 0 {
		return nil, nil, err
	}
	if err := a.Keep(ctx, j.node.Scored.Code); err != nil {
		return nil, nil, err
	}
	var done []plan.Evaluation
	var found []ledger.Finding
	gone := map[string]bool{}
	for _, e := range all {
		if e.Before && !gone[e.Rows] && !e.Champion {
			has, err := artifact.Has(ctx, a.Store, e.Data)
			if err != nil {
				return nil, nil, err
			}
			if gone[e.Rows] = !has; !has {
				found = append(found, ledger.Finding{Rule: OldRows, Level: ledger.Warn, Ref: j.Ref, Hint: "restore the store that had them to compare on them too",
					Message: fmt.Sprintf("the rows %s that the model which is served was compared on as %s are not in the store: both are compared on today's alone", e.Data.Digest.Short(), e.Rows)})
			}
		}
		if e.Before && gone[e.Rows] {
			continue
		}
		made, err := a.score(ctx, j, e)
		if err != nil {
			return nil, nil, err
		}
		e.Metrics, e.Seq = made.Metrics, made.Seq
		done = append(done, e)
	}
	scores, _ := plan.Scores(done)
	return scores, found, nil
}

// score is the entry of one evaluation, which is carried out where there is none.
func (a *execution) score(ctx context.Context, j *job, e plan.Evaluation) (*ledger.Entry, error) {
	defer a.lock(e.Key)()
	if known := a.entry(e.Key); known != nil {
		return known, nil
	}
	which := "the model that would be released"
	if e.Champion {
		which = "the model that is served"
	}
	s := plan.Step{Ref: j.Ref, Key: e.Key, Why: fmt.Sprintf("%s, %s, scored on %s", which, e.Model.Digest.Short(), e.Rows)}
	if e.Before {
		s.Why += " as it was"
	}
	if why := a.spent(s, j.node); why != "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s: scoring %s on %s %s", j.Ref, which, e.Rows, why), "have it tried again: vishwa retry %s", j.Ref)
	}
	if has, err := artifact.Has(ctx, a.Store, e.Model); err != nil || !has {
		if err == nil {
			err = fault.WithHint(fault.New(fault.Missing, "%s: %s, %s, is not in the store, and cannot be compared", j.Ref, which, e.Model.Digest.Short()), "restore the store that had it")
		}
		return nil, err
	}
	a.sendEvent(j.Ref, Output, s.Why)
	if again := a.Unfit[e.Key]; again != "" {
		s.Why = again
	}
	run := &job{Step: s, node: j.node, recipe: e.Recipe}
	work, err := a.scoring(run, e)
	if err != nil {
		return nil, err
	}
	r, err := a.tried(ctx, run, work)
	if err != nil {
		j.seq = run.seq
		return nil, err
	}
	entry := a.base(ledger.Evaluate, run)
	entry.Metrics, entry.Run, entry.Again = r.Metrics, ranOn(work, r), a.Unfit[e.Key] != ""
	got, err := a.Append(context.WithoutCancel(ctx), entry)
	if err != nil {
		return nil, fmt.Errorf("record a score of %s: %w", j.Ref, err)
	}
	made := &got
	if got.Duplicate {
		if made, err = a.First(context.WithoutCancel(ctx), got.Key); err != nil {
			return nil, fmt.Errorf("read the entry that came first: %w", err)
		}
	}
	key := made.Key
	a.mu.Lock()
	a.byKey[key] = made
	a.mu.Unlock()
	return made, nil
}

// scored is the evaluation that this act recorded, or went by, with that number.
func (a *execution) scored(seq int64) *ledger.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.byKey {
		if e.Seq == seq && e.Action == ledger.Evaluate {
			return e
		}
	}
	return nil
}

// scoring is the job of one evaluation.
func (a *execution) scoring(j *job, e plan.Evaluation) (port.Job, error) {
	n, spec := j.node.Scored, j.node.Decl.Spec.(schemas.Evaluates).Evaluates()
	model := e.Model
	out := port.Job{
		Key: j.Key, Ref: j.Ref, Command: j.recipe.Command, Code: n.Code, Lock: n.Lock, Params: j.recipe.Params, RunsOn: n.RunsOn, Scores: &model,
		Inputs: map[string]port.Artifact{schemas.RowsInput: e.Data}, Pass: spec.Env.Pass, Timeout: spec.Timeout.Or(time.Hour), Network: spec.Network,
		Isolation: a.leastAgain(j),
	}
	for name, ref := range n.Inputs {
		in, err := a.input(ref)
		if err != nil {
			return out, err
		}
		out.Inputs[name] = in
	}
	return out, nil
}
