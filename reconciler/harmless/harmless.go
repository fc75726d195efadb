// Package harmless makes text of others safe to show. What a run printed, what a
// repository holds and what people wrote on a forge is chosen by somebody who may
// mean ill: a control character moves a terminal's cursor, a sign that turns the
// direction of writing hides a word, a line that begins with :: is an order to the
// machine that keeps a job's log. There is one function a place: Line and Text for
// people, JSON for programs, Message and Property for workflow commands, and Filter
// for all that is printed. Markdown, which is built of them, is in templates.
package harmless

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// unshown stands where a character was that is not shown.
const unshown = unicode.ReplacementChar

// Shown tells whether r is shown as it is: letters, marks, digits, signs and the
// blank of ASCII. Controls (C0, C1, DEL), those that turn the direction of writing,
// those without a width, line separators and what stands for nothing are not.
func Shown(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= ' ' && r <= '~'
	}
	return unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && (emoji(r) || !unicode.Is(unicode.Variation_Selector, r))
}

// emoji tells whether r is one of the selectors that make a sign a picture. The others
// can hide any number of bytes behind a letter.
func emoji(r rune) bool { return r >= 0xfe00 && r <= 0xfe0f }

// show is r as it is shown: every white space is a blank.
func show(r rune) rune {
	switch {
	case Shown(r):
		return r
	case unicode.IsSpace(r):
		return ' '
	default:
		return unshown
	}
}

// Line makes s one line that is safe to show anywhere.
func Line(s string) string {
	if ascii(s) {
		return s
	}
	return strings.Map(show, s)
}

// The most of what a program said of itself, in lines and bytes.
const (
	saidLines = 5
	saidBytes = 500
)

// address is one with what is behind its path, where keys and tokens lie.
var address = lazyregexp.New(`([a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^\s/?#@]*@)?([^\s?#"']*)(?:[?#][^\s"']*)?`)

// Said is the end of what a program printed of itself, as one line that is safe to show: its last
// lines, and of addresses neither who asks nor what is asked.
func Said(s string) string {
	var lines []string
	for l := range strings.SplitSeq(strings.TrimSpace(strings.ToValidUTF8(s, "")), "\n") {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	text := strings.Join(lines[max(0, len(lines)-saidLines):], "; ")
	text = address.ReplaceAllString(text, "$1$2")
	if len(text) > saidBytes {
		text = "..." + strings.ToValidUTF8(text[len(text)-saidBytes:], "")
	}
	return Line(text)
}

// Text makes s safe to print: its line breaks and tabs stay, and no line of it is an
// order to a job's log. It is what a Filter makes of s.
func Text(s string) string {
	if ascii(s) && !strings.Contains(s, "::") && !strings.Contains(s, "[") {
		return s
	}
	var f Filter
	return string(f.End(f.Append(nil, []byte(s))))
}

// ascii tells whether s is printable ASCII alone, as most text is.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// JSON writes what is not shown as \u escapes: a terminal is safe from it, and a
// parser reads what was there. raw is JSON.
func JSON(raw []byte) []byte {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(raw)+len(raw)/16)
	escape := func(u rune) {
		out = append(out, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	var marks hashes
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		bracket := marks.command(r)
		switch {
		case r == '\n' || r == '\t' || Shown(r) && !bracket && !(r == utf8.RuneError && n == 1):
			out = append(out, raw[:n]...)
		case r < ' ': // only between values
			out = append(out, ' ')
		case r > 0xffff:
			escape(0xd800 + (r-0x10000)>>10)
			escape(0xdc00 + (r-0x10000)&0x3ff)
		default:
			escape(r)
		}
		raw = raw[n:]
	}
	return out
}

// Steerer is a writer that filters what it is given, and has a way past the filter for
// what the program itself wants of a terminal or of a job's log.
type Steerer interface {
	Steer(sequence string) error
}

// Steer writes a sequence that is the program's own, no part of which was chosen by others.
func Steer(w io.Writer, sequence string) error {
	if s, ok := w.(Steerer); ok {
		return s.Steer(sequence)
	}
	_, err := io.WriteString(w, sequence)
	return err
}
