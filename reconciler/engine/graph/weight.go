// A bound on what a graph can grow to. A line of a declaration may stand for very
// much: a model of a thousand candidates is a thousand arrows, and a thousand trainings
// that name a folder of a thousand files are a million of them. So what is made of the
// text is weighed before it is made, and not the text alone.

package graph

import (
	"encoding/json"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// MaxWeight bounds the recipes of a graph altogether, in bytes of their JSON, arrows
// between nodes counted for what they take in memory. A hundred trainings of ten
// candidates over five hundred files of code come to a quarter of it.
const MaxWeight = 256 << 20

const (
	perNode  = 512 // of a recipe's frame, and of a step
	perInput = 512 // of an arrow between two nodes
	perFile  = 80  // of a digest beside its path
)

// weigh adds to the weight of the graph. It is false, and says so once, where that is
// more than is allowed.
func (b *builder) weigh(d *schemas.Declaration, field string, n int) bool {
	if b.weight > MaxWeight {
		return false
	}
	if b.weight += n; b.weight <= MaxWeight {
		return true
	}
	at := d.Pos
	if d.Fields != nil {
		at = d.Fields(field)
	}
	b.problems = append(b.problems, schemas.Problem{Pos: at, Field: field, Message: fmt.Sprintf(
		"with %s, what the keys are made of comes to more than %d MiB: each candidate counts with all the code, inputs and parameters that it has; name less in code, or declare fewer candidates", d.Ref(), MaxWeight>>20)})
	return false
}

// named is the weight of files in a recipe.
func named(m digest.Manifest) int {
	n := 0
	for i := range m {
		n += len(m[i].Path) + perFile
	}
	return n
}

// weight is that of values which are written out as they are.
func weight(params map[string]any) int {
	raw, err := json.Marshal(params)
	if err != nil {
		return 0 // what declarations are read of holds no such value
	}
	return len(raw)
}
