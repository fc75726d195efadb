// trust.yaml is read node by node, so that every problem has a line and a column
// and nothing that is not understood is passed over.

package trust

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/format/yamlpos"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/schemas"
)

// Bounds on trust.yaml.
const (
	maxFile   = 1 << 20 // bytes
	maxValues = 100_000
)

// namePattern keeps names safe in allowed_signers lines, where a comma, an
// asterisk or white space would widen who is meant.
var namePattern = lazyregexp.New(`^[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?$`)

type reader struct {
	file     string
	problems []schemas.Problem
	seen     map[string]string // key or address -> where it was first seen, as text
}

func (r *reader) report(n *yaml.Node, field, format string, args ...any) {
	pos := schemas.Position{File: r.file, Line: 1, Column: 1}
	if n != nil && n.Line > 0 {
		pos.Line, pos.Column = n.Line, n.Column
	}
	r.problems = append(r.problems, schemas.Problem{Pos: pos, Field: field, Message: fmt.Sprintf(format, args...)})
}

// once reports whatever was seen before under another owner; kind is a word for it.
func (r *reader) once(n *yaml.Node, field, kind, value, owner string) bool {
	if r.seen == nil {
		r.seen = map[string]string{}
	}
	if first, dup := r.seen[kind+value]; dup {
		r.report(n, field, "this %s is already listed under %s; a %s belongs to one owner, once: remove one of the two", kind, first, kind)
		return false
	}
	r.seen[kind+value] = owner
	return true
}

// document is the root mapping of the one document in b, or nil.
func (r *reader) document(b []byte) *yaml.Node {
	if len(b) > maxFile {
		r.report(nil, "", "is larger than %d bytes; keep only keys and roles in it", maxFile)
		return nil
	}
	root, err := yamlpos.One(b, maxValues)
	var wrong *yamlpos.Problem
	switch {
	case errors.Is(err, io.EOF):
		r.report(nil, "", "is empty; name at least one controller")
		return nil
	case errors.As(err, &wrong):
		r.report(&yaml.Node{Line: wrong.Line, Column: wrong.Column}, "", "%s", wrong.Message)
		return nil
	case root.Kind != yaml.MappingNode:
		r.report(root, "", "is not a mapping; begin with apiVersion: %s", schemas.APIVersion)
		return nil
	}
	return root
}

// mapping hands each value of n to visit, under its key. Aliases, merges and
// repeated keys are reported: one place says one thing.
func (r *reader) mapping(n *yaml.Node, field string, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.report(n, field, "is not a mapping; write NAME: VALUE lines")
		return
	}
	keys := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || v.Kind == yaml.AliasNode:
			r.report(k, field, "uses a YAML alias or merge; write it out")
		case keys[k.Value]:
			r.report(k, join(field, k.Value), "is given twice; remove one")
		default:
			keys[k.Value] = true
			visit(k, v)
		}
	}
}

// fields is mapping for a fixed set of keys.
func (r *reader) fields(n *yaml.Node, field string, known map[string]func(*yaml.Node)) {
	r.mapping(n, field, func(k, v *yaml.Node) {
		if read := known[k.Value]; read != nil {
			read(v)
			return
		}
		r.report(k, join(field, k.Value), "is not a field here; the fields are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	})
}

// text is n as a string; anything else is reported.
func (r *reader) text(n *yaml.Node, field string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || strings.TrimSpace(n.Value) == "" {
		r.report(n, field, "is not a string; write text, in quotes where needed")
		return "", false
	}
	return strings.TrimSpace(n.Value), true
}

// texts hands each string of the list n to visit.
func (r *reader) texts(n *yaml.Node, field string, visit func(at *yaml.Node, field, value string)) {
	if n.Kind != yaml.SequenceNode {
		r.report(n, field, "is not a list; write [A, B]")
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", field, i)
		if s, ok := r.text(item, at); ok {
			visit(item, at, s)
		}
	}
}

// ValidName tells whether a principal, a controller or a role can be called name.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// name tells whether k can name a principal, a controller or a role.
func (r *reader) name(k *yaml.Node, field string) bool {
	if ValidName(k.Value) {
		return true
	}
	r.report(k, field, "%q is not a name: want lower-case letters, digits, hyphens, dots and underscores, at most 63", k.Value)
	return false
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}
