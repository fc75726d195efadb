// The tests' world: repositories drawn at random, and a world that does what a
// plan says, so that laws can be held against many plans in a row.

package plan

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/made"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// intent is a repository: declarations, and the version of what each path holds.
type intent struct {
	decls    []schemas.Declaration
	versions map[string]int // path -> what it holds
}

func declare(kind, name string, spec any) schemas.Declaration {
	return schemas.Declaration{APIVersion: schemas.APIVersion, Kind: kind, Metadata: schemas.Metadata{Name: name}, Spec: spec}
}

func ref(text string) schemas.Ref {
	r, err := schemas.ParseRef(text)
	if err != nil {
		panic(err)
	}
	return r
}

func work(path string) schemas.Work {
	return schemas.Work{Run: []string{"python", path}, Code: []string{path}}
}

// drawIntent draws pipelines that share and chain their parts.
func drawIntent(t *rapid.T) intent {
	in := intent{versions: map[string]int{}}
	n := func(what string, least, most int) int { return rapid.IntRange(least, most).Draw(t, what) }
	hold := func(path string) string {
		in.versions[path] = n("version of "+path, 0, 2)
		return path
	}
	var data []schemas.Ref
	for i := range n("datasets", 1, 3) {
		in.decls = append(in.decls, declare("Dataset", fmt.Sprintf("d%d", i), &schemas.Dataset{Source: schemas.DataSource{Path: hold(fmt.Sprintf("d%d.csv", i))}}))
		data = append(data, ref(fmt.Sprintf("dataset/d%d", i)))
	}
	for i := range n("transforms", 0, 3) {
		in.decls = append(in.decls, declare("Transform", fmt.Sprintf("t%d", i), &schemas.Transform{
			Work: work(hold(fmt.Sprintf("t%d.py", i))), Outputs: map[string]string{"a": "a.csv", "b": "b.csv"},
			Inputs: map[string]schemas.Ref{"x": rapid.SampledFrom(data).Draw(t, "input"), "y": rapid.SampledFrom(data).Draw(t, "input")},
		}))
		data = append(data, ref(fmt.Sprintf("transform/t%d:a", i)), ref(fmt.Sprintf("transform/t%d:b", i)))
	}
	var needs []schemas.Ref
	for i := range n("stacks", 0, 2) {
		hold(fmt.Sprintf("i%d", i))
		in.decls = append(in.decls, declare("Infrastructure", fmt.Sprintf("i%d", i), &schemas.Infrastructure{Module: fmt.Sprintf("i%d", i)}))
		needs = append(needs, ref(fmt.Sprintf("infrastructure/i%d", i)))
	}
	for i := range n("trainings", 1, 2) {
		cs := map[string]schemas.Candidate{}
		for c := range n("candidates", 1, 3) {
			cs[fmt.Sprintf("c%d", c)] = schemas.Candidate{Params: map[string]any{"C": float64(n("C", 1, 3))}}
		}
		name := fmt.Sprintf("m%d", i)
		in.decls = append(in.decls,
			declare("Training", name, &schemas.Training{Work: work(hold(name + ".py")), Candidates: cs, Inputs: map[string]schemas.Ref{"x": rapid.SampledFrom(data).Draw(t, "input")}}),
			declare("Model", name, &schemas.Model{From: ref("training/" + name), Select: schemas.Selection{Metric: "auc"}}),
			declare("Deployment", name, &schemas.Deployment{Model: ref("model/" + name), Environment: "staging", Needs: needs,
				Target: schemas.Target{Local: &schemas.LocalTarget{Work: work(hold(name + "-serve.py"))}}}))
	}
	return in
}

func (in intent) graph(t failer) graph.Graph {
	t.Helper()
	pins := graph.Pins{Files: map[string]digest.Manifest{}, Data: map[schemas.Ref]port.Artifact{}}
	for path, v := range in.versions {
		d := digest.Of(fmt.Appendf(nil, "%s %d", path, v))
		pins.Files[path] = digest.Manifest{{Path: path, Digest: d, Size: 1}}
	}
	for i := range in.decls {
		if d, ok := in.decls[i].Spec.(*schemas.Dataset); ok {
			f := pins.Files[d.Source.Path][0]
			pins.Data[in.decls[i].Ref()] = port.Artifact{Name: f.Path, Digest: f.Digest, Size: 1}
		}
	}
	g, problems := graph.Build(in.decls, pins)
	if len(problems) > 0 {
		t.Fatalf("build: %v", problems)
	}
	return g
}

// world does what plans say.
type world struct {
	facts  *ledger.Facts
	live   map[schemas.Ref]port.Live
	stands map[schemas.Ref]digest.Digest // stack -> the recipe it was provisioned by
	ran    []schemas.Ref                 // what was made by the last plan, in order
	blunt  int                           // outputs are one of so many; 0: each recipe has its own
	gone   map[digest.Digest]string
}

func newWorld() *world {
	w := &world{facts: &ledger.Facts{}, live: map[schemas.Ref]port.Live{}, stands: map[schemas.Ref]digest.Digest{}, gone: map[digest.Digest]string{}}
	w.record(ledger.Entry{Action: ledger.Genesis, Actor: "controller:test"})
	return w
}

func (w *world) record(e ledger.Entry) *ledger.Entry {
	e.Seq, e.Prev = w.facts.Count, w.facts.Head
	if err := w.facts.Fold(e, digest.Of(fmt.Append(nil, e.Seq))); err != nil {
		panic(err)
	}
	return &e
}

