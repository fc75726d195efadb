// Package yamlpos reads YAML as trees whose nodes say where they stand, with one set of
// rules for all files that people write: UTF-8, no more values than were agreed upon, YAML
// 1.1 or 1.2, and anchors that end with their document. What is wrong has a line.
package yamlpos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Problem is what is wrong with a text, and where; lines and columns count from 1.
type Problem struct {
	Line, Column int
	Message      string // ends with what to do
}

func (p *Problem) Error() string { return fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message) }

// Documents are the documents of one text.
type Documents struct {
	dec  *yaml.Decoder
	text []byte
}

// Read begins to read a text of which no document holds more than most values.
func Read(text []byte, most int) (*Documents, *Problem) {
	if p := unreadable(text, most); p != nil {
		return nil, p
	}
	text = versioned(text)
	return &Documents{yaml.NewDecoder(bytes.NewReader(text)), text}, nil
}

// Next is the root of the next document, io.EOF behind the last one, or a *Problem, behind
// which nothing can be read.
func (d *Documents) Next() (*yaml.Node, error) {
	root, err := next(d.dec)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, syntax(err, d.text)
	}
	if a := stray(root); a != nil {
		return nil, &Problem{a.Line, a.Column, fmt.Sprintf("alias *%s has no anchor: an anchor holds in its own document alone; write &%s in this one", a.Value, a.Value)}
	}
	return root, nil
}

// One is the root of a text's one document; io.EOF: there is none.
func One(text []byte, most int) (*yaml.Node, error) {
	d, wrong := Read(text, most)
	if wrong != nil {
		return nil, wrong
	}
	root, err := d.Next()
	if err != nil {
		return nil, err
	}
	switch more, err := d.Next(); {
	case errors.Is(err, io.EOF):
		return root, nil
	case err != nil:
		return nil, err
	default:
		return nil, &Problem{max(more.Line, 1), max(more.Column, 1), "holds more than one document; keep one"}
	}
}

// next reads one document. The parser's own panics, were there any left, are an
// error of the file's and not the end of the program.
func next(dec *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	var n yaml.Node
	if err := dec.Decode(&n); err != nil {
		return nil, err
	}
	if len(n.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, nil
	}
	return n.Content[0], nil
}

