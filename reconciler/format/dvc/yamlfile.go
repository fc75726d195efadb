// DVC's files as YAML nodes: read with their lines, so that an error names one, and
// written so that what is not modelled here stays.

package dvc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func document(name string, b []byte) (doc, root *yaml.Node, err error) {
	if at := conflicted(b); at > 0 {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "%s:%d: Git's conflict markers are in it", name, at), "keep one side of each, or put both together, and git add it")
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	doc = &yaml.Node{}
	if err := dec.Decode(doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, fault.WithHint(fault.New(fault.Invalid, "%s: is empty", name), "restore it: git checkout HEAD -- FILE, or add the data anew with vishwa data add")
		}
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: ")), "correct the file, or take it as it was committed: git checkout HEAD -- FILE")
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "%s:1: is not a mapping", name), "correct the file, or take it as it was committed: git checkout HEAD -- FILE")
	}
	return doc, doc.Content[0], nil
}

// conflicted is the line of Git's first conflict marker; zero where there is none.
func conflicted(b []byte) int {
	n := 0
	for line := range bytes.Lines(b) {
		if n++; bytes.HasPrefix(line, []byte("<<<<<<< ")) {
			return n
		}
	}
	return 0
}

// reading reads nodes and keeps the first thing that is wrong.
type reading struct {
	name string
	err  error
}

func (r *reading) fail(n *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = fault.WithHint(fault.New(fault.Invalid, "%s:%d: %s", r.name, max(1, n.Line), fmt.Sprintf(format, args...)), "restore the file from Git, or correct it")
	}
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func (r *reading) known(n *yaml.Node, keys []string) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "want a mapping")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if !slices.Contains(keys, k.Value) {
			r.fail(k, "%q is not a key that DVC knows here; your own go below meta", k.Value)
		}
	}
}

func (r *reading) text(n *yaml.Node, key string) string {
	c := child(n, key)
	if c == nil || c.Tag == "!!null" {
		return ""
	}
	if c.Kind != yaml.ScalarNode {
		r.fail(c, "%s is not text", key)
		return ""
	}
	return c.Value
}

func (r *reading) yes(n *yaml.Node, key string, otherwise bool) bool {
	c := child(n, key)
	if c == nil {
		return otherwise
	}
	v, err := strconv.ParseBool(strings.ToLower(c.Value))
	if err != nil {
		r.fail(c, "%s is neither true nor false", key)
	}
	return v
}

func (r *reading) number(n *yaml.Node, key string) int64 {
	c := child(n, key)
	if c == nil || c.Tag == "!!null" {
		return -1
	}
	v, err := strconv.ParseInt(c.Value, 10, 64)
	if err != nil || v < 0 {
		r.fail(c, "%s is not a count", key)
	}
	return v
}

func (r *reading) list(n *yaml.Node, key string) []*yaml.Node {
	c := child(n, key)
	if c == nil || c.Tag == "!!null" {
		return nil
	}
	if c.Kind != yaml.SequenceNode {
		r.fail(c, "%s is not a list", key)
		return nil
	}
	return c.Content
}

func (r *reading) oid(n *yaml.Node) OID {
	s := r.text(n, "md5")
	if s == "" {
		return ""
	}
	oid, err := ParseOID(s)
	if err != nil {
		r.fail(child(n, "md5"), "%v", err)
	}
	return oid
}

func encode(doc *yaml.Node) []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(doc); err != nil {
		panic(err) // what was decoded, and strings and numbers, always encode
	}
	return b.Bytes()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func scalar(v, tag string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v} }

// setText sets a text; the empty one takes the key away.
func setText(n *yaml.Node, key, v string) {
	if v == "" {
		drop(n, key)
		return
	}
	if old := child(n, key); old != nil && old.Kind == yaml.ScalarNode && old.Value == v {
		return // as it was spelt
	}
	s := &yaml.Node{}
	s.SetString(v)
	putNode(n, key, s)
}

func count(n *yaml.Node, key string, v int64) {
	if v < 0 {
		drop(n, key)
		return
	}
	putNode(n, key, scalar(strconv.FormatInt(v, 10), "!!int"))
}

func flag(n *yaml.Node, key string, set bool, as string) {
	if !set {
		drop(n, key)
		return
	}
	putNode(n, key, scalar(as, "!!bool"))
}

func putNode(n *yaml.Node, key string, v *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			v.HeadComment, v.LineComment, v.FootComment = n.Content[i+1].HeadComment, n.Content[i+1].LineComment, n.Content[i+1].FootComment
			n.Content[i+1] = v
			return
		}
	}
	n.Content = append(n.Content, scalar(key, "!!str"), v)
}

func drop(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}

// putList has a list of n mappings, each written over what stands there.
func putList(root *yaml.Node, key string, n int, write func(i int, n *yaml.Node)) {
	if n == 0 {
		drop(root, key)
		return
	}
	list := child(root, key)
	if list == nil || list.Kind != yaml.SequenceNode {
		list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		putNode(root, key, list)
	}
	for len(list.Content) < n {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	list.Content = list.Content[:n]
	for i := range n {
		write(i, list.Content[i])
	}
}
