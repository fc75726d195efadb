// dvc.lock: what the stages of dvc.yaml made (schema 2.0; 1.0 is the bare mapping of
// stages that DVC 1 wrote).

package dvc

import (
	"go.yaml.in/yaml/v3"
)

// Lock is a dvc.lock file.
type Lock struct {
	Stages []Stage // as they stand in the file

	doc *yaml.Node
	at  map[string]Out // the first output of each path
}

// Stage is what one stage made of what.
type Stage struct {
	Name string
	Deps []Dep
	Outs []Out
}

// ParseLock reads a dvc.lock; name is for messages.
func ParseLock(name string, b []byte) (*Lock, error) {
	doc, root, err := document(name, b)
	if err != nil {
		return nil, err
	}
	l := &Lock{doc: doc, at: map[string]Out{}}
	stages := root
	if child(root, "schema") != nil {
		if stages = child(root, "stages"); stages == nil {
			return l, nil
		}
	}
	r := reading{name: name}
	for i := 0; i+1 < len(stages.Content); i += 2 {
		s := Stage{Name: stages.Content[i].Value}
		for _, n := range r.list(stages.Content[i+1], "deps") {
			s.Deps = append(s.Deps, r.dep(n))
		}
		for _, n := range r.list(stages.Content[i+1], "outs") {
			o := r.out(n)
			s.Outs = append(s.Outs, o)
			if _, twice := l.at[o.Path]; !twice {
				l.at[o.Path] = o
			}
		}
		l.Stages = append(l.Stages, s)
	}
	return l, r.err
}

// Bytes is the file as it was read.
func (l *Lock) Bytes() []byte { return encode(l.doc) }

// Out finds the output at path, relative to the lock file's folder.
func (l *Lock) Out(path string) (Out, bool) {
	o, ok := l.at[path]
	return o, ok
}
