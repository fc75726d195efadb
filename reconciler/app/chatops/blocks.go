// Which lines of a comment are spoken, and which are shown as code, quoted or
// hidden. It follows the block structure of CommonMark and of GitHub's extensions
// as far as a line that begins in its first column can be concerned by it: such a
// line is never in indented code, and ends every list item but a paragraph's.

package chatops

import "strings"

// spokenLine is a line outside of code, comments and quotations.
type spokenLine struct {
	text   string
	number int  // from 1
	quoted bool // it goes on the paragraph of a quotation above it, without a > of its own
}

// blank ends an HTML block where a line is blank.
const blank = "\n"

// scan is where the reading of a comment stands.
type scan struct {
	out       []spokenLine
	paragraph []spokenLine // lines under way; inline code and comments may span them
	item      int          // column at which the open list item's content begins; 0: no item is open
	quote     bool         // the paragraph under way is in a quotation
	fence     string       // the run of ` or ~ that opened the code block under way; "": none
	fenceItem int          // the item that the code block is in; 0: none
	until     string       // what ends the HTML block under way; "": none
	taken     bool         // the line was the beginning of a block
}

func spoken(body string) []spokenLine {
	s := scan{}
	number := 0
	for text := range strings.SplitSeq(body, "\n") {
		number++
		s.line(spokenLine{text: text, number: number})
	}
	s.end()
	return s.out
}

func (s *scan) line(l spokenLine) {
	indent, rest := indented(l.text)
	if s.until != "" {
		s.closeHTML(l.text)
		return
	}
	if s.fence != "" {
		if s.fenceItem == 0 || rest == "" || indent >= s.fenceItem {
			if closes(s.fence, indent-s.fenceItem, rest) {
				s.fence = ""
			}
			return
		}
		s.fence = "" // the line stands before its list item, which it ends
	}
	if rest == "" {
		s.end()
		s.quote = false
		return
	}
	s.block(l, indent, rest)
}

// block takes a line that is neither blank nor in a block that was begun before.
func (s *scan) block(l spokenLine, indent int, rest string) {
	within := 0 // column of the list item that the line is in
	if indent >= s.item {
		within = s.item
	}
	indent, within, rest = s.bullets(indent, within, rest)
	if rest == "" {
		return
	}
	open := len(s.paragraph) > 0 || s.quote
	if s.begins(indent, within, rest) || !open && within == 0 {
		if within == 0 {
			s.item = 0
		}
	}
	if !s.taken {
		l.quoted = s.quote
		s.paragraph = append(s.paragraph, l)
	}
}

// bullets enters the list items that a line begins, and is what remains of it.
func (s *scan) bullets(indent, within int, rest string) (int, int, string) {
	for rest != "" && indent-within <= 3 && !rule(rest) {
		width := bullet(rest)
		empty := width == len(rest)
		number := width > 1 && rest[:width-1] != "1"
		if width == 0 || len(s.paragraph) > 0 && s.item == 0 && (empty || number) {
			break
		}
		s.end()
		s.quote = false
		more, after := indented(rest[width:])
		if more > 4 || after == "" {
			after = strings.TrimLeft(rest[width:], " \t")
			indent, s.item = indent+width+more, indent+width+1
		} else {
			indent += width + more
			s.item = indent
		}
		within, rest = s.item, after
	}
	return indent, within, rest
}

// begins tells whether a line begins a block that is no paragraph.
func (s *scan) begins(indent, within int, rest string) bool {
	s.taken = true
	switch fence := opens(rest); {
	case indent-within > 3:
		s.taken = len(s.paragraph) == 0 && !s.quote // code, where it goes on no paragraph
		return s.taken
	case fence != "":
		s.end()
		s.fence, s.fenceItem, s.quote = fence, within, false
	case rest[0] == '>':
		s.end()
		// A quotation is gone on with by a line without > only where a paragraph is open in it.
		_, inner := indented(strings.TrimLeft(rest, "> \t"))
		s.quote = inner != "" && opens(inner) == "" && !rule(inner) && !heading(inner)
	case rest[0] == '=' && s.quote: // underlines nothing: a quotation's paragraph goes on
		s.taken = false
	case rule(rest) || heading(rest):
		s.end()
		s.quote = false
	case s.openHTML(rest):
	default:
		s.taken = false
	}
	return s.taken
}

// end closes the paragraph under way.
func (s *scan) end() {
	lines, until := visible(s.paragraph)
	s.out = append(s.out, lines...)
	s.paragraph = nil
	if until != "" {
		s.until = until
	}
}

// indented is how many columns a line is indented by, and the rest of it.
func indented(line string) (columns int, rest string) {
	for i := range len(line) {
		switch line[i] {
		case ' ':
			columns++
		case '\t':
			columns += 4 - columns%4
		default:
			return columns, strings.TrimRight(line[i:], " \t")
		}
	}
	return columns, ""
}

// run is how many times s begins with c.
func run(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}

// opens is the run that opens a fenced code block, or "".
func opens(rest string) string {
	if n := run(rest, '~'); n >= 3 {
		return rest[:n]
	}
	if n := run(rest, '`'); n >= 3 && !strings.Contains(rest[n:], "`") {
		return rest[:n]
	}
	return ""
}

func closes(fence string, indent int, rest string) bool {
	n := run(rest, fence[0])
	return indent <= 3 && n >= len(fence) && n == len(rest)
}

// bullet is the width of a list marker, or 0.
func bullet(rest string) int {
	n := 0
	switch {
	case strings.ContainsAny(rest[:1], "-+*"):
		n = 1
	default:
		digits := 0
		for digits < len(rest) && digits < 9 && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits == len(rest) || rest[digits] != '.' && rest[digits] != ')' {
			return 0
		}
		n = digits + 1
	}
	if n < len(rest) && rest[n] != ' ' && rest[n] != '\t' {
		return 0
	}
	return n
}

// rule tells whether a line is a thematic break or underlines a heading.
func rule(rest string) bool {
	c := rest[0]
	if c == '=' {
		return run(rest, c) == len(rest)
	}
	if strings.IndexByte("-_*", c) < 0 {
		return false
	}
	marks := 0
	for i := range len(rest) {
		switch rest[i] {
		case c:
			marks++
		case ' ', '\t':
		default:
			return false
		}
	}
	return marks >= 3
}

func heading(rest string) bool {
	n := run(rest, '#')
	return n > 0 && n <= 6 && (n == len(rest) || rest[n] == ' ' || rest[n] == '\t')
}
