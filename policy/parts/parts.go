// Package parts has the built-in rules in parts that have no kind in common: compiling rules costs a command more than
// judging, and most plans have steps of few kinds. Which part a file is in is read from its head, so that no other part is parsed.
package parts

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// Part is the rules that steps of some kinds are asked.
type Part struct {
	Kinds []string
	Files []string // sorted
}

// Head is what a file says of itself before its first rule.
type Head struct {
	Package string
	Kinds   []string // that its findings are about
	Imports []string // packages of rules
}

// HeadOf reads lines as the built-in files have them; a test holds it against Rego's parser.
func HeadOf(text []byte) (h Head) {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if pkg, is := strings.CutPrefix(line, "package "); is {
			h.Package = "data." + pkg
		}
		if pkg, is := strings.CutPrefix(line, "import data."); is {
			h.Imports = append(h.Imports, "data."+pkg)
		}
		if kinds, is := strings.CutPrefix(line, "#   kinds: ["); is {
			h.Kinds = strings.Split(strings.TrimSuffix(kinds, "]"), ", ")
		}
	}
	return h
}

// Split parts the files, texts by name: those whose findings are about a kind are in one part, with what they import and with
// what names no kind. It gives none where a file does not say its package, or is not the only one of it.
func Split(files map[string][]byte) []Part {
	heads, names := map[string]Head{}, map[string]string{} // by package
	for name, text := range files {
		h := HeadOf(text)
		if _, twice := heads[h.Package]; twice || h.Package == "" {
			return nil
		}
		heads[h.Package], names[h.Package] = h, name
	}
	pkgs := slices.Sorted(maps.Keys(heads))
	var out []Part
	for _, kinds := range together(pkgs, heads) {
		p := Part{Kinds: kinds}
		seen := map[string]bool{}
		var take func(pkg string)
		take = func(pkg string) {
			if name, there := names[pkg]; there && !seen[pkg] {
				seen[pkg] = true
				p.Files = append(p.Files, name)
				for _, other := range heads[pkg].Imports {
					take(other)
				}
			}
		}
		for _, pkg := range pkgs {
			if about := heads[pkg].Kinds; len(about) == 0 || slices.Contains(kinds, about[0]) {
				take(pkg)
			}
		}
		slices.Sort(p.Files)
		out = append(out, p)
	}
	return out
}

// Reaches tells whether rules may read what is not their team's: where the word data is not followed, at once, by a dot and a
// name that is not ours. In text and in what is said of rules it counts as well.
func Reaches(text []byte) bool {
	const word = "data"
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(word))
		if i < 0 {
			return false
		}
		from := at + i
		at = from + len(word)
		if from > 0 && isLetter(text[from-1]) || at < len(text) && isWord(text[at]) {
			continue // a longer word
		}
		name, end := "", at+1
		for at < len(text) && text[at] == '.' && end < len(text) && isWord(text[end]) {
			end++
		}
		if end > at+1 {
			name = string(text[at+1 : end])
		}
		if name == "" || name == "vishwa" {
			return true
		}
	}
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }

func isWord(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' }

// together are sets of kinds: those that a package names are in one.
func together(pkgs []string, heads map[string]Head) [][]string {
	var sets [][]string
	for _, pkg := range pkgs {
		kinds := slices.Clone(heads[pkg].Kinds)
		if len(kinds) == 0 {
			continue
		}
		sets = slices.DeleteFunc(sets, func(others []string) bool {
			shared := slices.ContainsFunc(others, func(k string) bool { return slices.Contains(kinds, k) })
			if shared {
				kinds = append(kinds, others...)
			}
			return shared
		})
		slices.Sort(kinds)
		sets = append(sets, slices.Compact(kinds))
	}
	return sets
}