// see looks at the world for g.
func (w *world) see(g graph.Graph) Observed {
	s := Observed{Facts: w.facts, Live: maps.Clone(w.live), Stacks: map[schemas.Ref]port.Change{}, Unobservable: map[schemas.Ref]string{}, MissingArtifacts: w.gone}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Ref.Kind == "infrastructure" {
			key, _ := n.Recipe.Key()
			s.Stacks[n.Ref] = port.Change{Empty: w.stands[n.Ref] == key, Digest: key}
		}
	}
	for r := range w.stands {
		if g.Node(r) == nil {
			s.Stacks[r] = port.Change{Digest: digest.Of([]byte("destroy " + r.String()))}
		}
	}
	return s
}

func (w *world) plan(g graph.Graph) Plan { return Compute(g, w.see(g)) }

// do carries out p, in its order, but for what is held.
func (w *world) do(t failer, g graph.Graph, p Plan) {
	t.Helper()
	w.ran = nil
	known := made.Known{}
	for _, s := range p.Steps {
		n := g.Node(s.Ref)
		switch {
		case s.Held != "":
			continue
		case s.Do == Retire:
			delete(w.live, s.Ref)
			delete(w.stands, s.Ref)
			w.record(ledger.Entry{Action: ledger.Retire, Ref: s.Ref, Key: s.Key, Actor: "controller:test"})
			continue
		}
		recipe, waits := known.Recipe(n)
		if len(waits) > 0 {
			t.Fatalf("%s comes before what it needs: %v", s.Ref, waits)
		}
		key, err := recipe.Key()
		if err != nil {
			t.Fatalf("%v", err)
		}
		if s.Key != "" && s.Key != key {
			t.Fatalf("%s was planned under another key", s.Ref)
		}
		e := w.facts.ByKey[key]
		switch s.Ref.Kind {
		case "infrastructure", "deployment":
			if e = w.facts.Latest[s.Ref]; s.Do != Keep {
				e = w.change(n, recipe, key)
			}
		default:
			if e == nil || w.gone[key] != "" {
				if s.Do == Keep {
					t.Fatalf("%s is kept and was never made", s.Ref)
				}
				e = w.make(n, recipe, key)
			}
		}
		known.Add(n, e)
	}
}

// change is what is done to the world outside.
func (w *world) change(n *graph.Node, recipe port.Recipe, key digest.Digest) *ledger.Entry {
	w.ran = append(w.ran, n.Ref)
	e := ledger.Entry{Ref: n.Ref, Key: key, MadeBy: &recipe, Actor: "controller:test"}
	if n.Ref.Kind == "infrastructure" {
		w.stands[n.Ref] = key
		e.Action, e.Stack = ledger.Provision, &ledger.Stack{Tool: "test", Change: key}
	} else {
		w.live[n.Ref] = port.Live{Key: key, Health: port.Ready}
		e.Action, e.Model = ledger.Deploy, &ledger.Model{Artifact: port.Artifact{Digest: recipe.Inputs["model"]}}
	}
	return w.record(e)
}

// make is what a run comes to: the same for the same recipe.
func (w *world) make(n *graph.Node, recipe port.Recipe, key digest.Digest) *ledger.Entry {
	w.ran = append(w.ran, n.Ref)
	value := key.Hex()
	if w.blunt > 0 {
		value = fmt.Sprint(int(value[0]) % w.blunt)
	}
	art := func(name string) port.Artifact {
		return port.Artifact{Digest: digest.Of([]byte(n.Ref.String() + name + value)), Size: 1}
	}
	e := ledger.Entry{Ref: n.Ref, Key: key, MadeBy: &recipe, Actor: "controller:test", Again: w.gone[key] != ""}
	delete(w.gone, key)
	switch n.Ref.Kind {
	case "dataset":
		e.Action, e.Outputs = ledger.Pin, ledger.OutputsOf(map[string]port.Artifact{"data": n.Data})
	case "transform":
		e.Action, e.Outputs = ledger.Transform, ledger.OutputsOf(map[string]port.Artifact{"a": art("a"), "b": art("b")})
	case "training":
		e.Action, e.Outputs, e.Metrics = ledger.Train, ledger.OutputsOf(map[string]port.Artifact{"model": art("model")}), map[string]float64{"auc": 0.5}
	case "model":
		e.Action = ledger.Select
		for _, name := range slices.Sorted(maps.Keys(recipe.Inputs)) {
			e.Model = &ledger.Model{Artifact: port.Artifact{Digest: recipe.Inputs[name], Size: 1}}
			break
		}
		e.Outputs = ledger.OutputsOf(map[string]port.Artifact{"model": e.Model.Artifact})
	}
	return w.record(e)
}

// mutate changes one thing that is declared.
func (in intent) mutate(t *rapid.T) (out intent, path string) {
	out = intent{decls: in.decls, versions: maps.Clone(in.versions)}
	path = rapid.SampledFrom(slices.Sorted(maps.Keys(in.versions))).Draw(t, "changed path")
	out.versions[path]++
	return out, path
}

func nothing(t failer, p Plan) {
	t.Helper()
	for _, s := range p.Work() {
		t.Fatalf("%s is still to %s: %s", s.Ref, s.Do, s.Why)
	}
}

func find(t testing.TB, p Plan, r string) Step {
	t.Helper()
	for _, s := range p.Steps {
		if s.Ref == ref(r) {
			return s
		}
	}
	t.Fatalf("no step for %s", r)
	return Step{}
}
