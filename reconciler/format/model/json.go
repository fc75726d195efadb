// JSON, read as a stream as Python reads it: NaN and Infinity are numbers, a value may
// follow another, names may come twice. What objects say of code is gathered, however it
// is spelt, and however deep.

package model

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxNesting = 1000 // Python's own bound is about this
	maxName    = 1 << 10
	maxString  = 1 << 20 // of one string that is looked at
)

// names are the members that say what an object is.
var names = []string{
	"class_name", "config", "module", "registered_name", "learner", "version", "chat_template", "auto_map",
	"__class__", "__module__", "__loader__", "file", "weight_map",
	"custom_pipelines", "auto_mapping", "_target_", "_component_", "class_path", "init_args",
	"implementation",
}

// builds are the members by which jsonpickle imports what they name, and calls it. Those of its others hold data.
var builds = []string{
	"py/object", "py/newobj", "py/newargs", "py/newargsex", "py/initargs", "py/reduce", "py/function", "py/type", "py/class", "py/mod", "py/property", "py/repr", "py/iterator",
}

// builder tells whether a member has jsonpickle build something, its name itself included.
func builder(name string) bool {
	return slices.Contains(builds, name) || strings.HasPrefix(name, "json://")
}

// object is what is known of a JSON object: of each of names, how often it stands there
// and its value where that is a string. One that comes twice differs by reader.
type object struct {
	times [20]int
	value [20]string
	odd   [20]bool // not a string
}

func (o *object) index(name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

func (o *object) has(name string) bool { return o.times[o.index(name)] > 0 }

// one is the value of a member that comes once, and is a string.
func (o *object) one(name string) (string, bool) {
	i := o.index(name)
	return o.value[i], o.times[i] == 1 && !o.odd[i]
}

// jsonReader walks values.
type jsonReader struct {
	src    *bufio.Reader
	buf    []byte
	values int
	root   byte // the first byte of the first value
	visit  func(depth int, o *object)
	keras  string // Keras or KerasLambda: what the values would be to Keras
	builds bool   // the values have jsonpickle build something
	inside int    // how many strings the values are in
	lost   bool   // something was too deep, or too long, to be looked at
}

// walk reads values to the end; false is something that is none.
func (j *jsonReader) walk() bool {
	for {
		c, err := j.next()
		if err != nil {
			return err == io.EOF && j.values > 0
		}
		if j.values == 0 {
			j.root = c
		}
		if !j.value(c, 0, nil) {
			return false
		}
		j.values++
	}
}

// next is the next byte that is no white space.
func (j *jsonReader) next() (byte, error) {
	for {
		c, err := j.src.ReadByte()
		if err != nil || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, err
		}
	}
}

// value reads one value; to is where it goes, where it is looked at.
func (j *jsonReader) value(c byte, depth int, to func(string, bool)) bool {
	if depth > maxNesting {
		j.lost = true
		return false
	}
	switch c {
	case '{':
		return j.object(depth)
	case '[':
		c, err := j.next()
		if err != nil {
			return false
		}
		for first := true; c != ']' || !first; first = false {
			if !j.value(c, depth+1, nil) {
				return false
			}
			switch c, err = j.next(); {
			case err != nil:
				return false
			case c == ']':
				return true
			case c != ',':
				return false
			}
			if c, err = j.next(); err != nil {
				return false
			}
		}
		return true
	case '"':
		text, long, ok := j.str(maxString)
		if ok && to != nil {
			to(string(text[:min(len(text), maxName+1)]), true)
		}
		return ok && j.nested(text, long)
	default:
		return j.word(c)
	}
}

