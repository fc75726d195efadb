// Two changes of one text, as one: what each changed of the lines that both began with, where neither touches the other's.

package repo

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/utils/diff"
)

const (
	mostMerged = 1 << 20         // bytes of a text whose lines are compared
	mostLines  = 20_000          // of it: what two texts differ in is found in a time that grows with the square of that
	longest    = 5 * time.Second // for what is found; the rest counts as changed
)

// edit is lines in place of those of a text from from to to.
type edit struct {
	from, to int
	lines    []string
}

func (e edit) equal(o edit) bool {
	return e.from == o.from && e.to == o.to && slices.Equal(e.lines, o.lines)
}

// merged is was with what makes it a and what makes it b; false where the two changes touch, or it is no text.
func merged(was, a, b []byte) ([]byte, bool) {
	for _, text := range [][]byte{was, a, b} {
		if len(text) > mostMerged || bytes.IndexByte(text, 0) >= 0 || bytes.Count(text, []byte("\n")) > mostLines {
			return nil, false
		}
	}
	one, other := edits(string(was), string(a)), edits(string(was), string(b))
	var all []edit
	for len(one) > 0 || len(other) > 0 {
		switch {
		case len(one) == 0:
			all, other = append(all, other[0]), other[1:]
		case len(other) == 0:
			all, one = append(all, one[0]), one[1:]
		case one[0].equal(other[0]):
			all, one, other = append(all, one[0]), one[1:], other[1:]
		case one[0].from <= other[0].to && other[0].from <= one[0].to:
			return nil, false
		case one[0].from < other[0].from:
			all, one = append(all, one[0]), one[1:]
		default:
			all, other = append(all, other[0]), other[1:]
		}
	}
	lines, at := strings.SplitAfter(string(was), "\n"), 0
	var out strings.Builder
	for _, e := range all {
		for ; at < e.from; at++ {
			out.WriteString(lines[at])
		}
		for _, l := range e.lines {
			out.WriteString(l)
		}
		at = e.to
	}
	for ; at < len(lines); at++ {
		out.WriteString(lines[at])
	}
	return []byte(out.String()), true
}

// edits are what makes was now, in order; none of them touches the next.
func edits(was, now string) (out []edit) {
	at, open := 0, false
	for _, d := range diff.DoWithTimeout(was, now, longest) {
		lines := strings.SplitAfter(d.Text, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		if d.Type == 0 {
			at, open = at+len(lines), false
			continue
		}
		if !open {
			out, open = append(out, edit{from: at, to: at}), true
		}
		e := &out[len(out)-1]
		if d.Type < 0 {
			at += len(lines)
			e.to = at
		} else {
			e.lines = append(e.lines, lines...)
		}
	}
	return out
}
