// Text, and what it is written in. All of it is read: binary content behind a
// page of text is not text.

package policy

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

func sniffText(name string, r io.ReaderAt, size int64, head []byte) string {
	if !isAllText(r, size) {
		return Unknown
	}
	body := bytes.TrimPrefix(head, []byte("\ufeff"))
	start := bytes.TrimLeft(body, " \t\r\n")
	if len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		if f := sniffJSON(r, size, int64(len(head)-len(body))); f != "" {
			return f
		}
	}
	switch {
	case isPython(name, body):
		return Python
	case pythonTag.Match(head) || (size > int64(len(head)) && strings.HasPrefix(path.Ext(name), ".y")):
		return YAMLObject // a long YAML file is not read to its end, and so not trusted
	case isCSV(body, size > int64(len(head))):
		return CSV
	case isYAML(body, size > int64(len(head))):
		return YAML
	default:
		return Text
	}
}

// isAllText reads all of r in pieces.
func isAllText(r io.ReaderAt, size int64) bool {
	var carry []byte
	for off := int64(0); off < size; {
		n := min(size-off, 256<<10)
		piece := section(r, off, n)
		if piece == nil {
			return false
		}
		off += n
		piece = append(carry, piece...)
		carry = nil
		if off < size { // a character may be cut in two
			cut := len(piece)
			for back := 1; back < utf8.UTFMax && back <= len(piece); back++ {
				if utf8.RuneStart(piece[len(piece)-back]) {
					if !utf8.FullRune(piece[len(piece)-back:]) {
						cut = len(piece) - back
					}
					break
				}
			}
			carry = bytes.Clone(piece[cut:])
			piece = piece[:cut]
		}
		if !isText(piece) || (off >= size && !utf8.Valid(piece)) {
			return false
		}
	}
	return true
}

// sniffJSON reads one JSON value that fills r from off; anything else is "".
func sniffJSON(r io.ReaderAt, size, off int64) string {
	dec := json.NewDecoder(io.NewSectionReader(r, off, size-off))
	depth, key, learner, version := 0, false, false, false
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) && depth == 0 {
			break
		}
		if err != nil || (depth == 0 && key) {
			return ""
		}
		switch v := t.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else if depth--; depth == 0 {
				key = true // the value is complete: nothing may follow
			}
		case string:
			learner = learner || depth == 1 && v == "learner"
			version = version || depth == 1 && v == "version"
		}
	}
	if learner && version {
		return XGBoostJSON
	}
	return JSON
}

var (
	pythonStart = regexp.MustCompile(`^(import [\w.]+|from [\w.]+ import |(async )?def \w+\(|class \w+\s*[(:]|@\w+|if __name__\b|exec\(|eval\(|__import__\()`)
	docstring   = regexp.MustCompile(`(?s)^[rRuU]?("""|''').*?("""|''')`)
	pythonTag   = regexp.MustCompile(`!!?python/|tag:yaml\.org,2002:python/|!<tag:yaml`)
)

// isPython tells source code by its first statement, or by its name: that it may be
// imported is what makes it dangerous, and importing goes by name.
func isPython(name string, b []byte) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".py", ".pyw", ".pyx", ".pyi", ".pth":
		return true
	}
	for len(b) > 0 {
		b = bytes.TrimLeft(b, " \t\r\n;")
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

// isCSV tells a table of at least two rows and two columns.
func isCSV(b []byte, cut bool) bool {
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

// isYAML tells a document that is a mapping or a list.
func isYAML(b []byte, cut bool) bool {
	var doc yaml.Node
	if cut || yaml.Unmarshal(b, &doc) != nil || len(doc.Content) != 1 {
		return false
	}
	return doc.Content[0].Kind == yaml.MappingNode || doc.Content[0].Kind == yaml.SequenceNode
}
