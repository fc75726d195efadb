// The schemas as files: one a kind, and one for files that hold several kinds.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/vishwaops/vishwa/schemas"
)

// keys holds, for each field that is a map, what its keys may be.
var keys = map[string]jsonschema.Schema{
	"inputs":       {Pattern: `^[a-zA-Z][-_a-zA-Z0-9]{0,62}$`, Description: "a letter, then at most 62 letters, digits, hyphens and underscores"},
	"outputs":      {Pattern: `^[a-zA-Z0-9][-_.a-zA-Z0-9]{0,62}$`, Description: "at most 63 letters, digits, hyphens, underscores and dots, the first a letter or digit"},
	"candidates":   {Pattern: `^[a-zA-Z0-9][-_.a-zA-Z0-9]{0,62}$`, Description: "at most 63 letters, digits, hyphens, underscores and dots, the first a letter or digit"},
	"environments": {Pattern: `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`, Description: "lower-case letters, digits and hyphens, at most 63"},
	"runners":      {Pattern: `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`, Description: "lower-case letters, digits and hyphens, at most 63"},
	"clusters":     {Pattern: `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`, Description: "lower-case letters, digits and hyphens, at most 63"},
	"params":       {Pattern: `^[a-zA-Z_][-_.a-zA-Z0-9]{0,127}$`, Description: "a letter or underscore, then at most 127 letters, digits, hyphens, underscores and dots"},
	"grid":         {Pattern: `^[a-zA-Z_][-_.a-zA-Z0-9]{0,127}$`, Description: "a letter or underscore, then at most 127 letters, digits, hyphens, underscores and dots"},
	"space":        {Pattern: `^[a-zA-Z_][-_.a-zA-Z0-9]{0,127}$`, Description: "a letter or underscore, then at most 127 letters, digits, hyphens, underscores and dots"},
	"vars":         {Pattern: `^[a-zA-Z_][-_a-zA-Z0-9]*$`, Description: "a Terraform variable's name: a letter or underscore, then letters, digits, hyphens and underscores"},
}

var one uint64 = 1

var unescaped = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

// Files renders every schema: of the kinds of the package whose source is in folder src, and of the files that are no declarations. The
// descriptions are the source's comments.
func Files(src string) (map[string][]byte, error) {
	back, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if err := os.Chdir(src); err != nil { // comments are keyed by the path given, so it has to be "."
		return nil, err
	}
	defer func() { _ = os.Chdir(back) }()
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, Mapper: mapper}
	if err := r.AddGoComments("github.com/vishwaops/vishwa/schemas", ".", jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	names := []string{}
	for _, k := range schemas.Kinds() {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	files, defs := map[string][]byte{}, map[string]any{}
	choose := []any{}
	for _, kind := range names {
		doc := document(r, kind)
		defs[kind] = doc
		choose = append(choose, object{
			"if":   object{"properties": object{"kind": object{"const": kind}}, "required": []string{"kind"}},
			"then": object{"$ref": "#/$defs/" + kind},
		})
		whole := object{"$schema": jsonschema.Version}
		for k, v := range doc {
			whole[k] = v
		}
		if files[strings.ToLower(kind)+".schema.json"], err = render(whole); err != nil {
			return nil, err
		}
	}
	files["vishwa.schema.json"], err = render(object{
		"$schema":     jsonschema.Version,
		"title":       "Vishwa declaration",
		"description": "One YAML document of any kind.",
		"type":        "object",
		"properties": object{
			"apiVersion": object{"const": schemas.APIVersion, "description": "The version of the declaration's format."},
			"kind":       object{"enum": names, "description": "What is declared."},
			"metadata":   object{"type": "object"},
			"spec":       object{"type": "object"},
		},
		"required": []string{"apiVersion", "kind", "metadata", "spec"},
		"allOf":    choose,
		"$defs":    defs,
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{schemas.Trust, schemas.Controller} {
		s, err := outer(name, "..") // seen from package schemas
		if err != nil {
			return nil, err
		}
		if files[name+".schema.json"], err = render(s); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Pages renders docs/reference: a page a kind, and one of trust.yaml and of the
// controller's file each, from their schemas.
func Pages(files map[string][]byte, examples string) (map[string][]byte, error) {
	pages := map[string][]byte{}
	for _, name := range schemas.Names() {
		if name == schemas.Any {
			continue
		}
		text, err := page(name, files[name+".schema.json"], examples)
		if err != nil {
			return nil, fmt.Errorf("page of %s: %w", name, err)
		}
		pages[name+".md"] = text
	}
	return pages, nil
}

type object = map[string]any

func document(r *jsonschema.Reflector, kind string) object {
	spec := r.ReflectFromType(reflect.TypeOf(schemas.Declared(kind).New()))
	meta := r.ReflectFromType(reflect.TypeOf(schemas.Metadata{}))
	for _, s := range []*jsonschema.Schema{spec, meta} {
		s.Version = ""
		tidy(s)
	}
	return object{
		"title":       kind,
		"description": spec.Description,
		"type":        "object",
		"properties": object{
			"apiVersion": object{"const": schemas.APIVersion, "description": "The version of the declaration's format."},
			"kind":       object{"const": kind, "description": spec.Description},
			"metadata":   meta,
			"spec":       spec,
		},
		"required":             []string{"apiVersion", "kind", "metadata", "spec"},
		"additionalProperties": false,
	}
}

// tidy says what a map's keys may be, in s and all below it.
func tidy(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	tidy(s.Items)
	tidy(s.AdditionalProperties)
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		if k, ok := keys[p.Key]; ok && p.Value.Type == "object" {
			p.Value.PropertyNames = &jsonschema.Schema{Pattern: k.Pattern, Description: k.Description}
		}
		if p.Key == "outputs" { // struct tags cannot say it of a map
			p.Value.MinProperties = &one
		}
		tidy(p.Value)
	}
}

// mapper gives the types that are strings in YAML their pattern.
func mapper(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeOf(schemas.Ref{}):
		return &jsonschema.Schema{Type: "string", Pattern: schemas.RefPattern, Description: "A ref, kind/name or kind/name:output, such as dataset/students."}
	case reflect.TypeOf(schemas.Duration("")):
		return &jsonschema.Schema{Type: "string", Pattern: schemas.DurationPattern, Description: "A duration, such as 90s, 15m, 2h or 3d."}
	case reflect.TypeOf(schemas.Value("")):
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
	case reflect.TypeOf(schemas.Network{}):
		return &jsonschema.Schema{
			OneOf: []*jsonschema.Schema{
				{Type: "string", Enum: []any{schemas.NetworkAll, schemas.NetworkNone}},
				{Type: "array", MinItems: &one, Items: &jsonschema.Schema{Type: "string", Pattern: schemas.HostPattern}},
			},
			Description: "all, none, or a list of hosts with their ports, such as [pypi.org:443].",
		}
	}
	return nil
}

func render(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("render schema: %w", err)
	}
	// The library escapes for HTML in its own marshaller; people read these files.
	return []byte(unescaped.Replace(b.String())), nil
}
