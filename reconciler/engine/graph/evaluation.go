// How a model is scored, as far as that is declared: the model and the rows are known when it is done.

package graph

import (
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/schemas"
)

// EvaluationKind is the kind that recipes of evaluations say.
const EvaluationKind = "Evaluation"

// Evaluation scores a model. As a node it is the model's: it stands in no order of its own, and its
// recipe lacks the model and the rows.
type Evaluation struct {
	Node
	Rows map[string]schemas.Ref // by the name that gates have for them
}

// Candidates are the inputs of a model that are compared; the others are what it is scored with.
func (n *Node) Candidates() map[string]schemas.Ref {
	if n.Scored == nil {
		return n.Inputs
	}
	out := maps.Clone(n.Inputs)
	maps.DeleteFunc(out, func(_ string, ref schemas.Ref) bool {
		return ref.Kind.Traits().Outputs != schemas.CandidateOutputs
	})
	return out
}

// Reads lists the nodes whose data an evaluation reads, sorted.
func (e *Evaluation) Reads() []schemas.Ref {
	if e == nil {
		return nil
	}
	var out []schemas.Ref
	for _, all := range []map[string]schemas.Ref{e.Rows, e.Inputs} {
		for _, ref := range all {
			if ref.Kind.Traits().Outputs == schemas.NamedOutputs {
				ref = ref.Whole()
			}
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, schemas.Ref.Compare)
	return slices.Compact(out)
}

// evaluation adds to n, a model's node, how it is scored. What decides on scores decides on what is
// released, and is part of the model's recipe too. It is false where that is too much.
func (b *builder) evaluation(d *schemas.Declaration, n *Node, spec *schemas.Evaluation) bool {
	if spec == nil {
		return true
	}
	e := &Evaluation{Node: b.node(d, spec, 1), Rows: spec.Rows}
	e.Recipe.Kind = EvaluationKind
	if !b.work(d, &e.Node, spec.Work, 1) || !b.weigh(d, "spec.evaluate.rows", 2*(len(spec.Rows)+len(spec.Inputs))*perInput+weight(spec.Params)) {
		return false
	}
	b.place(&e.Node, spec.RunsOn, nil)
	e.Recipe.Params, e.Inputs = spec.Params, spec.Inputs
	n.Scored = e
	n.Recipe.Command, n.Recipe.Code, n.Recipe.Env = e.Recipe.Command, e.Recipe.Code, e.Recipe.Env
	n.Recipe.Params, n.Recipe.Image = e.Recipe.Params, e.Recipe.Image
	for name, ref := range spec.Rows {
		n.Inputs["rows/"+name] = ref
	}
	for name, ref := range spec.Inputs {
		n.Inputs["evaluate/"+name] = ref
	}
	return true
}
