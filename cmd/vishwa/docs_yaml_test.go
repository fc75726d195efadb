// YAML of the documentation: whole documents are read as in real use, and parts of them
// held against the schemas.

package main

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/schemas"
)

// holdYAML reads whole documents as in real use, and parts of them by the schemas, of
// which nothing needs to be there.
func holdYAML(t *testing.T, text string) error {
	if regexp.MustCompile(`(?m)^apiVersion:`).MatchString(text) && strings.Contains(text, "metadata:") {
		for _, p := range declared(t, text) {
			return errors.New(p.Error())
		}
		return nil
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := n.Decode(new(any)); err != nil { // a key that stands twice
			return err
		}
		v := asJSON(&n)
		if v == nil {
			continue // comments
		}
		if err := part(t, v); err != nil {
			return err
		}
	}
}

// asJSON is a YAML node as JSON has it; a date is text.
func asJSON(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return asJSON(n.Content[0])
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = asJSON(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, asJSON(c))
		}
		return out
	}
	var v any
	if n.Tag == "!!timestamp" || n.Decode(&v) != nil {
		return n.Value
	}
	return v
}

// part holds a part of a declaration, of trust.yaml or of the controller's file against
// their schemas: the one that it names, or any where it names none.
func part(t *testing.T, v any) error {
	var all error
	doc, _ := v.(map[string]any)
	for _, name := range schemas.Names() {
		if kind, said := doc["kind"].(string); name == schemas.Any || said && !strings.EqualFold(kind, name) {
			continue
		}
		whole := lenient(t, name)
		forms := []any{v}
		if _, has := doc["spec"]; !has {
			forms = append(forms, map[string]any{"spec": v})
		}
		for _, form := range forms {
			err := whole.Validate(form)
			if err == nil {
				return nil
			}
			all = errors.Join(all, err)
		}
	}
	return errors.Join(errors.New("it is a part of no kind"), all)
}

// lenient is a schema in which nothing is required.
func lenient(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	raw, err := schemas.Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var loosen func(any)
	loosen = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, list := v["required"].([]any); list {
				delete(v, "required")
			}
			if one, _ := v["oneOf"].([]any); slices.ContainsFunc(one, func(v any) bool { m, _ := v.(map[string]any); return m["required"] != nil }) {
				delete(v, "oneOf") // of alternatives that must be there
			}
			for _, below := range v {
				loosen(below)
			}
		case []any:
			for _, below := range v {
				loosen(below)
			}
		}
	}
	loosen(doc)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("part:"+name, doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("part:" + name)
}
