// .dvcignore as DVC matches it. DVC turns each pattern into a regular expression of
// Python (pathspec's GitIgnoreSpecPattern) and asks it of every folder on the way; so
// do we, since Git's rules differ from these in corners.

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
	lines int // that were read so far, and their bytes
	bytes int
}

// Bounds on patterns, each of which is asked of each file.
const (
	maxPattern     = 1024 // bytes of one
	maxIgnores     = 10_000
	maxIgnoreBytes = 256 << 10 // of all
)

type ignoreRule struct {
	re      *regexp.Regexp
	ignore  bool // or not, with !
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
		re, ignore, err := translate(rule)
		if err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "%s:%d: %q is no pattern", path.Join(folder, ".dvcignore"), n+1, line), "correct it as gitignore has it; DVC cannot read it either")
		}
		if re != nil {
			g.rules = append(g.rules, ignoreRule{re, ignore, strings.HasSuffix(rule, "/")})
		}
	}
	return nil
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
	for _, r := range slices.Backward(g.rules) {
		if r.dirOnly && !dir {
			continue
		}
		if r.re.MatchString(p) || dir && r.re.MatchString(p+"/") {
			return r.ignore
		}
	}
	return false
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

// translate is pathspec's, error by error; no expression is a pattern that says nothing.
func translate(p string) (re *regexp.Regexp, ignore bool, err error) {
	if p = strings.TrimRight(p, " \t"); p == "" || p == "/" || strings.HasPrefix(p, "#") {
		return nil, false, nil
	}
	ignore = !strings.HasPrefix(p, "!")
	segs := strings.Split(strings.TrimPrefix(p, "!"), "/")
	dirOnly := segs[len(segs)-1] == ""
	switch {
	case segs[0] == "":
		segs = segs[1:]
	case (len(segs) == 1 || len(segs) == 2 && segs[1] == "") && segs[0] != "**":
		segs = append([]string{"**"}, segs...)
	}
	if len(segs) == 0 {
		return nil, false, fault.New(fault.Invalid, "nothing is left of it")
	}
	if segs[len(segs)-1] == "" {
		segs[len(segs)-1] = "**"
	}
	segs = slices.CompactFunc(segs, func(a, b string) bool { return a == "**" && b == "**" })
	expr, ok := "", true
	switch joined := strings.Join(segs, "/"); {
	case joined == "**" && dirOnly, joined == "**/*/**":
		expr = "/"
	case joined == "**", joined == "**/*":
		expr = "."
	default:
		if expr, ok, err = segments(segs); err != nil || !ok {
			return nil, false, err
		}
	}
	re, err = regexp.Compile(`\A(?:` + expr + `)`)
	return re, ignore, err
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
				return "", false, nil
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
			b.WriteString("[" + not + set + "]")
			i = j
		default:
			b.WriteString(regexp.QuoteMeta(seg[i : i+1]))
		}
	}
	return b.String(), true, nil
}
