// YAML of the documentation is read as in real use, and strictly: declarations by the
// loader, in a project that has what they name; trust.yaml and the controller's file by their
// readers. A part of a declaration is read in its kind's example of the reference, whose
// fields it replaces.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

const examplesOfKinds = "../../docs/reference/examples/"

// holdYAML reads the documents of a block together.
func holdYAML(t *testing.T, text string) error {
	docs, err := documentsOf([]byte(text))
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return holdSchemaLine(text)
	}
	var together []*yaml.Node
	for _, doc := range docs {
		kind := valueAt(doc, "kind")
		if kind == "" {
			if err := holdPart(t, doc); err != nil {
				return err
			}
			continue
		}
		whole, err := completed(doc, kind)
		if err != nil {
			return err
		}
		switch strings.ToLower(kind) {
		case schemas.Trust, schemas.Controller:
			if err := loads(t, whole); err != nil {
				return err
			}
		default:
			together = append(together, whole)
		}
	}
	if len(together) == 0 {
		return nil
	}
	return loads(t, together...)
}

// holdPart reads a part that names no kind as one of each, until one takes it.
func holdPart(t *testing.T, doc *yaml.Node) error {
	kinds := []string{schemas.Trust, schemas.Controller}
	for _, k := range schemas.Kinds() {
		kinds = append(kinds, k.Name)
	}
	var all error
	for _, kind := range kinds {
		whole, err := completed(doc, kind)
		if err != nil {
			return err
		}
		if err = loads(t, whole); err == nil {
			return nil
		}
		if !strings.Contains(err.Error(), "unknown field") && !strings.Contains(err.Error(), "is not a field here") {
			all = errors.Join(all, fmt.Errorf("as a %s: %w", kind, err)) // of others, its fields are not
		}
	}
	return errors.Join(errors.New("it is a part of no kind"), all)
}

// documentsOf are the documents of YAML in which something is said.
func documentsOf(text []byte) (all []*yaml.Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		if err := d.Decode(&n); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if err := n.Decode(new(any)); err != nil { // a key that stands twice
			return nil, err
		}
		if n.Content[0].Kind == yaml.MappingNode {
			all = append(all, n.Content[0])
		} else if n.Content[0].Tag != "!!null" {
			return nil, errors.New("it is no mapping")
		}
	}
}

// completed is a document with what its page left out: the version; and where it has no name,
// or no kind, the rest of the kind's example. Of spec, each field is replaced as a whole.
func completed(doc *yaml.Node, kind string) (*yaml.Node, error) {
	raw, err := os.ReadFile(examplesOfKinds + strings.ToLower(kind) + ".yaml")
	if err != nil {
		return nil, err
	}
	examples, err := documentsOf(raw)
	if err != nil {
		return nil, err
	}
	whole := examples[0]
	version := fieldAt(whole, "apiVersion")
	named := fieldAt(doc, "kind") != nil && fieldAt(doc, "metadata") != nil
	if named || fieldAt(doc, "apiVersion") != nil {
		if fieldAt(doc, "apiVersion") == nil {
			doc.Content = append([]*yaml.Node{{Kind: yaml.ScalarNode, Value: "apiVersion"}, version}, doc.Content...)
		}
		return doc, nil
	}
	if fieldAt(doc, "spec") == nil && fieldAt(doc, "kind") == nil && fieldAt(whole, "spec") != nil {
		doc = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "spec"}, doc}}
	}
	replaceFields(whole, doc, true)
	return whole, nil
}

// replaceFields has the fields of one mapping in another; spec's one by one.
func replaceFields(in, by *yaml.Node, outer bool) {
	for i := 0; i+1 < len(by.Content); i += 2 {
		name, value := by.Content[i], by.Content[i+1]
		switch old := fieldAt(in, name.Value); {
		case old == nil:
			in.Content = append(in.Content, name, value)
		case outer && name.Value == "spec" && value.Kind == yaml.MappingNode:
			replaceFields(old, value, false)
		default:
			*old = *value
		}
	}
}

func fieldAt(m *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i+1]
		}
	}
	return nil
}

func valueAt(m *yaml.Node, name string) string {
	if f := fieldAt(m, name); f != nil {
		return f.Value
	}
	return ""
}

