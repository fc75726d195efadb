// Package graph turns declarations and pins into an ordered graph of nodes, each
// with the recipe that its key is the digest of. It is pure.
package graph

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Schema is part of every key: a change of what a recipe means changes it.
const Schema = "vishwa.dev/recipe/v1"

// Default names the candidate of a training that declares none.
const Default = "default"

// Node is one thing that is made. A training is one node a candidate.
type Node struct {
	Ref    schemas.Ref
	Decl   *schemas.Declaration
	Recipe port.Recipe            // without Inputs, which are known only when they are made
	Inputs map[string]schemas.Ref // name -> whose digest becomes Recipe.Inputs[name]
	Needs  []schemas.Ref          // nodes that come first, sorted
	Code   digest.Manifest        // the files that the command sees, by path from the root
	Lock   string                 // path in Code of the requirements file, if any
	Data   port.Artifact          // datasets: what the pin names; without a digest, where that is known only when the data is fetched
	Points *port.DataPointer      // datasets: the pointer that is the pin, where there is one
	RunsOn schemas.RunsOn         // runs: where, with the project's defaults
	Scored *Evaluation            // models: how they are scored apart from their training; nil where that is not declared
	Ask    *Ask                   // runs that say trials; nil: it is none
	Trial  *schemas.Ref           // candidates: the run that says their parameters; nil: they are declared
}

// Graph is the nodes in an order in which each comes after what it needs.
type Graph struct {
	Nodes   []Node
	Project *schemas.Project
	at      map[schemas.Ref]int
}

// Node finds a node; nil is none.
func (g Graph) Node(ref schemas.Ref) *Node {
	if i, ok := g.at[ref]; ok {
		return &g.Nodes[i]
	}
	return nil
}

// Place is where a node is among all of them.
func (g Graph) Place(ref schemas.Ref) (int, bool) {
	i, ok := g.at[ref]
	return i, ok
}

// Build makes the graph of decls, which Load has checked. What cannot be built is
// a problem: a ref to nothing, or a cycle, shown as a path.
func Build(decls []schemas.Declaration, pins Pins) (Graph, []schemas.Problem) {
	b := builder{pins: pins, candidates: map[schemas.Ref][]schemas.Ref{}, code: map[string]Node{}}
	g := Graph{}
	var specs map[schemas.Ref]any
	g.Project = schemas.ProjectOf(decls)
	if g.Project != nil {
		b.defaults = g.Project.Defaults
	}
	b.specs = func() map[schemas.Ref]any {
		if specs == nil {
			specs = make(map[schemas.Ref]any, len(decls))
			for i := range decls {
				specs[decls[i].Ref()] = decls[i].Spec
			}
		}
		return specs
	}
	nodes := len(decls)
	for i := range decls {
		if t, ok := decls[i].Spec.(schemas.Varied); ok {
			all := candidates(t)
			nodes += len(all) - 1
			for name := range all {
				ref := decls[i].Ref()
				b.candidates[ref] = append(b.candidates[ref], schemas.Ref{Kind: ref.Kind, Name: ref.Name, Output: name})
			}
		}
	}
	b.nodes = make([]Node, 0, nodes)
	for i := range decls {
		b.add(&decls[i])
	}
	b.apart()
	if len(b.problems) > 0 {
		return Graph{}, b.problems
	}
	at, problems := order(b.nodes)
	if len(problems) > 0 {
		return g, problems
	}
	g.Nodes, g.at = b.nodes, at
	return g, nil
}

func candidates(t schemas.Varied) map[string]schemas.Candidate {
	if all := t.Variants(); len(all) > 0 {
		return all
	}
	return map[string]schemas.Candidate{Default: {}}
}

type builder struct {
	pins       Pins
	defaults   schemas.RunDefaults
	candidates map[schemas.Ref][]schemas.Ref
	specs      func() map[schemas.Ref]any // of all that is declared, made when it is asked for
	nodes      []Node
	problems   []schemas.Problem
	weight     int // of the recipes so far
	by         digest.Namer
	code       map[string]Node // paths of code and lock -> a node with what they hold: many name the same
}

// add makes the nodes of one declaration.
func (b *builder) add(d *schemas.Declaration) {
	if build := recipes[d.Traits().Kind]; build != nil {
		build(b, d)
	}
}

// node is what all the nodes of d have in common; so many will be made of it.
func (b *builder) node(d *schemas.Declaration, spec any, nodes int) Node {
	rest, err := remainder(spec, &b.by)
	if err != nil {
		b.problems = append(b.problems, schemas.Problem{Pos: d.Pos, Field: "spec", Message: err.Error() + "; write it as plain JSON values"})
	}
	b.weigh(d, "spec", nodes*(perNode+len(rest)))
	return Node{Ref: d.Ref(), Decl: d, Recipe: port.Recipe{Schema: Schema, Kind: d.Kind, Spec: rest}}
}

// place says where n runs. Its image and its number of nodes are part of what it is; external
// work has what it says itself.
func (b *builder) place(n *Node, on schemas.RunsOn, e *schemas.External) {
	n.RunsOn = on.Or(b.defaults)
	if e != nil {
		n.RunsOn.Image = ""
	}
	n.Recipe.Image = n.RunsOn.Image
	if on.Nodes > 1 {
		n.Recipe.Nodes = on.Nodes
	}
}

