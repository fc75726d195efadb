// Package plan decides what to do. It is a pure function of what is declared,
// what is known and what time it is.
package plan

import (
	"iter"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Do is what a step does.
type Do string

const (
	Pin    Do = "pin"    // name the data
	Make   Do = "make"   // never made
	Remake Do = "remake" // made from something else
	Keep   Do = "keep"   // up to date
	Retire Do = "retire" // no longer declared
)

// Step is one action on one ref.
type Step struct {
	Ref     schemas.Ref   `json:"ref"`
	Do      Do            `json:"do"`
	Key     digest.Digest `json:"key,omitempty"`     // none while Pending
	Pending bool          `json:"pending,omitempty"` // an input is not made yet: the step may turn out to be a keep
	Why     string        `json:"why"`
	// Failed says that the step's own plan was tried and failed: Why tells of what. A step
	// that is Pending without it waits for something. Of a deployment it says that it could not be asked
	// how it stands: Held tells why.
	Failed bool `json:"failed,omitempty"`
	// Passing says that it failed for a reason that may pass by itself, and is nobody's mistake.
	Passing bool                  `json:"passing,omitempty"`
	Needs   []schemas.Ref         `json:"needs,omitempty"` // steps that come first
	Model   digest.Digest         `json:"model,omitempty"` // deployments: the model that will be served, where known
	Actions []port.ResourceAction `json:"actions,omitempty"`
	Change  digest.Digest         `json:"change,omitempty"` // infrastructure: names the Terraform change
	Drift   []string              `json:"drift,omitempty"`  // infrastructure: addresses that are not as they were left
	Tests   *port.Tests           `json:"tests,omitempty"`  // infrastructure: how its module's own went; nil: it has none
	Held    string                `json:"held,omitempty"`   // why the step may not go on; set by Gate
	// Aside is what more the user of this machine may be told of what could not be looked at, and what to do; it is no part of what others read.
	Aside string `json:"-"`
	// Until is when a held step may go on by itself; zero: at no time that is known.
	Until time.Time `json:"until,omitzero"`
	// Restores says that the very release that was deployed and recorded before is
	// brought back: nothing new is released.
	Restores bool `json:"restores,omitempty"`
	// Move is what is done about a release that is tried beside the one that serves; nil: nothing.
	Move *Move `json:"rollout,omitempty"`
	// Canary names how releases of a deployment are tried: an approval is of that, too.
	Canary digest.Digest `json:"canary,omitempty"`
	// Cost is what a run is estimated to cost; nil: nobody gives prices, or it is not known.
	Cost *float64 `json:"estimatedCost,omitempty"`
	// Monthly is what infrastructure is estimated to cost; nil: nobody gives prices of resources, or there is no plan.
	Monthly *Monthly `json:"estimatedMonthlyCost,omitempty"`
	// RunsOn is where a run is carried out, and on what; nil: a process of this machine.
	RunsOn *schemas.RunsOn `json:"runsOn,omitempty"`
	// Evaluations are those that the model is judged by, with what is known of them; none while
	// it is not known which candidate is the best, and of a step that does nothing.
	Evaluations []Evaluation     `json:"evaluations,omitempty"`
	Pos         schemas.Position `json:"pos,omitzero"`
	timed       bool             // it is held for a time
	rests       bool             // see Asks
	look        time.Time        // when to look again whether it is, where Until is not known
	scorings    int              // at most, while Evaluations are not known
}

// Asks tells whether s is to do something as soon as nothing holds it. A release that waits next to the one that serves, or was rolled back, asks
// for nothing, and neither does what is suspended or could not be asked how it stands: it is held whatever rules say, and nobody says no to it.
func (s Step) Asks() bool { return !s.rests }

// Unanswered tells whether s is of a deployment that could not be asked how it stands, whatever holds it.
func (s Step) Unanswered() bool { return s.Failed && s.Ref.Kind.Traits().Serves }

// Unasked tells whether nothing is due about s, a deployment, by the ledger, and it could not be asked how it stands.
func (s Step) Unasked() bool { return s.Failed && s.Restores }

// Judged tells whether rules are asked about s: about what does something, and where all are, about all. None is asked about a deployment of which
// it is not known what is due; and unless all are, none about what goes back, which does not wait for a yes.
func (s *Step) Judged(all bool) bool { return (all || s.Do != Keep && !s.Back()) && !s.Unanswered() }

// runs is how many runs s begins, at most.
func (s Step) runs() int {
	switch {
	case s.Do == Keep || s.Do == Retire || s.Held != "":
		return 0
	case s.Ref.Kind.Traits().Runs:
		return 1
	case len(s.Evaluations) == 0:
		return s.scorings
	}
	n := 0
	for _, e := range s.Evaluations {
		if e.Metrics == nil {
			n++
		}
	}
	return n
}

// Keys are all under which s runs something: its own, and those of its evaluations.
func (s Step) Keys() []digest.Digest {
	var out []digest.Digest
	if s.Key != "" {
		out = append(out, s.Key)
	}
	for _, e := range s.Evaluations {
		out = append(out, e.Key)
	}
	return out
}

// Plan is what to do, in an order that respects Needs.
type Plan struct {
	Schema   string           `json:"schema"`
	Revision string           `json:"revision,omitempty"` // commit; none for a work tree that differs from it
	Tree     digest.Digest    `json:"tree"`               // of everything declared and all that it names
	Policy   digest.Digest    `json:"policy"`
	Trust    digest.Digest    `json:"trust,omitempty"`
	Targets  []schemas.Ref    `json:"targets,omitempty"` // limited to these and what they need
	Steps    []Step           `json:"steps"`
	Findings []ledger.Finding `json:"findings,omitempty"` // set by Gate
	Cost     *Cost            `json:"estimatedCost,omitempty"`
	Monthly  *Monthly         `json:"estimatedMonthlyCost,omitempty"` // of all infrastructure that is declared; nil: nobody gives prices of resources
}

// Digest names what the plan does: what an approval is bound to. What only people
// read (reasons, positions) and what judging adds (held steps, findings) is no
// part of it, so that an approval does not change what it approves. Nor is the
// revision: a pull request that is merged, squashed or rebased asks for the same.
// Nor is a deployment of which nothing is due by the ledger, and that could not be
// asked how it stands: nothing is done about it, and approvals of the rest hold.
func (p Plan) Digest() digest.Digest {
	var steps iter.Seq[digest.Members] = func(yield func(digest.Members) bool) {
		var all [7]digest.Member
		for s := range p.Working() {
			if s.Unasked() {
				continue
			}
			row := digest.Members(all[:0])
			add := func(name string, v any, is bool) {
				if is {
					row = append(row, digest.Member{Name: name, Value: v})
				}
			}
			add("canary", s.Canary, s.Canary != "")
			add("change", s.Change, s.Change != "")
			add("do", string(s.Do), true)
			add("key", s.Key, s.Key != "")
			add("model", s.Model, s.Model != "")
			add("pending", true, s.Pending)
			add("ref", s.Ref.String(), true)
			if !yield(row) {
				return
			}
		}
	}
	d, err := new(digest.Namer).Object(digest.Members{
		{Name: "policy", Value: p.Policy}, {Name: "schema", Value: p.Schema}, {Name: "steps", Value: steps},
		{Name: "targets", Value: p.Targets}, {Name: "tree", Value: p.Tree}, {Name: "trust", Value: p.Trust},
	})
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	return d
}

// Failed is the steps whose own plan failed, for something that a person corrects.
func (p Plan) Failed() []schemas.Ref { return p.failed(false) }

// Passing is the steps whose own plan failed for a reason that may pass.
func (p Plan) Passing() []schemas.Ref { return p.failed(true) }

func (p Plan) failed(passing bool) (refs []schemas.Ref) {
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Do != Keep && s.Failed && s.Passing == passing {
			refs = append(refs, s.Ref)
		}
	}
	return refs
}
