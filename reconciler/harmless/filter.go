// What is printed comes in pieces, which may end in the middle of a character. The
// filter is a small machine that remembers as much as it needs.

package harmless

import "unicode/utf8"

// Signs that look like those which begin an order to a job's log, and begin none.
const (
	colon   = '∶' // U+2236, in place of the second colon of ::
	bracket = '［' // U+FF3B, in place of that of ##[
)

// Filter makes a stream of text safe to print. Its zero value is at the beginning of a line.
type Filter struct {
	cut    []byte // the beginning of a character
	inside bool   // of a line: something stands before
	colon  bool   // and that is one colon
	cr     bool   // a carriage return came, perhaps of a line break
	marks  hashes
}

// Append adds to dst what is to be printed of p, which follows what came before.
func (f *Filter) Append(dst, p []byte) []byte {
	if len(f.cut) > 0 {
		p = append(f.cut, p...)
		f.cut = nil
	}
	for len(p) > 0 {
		if !utf8.FullRune(p) {
			f.cut = append([]byte(nil), p...)
			break
		}
		r, n := utf8.DecodeRune(p)
		p = p[n:]
		dst = f.rune(dst, r)
	}
	return dst
}

// End adds what is left at the end of the stream.
func (f *Filter) End(dst []byte) []byte {
	for range f.cut {
		dst = f.rune(dst, unshown)
	}
	f.cut = nil
	if f.cr {
		f.cr = false
		dst = append(dst, ' ')
	}
	return dst
}

// Break says that a line begins, whatever was printed.
func (f *Filter) Break() { f.inside, f.colon, f.marks = false, false, 0 }

func (f *Filter) rune(dst []byte, r rune) []byte {
	if f.cr {
		if f.cr = false; r != '\n' {
			dst = append(dst, ' ')
		}
	}
	switch r {
	case '\r':
		f.cr = true
		return dst
	case '\n':
		f.Break()
		return append(dst, '\n')
	case '\t':
		f.marks = 0
		return append(dst, '\t')
	}
	r = show(r)
	if f.marks.command(r) {
		r = bracket
	}
	switch {
	case r == ' ' || emoji(r): // what may stand before an order
	case r == ':' && !f.inside:
		f.inside, f.colon = true, true
		return append(dst, ':')
	case r == ':' && f.colon:
		r = colon
		fallthrough
	default:
		f.inside, f.colon = true, false
	}
	return utf8.AppendRune(dst, r)
}

// hashes sees ##[, ##vso[ and the like, with which servers of jobs let a line begin an
// order wherever in it they stand. It counts: the signs, and 3 once letters follow.
type hashes int

// command takes the next character, and tells whether it completes one.
func (h *hashes) command(r rune) bool {
	switch {
	case r == '#' && *h < 2:
		*h++
	case r == '#' && *h == 3:
		*h = 1
	case r == '#': // more of them
	case r == '[' && *h >= 2:
		*h = 0
		return true
	case *h >= 2 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'):
		*h = 3
	default:
		*h = 0
	}
	return false
}
