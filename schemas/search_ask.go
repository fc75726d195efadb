// A search whose next trials a command says by what the last ones came to: ask and tell, as samplers have it. The command is asked round by
// round, each of which is a run with a key, so that what was said once is said for ever.

package schemas

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// AskedSearch asks a command of the repository what to try: Optuna, or any other sampler. It is begun once a round, with nothing of the rounds before but the file at VISHWA_INPUT_TRIALS, and writes the parameters of the round's trials to VISHWA_OUTPUT_TRIALS.
type AskedSearch struct {
	Work
	Limits
	RunsOn
	// Trials is how many are tried: what the search may cost.
	Trials int `json:"trials" jsonschema:"required,minimum=1,maximum=1000" part:"recipe"`
	// Batch is how many trials are asked for at once; they run side by side.
	Batch int `json:"batch,omitempty" jsonschema:"minimum=1,maximum=100,default=1" part:"recipe"`
	// Seed is handed to the command, which draws by it.
	Seed int64 `json:"seed,omitempty" jsonschema:"minimum=0,default=0" part:"recipe"`
	// Metric is the dotted name of the metric that the command reads of each trial, such as test.roc_auc.
	Metric string `json:"metric" jsonschema:"required,minLength=1" part:"recipe"`
	// Goal is the direction of better.
	Goal string `json:"goal,omitempty" jsonschema:"enum=maximize,enum=minimize,default=maximize" part:"recipe"`
	// Space maps a parameter to what it may be. What the command says beyond it is refused.
	Space map[string]Range `json:"space" jsonschema:"required" part:"recipe"`
}

// TrialsFile is the input and the output of a command that is asked for trials.
const TrialsFile = "trials"

const ask = "spec.search.ask" // the field of a training

// Asks is what may search by asking a command.
type Asks interface {
	// Asked is the search, nil where it is none of these.
	Asked() *AskedSearch
}

// Asked implements Asks.
func (s *Training) Asked() *AskedSearch {
	if s.Search == nil {
		return nil
	}
	return s.Search.Ask
}

// TrialName names a trial by its number, from 1.
func TrialName(n int) string { return fmt.Sprintf("trial-%04d", n) }

// AskName names the run that says the trials of a round, from 1, of a training.
func AskName(training string, round int) string { return fmt.Sprintf("%s-ask-%03d", training, round) }

// AskRef is its ref: of the kind of runs that make data, which nobody declares.
func AskRef(training string, round int) Ref {
	makes := KindsThat(func(t Traits) bool { return t.Runs && t.Names == NamedByOutputs })
	return Ref{Kind: makes[0], Name: AskName(training, round)}
}

// Rounds are the numbers of the trials that each round asks for.
func (a *AskedSearch) Rounds() (out [][]int) {
	for n := 1; n <= min(a.Trials, MaxCandidates+1); n++ {
		if (n-1)%max(1, a.Batch) == 0 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], n)
	}
	return out
}

// Transform is the run that says so many trials.
func (a *AskedSearch) Transform(trials int) *Transform {
	goal := a.Goal
	if goal == "" {
		goal = "maximize"
	}
	return &Transform{Work: a.Work, Limits: a.Limits, RunsOn: a.RunsOn, Outputs: map[string]string{TrialsFile: TrialsFile + ".json"},
		Params: map[string]any{"ask": trials, "seed": a.Seed, "metric": a.Metric, "goal": goal, "space": a.Space}}
}

func (a *AskedSearch) candidates() map[string]Candidate {
	out := map[string]Candidate{}
	for _, round := range a.Rounds() {
		for _, n := range round {
			out[TrialName(n)] = Candidate{}
		}
	}
	return out
}

// drawn are params with a value for each parameter of the space: of several, one that no argument can be, where there is one.
func (a *AskedSearch) drawn(params map[string]any) map[string]any {
	out := maps.Clone(params)
	if out == nil {
		out = map[string]any{}
	}
	for name, r := range a.Space {
		out[name] = 0
		for i, v := range r.Values {
			if _, plain := ParamText(v); i == 0 || !plain {
				out[name] = v
			}
		}
	}
	return out
}

// MostSaid is how many bytes of JSON the parameters of a trial come to at most.
func (a *AskedSearch) MostSaid() (n int) {
	const number = 25 // the longest that JSON has of a float64
	for name, r := range a.Space {
		longest := number
		for _, v := range r.Values {
			longest = max(longest, len(spelled(v)))
		}
		n += len(name) + longest + len(`"":,`)
	}
	return n
}

// Read takes what a command said of a round: a list of so many objects, each with a value for every parameter of the space.
func (a *AskedSearch) Read(raw []byte, trials int) ([]map[string]any, error) {
	refuse := func(format string, args ...any) ([]map[string]any, error) {
		return nil, fault.WithHint(fault.New(fault.Invalid, format, args...), "have the command write a list of %d objects to VISHWA_OUTPUT_TRIALS, each with a value for every parameter of %s.space", trials, ask)
	}
	var said []map[string]any
	if err := json.Unmarshal(raw, &said); err != nil {
		return refuse("what it wrote is no list of objects in JSON")
	}
	if len(said) != trials {
		return refuse("it says %d trials where %d are asked for", len(said), trials)
	}
	for i, params := range said {
		for _, name := range slices.Sorted(maps.Keys(params)) {
			if _, declared := a.Space[name]; !declared {
				return refuse("trial %d of the round has a parameter %s, which the space does not have", i+1, short(name))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(a.Space)) {
			v, there := params[name]
			if !there {
				return refuse("trial %d of the round has no %s", i+1, name)
			}
			if !a.Space[name].has(v) {
				return refuse("trial %d of the round has %s for %s, which is outside of the space", i+1, cut(spelled(v)), name)
			}
		}
	}
	return said, nil
}

// cut is the beginning of what a command wrote.
func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), 60)], "") }

// has tells whether v can be drawn.
func (r Range) has(v any) bool {
	if len(r.Values) > 0 {
		is := spelled(v)
		return slices.ContainsFunc(r.Values, func(one any) bool { return spelled(one) == is })
	}
	n, is := v.(float64)
	return is && r.Min != nil && r.Max != nil && n >= *r.Min && n <= *r.Max && (!r.Integer || n == math.Trunc(n))
}

func (a *AskedSearch) check(c *checker, d *document) {
	if a == nil {
		return
	}
	if len(a.Run) == 0 && !d.wrong(ask+".run") {
		d.problem(ask, "runs nothing; give it run, the command and its arguments")
	}
	c.work(d, ask, a.Work)
	c.duration(d, ask+".timeout", a.Timeout)
	c.placed(d, ask, a.RunsOn, nil)
	d.arguments(ask, a.Run, given{params: a.Transform(1).Params, inputs: []string{TrialsFile}, outputs: []string{TrialsFile}})
	if a.Nodes > 1 {
		d.problem(ask+".nodes", "what says the trials is one process, on one machine; remove it")
	}
	if name := AskName(d.decl.Metadata.Name, len(a.Rounds())); len(name) > mostLabel {
		d.problem("metadata.name", "is too long to name the runs of its search, such as %s; give it at most %d letters", name, mostLabel-len("-ask-001"))
	}
	space(d, ask+".space", a.Space)
}
