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
}

// Told is what a round of a search is told of the trials before, as the file that it reads.
func Told(ask *graph.Ask, of func(schemas.Ref) *ledger.Entry) ([]byte, []schemas.Ref, error) {
	all, waits := make([]told, 0, len(ask.Told)), []schemas.Ref(nil)
	for _, ref := range ask.Told {
		e := of(ref)
		if e == nil || e.Recipe == nil {
			waits = append(waits, ref)
			continue
		}
		t := told{Name: ref.Output, Params: map[string]any{}}
		for name := range ask.Search.Space {
			t.Params[name] = e.Recipe.Params[name]
		}
		if v, there := e.Metrics[ask.Search.Metric]; there {
			t.Value = &v
		}
		all = append(all, t)
	}
	if len(waits) > 0 {
		return nil, waits, nil
	}
	raw, err := digest.Canonical(all)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "tell %s of its trials: %w", ask.Training, err)
	}
	return raw, nil, nil
}

// ask is the recipe of a run that says trials.
func (k Known) ask(n *graph.Node) (r port.Recipe, waits []schemas.Ref) {
	r = n.Recipe
	raw, waits, err := Told(n.Ask, func(ref schemas.Ref) *ledger.Entry { return k[ref].entry })
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
