// What a search is told and what it says: a run that says trials is told of those before by their parameters and one metric, and nothing else of
// them is part of its key; a trial has the key of a candidate that declares its parameters.

package made

import (
	"maps"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// told is a trial as the next round is told of it.
type told struct {
	Name   string         `json:"name"`
	Params map[string]any `json:"params"`
	Value  *float64       `json:"value"` // of the metric; null where it reports none
	// Stopped is the step at which it was ended early: the value is the best that it had by then, where it was ended by the same metric.
	Stopped int64 `json:"stopped,omitempty"`
}

// Told is what a round of a search is told of the trials before, as the file that it reads.
func Told(ask *graph.Ask, of func(schemas.Ref) *ledger.Entry) ([]byte, []schemas.Ref, error) {
	return listed(ask, func(ref schemas.Ref) ([]byte, error) { return row(ask, ref, of(ref)) })
}

// listed is the canonical list of the rows of trials; a trial without one is waited for.
func listed(ask *graph.Ask, row func(schemas.Ref) ([]byte, error)) ([]byte, []schemas.Ref, error) {
	out, waits := []byte("["), []schemas.Ref(nil)
	for i, ref := range ask.Told {
		raw, err := row(ref)
		if err != nil {
			return nil, nil, err
		}
		if raw == nil {
			waits = append(waits, ref)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	if len(waits) > 0 {
		return nil, waits, nil
	}
	return append(out, ']'), nil, nil
}

// row is what is told of one trial; nil where it is not made.
func row(ask *graph.Ask, ref schemas.Ref, e *ledger.Entry) ([]byte, error) {
	if e == nil || !e.HasRecipe() {
		return nil, nil
	}
	t := told{Name: ref.Output, Params: map[string]any{}}
	params := e.Recipe().Params
	for name := range ask.Search.Space {
		t.Params[name] = params[name]
	}
	if v, there := e.Metrics[ask.Search.Metric]; there {
		t.Value = &v
	}
	if s := e.Stopped(); s != nil {
		if t.Stopped = s.Step; s.Metric == ask.Search.Metric {
			t.Value = s.Best
		}
	}
	raw, err := digest.Canonical(t)
	if err != nil {
		return nil, fault.New(fault.Internal, "tell %s of %s: %w", ask.Training, ref, err)
	}
	return raw, nil
}

// ask is the recipe of a run that says trials. Each trial is told of in all rounds after it, and its row is made once.
func (k Known) ask(n *graph.Node) (r port.Recipe, waits []schemas.Ref) {
	r = n.Recipe
	raw, waits, err := listed(n.Ask, func(ref schemas.Ref) ([]byte, error) {
		c, there := k[ref]
		if !there || c.row != nil {
			return c.row, nil
		}
		var err error
		c.row, err = row(n.Ask, ref, c.entry)
		k[ref] = c
		return c.row, err
	})
	if err != nil {
		panic(err) // what is told was read out of recipes and metrics, which have been encoded
	}
	if len(waits) > 0 {
		return r, waits
	}
	r.Inputs = map[string]digest.Digest{schemas.TrialsFile: digest.Of(raw)}
	return r, nil
}

// params are those of a trial, as its round has said them.
func (k Known) params(n *graph.Node) (map[string]any, []schemas.Ref) {
	by := k[*n.Trial].entry
	if by == nil || by.Asked[n.Ref.Output] == nil {
		return n.Recipe.Params, []schemas.Ref{*n.Trial}
	}
	out := maps.Clone(n.Recipe.Params)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, by.Asked[n.Ref.Output])
	return out, nil
}
