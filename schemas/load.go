// Load turns a repository's YAML into checked declarations.
package schemas

import (
	"cmp"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Load reads vishwa.yaml at the root of fsys and the files that its Project
// includes, and checks them as a whole. It reports all problems that it finds,
// sorted by position; only where there is none are the declarations complete.
// They are sorted by ref. Symbolic links are not followed.
func Load(fsys fs.FS) ([]Declaration, []Problem) {
	l := &loader{repo: newRepository(fsys), refs: map[Ref]*document{}}
	if e := l.repo.look(Root); e.err != nil {
		return nil, []Problem{{Pos: Position{File: Root}, Message: "is not there; run vishwa init, or go to the folder that holds it"}}
	}
	l.read([]string{Root})
	l.findProject()
	l.readIncluded()
	l.register()
	c := checker{loader: l, ports: map[int]Ref{}}
	for _, d := range l.docs {
		c.check(d)
	}
	c.cycles()
	return l.result()
}

// loader collects the documents of a repository.
type loader struct {
	repo     *repository
	docs     []*document
	refs     map[Ref]*document
	project  *document // nil where there is none
	problems []Problem
	unread   bool // a file or document could not be read: what is not there may be in it
}

// read reads files, several at once where there are processors for it; their order stays.
func (l *loader) read(files []string) {
	type result struct {
		docs    []*document
		problem *Problem
	}
	results := make([]result, len(files))
	var next atomic.Int64
	var workers sync.WaitGroup
	for _, f := range files {
		l.repo.look(f) // remembers, which workers may not
	}
	for range min(len(files), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(files); i = next.Add(1) - 1 {
				results[i].docs, results[i].problem = l.repo.documents(files[i])
			}
		})
	}
	workers.Wait()
	for _, r := range results {
		l.docs = append(l.docs, r.docs...)
		if r.problem != nil {
			l.unread = true
			l.problems = append(l.problems, *r.problem)
		}
	}
}

// findProject finds the one Project of vishwa.yaml, when nothing else is read yet.
func (l *loader) findProject() {
	unknown := l.unread
	for _, d := range l.docs {
		unknown = unknown || d.decl.Kind == ""
		if d.decl.Kind != "Project" {
			continue
		}
		if l.project != nil {
			d.problem("kind", "there is a Project already, at %s; remove one", l.project.decl.Pos)
			continue
		}
		l.project = d
	}
	if l.project == nil && !unknown {
		l.problems = append(l.problems, Problem{Pos: Position{File: Root, Line: 1, Column: 1}, Message: "declares no Project; add a document with kind: Project"})
	}
}

func (l *loader) readIncluded() {
	globs, strict := defaultInclude, false
	if l.project != nil {
		if p, ok := l.project.decl.Spec.(*Project); ok && len(p.Include) > 0 {
			globs, strict = p.Include, true
		}
	}
	before := len(l.docs)
	files, found := included(l.repo, globs, strict)
	for _, f := range found {
		field := "spec.include"
		if strict {
			field = fmt.Sprintf("spec.include.%d", slices.Index(globs, f.glob))
		}
		if l.project == nil {
			l.problems = append(l.problems, Problem{Pos: Position{File: Root}, Message: f.message})
		} else if !l.project.reported(field) {
			l.project.problem(field, "%s", f.message)
		}
	}
	l.read(files)
	for _, d := range l.docs[before:] {
		if d.decl.Kind == "Project" {
			d.problem("kind", "a Project belongs in %s; move it there", Root)
		}
	}
}

// register names every document, and reports those that have the name of another.
func (l *loader) register() {
	for _, d := range l.docs {
		ref := d.decl.Ref()
		if d.decl.Kind == "" || ref.Name == "" {
			l.unread = true
			continue
		}
		other, twice := l.refs[ref]
		switch {
		case !twice:
			l.refs[ref] = d
		case d.decl.Kind != "Project":
			d.problem("metadata.name", "%s is declared already, at %s; rename or remove one", ref, other.decl.Pos)
		}
	}
}

func (l *loader) result() ([]Declaration, []Problem) {
	decls := make([]Declaration, 0, len(l.docs))
	problems := l.problems
	for _, d := range l.docs {
		problems = append(problems, d.problems...)
		if d.decl.Spec != nil && !d.guessed {
			decls = append(decls, d.decl)
		}
	}
	slices.SortStableFunc(decls, func(a, b Declaration) int { return a.Ref().Compare(b.Ref()) })
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column), strings.Compare(a.Field, b.Field), strings.Compare(a.Message, b.Message))
	})
	return decls, slices.Compact(problems)
}
