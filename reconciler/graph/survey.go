// Survey reads what declarations name, so that Build can stay a function of values.
package graph

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Pins is what the declared paths hold at one moment.
type Pins struct {
	Files map[string]digest.Manifest    // declared path -> the files at or below it, by path from the root
	Data  map[schemas.Ref]port.Artifact // dataset -> its data

	Points map[schemas.Ref]*port.Pointed // dataset -> the pointer that names its data
}

// Survey reads every file and folder that decls name from the repository's tree.
// Each path is read once however often it is named.
func Survey(tree fs.FS, decls []schemas.Declaration) (Pins, []schemas.Problem) {
	s := survey{tree: tree, pins: Pins{Files: map[string]digest.Manifest{}, Data: map[schemas.Ref]port.Artifact{}, Points: map[schemas.Ref]*port.Pointed{}}}
	for i := range decls {
		d := &decls[i]
		switch spec := d.Spec.(type) {
		case *schemas.Dataset:
			s.dataset(d, spec)
		case *schemas.Transform:
			s.work(d, "spec", spec.Work)
		case *schemas.Training:
			s.work(d, "spec", spec.Work)
		case *schemas.Infrastructure:
			s.read(d, "spec.module", spec.Module)
		case *schemas.Deployment:
			if spec.Target.Local != nil {
				s.work(d, "spec.target.local", spec.Target.Local.Work)
			}
		}
	}
	return s.pins, s.problems
}

type survey struct {
	tree     fs.FS
	pins     Pins
	problems []schemas.Problem
}

func (s *survey) work(d *schemas.Declaration, field string, w schemas.Work) {
	for i, p := range w.Code {
		s.read(d, fmt.Sprintf("%s.code.%d", field, i), p)
	}
	if w.Env.Requirements != "" {
		s.read(d, field+".env.requirements", w.Env.Requirements)
	}
}

func (s *survey) read(d *schemas.Declaration, field, p string) digest.Manifest {
	p = path.Clean(p)
	if m, ok := s.pins.Files[p]; ok {
		return m
	}
	m, err := below(s.tree, p)
	if err != nil {
		s.problem(d, field, describe(p, err))
		return nil
	}
	s.pins.Files[p] = m
	return m
}

func (s *survey) problem(d *schemas.Declaration, field, message string) {
	at := d.Pos
	if d.Fields != nil {
		at = d.Fields(field)
	}
	s.problems = append(s.problems, schemas.Problem{Pos: at, Field: field, Message: message})
}

// below lists the files at or below p with their paths from the root.
func below(tree fs.FS, p string) (digest.Manifest, error) {
	info, err := fs.Stat(tree, p)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		f, err := tree.Open(p)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		d, n, err := digest.Reader(f)
		return digest.Manifest{{Path: p, Digest: d, Size: n}}, err
	}
	sub, err := fs.Sub(tree, p)
	if err != nil {
		return nil, err
	}
	m, err := digest.Walk(sub)
	for i := range m {
		m[i].Path = path.Join(p, m[i].Path)
	}
	return m, err
}

func describe(p string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s is not in the repository; add it, or correct the path", p)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s cannot be read; give yourself permission to read it", p)
	default:
		return fmt.Sprintf("%s cannot be read: %v; make it a plain file or folder of the repository", p, err)
	}
}
