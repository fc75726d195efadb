// The schemas of trust.yaml and of the controller's file say what their readers do: each
// place of good files is spoilt in each way that a schema can know of, and both refuse.

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/schemas"
)

// readers are those of the files; nil is that a text is in order.
var readers = map[string]func([]byte) error{
	schemas.Trust: func(b []byte) error {
		if _, problems := trust.Load(b, "trust.yaml"); len(problems) > 0 {
			return problems[0]
		}
		return nil
	},
	schemas.Controller: func(b []byte) error { _, err := config.Parse("c.yaml", b); return err },
}

// deeper are words of messages about what a schema cannot say: how values stand to each
// other, and what only a parser of the value knows.
var deeper = []string{
	"already", "listed twice", "not an SSH public key", "carries the option", "more than one key", "RSA key", "PEM", "P-256", "ends, by validUntil", "is not a time",
	"stands twice", "is given twice", "alias", "more than one document",
	"is out of range", "longer than poll", "is not an address", "is not a host", "is not a port", "no secret after it", "no secret to know", "is the address that webhooks have", "nothing to keep apart",
	"is not a name", "is not a URL", "has a scheme", "names no host", "holds more than an address", "would send a token", "the address does not give owner and name", "is not a repository", "spec.isolation:",
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	raw, err := schemas.Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("vishwa:"+name, doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("vishwa:" + name)
}

// plain is a YAML node as JSON has it; a date is text, as editors take it.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(n.Content[0])
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, plain(c))
		}
		return out
	case yaml.AliasNode:
		return plain(n.Alias)
	}
	if n.Tag == "!!timestamp" {
		return n.Value
	}
	var v any
	if n.Decode(&v) != nil {
		return n.Value
	}
	return v
}

// agree holds the reader and the schema together on one text.
func agree(t *testing.T, name, what string, s *jsonschema.Schema, text []byte) (accepted bool) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, text)
	}
	read, held := readers[name](text), s.Validate(plain(&doc))
	switch {
	case read == nil && held != nil:
		t.Errorf("%s: the schema refuses what is read: %v\n%s", what, held, text)
	case read != nil && held == nil && !slices.ContainsFunc(deeper, func(word string) bool { return strings.Contains(read.Error(), word) }):
		t.Errorf("%s: the schema accepts what is not read: %v\n%s", what, read, text)
	}
	return read == nil
}

// nodes lists those of a tree that are values, with their paths.
func nodes(n *yaml.Node, path string, visit func(path string, at **yaml.Node, remove func() func())) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			visit(path+"."+key, &n.Content[i+1], func() func() {
				before := n.Content
				n.Content = slices.Delete(slices.Clone(before), i, i+2)
				return func() { n.Content = before }
			})
			nodes(n.Content[i+1], path+"."+key, visit)
		}
	case yaml.SequenceNode:
		for i := range n.Content {
			visit(fmt.Sprintf("%s[%d]", path, i), &n.Content[i], func() func() {
				before := n.Content
				n.Content = slices.Delete(slices.Clone(before), i, i+1)
				return func() { n.Content = before }
			})
			nodes(n.Content[i], fmt.Sprintf("%s[%d]", path, i), visit)
		}
	}
}

func TestSchemasOfFilesSayWhatTheirReadersDo(t *testing.T) {
	spoilt := map[string]string{
		"text": "nonsense", "empty text": `""`, "number": "7", "zero": "0", "negative": "-1", "fraction": "1.5", "yes": "true", "list": "[nonsense]", "empty list": "[]",
		"mapping": "{nonsense: 1}", "empty mapping": "{}", "null": "null", "duration": "90s", "too many": "1001", "variable": "NAME", "day": `"2030-01-31"`, "moment": `"2030-01-31T12:00:00Z"`,
	}
	for _, name := range []string{schemas.Trust, schemas.Controller} {
		s, count := compile(t, name), map[bool]int{}
		files, err := filepath.Glob("../../../docs/reference/examples/" + name + "*.yaml")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !agree(t, name, file, s, text) {
				t.Errorf("%s is not accepted", file)
			}
			var doc yaml.Node
			if err := yaml.Unmarshal(text, &doc); err != nil {
				t.Fatal(err)
			}
			try := func(what string) {
				raw, err := yaml.Marshal(&doc)
				if err != nil {
					t.Fatal(err)
				}
				count[agree(t, name, what, s, raw)]++
			}
			nodes(doc.Content[0], "", func(path string, at **yaml.Node, remove func() func()) {
				back := remove()
				try(path + " removed")
				back()
				was := *at
				for kind, text := range spoilt {
					var one yaml.Node
					if err := yaml.Unmarshal([]byte(text), &one); err != nil {
						t.Fatal(err)
					}
					*at = one.Content[0]
					try(path + " is " + kind)
				}
				*at = was
				if was.Kind == yaml.MappingNode {
					before := was.Content
					was.Content = append(slices.Clone(before), &yaml.Node{Kind: yaml.ScalarNode, Value: "unheardOf"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "x"})
					try(path + " has a field more")
					was.Content = before
				}
			})
		}
		if count[true] < 20 || count[false] < 200 {
			t.Errorf("%s: %d accepted and %d refused are too few to tell", name, count[true], count[false])
		}
	}
}
