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
	Points *port.Pointed          // datasets: the pointer that is the pin, where there is one
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

// Digest names everything that is declared: each ref with its recipe.
func (g Graph) Digest() digest.Digest {
	type row struct {
		Ref    schemas.Ref            `json:"ref"`
		Recipe digest.Digest          `json:"recipe"`
		Inputs map[string]schemas.Ref `json:"inputs,omitempty"`
	}
	rows := make([]row, 0, len(g.Nodes)+1)
	project, err := digest.JSON(g.Project) // how all of it is reconciled
	if err != nil {
		panic(err)
	}
	rows = append(rows, row{Ref: schemas.Ref{Kind: "project"}, Recipe: project})
	for _, n := range g.Nodes {
		key, err := n.Recipe.Key()
		if err != nil {
			panic(err) // Build has already encoded it once
		}
		rows = append(rows, row{n.Ref, key, n.Inputs})
	}
	slices.SortFunc(rows, func(a, b row) int { return a.Ref.Compare(b.Ref) })
	d, err := digest.JSON(rows)
	if err != nil {
		panic(err)
	}
	return d
}

// Build makes the graph of decls, which Load has checked. What cannot be built is
// a problem: a ref to nothing, or a cycle, shown as a path.
func Build(decls []schemas.Declaration, pins Pins) (Graph, []schemas.Problem) {
	b := builder{pins: pins, candidates: map[schemas.Ref][]schemas.Ref{}, nodes: make([]Node, 0, len(decls))}
	g := Graph{at: map[schemas.Ref]int{}}
	for i := range decls {
		if p, ok := decls[i].Spec.(*schemas.Project); ok {
			g.Project = p
		}
		if t, ok := decls[i].Spec.(*schemas.Training); ok {
			for name := range candidates(t) {
				ref := decls[i].Ref()
				b.candidates[ref] = append(b.candidates[ref], schemas.Ref{Kind: ref.Kind, Name: ref.Name, Output: name})
			}
		}
	}
	for i := range decls {
		b.add(&decls[i])
	}
	if len(b.problems) > 0 {
		return Graph{}, b.problems
	}
	nodes, problems := order(b.nodes)
	g.Nodes = nodes
	for i := range nodes {
		g.at[nodes[i].Ref] = i
	}
	return g, problems
}

func candidates(t *schemas.Training) map[string]schemas.Candidate {
	if len(t.Candidates) == 0 {
		return map[string]schemas.Candidate{Default: {}}
	}
	return t.Candidates
}

type builder struct {
	pins       Pins
	candidates map[schemas.Ref][]schemas.Ref
	nodes      []Node
	problems   []schemas.Problem
}

// add makes the nodes of one declaration.
func (b *builder) add(d *schemas.Declaration) {
	switch spec := d.Spec.(type) {
	case *schemas.Dataset:
		n := b.node(d, spec)
		n.Data, n.Points = b.pins.Data[n.Ref], b.pins.Points[n.Ref]
		if n.Data.Digest != "" {
			n.Recipe.Inputs = map[string]digest.Digest{"data": n.Data.Digest}
		} else if n.Points != nil {
			n.Recipe.Inputs = map[string]digest.Digest{"pointer": digest.Of([]byte(n.Points.MD5))}
		}
		b.nodes = append(b.nodes, n)
	case *schemas.Transform:
		n := b.node(d, spec)
		b.work(&n, spec.Work)
		n.Recipe.Params = spec.Params
		n.Inputs = spec.Inputs
		b.nodes = append(b.nodes, n)
	case *schemas.Training:
		for name, c := range candidates(spec) {
			n := b.node(d, spec)
			n.Ref.Output = name
			b.work(&n, spec.Work)
			n.Recipe.Params = merged(spec.Params, c.Params)
			n.Inputs = spec.Inputs
			b.nodes = append(b.nodes, n)
		}
	case *schemas.Model:
		n := b.node(d, spec)
		n.Inputs = map[string]schemas.Ref{}
		for _, c := range b.candidates[spec.From] {
			n.Inputs[c.Output] = c
		}
		b.nodes = append(b.nodes, n)
	case *schemas.Infrastructure:
		n := b.node(d, spec)
		n.Code = b.pins.Files[path.Clean(spec.Module)]
		n.Recipe.Code = byPath(n.Code)
		b.nodes = append(b.nodes, n)
	case *schemas.Deployment:
		n := b.node(d, spec)
		if t := spec.Target.Local; t != nil {
			b.work(&n, t.Work)
			n.Recipe.Params = t.Params
		}
		n.Inputs = map[string]schemas.Ref{"model": spec.Model}
		for _, need := range spec.Needs {
			n.Inputs[need.String()] = need
		}
		b.nodes = append(b.nodes, n)
	}
}

func (b *builder) node(d *schemas.Declaration, spec any) Node {
	rest, err := remainder(spec)
	if err != nil {
		b.problems = append(b.problems, schemas.Problem{Pos: d.Pos, Field: "spec", Message: err.Error() + "; write it as plain JSON values"})
	}
	return Node{Ref: d.Ref(), Decl: d, Recipe: port.Recipe{Schema: Schema, Kind: d.Kind, Spec: rest}}
}

func (b *builder) work(n *Node, w schemas.Work) {
	n.Recipe.Command = w.Run
	seen := map[string]bool{}
	for _, p := range append(slices.Clone(w.Code), w.Env.Requirements) {
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
}

func byPath(m digest.Manifest) map[string]digest.Digest {
	out := make(map[string]digest.Digest, len(m))
	for _, f := range m {
		out[f.Path] = f.Digest
	}
	return out
}

func merged(base, over map[string]any) map[string]any {
	if len(base)+len(over) == 0 {
		return nil
	}
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, over)
	return out
}

// order sorts nodes so that each comes after what it needs; among those that
// could come next, the first by ref does, so that the order is always the same.
func order(nodes []Node) ([]Node, []schemas.Problem) {
	slices.SortFunc(nodes, func(a, b Node) int { return a.Ref.Compare(b.Ref) })
	at := make(map[schemas.Ref]int, len(nodes))
	for i := range nodes {
		at[nodes[i].Ref] = i
	}
	var problems []schemas.Problem
	for i := range nodes {
		n := &nodes[i]
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
		slices.SortFunc(n.Needs, schemas.Ref.Compare)
		n.Needs = slices.Compact(n.Needs)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	w := walk{nodes: nodes, at: at, state: make([]uint8, len(nodes)), out: make([]Node, 0, len(nodes))}
	for i := range nodes {
		if path := w.visit(i); path != nil {
			return nil, []schemas.Problem{{Pos: nodes[i].Decl.Pos, Message: "declarations need each other in a circle: " + strings.Join(path, " -> ") + "; cut one of the arrows"}}
		}
	}
	return w.out, nil
}

type walk struct {
	nodes []Node
	at    map[schemas.Ref]int
	state []uint8 // 0 unseen, 1 under way, 2 done
	out   []Node
}

// visit appends node i after its needs; a cycle is returned as its path.
func (w *walk) visit(i int) []string {
	switch w.state[i] {
	case 1:
		return []string{w.nodes[i].Ref.String()}
	case 2:
		return nil
	}
	w.state[i] = 1
	for _, need := range w.nodes[i].Needs {
		if p := w.visit(w.at[need]); p != nil {
			if len(p) > 1 && p[0] == p[len(p)-1] {
				return p
			}
			return append([]string{w.nodes[i].Ref.String()}, p...)
		}
	}
	w.state[i] = 2
	w.out = append(w.out, w.nodes[i])
	return nil
}
