// Load turns a repository's YAML into checked declarations.

package schemas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Load reads vishwa.yaml at the root of fsys and the files that its Project
// includes, and checks them as a whole. It reports all problems that it finds,
// sorted by position; only where there is none are the declarations complete.
// They are sorted by ref. Symbolic links are not followed.
//
// It grows with what is read and no faster, and reads no more than the bounds of this
// package allow: whoever may open a pull request writes declarations. Where ctx ends,
// what it returns is not complete, and counts for nothing.
func Load(ctx context.Context, fsys fs.FS) ([]Declaration, []Problem) {
	l := &loader{repo: newRepository(fsys), refs: map[Ref]*document{}}
	if e := l.repo.entryAt(Root); e.err != nil {
		return nil, []Problem{{Pos: Position{File: Root}, Message: absent(e.err)}}
	}
	l.readFiles(ctx, []string{Root})
	l.findProject()
	l.readIncluded(ctx)
	l.register()
	c := checker{loader: l, ports: map[int]Ref{}, packages: map[string]Ref{}, claimed: map[string]Ref{}}
	for _, d := range l.docs {
		if ctx.Err() != nil || l.enough() {
			break
		}
		if d.decl.Spec != nil {
			d.decl.Spec.(Spec).check(&c, d)
		}
		l.told += len(d.problems) - d.counted
	}
	if !l.enough() {
		c.cycles()
	}
	return l.result()
}

// absent says why vishwa.yaml could not be looked at, and what to do about it.
func absent(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "is not there; run vishwa init, or go to the folder that holds it"
	}
	return "cannot be read: " + cause(err) + "; " + cmp.Or(fault.HintOf(err), "make it readable")
}

// loader collects the documents of a repository.
type loader struct {
	repo     *repository
	docs     []*document
	refs     map[Ref]*document
	project  *document // nil where there is none
	problems []Problem
	unread   bool // a file or document could not be read: what is not there may be in it

	// What was read so far.
	told, values, candidates, bytes int
}

// enough tells that a person has enough to correct, or that a bound is exceeded: the
// rest is not looked at.
func (l *loader) enough() bool { return l.told >= MaxProblems || l.exceeds() != "" }

// exceeds says which bound on the repository is exceeded, and the way out; "" is none.
func (l *loader) exceeds() string {
	switch {
	case l.bytes > MaxBytes:
		return fmt.Sprintf("with this file, all files of declarations hold more than %d MiB; declare less, or move data to files of its own", MaxBytes>>20)
	case len(l.docs) > MaxDeclarations:
		return fmt.Sprintf("with this file, there are more than %d declarations; declare fewer, or split the repository", MaxDeclarations)
	case l.values > maxValues:
		return fmt.Sprintf("with this file, the declarations hold more than %d values; declare less, or keep data in files of its own", maxValues)
	case l.candidates > MaxCandidates:
		return fmt.Sprintf("with this file, the trainings have more than %d candidates; try fewer, or let one candidate's command search by itself", MaxCandidates)
	}
	return ""
}

// A wave is what is read before it is asked whether it was enough.
const (
	waveFiles = 64
	waveBytes = maxBytes
)

// readFiles reads files, until it is enough.
func (l *loader) readFiles(ctx context.Context, files []string) {
	for len(files) > 0 {
		if ctx.Err() != nil || l.enough() {
			l.unread = true
			return
		}
		n, size := 0, int64(0)
		for n < min(len(files), waveFiles) {
			if size += l.repo.entryAt(files[n]).size; size > waveBytes && n > 0 {
				break
			}
			n++
		}
		l.readAll(ctx, files[:n])
		files = files[n:]
	}
}

// readAll reads files, several at once where there are processors for it; their order stays.
func (l *loader) readAll(ctx context.Context, files []string) {
	type result struct {
		docs    []*document
		problem *Problem
	}
	results := make([]result, len(files))
	var next atomic.Int64
	var workers routine.Set
	for _, f := range files {
		l.repo.entryAt(f) // remembers, which workers may not
	}
	for range min(len(files), runtime.GOMAXPROCS(0)) {
		workers.Start(func() {
			for i := next.Add(1) - 1; int(i) < len(files) && ctx.Err() == nil; i = next.Add(1) - 1 {
				results[i].docs, results[i].problem = l.repo.documents(ctx, files[i])
			}
		})
	}
	workers.Wait()
	for i, r := range results {
		if l.enough() {
			l.unread = true
			return
		}
		l.bytes += int(min(l.repo.entryAt(files[i]).size, maxBytes))
		for _, d := range r.docs {
			l.addDocument(d)
		}
		if over := l.exceeds(); over != "" {
			l.unread = true
			l.told++
			l.problems = append(l.problems, Problem{Pos: Position{File: files[i], Line: 1, Column: 1}, Message: over})
			return
		}
		if r.problem != nil {
			l.unread = true
			l.told++
			l.problems = append(l.problems, *r.problem)
		}
	}
}

// addDocument adds a document.
func (l *loader) addDocument(d *document) {
	l.docs = append(l.docs, d)
	l.values += len(d.places)
	l.told += len(d.problems)
	d.counted = len(d.problems)
	if t, ok := d.decl.Spec.(Varied); ok {
		l.candidates += max(1, t.Count())
	}
}

// findProject finds the one Project of vishwa.yaml, when nothing else is read yet.
func (l *loader) findProject() {
	unknown := l.unread
	for _, d := range l.docs {
		unknown = unknown || d.decl.Kind == ""
		if !d.decl.Traits().Settings {
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

func (l *loader) readIncluded(ctx context.Context) {
	globs, strict := defaultInclude, false
	if l.project != nil {
		if p := ProjectOf([]Declaration{l.project.decl}); p != nil && len(p.Include) > 0 {
			globs, strict = p.Include, true
		}
	}
	before := len(l.docs)
	files, found := included(l.repo, globs, strict)
	for _, f := range found {
		l.told++
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
	l.readFiles(ctx, files)
	for _, d := range l.docs[before:] {
		if d.decl.Traits().Settings {
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
		case !d.decl.Traits().Settings:
			d.problem("metadata.name", "%s is declared already, at %s; rename or remove one", ref, other.decl.Pos)
		}
	}
}

// result is all that was found. Of problems, the first are told, and how many more there are.
func (l *loader) result() ([]Declaration, []Problem) {
	decls := make([]Declaration, 0, len(l.docs))
	problems := l.problems
	for _, d := range l.docs {
		problems = append(problems, d.problems...)
		if d.full() {
			problems = append(problems, Problem{Pos: d.decl.Pos, Message: fmt.Sprintf("only %d problems of this declaration are listed; correct these first, and look again", maxProblems)})
		}
		if d.decl.Spec != nil && !d.guessed {
			decls = append(decls, d.decl)
		}
	}
	slices.SortStableFunc(decls, func(a, b Declaration) int { return a.Ref().Compare(b.Ref()) })
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column), strings.Compare(a.Field, b.Field), strings.Compare(a.Message, b.Message))
	})
	problems = slices.Compact(problems)
	if len(problems) > MaxProblems || l.told >= MaxProblems {
		more := "there may be more problems"
		if n := len(problems) - MaxProblems; n > 0 {
			more = fmt.Sprintf("and %d more problems at least", n)
		}
		problems = problems[:min(len(problems), MaxProblems)]
		problems = append(problems, Problem{Pos: problems[len(problems)-1].Pos, Message: more + ", which are not listed; correct these first"})
	}
	return decls, problems
}
