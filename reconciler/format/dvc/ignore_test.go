// .dvcignore against DVC's own matcher.

package dvc

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const dvcMatches = `
import json, sys
from dvc.ignore import DvcIgnorePatterns
from dvc.pathspec_math import PatternInfo, merge_patterns
import posixpath
out = []
for root, sub, paths in json.load(sys.stdin):
    try:
        p, d = merge_patterns(posixpath, [PatternInfo(x, "") for x in [".hg/"] + root], "/r", [PatternInfo(x, "") for x in sub], "/r/s")
        m = DvcIgnorePatterns(p, d, "/")
        out.append("".join("1" if m._ignore(x.rstrip("/"), x.endswith("/"))[0] else "0" for x in paths))
    except Exception:
        out.append("error")
json.dump(out, sys.stdout)
`

func ignores(root, sub, paths []string) string {
	g := &Ignore{}
	if g.Add(".", []byte(strings.Join(root, "\n"))) != nil || g.Add("s", []byte(strings.Join(sub, "\n"))) != nil {
		return "error"
	}
	out := ""
	for _, p := range paths {
		if g.Match(strings.TrimSuffix(p, "/"), strings.HasSuffix(p, "/")) {
			out += "1"
		} else {
			out += "0"
		}
	}
	return out
}

func TestIgnoreAsDVCMatches(t *testing.T) {
	tools := os.Getenv("VISHWA_TOOLS")
	if tools == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("dvc is missing: run make tools, and name its folder in VISHWA_TOOLS")
		}
		t.Skip("VISHWA_TOOLS names no folder of programs: make tools installs dvc")
	}
	rng := rand.New(rand.NewPCG(6, 13))
	some := func(n int, from []string) string {
		out := ""
		for range 1 + rng.IntN(n) {
			out += from[rng.IntN(len(from))]
		}
		return out
	}
	pieces := strings.Split("a b s . - ! * ** ? / / [ ] [!a] [^a] [a-b] []a] [!a-] [[:x:]] [\\a] \\* \\ é # a.b", " ")
	names := strings.Split("a b s . - ! ab é a.b / / [ ] : x \\ #", " ")
	type group [3][]string
	var all []group
	for range 3000 {
		var g group
		for i := range 2 {
			for range 1 + rng.IntN(3) {
				if p := strings.TrimSpace(some(4, pieces)); p != "" && p[0] != '#' {
					g[i] = append(g[i], p)
				}
			}
		}
		for range 20 {
			if p := filepath.Clean("s/" + some(5, names)); rng.IntN(2) == 0 {
				g[2] = append(g[2], strings.TrimPrefix(p, "s/"))
			} else {
				g[2] = append(g[2], p+"/")
			}
		}
		for i := range g {
			if g[i] == nil {
				g[i] = []string{}
			}
		}
		all = append(all, g)
	}
	in, _ := json.Marshal(all)
	cmd := exec.Command(filepath.Join(tools, "..", "dvc", "bin", "python3"), "-c", dvcMatches)
	cmd.Stdin = bytes.NewReader(in)
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for i, g := range all {
		if got := ignores(g[0], g[1], g[2]); got != want[i] {
			t.Errorf("%q and below s %q of %q: %s, DVC %s", g[0], g[1], g[2], got, want[i])
		}
	}
}

// FuzzIgnoreByName: what is matched name by name is what one expression over the whole path
// would match.
func FuzzIgnoreByName(f *testing.F) {
	for _, seed := range [][2]string{
		{"**/a*b/**/[c-e]?x", "q/acb/z/d1x/y"}, {"!*/**", "a/b/"}, {"[]a]*", "]x"}, {"a\\*b", "a*b"}, {"**/*", "\n/a"}, {"a/**/b", "a/x\ny/b"}, {"[^/]?**/é*", "bé/éa"}, {"***", "a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, p string) {
		if len(pattern) > 60 || len(p) > 60 || strings.ContainsAny(pattern, "\r\n") || path.Clean(p) != p || path.IsAbs(p) || !utf8.ValidString(p) {
			t.Skip()
		}
		g := &Ignore{}
		if g.Add(".", []byte(pattern)) != nil || len(g.rules) == 0 || g.rules[0].all {
			t.Skip()
		}
		r := &g.rules[0]
		segs := strings.Split(strings.TrimPrefix(strings.TrimSpace(pattern), "!"), "/")
		if segs[0] == "" {
			segs = segs[1:]
		} else if (len(segs) == 1 || len(segs) == 2 && segs[1] == "") && segs[0] != "**" {
			segs = append([]string{"**"}, segs...)
		}
		if segs[len(segs)-1] == "" {
			segs[len(segs)-1] = "**"
		}
		expr, _, err := segments(slices.CompactFunc(segs, func(a, b string) bool { return a == "**" && b == "**" }))
		if err != nil {
			t.Skip()
		}
		whole := regexp.MustCompile(`\A(?:` + expr + `)`)
		for _, dir := range []bool{false, true} {
			want := (dir || !r.dirOnly) && (whole.MatchString(p) || dir && whole.MatchString(p+"/")) && r.ignore
			if got := g.One(p, dir); got != want {
				t.Errorf("%q of %q, a folder: %v: %v, and %s says %v", pattern, p, dir, got, expr, want)
			}
		}
	})
}
