// .dvcignore as DVC matches it. DVC turns each pattern into a regular expression of
// Python (pathspec's GitIgnoreSpecPattern) and asks it of every folder on the way. We
// match as it would, since Git's rules differ from these in corners, but name by name.

package dvc

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Ignore are the patterns of all .dvcignore files on the way to a folder, from the root.
type Ignore struct {
	rules []ignoreRule
	globs globs
	// What may match, by the number of rules that it says something of: those with a part that some folder or file on
	// the way must match, by that part, and all others. Each list is in the order of the rules.
	byPart map[int][]int
	others []int

	lines, bytes int // that were read so far
	wild, odd    int // bytes of parts that are no plain names, and of patterns that only an expression can match
}

// Bounds on patterns, each of which is asked of each file.
const (
	maxPattern     = 1024 // bytes of one
	maxIgnores     = 10_000
	maxIgnoreBytes = 256 << 10 // of all
	maxWildBytes   = 64 << 10  // of those with wildcards
	maxOddBytes    = 2 << 10   // of those with a set that a slash is in, such as [!a]
)

type ignoreRule struct {
	parts   []int          // of globs, and anyFolders
	re      *regexp.Regexp // in place of parts, where a part may match a slash
	all     bool           // it matches whatever does not begin with a line's end
	ignore  bool           // or not, with !
	dirOnly bool
}

// Add lays the .dvcignore of a folder over those of the folders above; "." is the root.
func (g *Ignore) Add(folder string, text []byte) error {
	for n, line := range strings.Split(strings.ReplaceAll(string(text), "\r", "\n"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		switch g.lines, g.bytes = g.lines+1, g.bytes+len(line); {
		case len(line) > maxPattern:
			return fault.WithHint(fault.New(fault.Invalid, "%s:%d: a pattern has more than %d bytes", path.Join(folder, ".dvcignore"), n+1, maxPattern), "shorten it")
		case g.lines > maxIgnores, g.bytes > maxIgnoreBytes:
			return fault.WithHint(fault.New(fault.Invalid, "%s:%d: with it there are more than %d patterns, or %d KiB of them", path.Join(folder, ".dvcignore"), n+1, maxIgnores, maxIgnoreBytes>>10),
				"ignore a folder in place of its files")
		}
		rule := line
		if folder != "." {
			rule = moved(line, folder)
		}
		r, err := g.translate(rule)
		if err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "%s:%d: %q is no pattern", path.Join(folder, ".dvcignore"), n+1, line), "correct it as gitignore has it; DVC cannot read it either")
		}
		if g.wild > maxWildBytes || g.odd > maxOddBytes {
			return fault.WithHint(fault.New(fault.Invalid, "%s:%d: with it the patterns with wildcards have more than %d KiB, or those with sets such as [!a] more than %d KiB", path.Join(folder, ".dvcignore"), n+1, maxWildBytes>>10, maxOddBytes>>10),
				"ignore a folder in place of its files")
		}
		if r != nil {
			r.dirOnly = strings.HasSuffix(rule, "/")
			g.keep(*r)
		}
	}
	return nil
}

// keep adds a rule.
func (g *Ignore) keep(r ignoreRule) {
	at := len(g.rules)
	g.rules = append(g.rules, r)
	for _, part := range slices.Backward(r.parts) {
		if part != anyFolders {
			if g.byPart == nil {
				g.byPart = map[int][]int{}
			}
			g.byPart[part] = append(g.byPart[part], at)
			return
		}
	}
	g.others = append(g.others, at)
}

// Empty tells whether nothing is ignored.
func (g *Ignore) Empty() bool { return len(g.rules) == 0 }

// Match tells whether a path from the root is ignored, or a folder above it.
func (g *Ignore) Match(p string, dir bool) bool {
	for i := range len(p) {
		if p[i] == '/' && g.One(p[:i], true) {
			return true
		}
	}
	return g.One(p, dir)
}

// One is Match where the folders above are known not to be ignored.
func (g *Ignore) One(p string, dir bool) bool {
	names := strings.Split(p, "/")
	if dir {
		names = append(names, "")
	}
	matched := make([][]int, len(names)) // the globs that each name matches, in order
	for i, name := range names {
		matched[i] = g.globs.of(name)
	}
	q := asked{p, dir, names, matched}
	best := g.newest(g.others, -1, q)
	for _, all := range matched {
		for _, part := range all {
			best = g.newest(g.byPart[part], best, q)
		}
	}
	return best >= 0 && g.rules[best].ignore
}

// asked is a path that rules are held against, with its names and what matches each of them.
type asked struct {
	path    string
	dir     bool
	names   []string
	matched [][]int
}

// newest is the last of some rules that matches, where it is after best, else best.
func (g *Ignore) newest(rules []int, best int, q asked) int {
	for _, at := range slices.Backward(rules) {
		if at <= best {
			break
		}
		r := &g.rules[at]
		switch {
		case r.dirOnly && !q.dir:
		case r.all:
			if !strings.HasPrefix(q.path, "\n") {
				return at
			}
		case r.re != nil:
			if r.re.MatchString(q.path) || q.dir && r.re.MatchString(q.path+"/") {
				return at
			}
		case along(r.parts, q.names, q.matched):
			return at
		}
	}
	return best
}

