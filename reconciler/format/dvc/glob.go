// The parts of patterns of .dvcignore, and which of them a name matches: asked once a
// name on the way, however many patterns have it.

package dvc

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// anyFolders is the part "**".
const anyFolders = -1

// globs are the parts of patterns between slashes, each once, by number.
type globs struct {
	numbers map[string]int
	plain   map[string]int // those without wildcards, by the name that they match
	wild    []glob
}

type glob struct {
	number      int
	marks       []mark
	front, back string // letters that a name that matches begins and ends with
}

// mark matches one letter or, for star, any number of them; none of them is a slash.
type mark struct {
	star, any bool
	letter    rune
	set       []rune // pairs of first and last, where it is one
}

// parts numbers the parts of a pattern; false is one with a part that may match a slash.
func (g *globs) parts(segs []string) ([]int, bool) {
	all := make([][]mark, len(segs))
	for i, seg := range segs {
		if seg == "**" {
			continue
		}
		marks, ok := marksOf(seg)
		if !ok {
			return nil, false
		}
		all[i] = marks
	}
	out := make([]int, len(segs))
	for i, seg := range segs {
		if out[i] = anyFolders; seg != "**" {
			out[i] = g.number(seg, all[i])
		}
	}
	return out, true
}

func (g *globs) number(seg string, marks []mark) int {
	if g.numbers == nil {
		g.numbers, g.plain = map[string]int{}, map[string]int{}
	}
	name, plain := nameOf(marks)
	key := "*" + seg
	if plain {
		key = "=" + name // another spelling of it is the same
	}
	n, known := g.numbers[key]
	if known {
		return n
	}
	n = len(g.numbers)
	g.numbers[key] = n
	if plain {
		g.plain[name] = n
	} else {
		g.wild = append(g.wild, newGlob(n, marks))
	}
	return n
}

// of are the globs that name matches, in order.
func (g *globs) of(name string) (out []int) {
	if n, ok := g.plain[name]; ok {
		out = append(out, n)
	}
	var letters []rune
	for i := range g.wild {
		w := &g.wild[i]
		if !strings.HasPrefix(name, w.front) || !strings.HasSuffix(name, w.back) {
			continue
		}
		if letters == nil {
			letters = []rune(name)
		}
		if globMatches(w.marks, letters) {
			out = append(out, w.number)
		}
	}
	slices.Sort(out)
	return out
}

func newGlob(number int, marks []mark) glob {
	plain := func(m mark) bool { return !m.star && !m.any && m.set == nil && m.letter != utf8.RuneError }
	from, to := 0, len(marks)
	for from < to && plain(marks[from]) {
		from++
	}
	for to > from && plain(marks[to-1]) {
		to--
	}
	front, _ := nameOf(marks[:from])
	back, _ := nameOf(marks[to:])
	return glob{number, marks, front, back}
}

// nameOf is the one name that marks match, where there is one.
func nameOf(marks []mark) (string, bool) {
	var b strings.Builder
	for _, t := range marks {
		if t.star || t.any || t.set != nil {
			return "", false
		}
		b.WriteRune(t.letter)
	}
	return b.String(), true
}

// marksOf reads a part, whose brackets and backslashes segment has found in order; false is
// one with a set that a slash is in.
func marksOf(seg string) (out []mark, ok bool) {
	if !utf8.ValidString(seg) {
		return nil, false
	}
	if seg == "*" {
		return []mark{{any: true}, {star: true}}, true // one letter at least
	}
	for i := 0; i < len(seg); {
		c, size := utf8.DecodeRuneInString(seg[i:])
		i += size
		switch c {
		case '\\':
			c, size = utf8.DecodeRuneInString(seg[i:])
			i += size
			out = append(out, mark{letter: c})
		case '*':
			if n := len(out); n == 0 || !out[n-1].star {
				out = append(out, mark{star: true})
			}
		case '?':
			out = append(out, mark{any: true})
		case '[':
			expr, end, closed := bracket(seg, i-1)
			re, err := syntax.Parse(expr, syntax.Perl)
			if !closed || err != nil {
				return nil, false
			}
			m := mark{set: re.Rune}
			switch {
			case re.Op == syntax.OpLiteral && len(re.Rune) == 1:
				m = mark{letter: re.Rune[0]}
			case re.Op != syntax.OpCharClass || len(re.Rune) == 0 || m.is('/'):
				return nil, false
			}
			out, i = append(out, m), end+1
		default:
			out = append(out, mark{letter: c})
		}
	}
	return out, true
}

// globMatches goes back to the last star alone, which is enough: what an earlier one takes
// too little of, the later one takes.
func globMatches(marks []mark, name []rune) bool {
	t, n, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case t < len(marks) && marks[t].star:
			star, from = t, n
			t++
		case t < len(marks) && !marks[t].star && marks[t].is(name[n]):
			t, n = t+1, n+1
		case star >= 0:
			from++
			t, n = star+1, from
		default:
			return false
		}
	}
	for t < len(marks) && marks[t].star {
		t++
	}
	return t == len(marks)
}

func (m mark) is(c rune) bool {
	switch {
	case m.any:
		return true
	case m.set == nil:
		return c == m.letter
	}
	for i := 0; i < len(m.set); i += 2 {
		if m.set[i] <= c && c <= m.set[i+1] {
			return true
		}
	}
	return false
}

// along tells whether parts match the first of names, and where the last part is "**", that
// there are more. A "**" passes over any number of them, but not over a line's end.
func along(parts []int, names []string, matched [][]int) bool {
	p, n, star, from := 0, 0, -1, 0
	for {
		switch {
		case p == len(parts):
			return true
		case parts[p] == anyFolders && p == len(parts)-1 && p > 0:
			return n < len(names)
		case parts[p] == anyFolders:
			star, from = p, n
			p++
			continue
		}
		if n < len(names) {
			if _, is := slices.BinarySearch(matched[n], parts[p]); is {
				p, n = p+1, n+1
				continue
			}
		}
		if star < 0 || from >= len(names) || strings.Contains(names[from], "\n") {
			return false
		}
		from++
		p, n = star+1, from
	}
}
