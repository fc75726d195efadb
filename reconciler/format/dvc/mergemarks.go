// Conflicts as Git writes them, and the nodes that a merge compares: what a file says
// under a key, and the outputs by their paths.

package dvc

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const token = "@vishwa-conflict-"

// placeholder stands for a conflict until the file is text.
func (m *merging) placeholder(where []string, ours, theirs []byte) *yaml.Node {
	m.open = append(m.open, conflict{strings.Join(where, ": "), ours, theirs})
	return scalar(fmt.Sprintf("%s%d@", token, len(m.open)-1), "!!str")
}

// marked puts Git's markers into text where placeholders stand.
func (m *merging) marked(text []byte) (out []byte, names []string) {
	for line := range bytes.Lines(text) {
		i := bytes.Index(line, []byte(token))
		if i < 0 {
			out = append(out, line...)
			continue
		}
		var n int
		if _, err := fmt.Sscanf(string(line[i+len(token):]), "%d@", &n); err != nil || n >= len(m.open) {
			out = append(out, line...)
			continue
		}
		c := m.open[n]
		indent := line[:len(line)-len(bytes.TrimLeft(line, " "))]
		side := func(b []byte) {
			for l := range bytes.Lines(b) {
				out = append(append(out, indent...), l...)
			}
		}
		out = append(out, "<<<<<<< ours: "+c.label+"\n"...)
		side(c.ours)
		out = append(out, "=======\n"...)
		side(c.theirs)
		out = append(out, ">>>>>>> theirs: "+c.label+"\n"...)
		names = append(names, c.label)
	}
	return out, names
}

// pair is a key with its value as YAML; nothing where there is no value.
func pair(key string, v *yaml.Node) []byte {
	if v == nil {
		return nil
	}
	return encode(&yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{scalar(key, "!!str"), v}}}})
}

// single is an item of a list as YAML.
func single(v *yaml.Node) []byte {
	if v == nil {
		return nil
	}
	return encode(&yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{v}}}})
}

// keys are those of mappings, in the order of the first.
func keys(all ...*yaml.Node) (out []string) {
	seen := map[string]bool{}
	for _, n := range all {
		if n == nil || n.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i].Value; !seen[k] {
				seen[k] = true
				out = append(out, k)
			}
		}
	}
	return out
}

// spelt is a key as the first mapping that has it spells it, with its comments.
func spelt(key string, all ...*yaml.Node) *yaml.Node {
	for _, n := range all {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i]
			}
		}
	}
	return scalar(key, "!!str")
}

// keyed tells whether a list is of mappings that each have another path.
func keyed(n *yaml.Node) bool {
	if n.Kind != yaml.SequenceNode {
		return false
	}
	seen := map[string]bool{}
	for _, c := range n.Content {
		p := child(c, "path")
		if p == nil || p.Kind != yaml.ScalarNode || seen[p.Value] {
			return false
		}
		seen[p.Value] = true
	}
	return true
}

func paths(all ...*yaml.Node) (out []string) {
	for _, n := range all {
		for _, c := range n.Content {
			if p := child(c, "path").Value; !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func item(list *yaml.Node, path string) *yaml.Node {
	if list == nil {
		return nil
	}
	for _, c := range list.Content {
		if p := child(c, "path"); p != nil && p.Value == path {
			return c
		}
	}
	return nil
}

// same compares what nodes say, not how.
func same(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case yaml.MappingNode:
		ka, kb := keys(a), keys(b)
		if len(ka) != len(kb) {
			return false
		}
		for _, k := range ka {
			if !same(child(a, k), child(b, k)) {
				return false
			}
		}
		return true
	case yaml.SequenceNode:
		if len(a.Content) != len(b.Content) {
			return false
		}
		for i := range a.Content {
			if !same(a.Content[i], b.Content[i]) {
				return false
			}
		}
		return true
	case yaml.AliasNode:
		return a.Value == b.Value
	}
	return a.Value == b.Value && a.ShortTag() == b.ShortTag()
}
