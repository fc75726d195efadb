// A search that asks: each round is a run that reads what the trials before came to, and says the parameters of the next. Which nodes
// there are is known from the start; which parameters a trial has, when its round has been asked.

package graph

import (
	"github.com/vishwaops/vishwa/schemas"
)

// AskKind is the kind that recipes of runs say which say trials.
const AskKind = "Ask"

// Ask is a run that says trials.
type Ask struct {
	Training schemas.Ref
	Search   *schemas.AskedSearch
	Says     []string      // the trials of its round, by name
	Told     []schemas.Ref // the trials of the rounds before, in their order
	last     []schemas.Ref // those of them that the round before said: they need all the others
}

// asked lists what n needs besides its inputs.
func (n *Node) asked() []schemas.Ref {
	switch {
	case n.Ask != nil:
		return n.Ask.last
	case n.Trial != nil:
		return []schemas.Ref{*n.Trial}
	}
	return nil
}

// Reads lists the nodes whose artifacts n, a run, reads. Trials are read of in the ledger.
func (n *Node) Reads() (out []schemas.Ref) {
	for _, need := range n.Needs {
		if n.Ask == nil && (n.Trial == nil || need != *n.Trial) {
			out = append(out, need)
		}
	}
	return out
}

// asks makes the runs of a search that asks, and tells which of them says a trial.
func (b *builder) asks(d *schemas.Declaration, spec *schemas.Training) map[string]*schemas.Ref {
	search := spec.Asked()
	if search == nil {
		return nil
	}
	says, told, last := map[string]*schemas.Ref{}, []schemas.Ref{}, []schemas.Ref(nil)
	rounds, most := search.Rounds(), search.MostSaid()
	for i, numbers := range rounds {
		t := search.Transform(len(numbers))
		ref := schemas.AskRef(d.Metadata.Name, i+1)
		run := &schemas.Declaration{APIVersion: d.APIVersion, Kind: ref.Kind.Traits().Name, Spec: t, Pos: d.Pos, Fields: d.Fields,
			Metadata: schemas.Metadata{Name: ref.Name, Description: "says trials of " + d.Ref().String()}}
		n := b.node(run, t, 1)
		n.Recipe.Kind = AskKind
		// It says so many and is told of so many before, anew at each plan.
		if !b.work(d, &n, t.Work, 1) || !b.weigh(d, "spec.search.ask.space", weight(t.Params)+(len(numbers)+len(told))*most) {
			return says
		}
		b.place(&n, t.RunsOn, nil)
		n.Recipe.Params = t.Params
		n.Ask = &Ask{Training: d.Ref(), Search: search, Told: told[:len(told):len(told)], last: last}
		last = nil
		for _, number := range numbers {
			name, ref := schemas.TrialName(number), d.Ref()
			ref.Output = name
			n.Ask.Says = append(n.Ask.Says, name)
			says[name], last = &n.Ref, append(last, ref)
		}
		told = append(told, last...)
		b.nodes = append(b.nodes, n)
	}
	return says
}

// apart reports declarations that have the name of a run of a search.
func (b *builder) apart() {
	asks := map[schemas.Ref]*Node{}
	for i := range b.nodes {
		if n := &b.nodes[i]; n.Ask != nil {
			asks[n.Ref] = n
		}
	}
	for i := range b.nodes {
		if n := &b.nodes[i]; n.Ask == nil && asks[n.Ref] != nil {
			b.problems = append(b.problems, schemas.Problem{Pos: n.Decl.Pos, Field: "metadata.name",
				Message: "is the name of a run of the search of " + asks[n.Ref].Ask.Training.String() + "; give it another name"})
		}
	}
}
