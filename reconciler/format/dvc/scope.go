// What ${…} means in a stage of dvc.yaml: its own vars, those of the file, params.yaml, and
// the item of a foreach or matrix.

package dvc

import (
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// scope is what ${…} means in a stage.
type scope struct {
	*pipeline
	item   string     // after the @ of the stage's name
	each   *yaml.Node // the stage that has foreach or matrix
	values []*yaml.Node
	full   bool // values have what the whole file says
}

// of adds what a stage says of its own.
func (s *scope) of(body *yaml.Node) *scope {
	s.vars(plain(child(body, "vars")))
	return s
}

// vars adds a list of vars: mappings, and files that hold one.
func (s *scope) vars(list *yaml.Node) {
	if list == nil {
		return
	}
	for _, n := range list.Content {
		if !s.spend(10) {
			return
		}
		if n = plain(n); n.Kind == yaml.MappingNode {
			s.values = append(s.values, n)
			continue
		}
		file, _, _ := strings.Cut(n.Value, ":")
		s.values = append(s.values, s.file(file))
	}
}

// file is a file of parameters in YAML or JSON; nil where there is none.
func (s *scope) file(name string) *yaml.Node {
	name = path.Join(path.Dir(s.name), name)
	if name == ".." || strings.HasPrefix(name, "../") {
		return nil
	}
	root, known := s.files[name]
	if !known && len(s.files) >= maxFiles {
		s.fail(s.root, "it names more than %d files of parameters", maxFiles)
		return nil
	}
	if !known { // what cannot be read is missed where it is asked for
		if b, err := s.read(name); err == nil {
			_, root, _ = document(name, b)
		}
		s.files[name] = root
	}
	return root
}

// filled is a text with each ${…} in it filled in. One whose value is not known is Invalid.
func (s *scope) filled(n *yaml.Node) string {
	if n == nil || n.Tag == "!!null" {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		s.fail(n, "want a text")
		return ""
	}
	v, ok := s.fill(n.Value)
	if !ok && s.err == nil {
		s.err = fault.WithHint(fault.New(fault.Invalid, "%s:%d: the value of %q is not known", s.name, n.Line, n.Value),
			"set it in vars or params.yaml next to the file, or write it out")
	}
	return v
}

func (s *scope) fill(text string) (string, bool) {
	if !strings.Contains(text, "${") {
		return text, true
	}
	if len(text) > maxText {
		return "", false
	}
	ok, last := true, 0
	var out strings.Builder
	for _, m := range filling.FindAllStringIndex(text, -1) {
		out.WriteString(text[last:m[0]])
		part := text[m[0]:m[1]]
		last = m[1]
		if strings.HasPrefix(part, `\`) {
			out.WriteString(part[1:]) // escaped
			continue
		}
		v, found := s.value(strings.TrimSpace(part[2 : len(part)-1]))
		if ok = ok && found && out.Len()+len(v) <= maxText && s.spend(1+len(v)); ok {
			out.WriteString(v)
		}
	}
	out.WriteString(text[last:])
	return out.String(), ok
}

var index = lazyregexp.New(`\[([^\]]*)\]`)

func (s *scope) value(name string) (string, bool) {
	keys := strings.Split(index.ReplaceAllString(name, ".$1"), ".")
	if s.each != nil && (keys[0] == "item" || keys[0] == "key") {
		return s.ofItem(keys)
	}
	if !s.full {
		s.full = true
		s.vars(plain(child(s.root, "vars")))
		s.values = append(s.values, s.file("params.yaml"))
	}
	for _, n := range s.values {
		if v, ok := s.at(n, keys); ok {
			return v, true
		}
	}
	return "", false
}

// ofItem is what ${item…} and ${key} mean.
func (s *scope) ofItem(keys []string) (string, bool) {
	list := plain(child(s.each, "foreach"))
	if list != nil && list.Kind == yaml.ScalarNode { // ${list}, which is elsewhere
		list = s.outside().node(list.Value)
	}
	switch {
	case len(keys) == 1 && (keys[0] == "key" || list == nil || list.Kind == yaml.SequenceNode):
		if m := plain(child(s.each, "matrix")); m != nil {
			return s.item, keys[0] == "key"
		}
		return s.item, true
	case list == nil:
		return s.ofMatrix(keys[1:])
	case list.Kind == yaml.MappingNode:
		return s.at(s.under(list, s.item), keys[1:])
	}
	return s.at(numbered(list, s.item), keys[1:]) // of a list of mappings the item is its number
}

// numbered is the item of a list that has a number; nil where there is none.
func numbered(list *yaml.Node, number string) *yaml.Node {
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(list.Content) || strconv.Itoa(i) != number {
		return nil
	}
	return plain(list.Content[i])
}

// ofMatrix finds the combination whose name the stage has: its values joined by "-".
func (s *scope) ofMatrix(keys []string) (string, bool) {
	m := plain(child(s.each, "matrix"))
	if m == nil || m.Kind != yaml.MappingNode || len(keys) == 0 {
		return "", false
	}
	whole := s.outside()
	type step struct {
		i    int
		rest string
	}
	no := map[step]bool{} // that lead nowhere
	var pick func(i int, rest string) map[string]*yaml.Node
	pick = func(i int, rest string) map[string]*yaml.Node {
		if i >= len(m.Content) {
			if rest == "" {
				return map[string]*yaml.Node{}
			}
			return nil
		}
		if no[step{i, rest}] {
			return nil
		}
		key, list := m.Content[i].Value, plain(m.Content[i+1])
		if list.Kind == yaml.ScalarNode {
			if list = whole.node(list.Value); list == nil {
				return nil
			}
		}
		for n, v := range list.Content {
			name := plain(v).Value
			if !s.spend(2 + len(name)) {
				return nil
			}
			if plain(v).Kind != yaml.ScalarNode {
				name = key + strconv.Itoa(n)
			} else if f, ok := whole.fill(name); ok {
				name = f
			}
			after, ok := strings.CutPrefix(rest, name)
			if last := i+2 >= len(m.Content); ok && !last {
				after, ok = strings.CutPrefix(after, "-")
			}
			if !ok {
				continue
			}
			if found := pick(i+2, after); found != nil {
				found[key] = plain(v)
				return found
			}
		}
		no[step{i, rest}] = true
		return nil
	}
	return s.at(pick(0, s.item)[keys[0]], keys[1:])
}

// outside is the scope in which a foreach or a matrix itself stands.
func (s *scope) outside() *scope {
	out := *s
	out.each = nil
	return &out
}

// node is the list or mapping that ${name} means; nil where none.
func (s *scope) node(text string) *yaml.Node {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "${") || !strings.HasSuffix(text, "}") {
		return nil
	}
	keys := strings.Split(strings.TrimSpace(text[2:len(text)-1]), ".")
	_, _ = s.value(keys[0]) // which has all values read
	for _, n := range s.values {
		if n = s.below(n, keys); n != nil && n.Kind != yaml.ScalarNode {
			return n
		}
	}
	return nil
}

// at is the scalar below n, key by key.
func (s *scope) at(n *yaml.Node, keys []string) (string, bool) {
	n = s.below(n, keys)
	if n == nil || n.Kind != yaml.ScalarNode {
		return "", false
	}
	return n.Value, !strings.Contains(n.Value, "${")
}

func (s *scope) below(n *yaml.Node, keys []string) *yaml.Node {
	n = plain(n)
	for _, k := range keys {
		if n != nil && n.Kind == yaml.SequenceNode {
			n = numbered(n, k)
			continue
		}
		n = s.under(n, k)
	}
	return n
}

// plain is the node that an alias stands for.
func plain(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
