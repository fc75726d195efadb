// Evaluations: what a model is scored on, and with it the one that is served, so that both can be
// compared on the same rows. The plan previews them, the act carries them out: a score has one key.

package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/selection"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Evaluation is one model scored on rows.
type Evaluation struct {
	Rows     string             `json:"rows"`
	Before   bool               `json:"before,omitempty"`   // see ledger.Score
	Champion bool               `json:"champion,omitempty"` // of the model that is served, and not of the one that would be
	Model    port.Artifact      `json:"model"`
	Data     port.Artifact      `json:"data"`
	Key      digest.Digest      `json:"key"`
	Recipe   port.Recipe        `json:"-"`
	Metrics  map[string]float64 `json:"metrics,omitempty"` // nil: it is to be carried out
	Seq      int64              `json:"entry,omitempty"`
}

// Comparison is what decides on evaluations besides the declaration.
type Comparison struct {
	Model    port.Artifact
	Champion *ledger.Entry                                // the deployment of what is served; nil is none
	Input    func(ref schemas.Ref) (port.Artifact, error) // what a ref of the evaluation was made as
	Facts    *ledger.Facts
}

// Evaluations lists how the model of n is scored, and how what is served is, in their order. The
// same model is scored once.
func Evaluations(n *graph.Node, c Comparison) ([]Evaluation, error) {
	if n.Scored == nil {
		return nil, nil
	}
	read := map[string]digest.Digest{}
	for name, ref := range n.Scored.Inputs {
		art, err := c.Input(ref)
		if err != nil {
			return nil, err
		}
		read["input/"+name] = art.Digest
	}
	models := []Evaluation{{Model: c.Model}}
	if c.champion() != "" {
		models = append(models, Evaluation{Model: c.Champion.Model.Artifact, Champion: true})
	}
	var out []Evaluation
	for _, name := range slices.Sorted(maps.Keys(n.Scored.Rows)) {
		all, err := c.rows(n, name)
		if err != nil {
			return nil, err
		}
		for i, rows := range all {
			for _, e := range models {
				e.Rows, e.Before, e.Data, e.Recipe = name, i > 0, rows, n.Scored.Recipe
				e.Recipe.Inputs = maps.Clone(read)
				e.Recipe.Inputs["model"], e.Recipe.Inputs["rows"] = e.Model.Digest, rows.Digest
				if e.Key, err = e.Recipe.Key(); err != nil {
					return nil, fault.New(fault.Internal, "name an evaluation of %s: %w", n.Ref, err)
				}
				if known := c.Facts.ByKey[e.Key]; known != nil && known.Action == ledger.Evaluate {
					e.Metrics, e.Seq = known.Metrics, known.Seq
				}
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// champion is the model that is served, where it is another one.
func (c Comparison) champion() digest.Digest {
	if c.Champion == nil || c.Champion.Model == nil || c.Champion.Model.Artifact.Digest == c.Model.Digest {
		return ""
	}
	return c.Champion.Model.Artifact.Digest
}

// rows are those that are declared, and then those that what is served was selected with, where
// they were others: a new model is not judged by new rows alone.
func (c Comparison) rows(n *graph.Node, name string) ([]port.Artifact, error) {
	now, err := c.Input(n.Scored.Rows[name])
	if err != nil || c.champion() == "" {
		return []port.Artifact{now}, err
	}
	selected := c.Facts.Selection(c.Champion)
	if selected == nil || selected.Ref != n.Ref {
		return []port.Artifact{now}, nil
	}
	i := slices.IndexFunc(selected.Scores, func(s ledger.Score) bool { return s.Rows == name && !s.Before })
	if i < 0 || selected.Scores[i].Data == now.Digest {
		return []port.Artifact{now}, nil
	}
	was := selected.Scores[i].Data
	for e := range c.Facts.Made() {
		for _, out := range e.Outputs {
			if out.Digest == was {
				return []port.Artifact{now, out.Artifact}, nil
			}
		}
	}
	return nil, fault.WithHint(fault.New(fault.Missing, "%s: no entry names the rows %s any more that entry %d compared on as %s", n.Ref, was.Short(), selected.Seq, name),
		"say the rows by another name below spec.evaluate.rows")
}

// Scores are evaluations as they stand in an entry, a line for each set of rows; false where one
// of them is not carried out yet.
func Scores(all []Evaluation) (out []ledger.Score, whole bool) {
	whole = true
	for _, e := range all {
		i := slices.IndexFunc(out, func(s ledger.Score) bool { return s.Rows == e.Rows && s.Before == e.Before })
		if i < 0 {
			i = len(out)
			out = append(out, ledger.Score{Rows: e.Rows, Before: e.Before, Data: e.Data.Digest})
		}
		s := &out[i]
		if e.Champion {
			s.Champion, s.ChampionMetrics, s.ChampionSeq = e.Model.Digest, e.Metrics, e.Seq
		} else {
			s.Metrics, s.Seq = e.Metrics, e.Seq
		}
		whole = whole && e.Metrics != nil
	}
	slices.SortStableFunc(out, func(a, b ledger.Score) int {
		return cmp.Or(strings.Compare(a.Rows, b.Rows), boolean(a.Before)-boolean(b.Before))
	})
	return out, whole
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// evaluations are those of a model whose candidates are made, and hold its step where one of them
// failed as often as it may.
func (c *computing) evaluations(n *graph.Node, s *Step) {
	spec, ok := n.Decl.Spec.(schemas.Selects)
	if n.Scored == nil || !ok || s.Do == Keep {
		return
	}
	of := func(ref schemas.Ref) *ledger.Entry { return c.seen.Facts.ByKey[c.key(ref)] }
	_, trained, _ := selection.Best(n.Candidates(), spec.Selects().By, of)
	if trained == nil || slices.ContainsFunc(n.Scored.Reads(), func(ref schemas.Ref) bool { return of(ref) == nil }) {
		return // it is told when they are made
	}
	all, err := Evaluations(n, Comparison{Model: trained.Outputs.Named("model"), Champion: c.seen.Champions[n.Ref], Facts: c.seen.Facts,
		Input: func(ref schemas.Ref) (port.Artifact, error) { return InputOf(ref, of) }})
	if err != nil {
		s.Held = cmp.Or(s.Held, err.Error())
		return
	}
	for i := range all {
		if c.seen.Unfit[all[i].Key] != "" {
			all[i].Metrics, all[i].Seq = nil, 0 // it is carried out again
		}
	}
	s.Evaluations = all
	for _, e := range all {
		if e.Metrics == nil {
			s.Held = cmp.Or(s.Held, c.spent(n, e.Key))
		}
	}
}

// InputOf is what ref, as an input names it, was made as, by the entries of nodes.
func InputOf(ref schemas.Ref, of func(schemas.Ref) *ledger.Entry) (port.Artifact, error) {
	e := of(ref)
	if e == nil {
		e = of(ref.Whole())
	}
	if e == nil {
		return port.Artifact{}, fault.New(fault.Internal, "input %s is not made", ref)
	}
	switch {
	case ref.Kind.Traits().Pinned:
		return e.Outputs.Named("data"), nil
	case ref.Output == "" && len(e.Outputs) == 1:
		return e.Outputs[0].Artifact, nil
	}
	art, ok := e.Outputs.Find(ref.Output)
	if !ok {
		return art, fault.New(fault.Missing, "%s has no output %q", ref.Whole(), ref.Output)
	}
	return art, nil
}
