// One document: its identity, its positions, and its problems.

package schemas

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is a YAML document on its way to a Declaration.
type document struct {
	*placed
	decl     Declaration
	problems []Problem
	counted  int  // problems that the loader knows of
	guessed  bool // the kind or name is not certain: it is registered, so that refs to it are not called missing
}

// placed is where a document and its fields stand, which is kept for as long as the declaration is.
type placed struct {
	pos    Position // its own
	places []place
}

// readDocument turns a YAML tree into a document. A document that is no mapping has no kind.
func readDocument(file string, root *yaml.Node) *document {
	t := &tree{file: file, places: make([]place, 0, 32)}
	d := &document{placed: &placed{pos: t.position(root)}}
	d.decl.Pos, d.decl.Fields = d.pos, d.placed.at
	t.places = append(t.places, place{fnvOffset, uint32(d.pos.Line), uint32(d.pos.Column)})
	v := t.value(root, fnvOffset, 0)
	slices.SortStableFunc(t.places, func(a, b place) int { return cmp.Compare(a.path, b.path) })
	d.places, d.problems = slices.Clone(t.places), t.problems // no more room than they take
	body, ok := v.(map[string]any)
	if t.stopped {
		return d
	}
	if !ok {
		d.problem("", "is not a declaration; write apiVersion, kind, metadata and spec")
		return d
	}
	d.identify(body)
	if d.decl.Kind != "" {
		d.shape(body)
		d.decode(body)
	}
	return d
}

// has tells whether the document itself sets the field.
func (p *placed) has(path string) bool {
	_, ok := p.find(hashPath(path))
	return ok
}

func (p *placed) find(h uint64) (place, bool) {
	i, ok := slices.BinarySearchFunc(p.places, h, func(p place, h uint64) int { return cmp.Compare(p.path, h) })
	if !ok {
		return place{}, false
	}
	return p.places[i], true
}

// at is the position of a field, or of the nearest of its parents that is there.
func (p *placed) at(path string) Position {
	for path != "" {
		if at, ok := p.find(hashPath(path)); ok {
			return Position{File: p.pos.File, Line: int(at.line), Column: int(at.column)}
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
	return p.pos
}

// full tells that a document has problems enough: a person starts anew after the first few.
func (d *document) full() bool { return len(d.problems) >= maxProblems }

// reported tells whether the field has a problem already.
func (d *document) reported(field string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Field == field })
}

func (d *document) problem(field, format string, args ...any) {
	if d.full() {
		return
	}
	d.problems = append(d.problems, Problem{Pos: d.at(field), Field: field, Message: fmt.Sprintf(format, args...)})
}

// identify reads version, kind and name. A kind that is a typo is taken for the
// one that was meant, so that the rest of the document is checked as well.
func (d *document) identify(body map[string]any) {
	switch v, is := body["apiVersion"].(string); {
	case is && v == APIVersion:
		d.decl.APIVersion = APIVersion
	case is && v != "":
		d.problem("apiVersion", "%s is not a version that is read; write %s", short(v), APIVersion)
	default:
		d.problem("apiVersion", "is missing; write apiVersion: %s", APIVersion)
	}
	body["apiVersion"] = APIVersion
	kind, _ := body["kind"].(string)
	if Declared(kind).New == nil {
		d.guessed = true
		if kind == "" {
			d.problem("kind", "is missing; choose one of %s", strings.Join(kindNames(), ", "))
			return
		}
		d.problem("kind", "there is no kind %s%s", short(kind), meantOr(kind, kindNames(), ""))
		if kind = Nearest(kind, kindNames()); kind == "" {
			return
		}
	}
	kind = Declared(kind).Name // the same text is held once for all, as that of the version is
	d.decl.Kind, body["kind"] = kind, kind
	if meta, ok := body["metadata"].(map[string]any); ok {
		d.decl.Metadata.Name, _ = meta["name"].(string)
	}
}

// decode fills the typed spec from what shape has left of the document.
func (d *document) decode(body map[string]any) {
	spec := d.decl.Traits().New()
	err := assign(reflect.ValueOf(&d.decl.Metadata).Elem(), body["metadata"])
	if err == nil {
		err = assign(reflect.ValueOf(spec).Elem(), body["spec"])
	}
	if err != nil && len(d.problems) == 0 {
		d.problem("spec", "cannot be read: %v; correct the value", err)
	}
	d.decl.Spec = spec
}
