// How text of the repository is put into Markdown. A forge reads more than Markdown
// out of a comment: it tells people whom a text mentions and links issues, commits
// and addresses, and it does so after entities and backslashes are resolved. Only
// code is left alone. So text stands in a code span or a fence that it cannot end,
// but for words that are plain beyond doubt.

package templates

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// prose writes s, of at most n bytes, as words: those that could be read as anything
// else are code. It may stand anywhere in a line and in a table's cell.
func prose(s string, n int) string {
	s = cut(strings.TrimSpace(harmless.Line(s)), n)
	if escapeMarkdown(s) {
		return s
	}
	var out, wild []string
	flush := func() {
		text := strings.Join(wild, " ")
		end := strings.TrimRight(text, ";:,.") // the sentence's, and not the word's
		if end == "" {
			end = text
		}
		out, wild = append(out, code(end, n)+text[len(end):]), nil
	}
	words := strings.Fields(s)
	for i, word := range words {
		if escapeMarkdown(strings.TrimLeft(word, `("'`)) && (i > 0 || escapeMarkdown(word)) {
			if len(wild) > 0 {
				flush()
			}
			out = append(out, word)
			continue
		}
		wild = append(wild, word)
	}
	if len(wild) > 0 || len(words) == 0 {
		flush()
	}
	return strings.Join(out, " ")
}

// code writes s, of at most n bytes, as a code span on one line, which may stand in a
// table's cell. A bar is written as one that divides no cells.
func code(s string, n int) string {
	s = strings.TrimSpace(strings.ReplaceAll(cut(strings.TrimSpace(harmless.Line(s)), n), "|", "∣"))
	if s == "" {
		return "–"
	}
	n = ticks(s)
	if n > mostTicks {
		s, n = strings.ReplaceAll(s, "`", "'"), 0
	}
	if n == 0 {
		return "`" + s + "`"
	}
	around := strings.Repeat("`", n+1)
	return around + " " + s + " " + around
}

// mostTicks is the longest run of back-ticks that a code span shows as it is: what
// stands around it is longer still.
const mostTicks = 7

// codes writes each as code, with commas between; of more than most the rest is counted.
func codes(all []string, most int) string {
	var b strings.Builder
	for i, s := range all {
		if i == most {
			b.WriteString(" and " + strconv.Itoa(len(all)-most) + " more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(code(s, nameLimit))
	}
	return b.String()
}

// fenced writes text as a code block in the language info, one of ours. Of a text of
// more than n bytes the end is shown: in a log, that is where it went wrong.
func fenced(info, text string, n int) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n\r"), "\n")
	for i, l := range lines {
		lines[i] = cut(harmless.Line(strings.ReplaceAll(l, "\t", "    ")), min(n, longest))
	}
	size, from := 0, len(lines)
	for from > 0 && size+len(lines[from-1])+1 <= n {
		from--
		size += len(lines[from]) + 1
	}
	body := strings.Join(lines[from:], "\n")
	if from > 0 {
		body = "…\n" + body
	}
	fence := strings.Repeat("`", max(3, ticks(body)+1))
	return fence + info + "\n" + body + "\n" + fence + "\n"
}

// escapeMarkdown tells whether s can only be read as words: ASCII, a letter or digit first, no
// sign that Markdown, HTML or a forge gives a meaning to where it stands.
func escapeMarkdown(s string) bool {
	if s == "" || !wordAt(s, 0) || s[0] <= '9' && item.MatchString(s) {
		return false
	}
	for i, r := range s {
		switch {
		case r == ' ':
		case r < utf8.RuneSelf && (letter(byte(r)) || r >= '0' && r <= '9'):
		case strings.ContainsRune(",;.?!()/%'\"=+–…→≥≤×±é", r):
		case r == '-': // two could become a dash, or a line that underlines
			if i+1 < len(s) && s[i+1] == '-' {
				return false
			}
		case r == '_':
			if !wordAt(s, i-1) || !wordAt(s, i+1) {
				return false
			}
		case r == ':':
			if i+1 < len(s) && s[i+1] == '/' {
				return false
			}
		default:
			return false
		}
	}
	return !linked(s)
}

// linked tells whether a forge makes a link of a word in s without a sign that tame
// refuses: a commit, GH-1, www.a.b, mailto:a.
func linked(s string) bool {
	for i := 0; i < len(s); i++ {
		if !wordAt(s, i) {
			continue
		}
		from, hex := i, true
		for ; wordAt(s, i); i++ {
			hex = hex && (s[i] <= '9' || s[i]|' ' <= 'f')
		}
		if hex && i-from >= 7 && i-from <= 64 {
			return true
		}
		if i == len(s) || i-from > 6 {
			continue
		}
		switch word := strings.ToLower(s[from:i]); {
		case word == "gh" && s[i] == '-' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9',
			word == "www" && s[i] == '.', (word == "mailto" || word == "xmpp") && s[i] == ':':
			return true
		}
	}
	return false
}

// item is the marker of an ordered list's item, or would be with a full stop behind.
var item = lazyregexp.New(`^[0-9]+(?:[.)](?: |$)|$)`)

func wordAt(s string, i int) bool {
	return i >= 0 && i < len(s) && (letter(s[i]) || s[i] >= '0' && s[i] <= '9')
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// address is a URL that can be written as a link: nothing in it ends one.
var address = lazyregexp.New(`^https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/%+=:-]*)?(?:\?[A-Za-z0-9._~/%+=:&-]*)?(?:#[A-Za-z0-9._~/-]*)?$`)

const addressLimit = 300

// link writes where as a link called text, one of ours; what is no address of the
// web is written as code.
func link(text, where string) string {
	if len(where) <= addressLimit && address.MatchString(where) {
		return "[" + text + "](" + where + ")"
	}
	return text + " " + code(where, nameLimit)
}

// ticks is the longest run of back-ticks in text.
func ticks(text string) int {
	most, run := 0, 0
	for i := range len(text) {
		if run++; text[i] != '`' {
			run = 0
		}
		most = max(most, run)
	}
	return most
}

// cut shortens s to n bytes at a rune's edge, and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