// object reads members as far as the closing brace.
func (j *jsonReader) object(depth int) bool {
	var o object
	c, err := j.next()
	for first := true; err == nil; first = false {
		if c == '}' && first {
			break
		}
		if c != '"' {
			return false
		}
		key, long, ok := j.str(maxName)
		if !ok {
			return false
		}
		at := -1
		j.builds = j.builds || builder(string(key)) // of a long one by how it begins
		if !long {
			at = o.index(string(key))
		}
		if c, err = j.next(); err != nil || c != ':' {
			return false
		}
		if c, err = j.next(); err != nil {
			return false
		}
		var to func(string, bool)
		if at >= 0 {
			o.times[at]++
			o.odd[at] = c != '"'
			to = func(s string, text bool) {
				if at == 0 && (s == "Lambda" || s == "__lambda__") {
					j.keras = KerasLambda // also where another one follows
				}
				o.value[at] = s
			}
		}
		if !j.value(c, depth+1, to) {
			return false
		}
		if c, err = j.next(); err != nil {
			return false
		}
		if c == '}' {
			break
		}
		if c != ',' {
			return false
		}
		c, err = j.next()
	}
	if err != nil {
		return false
	}
	j.keras = worse(j.keras, kerasOf(&o))
	if j.visit != nil {
		j.visit(depth, &o)
	}
	return true
}

// nested looks into a string that is JSON itself: Keras's configuration often is.
func (j *jsonReader) nested(text []byte, long bool) bool {
	text = bytes.TrimLeft(text, " \t\n\r\ufeff")
	if len(text) == 0 || text[0] != '{' && text[0] != '[' && text[0] != '"' {
		return true
	}
	if j.inside == 3 || long {
		j.lost = true
		return false
	}
	in := jsonReader{src: bufio.NewReader(bytes.NewReader(bytes.Clone(text))), inside: j.inside + 1}
	in.walk() // it need not be JSON
	j.keras, j.lost = worse(j.keras, in.keras), j.lost || in.lost
	return !j.lost
}

// str reads a string as far as its quote; of one that is longer than most, the first part.
func (j *jsonReader) str(most int) (text []byte, long, ok bool) {
	text = j.buf[:0]
	defer func() { j.buf = text[:0] }()
	for {
		long = long || len(text) >= most
		if long {
			text = text[:min(len(text), most)]
		}
		c, err := j.src.ReadByte()
		switch {
		case err != nil || c < ' ':
			return text, long, false
		case c == '"':
			return text, long, true
		case c != '\\':
			if !long {
				text = append(text, c)
			}
			continue
		}
		r, ok := j.escape()
		if !ok {
			return text, long, false
		}
		if !long {
			text = utf8.AppendRune(text, r)
		}
	}
}

func (j *jsonReader) escape() (rune, bool) {
	c, err := j.src.ReadByte()
	if err != nil {
		return 0, false
	}
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b', 'f', 'n', 'r', 't':
		return rune("\b\f\n\r\t"[bytes.IndexByte([]byte("bfnrt"), c)]), true
	case 'u':
	default:
		return 0, false
	}
	r, ok := j.hex()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if pair, err := j.src.Peek(6); err == nil && pair[0] == '\\' && pair[1] == 'u' {
		if low, err := strconv.ParseUint(string(pair[2:]), 16, 16); err == nil {
			if joined := utf16.DecodeRune(r, rune(low)); joined != utf8.RuneError {
				_, _ = j.src.Discard(6)
				return joined, true
			}
		}
	}
	return utf8.RuneError, true
}

func (j *jsonReader) hex() (rune, bool) {
	b, err := j.src.Peek(4)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 16, 16)
	_, _ = j.src.Discard(4)
	return rune(n), err == nil
}

// word reads a number or a name such as true; its end is left to be read.
func (j *jsonReader) word(c byte) bool {
	var b [64]byte
	n := 0
	for {
		if n < len(b) {
			b[n] = c
		}
		n++
		next, err := j.src.Peek(1)
		if err != nil || bytes.IndexByte([]byte("{}[]:,\" \t\r\n"), next[0]) >= 0 {
			break
		}
		c, _ = j.src.ReadByte()
	}
	switch word := string(b[:min(n, len(b))]); word {
	case "true", "false", "null", "NaN", "Infinity", "-Infinity":
		return true
	default:
		if c := word[0]; c != '-' && (c < '0' || c > '9') {
			return false
		}
		for _, c := range word {
			if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
				return false
			}
		}
		return true
	}
}
