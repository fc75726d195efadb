// How a model is scored apart from its training: by a command that reads it, on rows that are
// declared, so that two models can be compared on the same ones.

package schemas

import (
	"maps"
	"slices"
)

// Evaluation is a command that scores a model. It finds the model's files at VISHWA_MODEL_DIR and the rows at VISHWA_INPUT_ROWS, and writes metrics to VISHWA_METRICS as a training does; a metric named rows is how many rows there were.
type Evaluation struct {
	Work
	Limits
	RunsOn
	// Rows maps a name to rows that models are scored on: a dataset, or an output of a transform. Gates and comparisons say the name.
	Rows map[string]Ref `json:"rows" jsonschema:"required" part:"recipe"`
	// Inputs maps a name to more that each run reads, at VISHWA_INPUT_<NAME>.
	Inputs map[string]Ref `json:"inputs,omitempty" part:"recipe"`
	// Params are handed to the run as JSON, at VISHWA_PARAMS.
	Params map[string]any `json:"params,omitempty" part:"recipe"`
}

// RowsInput is the input by which an evaluation finds what it scores a model on.
const RowsInput = "rows"

// Evaluates is what scores models by a command.
type Evaluates interface {
	// Evaluates is the command, nil where none is declared.
	Evaluates() *Evaluation
}

func (s *Model) Evaluates() *Evaluation { return s.Evaluate }

// Command is that of the evaluation.
func (s *Model) Command() (*Work, string) {
	if s.Evaluate == nil {
		return nil, ""
	}
	return &s.Evaluate.Work, evaluate
}

// Bounds are those of the evaluation.
func (s *Model) Bounds() Limits {
	if s.Evaluate == nil {
		return Limits{}
	}
	return s.Evaluate.Limits
}

// Imaged is the image that evaluations run in.
func (s *Model) Imaged() (string, string) {
	if s.Evaluate == nil {
		return "", ""
	}
	return s.Evaluate.Image, evaluate + ".image"
}

const evaluate = "spec.evaluate" // the field of a model

func (e *Evaluation) check(c *checker, d *document) {
	if e == nil {
		return
	}
	if len(e.Run) == 0 && !d.wrong(evaluate+".run") {
		d.problem(evaluate, "runs nothing; give it run, the command and its arguments")
	}
	c.work(d, evaluate, e.Work)
	c.duration(d, evaluate+".timeout", e.Timeout)
	c.placed(d, evaluate, e.RunsOn, nil)
	if e.Nodes > 1 {
		d.problem(evaluate+".nodes", "an evaluation is one process, on one machine; remove it")
	}
	if len(e.Rows) == 0 && !d.wrong(evaluate+".rows") {
		d.problem(evaluate+".rows", "names no rows to score models on; name a dataset, or an output of a transform")
	}
	c.inputs(d, evaluate+".inputs", e.Inputs)
	for _, name := range slices.Sorted(maps.Keys(e.Inputs)) {
		if envName(name) == envName(RowsInput) {
			d.problem(evaluate+".inputs."+name, "is the name of what a model is scored on, which %s.rows gives; use another name", evaluate)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Rows)) {
		if !variable(name) {
			d.problem(evaluate+".rows."+name, "%s is not a plain name; use letters, digits and underscores", short(name))
		}
		c.output(d, evaluate+".rows."+name, e.Rows[name])
	}
	d.arguments(evaluate, e.Run, given{params: e.Params, inputs: append(keysOf(e.Inputs), RowsInput)})
}

// rows checks that a gate's rows are declared.
func (g Gate) rows(d *document, at string, e *Evaluation) {
	if g.Rows == "" || d.wrong(evaluate) {
		return
	}
	var names []string
	if e != nil {
		names = slices.Sorted(maps.Keys(e.Rows))
	}
	if !slices.Contains(names, g.Rows) && !d.has(evaluate+".rows."+g.Rows) {
		d.problem(at+".rows", "%s is none of the rows that models are scored on%s", short(g.Rows), meantOr(g.Rows, names, "declare it below spec.evaluate.rows"))
	}
}
