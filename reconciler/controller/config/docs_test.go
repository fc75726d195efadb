// The table of the controller's file in docs/github.md, which is made from what the
// fields say of themselves.

package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/github.md anew")

// TestEveryFieldOfTheFileIsDocumented: docs/github.md tells each field, its meaning
// and its default as config.go does.
func TestEveryFieldOfTheFileIsDocumented(t *testing.T) {
	const page, begin, end = "../../../docs/github.md", "<!-- the controller's fields, from reconciler/controller/config/config.go -->\n", "<!-- end of the controller's fields -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", page)
	}
	types := described(t)
	want := before + begin + "\n| field | meaning |\n|---|---|\n" + strings.Join(rows(types, "Spec", ""), "") + "\n" + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want != string(text) && !*update {
		t.Errorf("%s is behind config.go: go test ./reconciler/controller/config -run Documented -update", page)
	}
}

func described(t *testing.T) map[string]*ast.StructType {
	t.Helper()
	out := map[string]*ast.StructType{}
	for _, file := range []string{"config.go", "alerts.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok {
				if fields, ok := s.Type.(*ast.StructType); ok {
					out[s.Name.Name] = fields
				}
			}
			return true
		})
	}
	return out
}

// rows are the fields of a type, each with those below it.
func rows(types map[string]*ast.StructType, name, above string) (out []string) {
	for _, f := range types[name].Fields.List {
		if f.Tag == nil {
			continue
		}
		key := above + reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml")
		_, meaning, _ := strings.Cut(strings.Join(strings.Fields(f.Doc.Text()), " "), " ")
		out = append(out, fmt.Sprintf("| `%s` | %s |\n", key, meaning))
		kind, list := f.Type, ""
		if of, ok := kind.(*ast.ArrayType); ok {
			kind, list = of.Elt, "[]"
		}
		if of, ok := kind.(*ast.MapType); ok {
			kind, list = of.Value, ".NAME"
		}
		if of, ok := kind.(*ast.StarExpr); ok {
			kind = of.X
		}
		if of, ok := kind.(*ast.Ident); ok && types[of.Name] != nil {
			out = append(out, rows(types, of.Name, key+list+".")...)
		}
	}
	return out
}