// loads reads documents by the reader of what they are.
func loads(t *testing.T, docs ...*yaml.Node) error {
	var text []byte
	for i, doc := range docs {
		raw, err := yaml.Marshal(doc)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append(text, "---\n"...)
		}
		text = append(text, raw...)
	}
	switch strings.ToLower(valueAt(docs[0], "kind")) {
	case schemas.Trust:
		if _, problems := trust.Load(text, "trust.yaml"); len(problems) > 0 {
			return pass.Problems(problems)
		}
		return nil
	case schemas.Controller:
		_, err := config.Parse("controller.yaml", text)
		return err
	}
	_, err := pass.Read(t.Context(), projectAround(t, docs, text))
	return err
}

// projectAround is a project of declarations and of all that they name, which
// testdata/docs/scene.txt and the examples of the reference have.
func projectAround(t *testing.T, docs []*yaml.Node, text []byte) fstest.MapFS {
	t.Helper()
	scene, err := txtar.ParseFile("testdata/docs/scene.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range schemas.Kinds() {
		raw, err := os.ReadFile(examplesOfKinds + strings.ToLower(k.Name) + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if !k.Settings {
			scene.Files = append([]txtar.File{{Name: "vishwa/" + k.Name, Data: raw}}, scene.Files...)
		}
	}
	project, declared := fstest.MapFS{}, map[string][]byte{}
	for _, f := range scene.Files {
		if path.Dir(f.Name) != "vishwa" {
			project[f.Name] = &fstest.MapFile{Data: f.Data}
			continue
		}
		all, err := documentsOf(f.Data)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		for _, doc := range all {
			if declared[refOf(doc)], err = yaml.Marshal(doc); err != nil {
				t.Fatal(err)
			}
		}
	}
	var mine [][]byte
	for _, doc := range docs {
		delete(declared, refOf(doc))
		raw, err := yaml.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if strings.EqualFold(valueAt(doc, "kind"), string(schemas.KindProject)) {
			project[schemas.Root] = &fstest.MapFile{Data: raw}
			continue
		}
		mine = append(mine, raw)
	}
	if len(mine) > 0 {
		project["vishwa/block.yaml"] = &fstest.MapFile{Data: bytes.Join(mine, []byte("---\n"))}
	}
	for named := text; len(named) > 0; { // what is named by what is named, too
		var next []byte
		for _, ref := range slices.Sorted(maps.Keys(declared)) {
			if regexp.MustCompile(`\b` + regexp.QuoteMeta(ref) + `\b`).Match(named) {
				project["vishwa/"+strings.ReplaceAll(ref, "/", "-")+".yaml"] = &fstest.MapFile{Data: declared[ref]}
				next = append(next, declared[ref]...)
				delete(declared, ref)
			}
		}
		named = next
	}
	return project
}

// refOf is how others name a declaration.
func refOf(doc *yaml.Node) string {
	name := ""
	if m := fieldAt(doc, "metadata"); m != nil {
		name = valueAt(m, "name")
	}
	return strings.ToLower(valueAt(doc, "kind")) + "/" + name
}

// holdSchemaLine holds the line by which an editor finds a schema against those that there are.
func holdSchemaLine(text string) error {
	_, url, found := strings.Cut(text, "$schema=")
	if !found {
		return errors.New("nothing is said but comments")
	}
	_, err := os.ReadFile("../../schemas/json/" + filepath.Base(strings.TrimSpace(url)))
	return err
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

// TestPartsOfPagesAreReadStrictly: a field that is not there, a value of another kind and a name that nothing has are
// found in whole declarations and in parts.
func TestPartsOfPagesAreReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"kind: Project\nspec: {store: {s3: {url: \"s3://bucket\", bucket: b}}}\n":                                                                "unknown field",
		"spec:\n  environments: {production: {approvals: many}}\n":                                                                               "is a part of no kind",
		"source: {s3: {url: bucket}, pin: data/prefix.dvc}\n":                                                                                    "s3://",
		"apiVersion: vishwa.dev/v1alpha1\nkind: Package\nmetadata: {name: p}\nspec: {model: model/nobody, oci: {repository: r.example.com/p}}\n": "model/nobody is not declared",
		"kind: Training\nspec: {code: [src/nowhere.py]}\n":                                                                                       "src/nowhere.py is not in the repository",
		"apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec: {pol: 3s, repositories: [{path: homes}]}\n":                                    "spec.pol",
		"apiVersion: vishwa.dev/v1alpha1\nkind: Trust\nprincipals: {bob: {ssh: [\"ssh-ed25519 AAAA...\"]}}\n":                                    "is not an SSH public key",
		"# yaml-language-server: $schema=https://example.com/schemas/json/nothing.schema.json\n":                                                 "no such file",
		"store: {dvc: {}}\nstore: {dvc: {}}\n":                                                                                                   "already defined",
	} {
		if err := holdYAML(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}
