// What HTML and inline code take out of a comment's text.

package chatops

import (
	"slices"
	"strings"
)

// The content of rawTags is shown as it is or not at all, until their end; that of
// blockTags is HTML until a blank line.
var (
	rawTags   = []string{"pre", "script", "style", "textarea"}
	blockTags = strings.Fields(`address article aside base basefont blockquote body caption center col colgroup dd
		details dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head
		header hr html iframe legend li link main menu menuitem nav noframes ol optgroup option p param search
		section summary table tbody td tfoot th thead title tr track ul`)
)

// tagOf is the name of the tag that a line begins with, in lower case, and whether
// nothing follows the tag.
func tagOf(rest string) (name string, alone bool) {
	inner, is := strings.CutPrefix(rest, "<")
	if !is {
		return "", false
	}
	inner = strings.TrimPrefix(inner, "/")
	n := 0
	for n < len(inner) && (letter(inner[n]) || n > 0 && (inner[n] == '-' || inner[n] >= '0' && inner[n] <= '9')) {
		n++
	}
	if n == 0 || n < len(inner) && !strings.ContainsAny(inner[n:n+1], " \t/>") {
		return "", false
	}
	return strings.ToLower(inner[:n]), strings.HasSuffix(inner, ">") && strings.IndexByte(inner, '>') == len(inner)-1
}

// openHTML tells whether a line begins an HTML block that may hold blank lines.
func (s *scan) openHTML(rest string) bool {
	ends := ""
	switch {
	case strings.HasPrefix(rest, "<!--"):
		ends = "-->"
	case strings.HasPrefix(rest, "<?"):
		ends = "?>"
	case strings.HasPrefix(rest, "<![CDATA["):
		ends = "]]>"
	case len(rest) > 2 && strings.HasPrefix(rest, "<!") && letter(rest[2]):
		ends = ">"
	default:
		switch tag, alone := tagOf(rest); {
		case slices.Contains(rawTags, tag) && rest[1] != '/':
			ends = "</" + tag + ">"
		case slices.Contains(blockTags, tag):
			ends = blank
		case tag == "" || !alone || len(s.paragraph) > 0 || s.quote:
			return false
		case slices.Contains(codeTags, tag) && rest[1] != '/':
			ends = "</" + tag + ">"
		default:
			ends = blank
		}
	}
	s.end()
	s.quote = false
	if s.until != "" { // the paragraph left a code tag open
		return true
	}
	s.until = ends
	if ends == "-->" {
		rest = rest[len("<!--"):]
		if strings.HasPrefix(rest, ">") || strings.HasPrefix(rest, "->") { // <!--> and <!---> are whole comments
			rest = "-->"
		}
	}
	s.closeHTML(rest)
	return true
}

func (s *scan) closeHTML(line string) {
	switch {
	case s.until != blank && strings.Contains(strings.ToLower(line), s.until), s.until == blank && strings.TrimSpace(line) == "":
		s.until = ""
	case s.until == blank:
		if end := leftOpen(line); end != "" {
			s.until = end
		}
	}
}

// leftOpen is the end of a code tag that a line of HTML begins and does not end, or "".
func leftOpen(line string) string {
	for i := 0; i < len(line); i++ {
		if line[i] != '<' {
			continue
		}
		if tag, _ := tagOf(line[i:]); slices.Contains(codeTags, tag) && line[i+1] != '/' {
			end := "</" + tag + ">"
			n := indexFold(line[i:], end)
			if n < 0 {
				return end
			}
			i += n
		}
	}
	return ""
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// codeTags are shown as code, on through paragraphs, until their end.
var codeTags = []string{"code", "pre", "kbd", "samp", "tt"}

// visible is the lines of a paragraph that do not begin inside of inline code, an
// inline comment or a code tag. A code tag that the paragraph leaves open goes on
// behind it, until its end.
func visible(paragraph []spokenLine) (out []spokenLine, until string) {
	matters := func(l spokenLine) bool { return strings.HasPrefix(l.text, word) || strings.Contains(l.text, "<") }
	if !slices.ContainsFunc(paragraph, matters) {
		return nil, ""
	}
	texts := make([]string, len(paragraph))
	for i, l := range paragraph {
		texts[i] = l.text
	}
	text := strings.Join(texts, "\n")
	spans := spans{text, runs(text), map[string]bool{}}
	at, next := 0, 0 // offset of the line; end of the last span that hides
	for i, l := range paragraph {
		end := at + len(texts[i])
		if next <= at {
			out = append(out, l)
		}
		for pos := max(at, next); pos < end; pos = next {
			if next = spans.end(pos); next > len(text) {
				tag, _ := tagOf(text[pos:])
				return out, "</" + tag + ">"
			}
		}
		at = end + 1
	}
	return out, ""
}

// runs lists where runs of back-ticks begin, by their length.
func runs(text string) map[int][]int {
	out := map[int][]int{}
	for i := 0; i < len(text); i++ {
		if n := run(text[i:], '`'); n > 0 {
			out[n] = append(out[n], i)
			i += n - 1
		}
	}
	return out
}

// spans finds where what hides text ends.
type spans struct {
	text   string
	ticks  map[int][]int   // where runs of back-ticks begin, by their length; those behind are dropped
	absent map[string]bool // ends that are not in the rest of the text
}

// pairs are what hides text within a paragraph, by its beginning.
var pairs = [...][2]string{{"<!--", "-->"}, {"<?", "?>"}, {"<![CDATA[", "]]>"}}

// end is the end of what begins at pos: of inline code, a comment or a code tag
// where there is one, else of one byte. Of a code tag that is not closed it lies
// behind the text.
func (s spans) end(pos int) int {
	text := s.text[pos:]
	switch text[0] {
	case '\\':
		if len(text) > 1 && strings.IndexByte("`<\\", text[1]) >= 0 {
			return pos + 2
		}
	case '`':
		n := run(text, '`')
		left := s.ticks[n]
		for len(left) > 0 && left[0] <= pos {
			left = left[1:]
		}
		s.ticks[n] = left
		if len(left) > 0 {
			return left[0] + n
		}
		return pos + n
	case '<':
		for _, pair := range pairs {
			begin, end := pair[0], pair[1]
			if s.absent[end] || len(text) < len(begin) || !strings.EqualFold(text[:len(begin)], begin) {
				continue
			}
			if n := indexFold(text[len(begin):], end); n >= 0 {
				return pos + len(begin) + n + len(end)
			}
			s.absent[end] = true
		}
		if tag, _ := tagOf(text); slices.Contains(codeTags, tag) && text[1] != '/' {
			end := "</" + tag + ">"
			if n := indexFold(text, end); n >= 0 {
				return pos + n + len(end)
			}
			return len(s.text) + 1
		}
	}
	return pos + 1
}

// indexFold is where s holds what, in either case of ASCII; -1: nowhere.
func indexFold(s, what string) int {
	for i := 0; i+len(what) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(what)], what) {
			return i
		}
	}
	return -1
}
