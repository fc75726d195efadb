// Which lines of a comment are spoken, and which are shown as code, quoted or hidden, as
// CommonMark has it: a line is spoken where its beginning is shown as text.

package chatops

import (
	"bytes"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/net/html"
)

// spokenLine is a line outside of code, comments and quotations.
type spokenLine struct {
	text   string
	number int  // from 1
	quoted bool // it goes on the paragraph of a quotation above it, without a > of its own
}

// markdown reads blocks and, of what stands within lines, what decides where text is
// hidden: emphasis is text, and reading it costs the square of what a stranger writes.
var markdown = parser.NewParser(
	parser.WithBlockParsers(parser.DefaultBlockParsers()...),
	parser.WithInlineParsers(
		util.Prioritized(parser.NewCodeSpanParser(), 100),
		util.Prioritized(parser.NewLinkParser(), 200),
		util.Prioritized(parser.NewAutoLinkParser(), 300),
		util.Prioritized(parser.NewRawHTMLParser(), 400),
	),
	parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
)

// spoken is the lines of a comment that begin with a command and are spoken.
func spoken(body string) []spokenLine {
	if !strings.Contains(body, word) || contrived(body) {
		return nil
	}
	s := scan{body: []byte(body), shown: map[int]bool{}}
	s.block(markdown.Parse(text.NewReader(s.body)), false)
	var out []spokenLine
	at, number := 0, 0
	for line := range strings.SplitSeq(body, "\n") {
		number++
		if quoted, shown := s.shown[at]; shown && strings.HasPrefix(line, word) {
			out = append(out, spokenLine{line, number, quoted})
		}
		at += len(line) + 1
	}
	return out
}

const (
	mostMarks = 200  // quotations and lists that a line is in
	mostLinks = 1000 // of a comment
	mostLines = 8000 // of a comment, any of which may be in one link
)

// contrived tells whether a comment is written so that reading it takes long, which no
// person does by chance. It holds no commands.
func contrived(body string) bool {
	if strings.Count(body, "](")+strings.Count(body, "]:") > mostLinks || strings.Count(body, "\n") > mostLines {
		return true
	}
	for line := range strings.SplitSeq(body, "\n") {
		begin := line[:len(line)-len(strings.TrimLeft(line, " \t>-+*0123456789.)"))]
		if len(begin) > mostMarks && strings.Count(begin, ">")+len(strings.Fields(begin)) > mostMarks {
			return true
		}
	}
	return false
}

// scan walks a comment in its order.
type scan struct {
	body  []byte
	shown map[int]bool // where shown text begins, and whether it is quoted
	open  []string     // HTML tags that show what is in them as code, and are not closed
}

// block walks a block and what is in it.
func (s *scan) block(n ast.Node, quoted bool) {
	switch n := n.(type) {
	case *ast.HTMLBlock:
		piece := n.Lines().Value(s.body)
		if n.HasClosure() {
			piece = append(piece, n.ClosureLine.Value(s.body)...)
		}
		s.html(piece)
		return
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		return
	case *ast.Blockquote:
		quoted = true
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if c.Type() == ast.TypeInline {
			s.inline(c, quoted)
		} else {
			s.block(c, quoted)
		}
	}
}

// inline walks what stands within lines.
func (s *scan) inline(n ast.Node, quoted bool) {
	switch n := n.(type) {
	case *ast.CodeSpan, *ast.AutoLink:
		return
	case *ast.RawHTML:
		s.html(n.Segments.Value(s.body))
		return
	case *ast.Text:
		if len(s.open) == 0 {
			s.shown[n.Segment.Start] = quoted
		}
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		s.inline(c, quoted)
	}
}

// codeTags show what is in them as code, on through paragraphs, until their end.
var codeTags = []string{"code", "pre", "kbd", "samp", "tt"}

// html notes the tags of code that a piece of HTML opens and closes.
func (s *scan) html(piece []byte) {
	for tokens := html.NewTokenizer(bytes.NewReader(piece)); ; {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			return
		}
		raw, _ := tokens.TagName()
		name := string(raw)
		switch i := slices.Index(s.open, name); {
		case !slices.Contains(codeTags, name):
		case kind == html.EndTagToken && i >= 0:
			s.open = s.open[:i]
		case kind != html.EndTagToken && i < 0:
			s.open = append(s.open, name)
		}
	}
}
