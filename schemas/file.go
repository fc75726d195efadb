// One file: its bounds, and its YAML documents one after another.

package schemas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// documents reads a file of declarations. Its path has been looked at before.
func (r *repository) documents(ctx context.Context, file string) ([]*document, *Problem) {
	text, wrong := r.contents(file)
	if wrong != "" {
		return nil, &Problem{Pos: Position{File: file}, Message: wrong}
	}
	return documents(ctx, file, text)
}

func (r *repository) contents(file string) ([]byte, string) {
	e := r.seen[file]
	switch {
	case e.err != nil:
		return nil, fmt.Sprintf("cannot be read: %s; make it readable", cause(e.err))
	case e.link != "":
		return nil, fmt.Sprintf("%s is a symbolic link, which is not followed; put the file there itself", e.link)
	case e.mode.IsDir():
		return nil, "is a folder; put a file there"
	case !e.mode.IsRegular():
		return nil, "is not a regular file; put one there"
	case e.size > maxBytes:
		return nil, tooLarge
	}
	b, err := r.head(file, maxBytes+1)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("cannot be read: %s; make it readable", cause(err))
	case len(b) > maxBytes:
		return nil, tooLarge
	}
	return b, ""
}

const tooLarge = "is larger than 4 MiB; split it"

// documents reads the documents of a file's text. Where the text is no YAML, those
// before the error are returned with it.
func documents(ctx context.Context, file string, text []byte) ([]*document, *Problem) {
	if p := unreadable(file, text); p != nil {
		return nil, p
	}
	var out []*document
	told, values := 0, 0
	dec := yaml.NewDecoder(bytes.NewReader(versioned(text)))
	for ctx.Err() == nil {
		root, err := next(dec)
		switch {
		case errors.Is(err, io.EOF) && len(out) == 0:
			return nil, &Problem{Pos: Position{File: file, Line: 1, Column: 1}, Message: "declares nothing; write apiVersion, kind, metadata and spec, or remove the file"}
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return out, syntax(file, err)
		case len(out) >= MaxDeclarations:
			return out, &Problem{Pos: Position{File: file, Line: root.Line, Column: root.Column}, Message: fmt.Sprintf("holds more than %d documents, and a repository declares no more; declare fewer", MaxDeclarations)}
		case told >= MaxProblems || values > maxValues:
			return out, nil // what is told is enough, or too much is declared: both are said of the repository
		case root.ShortTag() != "!!null": // two separators in a row are common, and harmless
			if a := stray(root); a != nil {
				return out, &Problem{Pos: Position{File: file, Line: a.Line, Column: a.Column}, Message: fmt.Sprintf("alias *%s has no anchor: an anchor holds in its own document alone; write &%s in this one", a.Value, a.Value)}
			}
			d := read(file, root)
			told, values = told+len(d.problems), values+len(d.places)
			out = append(out, d)
		}
	}
	return nil, nil
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

var directive = regexp.MustCompile(`^%YAML[ \t]+1\.(2)(\s|$)`)

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

func unreadable(file string, text []byte) *Problem {
	at := func(offset int, format string, args ...any) *Problem {
		line := 1 + bytes.Count(text[:offset], []byte("\n"))
		column := 1 + utf8.RuneCount(text[bytes.LastIndexByte(text[:offset], '\n')+1:offset])
		return &Problem{Pos: Position{File: file, Line: line, Column: column}, Message: fmt.Sprintf(format, args...)}
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
	if i := Crowded(text, 2*maxNodes); i >= 0 {
		return at(i, "the document holds more than %d values; split it, or keep the data in a file", maxNodes)
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

var yamlLine = regexp.MustCompile(`^line (\d+): `)

func syntax(file string, err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := &Problem{Pos: Position{File: file, Line: 1, Column: 1}}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		p.Pos.Line, _ = strconv.Atoi(m[1])
		p.Pos.Line = max(p.Pos.Line, 1)
		text = text[len(m[0]):]
	}
	p.Message = fmt.Sprintf("is not YAML: %s; correct this line or the one before it", text)
	return p
}
