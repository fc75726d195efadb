// Text, and what it is written in. All of it is read: binary content behind a
// page of text is not text.

package model

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

func (s *scan) text(f file, head []byte) string {
	if !isAllText(f) {
		s.raw = true
		return Unknown
	}
	mark := int64(0)
	if hasPrefix(head, "\ufeff") {
		mark = 3
	}
	body := head[mark:]
	if found := s.json(file{path: f.path, ReaderAt: f.part(mark, f.size-mark), size: f.size - mark}); found != "" {
		return found
	}
	if isPython(f.path, body) {
		return Python
	}
	if isGraphText(f) {
		return SavedModelOps
	}
	if hasEntities(f, body) {
		return XMLEntities
	}
	cut := f.size > int64(len(head))
	yaml := s.yaml(f)
	if bytes.Contains(head, []byte("{%")) && bytes.Contains(head, []byte("%}")) || strings.EqualFold(path.Ext(f.path), ".jinja") {
		s.carry(ChatTemplate)
	}
	switch {
	case yaml != "" && yaml != YAML:
		return yaml
	case isCSV(body, cut):
		return CSV
	case yaml == YAML:
		return YAML
	default:
		return Text
	}
}

// isAllText reads all of f in pieces.
func isAllText(f file) bool {
	const piece = 256 << 10
	buf := make([]byte, min(f.size, piece)+utf8.UTFMax)
	kept := 0
	for off := int64(0); off < f.size; {
		n, err := f.ReadAt(buf[kept:kept+int(min(f.size-off, piece))], off)
		if n == 0 || err != nil && !errors.Is(err, io.EOF) {
			return false
		}
		off += int64(n)
		b := buf[:kept+n]
		end := len(b)
		for back := 1; off < f.size && back < utf8.UTFMax && back <= len(b); back++ { // a character may be cut in two
			if utf8.RuneStart(b[len(b)-back]) {
				if !utf8.FullRune(b[len(b)-back:]) {
					end = len(b) - back
				}
				break
			}
		}
		if !isText(b[:end]) || off >= f.size && !utf8.Valid(b) {
			return false
		}
		kept = copy(buf, b[end:])
	}
	return true
}

// isText tells whether b, perhaps cut in the middle of a character, is UTF-8 text
// without control characters.
func isText(b []byte) bool {
	for len(b) > 0 {
		if c := b[0]; c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' || c == 0x7f {
				return false
			}
			b = b[1:]
			continue
		}
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n <= 1 {
			return len(b) < utf8.UTFMax && !utf8.FullRune(b)
		}
		if unicode.IsControl(c) {
			return false
		}
		b = b[n:]
	}
	return true
}

// carriedBy notes what an object of JSON or YAML has a loader run.
func (s *scan) carriedBy(o *object) {
	if o.has("chat_template") {
		s.carry(ChatTemplate)
	}
	if o.has("auto_map") || o.has("custom_pipelines") || o.has("auto_mapping") {
		s.carry(RemoteCode)
	}
	if o.has("_target_") || o.has("_component_") || o.has("class_path") && o.has("init_args") {
		s.carry(CallByName)
	}
}

// json reads f as JSON. What is not is "", unless a reader that begins to read it would
// find something to build.
func (s *scan) json(f file) string {
	booster := false
	j := jsonReader{src: bufio.NewReaderSize(f.part(0, f.size), 64<<10), visit: func(depth int, o *object) {
		booster = booster || depth == 0 && o.has("learner") && o.has("version")
		s.index = s.index || depth == 0 && o.has("weight_map")
		s.carriedBy(o)
		if o.has("implementation") && path.Base(f.path) == "model-settings.json" {
			s.carry(CallByName) // MLServer, as KServe begins it, imports it
		}
	}}
	whole := j.walk()
	switch {
	case j.builds:
		return JSONObject
	case j.keras != "":
		return j.keras
	case j.lost:
		return Unknown
	case !whole || j.values != 1 || j.root != '{' && j.root != '[':
		return ""
	case booster:
		return XGBoostJSON
	default:
		return JSON
	}
}

var (
	pythonStart = lazyregexp.New(`^(import [\w.]+|from [\w.]+ import |(async )?def \w+\(|class \w+\s*[(:]|@\w+|if __name__\b|exec\(|eval\(|__import__\()`)
	docstring   = lazyregexp.New(`(?s)^[rRuU]?("""|''').*?("""|''')`)
)

// isPython tells source code by its first statement, or by its name: that it may be
// imported is what makes it dangerous, and importing goes by name.
func isPython(name string, b []byte) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".py", ".pyw", ".pyx", ".pyi", ".pth":
		return true
	}
	for len(b) > 0 {
		b = bytes.TrimLeft(b, " \t\r\n\f;")
		if m := docstring.Find(b); m != nil {
			b = b[len(m):]
			continue
		}
		l, rest, _ := bytes.Cut(b, []byte("\n"))
		if !bytes.HasPrefix(l, []byte("#")) {
			return pythonStart.Match(l)
		}
		b = rest
	}
	return false
}

// isCSV tells a table of at least two rows and two columns, by its beginning.
func isCSV(b []byte, cut bool) bool {
	const most = 128 << 10 // a row of it may have a cell a byte
	if len(b) > most {
		b, cut = b[:most], true
	}
	if cut {
		if i := bytes.LastIndexByte(b, '\n'); i > 0 {
			b = b[:i+1]
		}
	}
	rows := csv.NewReader(bytes.NewReader(b))
	rows.ReuseRecord = true
	for n := 0; ; n++ {
		row, err := rows.Read() // a row of another length is an error
		if errors.Is(err, io.EOF) {
			return n >= 2
		}
		if err != nil || len(row) < 2 {
			return false
		}
	}
}