// moved is a pattern of a folder as the root would have it (dvc.pathspec_math).
func moved(rule, folder string) string {
	not := ""
	if strings.HasPrefix(rule, "!") {
		not, rule = "!/", rule[1:]
	}
	if rule != "" && strings.Contains(rule[:len(rule)-1], "/") && !strings.HasPrefix(rule, "**/") {
		rule = "/" + strings.TrimPrefix(strings.TrimPrefix(rule, "/"), `\`)
	} else {
		rule = "/**/" + strings.TrimPrefix(strings.TrimPrefix(rule, "**/"), `\`)
	}
	return not + folder + rule
}

// translate is pathspec's, error by error; no rule is a pattern that says nothing.
func (g *Ignore) translate(p string) (*ignoreRule, error) {
	if p = strings.TrimRight(p, " \t"); p == "" || p == "/" || strings.HasPrefix(p, "#") {
		return nil, nil
	}
	r := &ignoreRule{ignore: !strings.HasPrefix(p, "!")}
	segs := strings.Split(strings.TrimPrefix(p, "!"), "/")
	dirOnly := segs[len(segs)-1] == ""
	switch {
	case segs[0] == "":
		segs = segs[1:]
	case (len(segs) == 1 || len(segs) == 2 && segs[1] == "") && segs[0] != "**":
		segs = append([]string{"**"}, segs...)
	}
	if len(segs) == 0 {
		return nil, fault.New(fault.Invalid, "nothing is left of it")
	}
	if segs[len(segs)-1] == "" {
		segs[len(segs)-1] = "**"
	}
	segs = slices.CompactFunc(segs, func(a, b string) bool { return a == "**" && b == "**" })
	switch joined := strings.Join(segs, "/"); {
	case joined == "**" && dirOnly, joined == "**/*/**":
		return nil, nil // a slash that it begins with, which none does
	case joined == "**", joined == "**/*":
		r.all = true
		return r, nil
	}
	expr, ok, err := segments(segs)
	if err != nil || !ok {
		return nil, err
	}
	if r.parts, ok = g.globs.parts(segs); ok {
		for _, seg := range segs {
			if seg != "**" && strings.ContainsAny(seg, `*?[`) {
				g.wild += len(seg)
			}
		}
		return r, nil
	}
	g.odd += len(p)
	r.parts = nil
	r.re, err = regexp.Compile(`\A(?:` + expr + `)`)
	return r, err
}

func segments(segs []string) (string, bool, error) {
	var b strings.Builder
	slash, end := false, len(segs)-1
	for i, seg := range segs {
		switch {
		case seg == "**" && i == 0:
			b.WriteString("(?:.+/)?")
			continue
		case seg == "**" && i < end:
			b.WriteString("(?:/.+)?")
		case seg == "**":
			b.WriteString("/")
		default:
			if slash {
				b.WriteString("/")
			}
			glob, ok, err := segment(seg)
			if err != nil || !ok {
				return "", ok, err
			}
			b.WriteString(glob)
			if i == end {
				b.WriteString("(?:/|$)")
			}
		}
		slash = true
	}
	return b.String(), true, nil
}

// segment is a pattern between slashes; not ok is one whose bracket does not end, which
// says nothing.
func segment(seg string) (expr string, ok bool, err error) {
	if seg == "*" {
		return "[^/]+", true, nil
	}
	var b strings.Builder
	for i := 0; i < len(seg); i++ {
		switch c := seg[i]; c {
		case '\\':
			if i++; i == len(seg) {
				return "", false, fault.New(fault.Invalid, "a backslash ends it")
			}
			n := i + 1
			for n < len(seg) && seg[n]&0xC0 == 0x80 { // the whole letter
				n++
			}
			b.WriteString(regexp.QuoteMeta(seg[i:n]))
			i = n - 1
		case '*':
			b.WriteString("[^/]*")
		case '?':
			b.WriteString("[^/]")
		case '[':
			set, end, ok := bracket(seg, i)
			if !ok {
				return "", false, nil
			}
			b.WriteString(set)
			i = end
		default:
			b.WriteString(regexp.QuoteMeta(seg[i : i+1]))
		}
	}
	return b.String(), true, nil
}

// bracket is the set that begins at seg[i], as an expression, and where it ends.
func bracket(seg string, i int) (expr string, end int, ok bool) {
	from := i + 1
	if from < len(seg) && (seg[from] == '!' || seg[from] == '^') {
		from++
	}
	j := from
	if j < len(seg) && seg[j] == ']' {
		j++
	}
	for j < len(seg) && seg[j] != ']' {
		j++
	}
	if j >= len(seg) {
		return "", 0, false
	}
	not := ""
	if from > i+1 {
		not = "^"
	}
	// [: and a second ^ mean something to Go and nothing to Python.
	set := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(seg[from:j])
	if strings.HasPrefix(set, "]") {
		set = `\` + set
	}
	return "[" + not + set + "]", j, true
}
