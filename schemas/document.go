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
	decl     Declaration
	places   []place
	problems []Problem
	counted  int  // problems that the loader knows of
	guessed  bool // the kind or name is not certain: it is registered, so that refs to it are not called missing
}

// readDocument turns a YAML tree into a document. A document that is no mapping has no kind.
func readDocument(file string, root *yaml.Node) *document {
	t := &tree{file: file, places: make([]place, 0, 32)}
	d := &document{decl: Declaration{Pos: t.position(root)}}
	d.decl.Fields = d.at
	t.places = append(t.places, place{fnvOffset, uint32(d.decl.Pos.Line), uint32(d.decl.Pos.Column)})
	v := t.value(root, fnvOffset, 0)
	slices.SortStableFunc(t.places, func(a, b place) int { return cmp.Compare(a.path, b.path) })
	d.places, d.problems = slices.Clone(t.places), t.problems // no more room than they take: they are kept for as long as the declaration is
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
func (d *document) has(path string) bool {
	_, ok := d.find(hashPath(path))
	return ok
}

func (d *document) find(h uint64) (place, bool) {
	i, ok := slices.BinarySearchFunc(d.places, h, func(p place, h uint64) int { return cmp.Compare(p.path, h) })
	if !ok {
		return place{}, false
	}
	return d.places[i], true
}

// at is the position of a field, or of the nearest of its parents that is there.
func (d *document) at(path string) Position {
	for path != "" {
		if p, ok := d.find(hashPath(path)); ok {
			return Position{File: d.decl.Pos.File, Line: int(p.line), Column: int(p.column)}
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
	return d.decl.Pos
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
		d.decl.APIVersion = v
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
