// What is declared has a name, of all of it and of what one thing comes from.

package graph

import (
	"iter"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// row is a ref with its recipe.
type row struct {
	ref    schemas.Ref
	recipe digest.Digest
	inputs map[string]schemas.Ref
}

// members are the object that r is named as.
func (r row) members() digest.Members {
	out := make(digest.Members, 0, 3)
	if len(r.inputs) > 0 {
		out = append(out, digest.Member{Name: "inputs", Value: refsByName(r.inputs)})
	}
	return append(out, digest.Member{Name: "recipe", Value: r.recipe}, digest.Member{Name: "ref", Value: r.ref.String()})
}

// refsByName are inputs as an object of texts; where a name of one is not plain, as they are.
func refsByName(inputs map[string]schemas.Ref) any {
	out := make(digest.Members, 0, len(inputs))
	for name, ref := range inputs {
		if !digest.Plain(name) || ref == (schemas.Ref{}) {
			return inputs
		}
		out = append(out, digest.Member{Name: name, Value: ref.String()})
	}
	slices.SortFunc(out, func(a, b digest.Member) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (n *Node) row(by *digest.Namer) row {
	key, err := n.Recipe.KeyBy(by)
	if err != nil {
		panic(err) // what declarations are read of holds no value that JSON has not
	}
	return row{n.Ref, key, n.Inputs}
}

// Declares names what is declared of ref and of all that its key comes from; "" where it is not declared.
func (g Graph) Declares(ref schemas.Ref) digest.Digest {
	if g.Node(ref) == nil {
		return ""
	}
	var rows []row
	var by digest.Namer
	for todo, met := []schemas.Ref{ref}, map[schemas.Ref]bool{ref: true}; len(todo) > 0; {
		n := g.Node(todo[0])
		if todo = todo[1:]; n == nil {
			continue
		}
		rows = append(rows, n.row(&by))
		for _, from := range n.Inputs {
			if g.Node(from) == nil {
				from = from.Whole() // an output of it
			}
			if !met[from] {
				met[from] = true
				todo = append(todo, from)
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return a.ref.Compare(b.ref) })
	return nameOf(slices.Values(rows))
}

// nameOf names rows that are sorted by ref.
func nameOf(rows iter.Seq[row]) digest.Digest {
	d, err := digest.List(func(yield func(digest.Members) bool) {
		for r := range rows {
			if !yield(r.members()) {
				return
			}
		}
	})
	if err != nil {
		panic(err)
	}
	return d
}

// Digest names everything that is declared: each ref with its recipe.
func (g Graph) Digest() digest.Digest {
	var by digest.Namer
	project, err := by.JSON(g.Project) // how all of it is reconciled
	if err != nil {
		panic(err)
	}
	const whole = -1 // the place of the project
	order := make([]int, 0, len(g.Nodes)+1)
	order = append(order, whole)
	for i := range g.Nodes {
		order = append(order, i)
	}
	ref := func(i int) schemas.Ref {
		if i == whole {
			return schemas.ProjectRef
		}
		return g.Nodes[i].Ref
	}
	slices.SortFunc(order, func(a, b int) int { return ref(a).Compare(ref(b)) })
	return nameOf(func(yield func(row) bool) {
		for _, i := range order {
			r := row{ref: schemas.ProjectRef, recipe: project}
			if i != whole {
				r = g.Nodes[i].row(&by)
			}
			if !yield(r) {
				return
			}
		}
	})
}
