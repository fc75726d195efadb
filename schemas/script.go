// Scripts that a command names: one that it is not given fails after minutes, where a look at the repository tells it at once.

package schemas

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Doubt is what will not work when a declaration is carried out. It is no reason not to read what is declared: the rest of it may be in use.
type Doubt struct {
	Problem
	Certain bool // what runs cannot but fail; else it may be meant so
}

var (
	// interpreters take the first argument that is no flag for a path, from where they begin: the folder of the declared code.
	interpreters = lazyregexp.New(`^(python[0-9.]*|perl|ruby|julia|Rscript|node|bash|dash|ksh|sh|zsh)$`)
	pythons      = lazyregexp.New(`^python[0-9.]*$`)
	// shells look on PATH as well for a script that is named without a folder.
	shells = lazyregexp.New(`^(bash|dash|ksh|sh|zsh)$`)
	// Flags that take no value, and leave what comes after them the script.
	pythonFlag = lazyregexp.New(`^-[BEIOPSbdiqsuvx]+$`)
	shellFlag  = lazyregexp.New(`^-[aefluvx]+$`)
	// scripts end so.
	scripts = lazyregexp.New(`\.(py|sh|bash|R|jl|pl|rb|js|mjs|cjs|ipynb)$`)
)

// script doubts what a command at field names as a script, where it is none of the files that it is given.
func (c *checker) script(d *document, field string, w Work) {
	main := mainScript(w.Run)
	for i, arg := range w.Run {
		p := path.Clean(arg)
		if i != main && (i == 0 || !scripts.MatchString(arg)) || p == "." || strings.Contains(arg, "${") || local(p) != "" {
			continue
		}
		wrong, near := c.notGiven(p, field, w.Code)
		onPath := shells.MatchString(path.Base(w.Run[0])) && !strings.Contains(arg, "/")
		if certain := i == main && (near || !onPath); wrong != "" && (certain || near) && len(d.decl.Doubts) < maxProblems {
			at := fmt.Sprintf("%s.run.%d", field, i)
			d.decl.Doubts = append(d.decl.Doubts, Doubt{Problem{Pos: d.at(at), Field: at, Message: wrong}, certain})
		}
	}
}

// mainScript is which argument of a command is the script that its program runs; -1: none is known to be.
func mainScript(run []string) int {
	if len(run) == 0 || !interpreters.MatchString(path.Base(run[0])) {
		return -1
	}
	program := path.Base(run[0])
	for i, arg := range run[1:] {
		switch {
		case pythons.MatchString(program) && pythonFlag.MatchString(arg), shells.MatchString(program) && shellFlag.MatchString(arg):
		case strings.HasPrefix(arg, "-"), program == "node" && path.Ext(arg) == "": // which finds train.js by train
			return -1
		default:
			return i + 1
		}
	}
	return -1
}

// notGiven says why the file p is none of those that code gives to a command, and the way out; "" is that it may be one. It is near where
// the repository has it, or the command is given one that was probably meant.
func (c *checker) notGiven(p, field string, code []string) (wrong string, near bool) {
	inFolder := false
	for _, given := range code {
		switch given = path.Clean(given); {
		case given == p, given == ".", strings.HasPrefix(given, p+"/"):
			return "", false
		case strings.HasPrefix(p, given+"/"):
			inFolder = true
		}
	}
	e := c.repo.entryAt(p)
	switch {
	case e.err != nil && !missing(e.err), inFolder && e.err == nil:
		return "", false
	case e.err == nil:
		return fmt.Sprintf("%s is in the repository, but %s.code does not give it to the command; add it there", p, field), true
	}
	for _, given := range code {
		for _, n := range []string{path.Clean(given), path.Join(given, p)} {
			if is := c.repo.entryAt(n); path.Base(n) == path.Base(p) && is.err == nil && is.mode.IsRegular() {
				return fmt.Sprintf("%s is not in the repository%s A command begins at its root", p, meant(n)), true
			}
		}
	}
	if n := c.repo.beside(p); n != "" {
		return fmt.Sprintf("%s is not in the repository%s", p, meant(n)), inFolder || slices.ContainsFunc(code, func(given string) bool { return path.Clean(given) == n })
	}
	return fmt.Sprintf("%s is not in the repository; correct the path, or add the file and list it in %s.code", p, field), false
}
