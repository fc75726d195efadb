// YAML. A tag names what a value is built as, and there are many ways to write one: short,
// in full, with escapes, by a handle that a directive defines. A text of a size that can
// be read is judged by its tags as they resolve. One that is longer, or that this
// reader of YAML does not take and another one may, is searched for what could be a tag.

package model

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// maxYAML bounds the tree of a text, whose nodes are larger than what they stand for.
const maxYAML = 128 << 10

// plainTags are the tags of YAML's own types.
var plainTags = []string{
	"", "!", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map", "!!binary", "!!timestamp", "!!merge", "!!set", "!!omap", "!!pairs", "!!value",
}

// yaml says what a text is to readers of YAML: YAML, what is to be feared of it, or "".
func (s *scan) yaml(f file) string {
	if f.size > maxYAML {
		switch {
		case hasTag(f):
			return YAMLObject
		case hasWord(f, "class_name"):
			return Unknown // Keras's configuration, perhaps
		default:
			return ""
		}
	}
	dec, documents, kind := yaml.NewDecoder(bytes.NewReader(f.bytes(0, f.size))), 0, yaml.Kind(0)
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // what stood before may be built
			if hasTag(f) {
				return YAMLObject
			}
			return ""
		}
		if found := s.node(&doc); found != "" {
			return found
		}
		if documents++; len(doc.Content) == 1 {
			kind = doc.Content[0].Kind
		}
	}
	if documents == 1 && (kind == yaml.MappingNode || kind == yaml.SequenceNode) {
		return YAML
	}
	return ""
}

// node looks for tags, and for what Keras would build. Aliases are not followed.
func (s *scan) node(n *yaml.Node) string {
	if !slices.Contains(plainTags, n.ShortTag()) {
		return YAMLObject
	}
	found, o := "", object{}
	for i, c := range n.Content {
		if bad := s.node(c); bad == YAMLObject {
			return bad
		} else {
			found = worse(found, bad)
		}
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			continue
		}
		if builder(c.Value) { // jsonpickle writes YAML too
			return YAMLObject
		}
		if at := o.index(c.Value); at >= 0 {
			value := n.Content[i+1]
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			o.times[at]++
			o.value[at], o.odd[at] = value.Value, value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null"
		}
	}
	s.carriedBy(&o)
	return worse(found, kerasOf(&o))
}

// hasTag tells whether a text holds what could be a tag of another type than YAML's own:
// !!x, !<x>, or a directive that defines handles. Words with an exclamation mark are none.
func hasTag(f file) bool {
	src := bufio.NewReaderSize(f.part(0, f.size), 64<<10)
	for before := byte('\n'); ; {
		c, err := src.ReadByte()
		if err != nil {
			return false
		}
		if c == '%' && (before == '\n' || before == '\r' || before >= 0x80) {
			if next, _ := src.Peek(3); string(next) == "TAG" {
				return true
			}
		}
		// A mark of the order of bytes, and YAML's own ends of lines, are above 0x7f.
		if c == '!' && (before >= 0x80 || strings.IndexByte(" \t\n\r\f[{,:?-", before) >= 0) {
			next, _ := src.Peek(256)
			if isTag(next) {
				return true
			}
		}
		before = c
	}
}

var escaped = lazyregexp.New(`%[0-9A-Fa-f]{2}`)

// isTag tells whether what follows an exclamation mark makes it a tag to be feared.
func isTag(next []byte) bool {
	if len(next) == 0 || strings.IndexByte("!<%", next[0]) < 0 {
		return false
	}
	end := bytes.IndexAny(next, " \t\r\n,[]{}")
	if bytes.HasPrefix(next, []byte("<")) { // a whole tag, which has commas
		end = bytes.IndexAny(next, " \t\r\n>") + 1
	}
	if end <= 0 { // it does not end in what is seen
		end = len(next)
	}
	word := escaped.ReplaceAllStringFunc(string(next[:end]), func(s string) string {
		c, _ := strconv.ParseUint(s[1:], 16, 8)
		return string([]byte{byte(c)})
	})
	if strings.HasPrefix(word, "<") {
		return strings.HasPrefix(word, "<tag:yaml.org,2002:") && !slices.Contains(plainTags, "!!"+strings.TrimSuffix(word[len("<tag:yaml.org,2002:"):], ">"))
	}
	suffix, short := strings.CutPrefix(word, "!")
	letter := suffix != "" && (suffix[0]|0x20 >= 'a' && suffix[0]|0x20 <= 'z')
	return short && letter && !slices.Contains(plainTags, "!!"+suffix)
}

// hasWord tells whether a text holds word.
func hasWord(f file, word string) bool {
	buf, kept := make([]byte, 64<<10), 0
	for off := int64(0); off < f.size; {
		n, err := f.ReadAt(buf[kept:], off)
		if bytes.Contains(buf[:kept+n], []byte(word)) {
			return true
		}
		if n == 0 || err != nil {
			return false
		}
		off += int64(n)
		kept = copy(buf, buf[kept+n-min(kept+n, len(word)):kept+n])
	}
	return false
}
