// TensorFlow's graphs as text. TensorFlow loads a saved_model.pbtxt where there is no saved_model.pb, and
// a MetaGraphDef of either form: what such a text holds is not walked, and it is no mere text.

package model

import (
	"bufio"
	"path"
	"strings"
)

// isGraphText tells the text form of a SavedModel, a MetaGraphDef or a GraphDef, by its name, as TensorFlow
// goes by it, or by the messages that it must have.
func isGraphText(f file) bool {
	if strings.EqualFold(path.Base(f.path), "saved_model.pbtxt") {
		return true
	}
	t := graphTokens{src: bufio.NewReaderSize(f.part(0, f.size), 64<<10)}
	nodes, ops := false, false
	for t.next() {
		switch {
		case t.name == "meta_graphs" && t.opens, t.name == "graph_def" && t.opens:
			return true
		case t.name == "node" && t.opens:
			nodes = true
		case t.name == "op" && t.quoted:
			ops = true
		}
		if nodes && ops {
			return true
		}
	}
	return false
}

// graphTokens reads the names of fields in protobuf's text format: past comments and strings.
type graphTokens struct {
	src    *bufio.Reader
	name   string
	opens  bool // a message, or a list of them, follows
	quoted bool // a string follows
}

// next is the next name that something follows, with or without a colon.
func (t *graphTokens) next() bool {
	word := make([]byte, 0, 16)
	ended := false // the word is, by what separates
	for {
		c, err := t.src.ReadByte()
		if err != nil {
			return false
		}
		switch {
		case c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9':
			if ended {
				word, ended = word[:0], false
			}
			if len(word) < maxName {
				word = append(word, c)
			}
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == ':':
			ended = true
			continue
		case c == '#':
			t.skip('\n')
			ended = true
			continue
		case c == '"' || c == '\'':
			t.skip(c)
			if len(word) == 0 {
				continue
			}
			t.name, t.opens, t.quoted = string(word), false, true
			return true
		case len(word) > 0 && (c == '{' || c == '<' || c == '['):
			t.name, t.opens, t.quoted = string(word), true, false
			return true
		}
		word, ended = word[:0], false
	}
}

// skip reads past the end of a comment or of a string; a string ends with its line, too.
func (t *graphTokens) skip(end byte) {
	for {
		c, err := t.src.ReadByte()
		if err != nil || c == end || c == '\n' {
			return
		}
		if c == '\\' && end != '\n' {
			if _, err := t.src.ReadByte(); err != nil {
				return
			}
		}
	}
}
