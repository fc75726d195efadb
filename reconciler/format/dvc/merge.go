// Three-way merges of .dvc files and dvc.lock, for Git's merge drivers: what one side
// changed is taken, folders are put together file by file, and what both changed in
// two ways stays a conflict that says of what.

package dvc

import (
	"bytes"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Sides are the three versions of a file. Base is empty where both sides added it.
type Sides struct {
	Name               string // of the file, for messages and markers
	Base, Ours, Theirs []byte
}

// Merged is what comes of a merge. Conflicts names what people have to decide; their
// markers are in Text.
type Merged struct {
	Text      []byte
	Conflicts []string
	Trees     []Tree // of the folders that were put together, in no order; Text names them
}

// MergePointer merges .dvc files. Folders that both sides changed are put together: trees
// reads their manifests.
func MergePointer(s Sides, trees func(OID) (Tree, error)) (Merged, error) {
	for side, b := range map[string][]byte{"ours": s.Ours, "theirs": s.Theirs, "base": s.Base} {
		if len(bytes.TrimSpace(b)) == 0 && side == "base" {
			continue
		}
		if _, err := ParsePointer(s.Name+" ("+side+")", b); err != nil {
			return Merged{}, err
		}
	}
	return merge(s, &merging{trees: trees})
}

// MergeLock merges dvc.lock files. A stage that both sides ran in two ways is a conflict
// in each field that they tell differently: no mixture of two runs was ever run.
func MergeLock(s Sides) (Merged, error) {
	for side, b := range map[string][]byte{"ours": s.Ours, "theirs": s.Theirs, "base": s.Base} {
		if len(bytes.TrimSpace(b)) == 0 && side == "base" {
			continue
		}
		if _, err := ParseLock(s.Name+" ("+side+")", b); err != nil {
			return Merged{}, err
		}
	}
	return merge(s, &merging{lock: true})
}

func merge(s Sides, m *merging) (Merged, error) {
	var roots [3]*yaml.Node
	var ours *yaml.Node
	for i, b := range [][]byte{s.Base, s.Ours, s.Theirs} {
		if len(bytes.TrimSpace(b)) == 0 {
			continue
		}
		doc, root, err := document(s.Name, b)
		if err != nil {
			return Merged{}, err
		}
		if roots[i] = root; i == 1 {
			ours = doc
		}
	}
	if ours == nil || roots[2] == nil {
		return Merged{}, fault.WithHint(fault.New(fault.Conflict, "merge %s: one side has emptied it", s.Name), "choose one: git checkout --ours or --theirs")
	}
	ours.Content[0] = m.mapping(nil, roots[0], roots[1], roots[2])
	if m.err != nil {
		return Merged{}, m.err
	}
	out := Merged{Trees: m.made}
	out.Text, out.Conflicts = m.marked(encode(ours))
	return out, nil
}

// merging is one merge.
type merging struct {
	lock  bool
	trees func(OID) (Tree, error)
	open  []conflict
	made  []Tree
	err   error
}

// conflict is a place that people have to decide about.
type conflict struct {
	label        string
	ours, theirs []byte // as YAML, not indented
}

// node merges one value; where names it. A value that is not there is nil, and one that
// the sides changed in two ways is a clash.
func (m *merging) node(where []string, base, ours, theirs *yaml.Node) (merged *yaml.Node, clash bool) {
	switch {
	case same(ours, theirs):
		return ours, false
	case m.within(where): // one run, or the other
	case same(base, theirs):
		return ours, false
	case same(base, ours):
		return theirs, false
	}
	switch {
	case ours == nil || theirs == nil || ours.Kind != theirs.Kind:
		return nil, true
	case ours.Kind == yaml.MappingNode && !m.lock && len(where) > 1 && where[len(where)-2] == "outs":
		return m.output(where, base, ours, theirs)
	case ours.Kind == yaml.MappingNode:
		return m.mapping(where, base, ours, theirs), false
	case ours.Kind == yaml.SequenceNode && keyed(ours) && keyed(theirs) && (base == nil || keyed(base)):
		return m.list(where, base, ours, theirs), false
	}
	return nil, true
}

// within tells whether where is inside of what one run made, which cannot be mixed with
// another's: below a stage, which stands below stages, or on top where DVC 1 wrote the file.
func (m *merging) within(where []string) bool {
	switch {
	case !m.lock || len(where) < 2:
		return false
	case where[0] == "stages":
		return len(where) > 2
	}
	return where[0] != "schema"
}

func (m *merging) mapping(where []string, base, ours, theirs *yaml.Node) *yaml.Node {
	out := *ours
	out.Content = nil
	for _, key := range keys(ours, theirs) {
		if v := m.field(where, key, [3]*yaml.Node{base, ours, theirs}); v != nil {
			out.Content = append(out.Content, spelt(key, ours, theirs), v)
		}
	}
	return &out
}

// field merges one field of the mappings sides: base, ours and theirs.
func (m *merging) field(where []string, key string, sides [3]*yaml.Node) *yaml.Node {
	at := append(slices.Clone(where), key)
	b, o, t := child(sides[0], key), child(sides[1], key), child(sides[2], key)
	v, clash := m.node(at, b, o, t)
	if clash {
		return m.placeholder(at, pair(key, o), pair(key, t))
	}
	return v
}

// list merges mappings that are told apart by their paths.
func (m *merging) list(where []string, base, ours, theirs *yaml.Node) *yaml.Node {
	out := *ours
	out.Content = nil
	for _, p := range paths(ours, theirs) {
		at := append(slices.Clone(where), p)
		b, o, t := item(base, p), item(ours, p), item(theirs, p)
		v, clash := m.node(at, b, o, t)
		if clash {
			v = m.placeholder(at, single(o), single(t))
		}
		if v != nil {
			out.Content = append(out.Content, v)
		}
	}
	return &out
}

// content are the fields of an output that say what is in it: they go together.
var content = []string{"md5", "size", "nfiles", "hash", "isexec"}

// output merges an output of a .dvc file.
func (m *merging) output(where []string, base, ours, theirs *yaml.Node) (merged *yaml.Node, clash bool) {
	from := func(n *yaml.Node) *yaml.Node { // its content alone
		c := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, key := range content {
			if v := child(n, key); v != nil {
				c.Content = append(c.Content, scalar(key, "!!str"), v)
			}
		}
		if v := child(child(n, "meta"), "vishwa"); v != nil {
			c.Content = append(c.Content, scalar("vishwa", "!!str"), v)
		}
		return c
	}
	b, o, t := from(base), from(ours), from(theirs)
	var put *yaml.Node
	switch {
	case same(o, t), same(b, t):
		put = o
	case same(b, o):
		put = t
	default:
		if put = m.folders(where, base, ours, theirs); put == nil {
			return nil, true
		}
	}
	out := *ours
	out.Content = nil
	for _, key := range keys(put, ours, theirs) {
		var v *yaml.Node
		switch {
		case key == "vishwa":
			continue
		case slices.Contains(content, key):
			v = child(put, key)
		case key == "meta":
			v = m.meta(append(slices.Clone(where), key), [3]*yaml.Node{child(base, key), child(ours, key), child(theirs, key)}, child(put, "vishwa"))
		default:
			v = m.field(where, key, [3]*yaml.Node{base, ours, theirs})
		}
		if v != nil {
			out.Content = append(out.Content, spelt(key, ours, theirs), v)
		}
	}
	return &out, false
}

// meta merges what people keep below meta; ours goes with the content.
func (m *merging) meta(at []string, sides [3]*yaml.Node, ours *yaml.Node) *yaml.Node {
	var theirs [3]*yaml.Node
	for i, n := range sides {
		if n == nil || n.Kind != yaml.MappingNode {
			continue
		}
		c := *n
		c.Content = slices.Clone(n.Content)
		drop(&c, "vishwa")
		theirs[i] = &c
	}
	out, clash := m.node(at, theirs[0], theirs[1], theirs[2])
	if clash {
		return m.placeholder(at, pair("meta", sides[1]), pair("meta", sides[2]))
	}
	if out == nil {
		out = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	if ours != nil {
		putNode(out, "vishwa", ours)
	}
	if len(out.Content) == 0 {
		return nil
	}
	return out
}