// stray is an alias of another document's anchor, which the parser would follow: YAML has
// an anchor end with its document. Nil: there is none.
func stray(root *yaml.Node) *yaml.Node {
	own := map[*yaml.Node]bool{}
	var aliases []*yaml.Node
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode {
			aliases = append(aliases, n)
			return
		}
		if n.Anchor != "" {
			own[n] = true
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(root)
	for _, a := range aliases {
		if a.Alias != nil && !own[a.Alias] {
			return a
		}
	}
	return nil
}

var directive = lazyregexp.New(`^%YAML[ \t]+1\.(2)(\s|$)`)

// versioned is text whose documents of YAML 1.2 say 1.1, which is all that the parser
// takes. What differs between the two is refused (numbers with a leading zero), or read as
// 1.2 has it (yes and no are text). A directive stands before a document's beginning.
func versioned(text []byte) []byte {
	before, out := true, text
	for at := 0; at < len(text); {
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := bytes.TrimPrefix(text[at:end], []byte("\ufeff"))
		switch m := directive.FindSubmatchIndex(line); {
		case before && m != nil:
			if &out[0] == &text[0] {
				out = bytes.Clone(text)
			}
			out[end-len(line)+m[2]] = '1'
		case before && (len(bytes.TrimSpace(line)) == 0 || line[0] == '%' || line[0] == '#'):
		default:
			before = bytes.HasPrefix(line, []byte("...")) // which ends a document
		}
		at = end
	}
	return out
}

func unreadable(text []byte, most int) *Problem {
	at := func(offset int, format string, args ...any) *Problem {
		line := 1 + bytes.Count(text[:offset], []byte("\n"))
		column := 1 + utf8.RuneCount(text[bytes.LastIndexByte(text[:offset], '\n')+1:offset])
		return &Problem{line, column, fmt.Sprintf(format, args...)}
	}
	if !utf8.Valid(text) {
		offset := 0
		for offset < len(text) {
			r, n := utf8.DecodeRune(text[offset:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			offset += n
		}
		return at(offset, "is not UTF-8 text; save the file as UTF-8")
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return at(i, "holds a NUL byte; save the file as UTF-8 text")
	}
	if i := Crowded(text, 2*most); i >= 0 {
		return at(i, "the document holds more than %d values; split it, or keep the data in a file", most)
	}
	return nil
}

// Crowded finds a document with more than most signs of YAML: parsing it would take
// far more memory than its text, and the parser has no bound of its own. It returns
// the document's offset, or -1. The count is an upper bound of the values.
func Crowded(text []byte, most int) int {
	start, signs := 0, 0
	for i, c := range text {
		switch c {
		case '\n':
			if separates(text[i+1:]) {
				start, signs = i+1, 0
			}
		case ',', ':', '[', '{', '?', '&', '*', '!', '-':
			signs++
			if c == '-' && i > 0 && text[i-1] == '-' { // rules of hyphens in comments
				signs--
			}
		}
		if signs > most {
			return start
		}
	}
	return -1
}

// separates tells whether text begins with a line that ends a document. Hyphens with
// more behind them begin no other one.
func separates(text []byte) bool {
	rest, is := bytes.CutPrefix(text, []byte("---"))
	return is && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

var yamlLine = lazyregexp.New(`^line (\d+): `)

// causes are what the parser's words come from nearly always, for people who do not know its terms.
var causes = []struct{ says, often string }{
	{"cannot start any token", "a tab in place of spaces, or a value that begins with @, ` or % and has no quotes"},
	{"mapping values are not allowed", "a value with a colon in it has no quotes, or a line is indented too far"},
	{"did not find expected key", "a line is indented otherwise than those around it, or a quote or a bracket is not closed"},
	{open, "a bracket that opens in this line is not closed"},
	{"expected node content", "a value is missing, or a bracket is not closed"},
	{"unexpected end of stream", "a quote is not closed"},
	{"could not find expected ':'", "a line has no colon, or a quote is not closed"},
	{"expected '-' indicator", "an item of a list is indented otherwise than the first"},
}

// mostSearched is the longest text that is read again and again for a line, in bytes.
const mostSearched = 1 << 18

// open is said of a bracket that is not closed where something else follows.
const open = "expected ',' or"

// late are the problems of which the parser names the line where the mapping or the list begins, one too low.
var late = []string{"did not find expected key", "did not find expected '-' indicator"}

// syntax is an error of the parser's in text, which says the line where it knows it.
func syntax(err error, text []byte) *Problem {
	line, says := said(err)
	p := &Problem{Line: line, Column: 1}
	if n := unmerged(text); n > 0 {
		p.Line, p.Message = n, "is not YAML: Git's mark of a merge that it could not finish is here; write what holds in place of what is between <<<<<<< and >>>>>>>"
		return p
	}
	if slices.Contains(late, says) && len(text) <= mostSearched {
		p.Line = firstWith(says, text)
	}
	way := "correct this line or the one before it"
	if strings.Contains(says, open) {
		p.Line, way = opening(text, p.Line), "close it, or correct the line after it"
	}
	for _, c := range causes {
		if strings.Contains(says, c.says) {
			says += " (" + c.often + ")"
			break
		}
	}
	p.Message = fmt.Sprintf("is not YAML: %s; %s", says, way)
	return p
}

// opening is the line where the bracket opens that is not closed. The parser counts from nought where it names that line, and names the line where
// something else follows instead where that line is the first (yaml's parser.fail).
func opening(text []byte, named int) int {
	line := []byte{}
	if first, _, _ := bytes.Cut(text, []byte("\n")); bytes.Count(first, []byte("{"))+bytes.Count(first, []byte("[")) > bytes.Count(first, []byte("}"))+bytes.Count(first, []byte("]")) {
		return 1
	}
	n := 0
	for l := range bytes.Lines(text) {
		if n++; n == named+1 {
			line = l
		}
	}
	if bytes.ContainsAny(line, "{[") {
		return named + 1
	}
	return named
}

// unmerged is the line where two versions begin of which Git could not make one; 0: nowhere.
func unmerged(text []byte) int {
	ours, n := 0, 0
	for line := range bytes.Lines(text) {
		switch n++; {
		case bytes.HasPrefix(line, []byte("<<<<<<< ")):
			ours = n
		case ours > 0 && bytes.HasPrefix(line, []byte(">>>>>>> ")):
			return ours
		}
	}
	return 0
}

// said is the line of the parser's error, and its words.
func said(err error) (line int, says string) {
	says = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(says); m != nil {
		line, _ = strconv.Atoi(m[1])
		says = says[len(m[0]):]
	}
	return max(line, 1), says
}

// firstWith is the line up to which text has to be read for the parser to say what it says of
// all of it: the line that does not fit. A text that ends earlier is whole, or is wrong otherwise.
func firstWith(says string, text []byte) int {
	ends := []int{}
	for i, c := range text {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	return 1 + sort.Search(len(ends), func(i int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(text[:ends[i]]))
		for {
			switch _, err := next(dec); {
			case errors.Is(err, io.EOF):
				return false
			case err != nil:
				_, s := said(err)
				return s == says
			}
		}
	})
}
