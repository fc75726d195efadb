// From a YAML tree to a plain JSON value and a compact index of positions: the
// tree itself is dropped, for it takes fifty times the room of its text.

package schemas

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on one file or document, far above what people write.
const (
	maxBytes = 4 << 20 // of a file
	maxDepth = 64      // of a document
	maxNodes = 100_000 // of a document, each alias counted as all that it stands for

	maxProblems = 100 // of a document
)

// Bounds on a repository. Whoever may open a pull request writes declarations, and
// everything that is made of them later grows with these.
const (
	MaxDeclarations = 20_000   // documents
	MaxCandidates   = 10_000   // of all trainings
	MaxProblems     = 1_000    // that are told
	MaxFiles        = 10_000   // of declarations
	MaxBytes        = 32 << 20 // of their text

	maxValues  = 1_000_000  // of all documents
	maxGlobs   = 100        // of include
	maxVisits  = 1_000_000  // paths that are held against those
	maxPath    = 1024       // bytes
	maxGuesses = 20_000_000 // letters that are compared for names that were meant
)

// place is where a field stands. Paths are kept as 64-bit hashes: a collision
// would only misplace a message.
type place struct {
	path         uint64
	line, column uint32
}

// tree turns one YAML document into a JSON value.
type tree struct {
	file     string
	places   []place
	problems []Problem
	path     []string
	open     []*yaml.Node // the aliased nodes that are being expanded
	nodes    int
	stopped  bool // a bound is exceeded: nothing more is read
}

const fnvOffset, fnvPrime = 14695981039346656037, 1099511628211

// below is the FNV-1a hash of a path, given that of its parent.
func below(h uint64, key string) uint64 {
	if h != fnvOffset {
		h = (h ^ '.') * fnvPrime
	}
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * fnvPrime
	}
	return h
}

func hashPath(path string) uint64 { return below(fnvOffset, path) }

func (t *tree) position(n *yaml.Node) Position {
	return Position{File: t.file, Line: max(n.Line, 1), Column: max(n.Column, 1)}
}

func (t *tree) problem(n *yaml.Node, format string, args ...any) {
	if len(t.problems) < maxProblems {
		t.problems = append(t.problems, Problem{Pos: t.position(n), Field: strings.Join(t.path, "."), Message: fmt.Sprintf(format, args...)})
	}
}

// stop reports a bound that is exceeded, once, naming the outer fields only.
func (t *tree) stop(n *yaml.Node, format string, args ...any) {
	if t.stopped {
		return
	}
	t.stopped = true
	field := strings.Join(t.path[:min(len(t.path), 3)], ".")
	t.problems = append(t.problems, Problem{Pos: t.position(n), Field: field, Message: fmt.Sprintf(format, args...)})
}

func (t *tree) value(n *yaml.Node, h uint64, depth int) any {
	t.nodes++
	switch {
	case t.stopped:
		return nil
	case t.nodes > maxNodes:
		t.stop(n, "the document holds more than %d values, its aliases counted in full; split it, or keep the data in a file", maxNodes)
		return nil
	case depth > maxDepth:
		t.stop(n, "is nested more than %d deep; flatten it", maxDepth)
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return t.alias(n, h, depth)
	case yaml.MappingNode:
		return t.mapping(n, h, depth)
	case yaml.SequenceNode:
		if !t.plain(n, "!!seq") {
			return nil
		}
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			t.path = append(t.path, strconv.Itoa(i))
			at := below(h, t.path[len(t.path)-1])
			t.note(at, c)
			out[i] = t.value(c, at, depth+1)
			t.path = t.path[:len(t.path)-1]
		}
		return out
	default:
		return t.scalar(n)
	}
}

func (t *tree) note(path uint64, n *yaml.Node) {
	t.places = append(t.places, place{path, uint32(max(n.Line, 1)), uint32(max(n.Column, 1))})
}

func (t *tree) alias(n *yaml.Node, h uint64, depth int) any {
	if n.Alias == nil || slices.Contains(t.open, n.Alias) {
		t.stop(n, "alias *%s is of a value that holds the alias itself; write the value out", n.Value)
		return nil
	}
	t.open = append(t.open, n.Alias)
	v := t.value(n.Alias, h, depth+1)
	t.open = t.open[:len(t.open)-1]
	return v
}

// plain tells whether n has its kind's own tag.
func (t *tree) plain(n *yaml.Node, want string) bool {
	if tag := n.ShortTag(); tag != want {
		t.problem(n, "has the YAML tag %s, which is not read; remove the tag", tag)
		return false
	}
	return true
}

func (t *tree) mapping(n *yaml.Node, h uint64, depth int) any {
	if !t.plain(n, "!!map") {
		return nil
	}
	out := make(map[string]any, len(n.Content)/2)
	var merged []map[string]any
	for i := 0; i+1 < len(n.Content) && !t.stopped; i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode && k.Alias != nil {
			k = k.Alias
		}
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			merged = append(merged, t.merge(v, h, depth)...)
			continue
		}
		if tag := k.ShortTag(); k.Kind != yaml.ScalarNode || tag != "!!str" && tag != "!!int" && tag != "!!timestamp" {
			t.problem(n.Content[i], "the key %s is not text; put it in quotes", quoteNode(k))
			continue
		}
		t.path = append(t.path, k.Value)
		if _, twice := out[k.Value]; twice {
			if len(t.problems) < maxProblems {
				t.problem(n.Content[i], "the key is given twice, here and in line %d; remove one", lineOf(n, k.Value))
			}
		} else {
			at := below(h, k.Value)
			t.note(at, n.Content[i])
			out[k.Value] = t.value(v, at, depth+1)
		}
		t.path = t.path[:len(t.path)-1]
	}
	for _, m := range merged {
		for k, v := range m {
			if _, own := out[k]; !own {
				out[k] = v
			}
		}
	}
	return out
}
