// TensorFlow's graphs as text. TensorFlow loads a saved_model.pbtxt where there is no saved_model.pb, and
// a MetaGraphDef of either form: what such a text holds is not walked, and it is no mere text.

package model

import (
	"bufio"
	"path"
	"strings"
)

// isGraphText tells the text form of a SavedModel, a MetaGraphDef or a GraphDef: by its name, as TensorFlow
// goes by it, or where all of it is fields of protobuf's text format, and among them are the messages that it
// must have.
func isGraphText(f file) bool {
	if strings.EqualFold(path.Base(f.path), "saved_model.pbtxt") {
		return true
	}
	r := fieldReader{src: bufio.NewReaderSize(f.part(0, f.size), 64<<10), open: []within{{}}}
	return r.walk() && r.graph
}

// fieldReader reads protobuf's text format (protobuf.dev/reference/protobuf/textformat-spec), and takes
// somewhat more for it than the readers of TensorFlow do: what it does not take, no reader takes.
type fieldReader struct {
	src   *bufio.Reader
	open  []within // what is open, the innermost last
	name  string   // of the field whose value follows
	graph bool     // a message was seen that a graph has
}

// within is a message or a list that is open.
type within struct {
	end  byte // that closes it; 0: the file
	node bool // it is a node of a graph, or a list of them
}

// mostOpen is how deep messages may lie: the readers give up far before.
const mostOpen = 1 << 16

// walk tells whether all of the file is fields.
func (r *fieldReader) walk() bool {
	value, colon := false, false // one follows, and may be no message
	for {
		c, word, ok := r.token()
		in := r.open[len(r.open)-1]
		switch {
		case !ok:
			return false
		case c == 0:
			return len(r.open) == 1 && !value
		case c == '{' || c == '<' || c == '[' && (value || in.end == ']'):
			if !value && in.end != ']' || len(r.open) > mostOpen {
				return false
			}
			r.opens(c)
			value = false
		case c == '[': // the name of an extension
			if !r.extension() {
				return false
			}
			r.name, value, colon = "", true, false
		case c == in.end:
			if value {
				return false
			}
			r.open = r.open[:len(r.open)-1]
		case c == ':':
			if !value {
				return false
			}
			colon = true
		case c == '"' && !value && in.end != ']': // a string goes on with the next
		case (c == '"' || c == 'a') && value && !colon:
			return false
		case c == '"':
			r.graph = r.graph || in.node && r.name == "op"
			value = false
		case c == ',' || c == ';' || c == '-':
		case c != 'a':
			return false
		case value || in.end == ']':
			value = false
		default:
			r.name, value, colon = word, true, false
		}
	}
}

// opens goes into a message or a list, of the field that was named last.
func (r *fieldReader) opens(c byte) {
	in := r.open[len(r.open)-1]
	next := within{end: map[byte]byte{'{': '}', '<': '>', '[': ']'}[c], node: in.end == ']' && in.node}
	if in.end != ']' {
		next.node = r.name == "node" || r.name == "node_def"
		r.graph = r.graph || r.name == "meta_graphs" || r.name == "graph_def"
	}
	r.open, r.name = append(r.open, next), ""
}

// extension reads past a name in brackets, which may have remarks between its parts.
func (r *fieldReader) extension() bool {
	for {
		switch c, _, ok := r.token(); {
		case !ok || c == 0:
			return false
		case c == ']':
			return true
		}
	}
}

// token is the next: a mark, '"' of a string, 'a' of a word or a number, 0 at the end.
func (r *fieldReader) token() (c byte, word string, ok bool) {
	for {
		c, err := r.src.ReadByte()
		switch {
		case err != nil:
			return 0, "", true
		case c == '#':
			for c != '\n' && err == nil {
				c, err = r.src.ReadByte()
			}
		case c <= ' ' || c >= 0x80: // space of any kind, and the mark at the beginning
		case c == '"' || c == '\'':
			return '"', "", r.quoted(c)
		case inWord(c):
			return 'a', r.word(c), true
		default:
			return c, "", true
		}
	}
}

func inWord(c byte) bool {
	return c == '_' || c == '.' || c == '+' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}

// word reads to the end of one; of a long one the first part is told.
func (r *fieldReader) word(c byte) string {
	word := []byte{c}
	for {
		c, err := r.src.ReadByte()
		if err != nil {
			return string(word)
		}
		if !inWord(c) && (c != '-' || word[len(word)-1]|0x20 != 'e') { // 1e-3
			_ = r.src.UnreadByte()
			return string(word)
		}
		if len(word) < maxName {
			word = append(word, c)
		}
	}
}

// quoted reads past the end of a string, which is in its line.
func (r *fieldReader) quoted(end byte) bool {
	for {
		c, err := r.src.ReadByte()
		switch {
		case err != nil || c == '\n':
			return false
		case c == end:
			return true
		case c == '\\':
			if c, err = r.src.ReadByte(); err != nil || c == '\n' {
				return false
			}
		}
	}
}