// work adds what a command reads, once for all the nodes that have it. It is false
// where that is too much.
func (b *builder) work(d *schemas.Declaration, n *Node, w schemas.Work, nodes int) bool {
	n.Recipe.Command = w.Run
	total := 0
	for _, arg := range w.Run {
		total += len(arg) + 3
	}
	paths := append(slices.Clone(w.Code), w.Env.Requirements)
	for _, p := range paths {
		total += named(b.pins.Files[path.Clean(p)])
	}
	if !b.weigh(d, "spec.code", nodes*total) {
		return false
	}
	name := strings.Join(paths, "\x00")
	if same, ok := b.code[name]; ok {
		n.Code, n.Recipe.Code, n.Recipe.Env, n.Lock = same.Code, same.Recipe.Code, same.Recipe.Env, same.Lock
		return true
	}
	seen := map[string]bool{}
	for _, p := range paths {
		if p == "" {
			continue
		}
		for _, f := range b.pins.Files[path.Clean(p)] {
			if !seen[f.Path] {
				seen[f.Path] = true
				n.Code = append(n.Code, f)
			}
		}
	}
	slices.SortFunc(n.Code, func(x, y digest.File) int { return strings.Compare(x.Path, y.Path) })
	n.Recipe.Code = byPath(n.Code)
	if w.Env.Requirements != "" {
		n.Lock = path.Clean(w.Env.Requirements)
		n.Recipe.Env = n.Recipe.Code[n.Lock]
		delete(n.Recipe.Code, n.Lock)
	}
	b.code[name] = *n
	return true
}

func byPath(m digest.Manifest) map[string]digest.Digest {
	out := make(map[string]digest.Digest, len(m))
	for _, f := range m {
		out[f.Path] = f.Digest
	}
	return out
}

// merged is base with over laid over it; nobody writes to what it is.
func merged(base, over map[string]any) map[string]any {
	switch {
	case len(base)+len(over) == 0:
		return nil
	case len(base) == 0:
		return over
	case len(over) == 0:
		return base
	}
	out := make(map[string]any, len(base)+len(over)) // a clone has twice the room
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}

// order puts nodes, in place, so that each comes after what it needs; among those that could come next, the first by ref does, so that
// the order is always the same. It tells where each is. A node is large, and there are many: only their numbers are sorted.
func order(nodes []Node) (map[schemas.Ref]int, []schemas.Problem) {
	at, byRef := make(map[schemas.Ref]int, len(nodes)), make([]int, len(nodes))
	for i := range nodes {
		at[nodes[i].Ref], byRef[i] = i, i
	}
	slices.SortFunc(byRef, func(a, b int) int { return nodes[a].Ref.Compare(nodes[b].Ref) })
	var problems []schemas.Problem
	for _, i := range byRef {
		n := &nodes[i]
		asked := n.asked()
		n.Needs = slices.Grow(n.Needs, len(n.Inputs)+len(asked))
		for name, ref := range n.Inputs {
			j, ok := at[ref]
			if !ok {
				j, ok = at[ref.Whole()] // an output of a transform
			}
			if !ok {
				problems = append(problems, schemas.Problem{Pos: n.Decl.Pos, Message: fmt.Sprintf("%s needs %s as %s, which is not declared; declare it", n.Ref, ref, name)})
				continue
			}
			n.Needs = append(n.Needs, nodes[j].Ref)
		}
		n.Needs = append(n.Needs, asked...)
		slices.SortFunc(n.Needs, schemas.Ref.Compare)
		n.Needs = slices.Compact(n.Needs)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	w := walk{nodes: nodes, at: at, state: make([]uint8, len(nodes)), out: make([]int, 0, len(nodes))}
	for _, i := range byRef {
		if !w.visit(i) {
			return nil, []schemas.Problem{{Pos: nodes[i].Decl.Pos, Message: "declarations need each other in a circle: " + w.circle() + "; cut one of the arrows"}}
		}
	}
	arrange(nodes, w.out)
	for i := range nodes {
		at[nodes[i].Ref] = i
	}
	return at, nil
}

// arrange puts nodes in the order of their numbers, which it uses up.
func arrange(nodes []Node, order []int) {
	for i := range order {
		first, to := nodes[i], i
		for from := order[i]; from != i; from = order[to] {
			nodes[to] = nodes[from]
			order[to], to = to, from
		}
		nodes[to], order[to] = first, to
	}
}

type walk struct {
	nodes []Node
	at    map[schemas.Ref]int
	state []uint8 // 0 unseen, 1 under way, 2 done
	trail []int   // those under way, and last the one that was met again
	out   []int
}

// visit appends i after the needs of that node; it is false where they come round to it.
func (w *walk) visit(i int) bool {
	if w.state[i] == 2 {
		return true
	}
	w.trail = append(w.trail, i)
	if w.state[i] == 1 {
		return false
	}
	w.state[i] = 1
	for _, need := range w.nodes[i].Needs {
		if !w.visit(w.at[need]) {
			return false
		}
	}
	w.state[i] = 2
	w.trail = w.trail[:len(w.trail)-1]
	w.out = append(w.out, i)
	return true
}

// circle names the nodes of the trail from where it was met again; of a long one, its ends.
func (w *walk) circle() string {
	const most = 20
	ring := w.trail[slices.Index(w.trail, w.trail[len(w.trail)-1]):]
	var names []string
	for n, i := range ring {
		if n == most/2 && len(ring) > most {
			names = append(names, fmt.Sprintf("(%d more)", len(ring)-most))
		}
		if n < most/2 || n >= len(ring)-most/2 || len(ring) <= most {
			names = append(names, w.nodes[i].Ref.String())
		}
	}
	return strings.Join(names, " -> ")
}
