// The JSON Schemas of the kinds, generated from the Go types by ./generate,
// embedded, and compiled when first needed.

package schemas

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

//go:generate go run ../cmd/internal/generate

//go:embed json/*.schema.json
var embedded embed.FS

// Names of schemas that are no kind's.
const (
	Any        = "vishwa"     // files that hold several kinds
	Trust      = "trust"      // trust.yaml
	Controller = "controller" // the controller's file
)

// Names are those that Schema knows, kinds in lower case.
func Names() []string {
	names := []string{Any, Trust, Controller}
	for _, k := range table {
		names = append(names, string(k.Kind))
	}
	slices.Sort(names)
	return names
}

// Schema is the JSON Schema of a kind's document, self-contained, or with Any the
// schema of a document of whatever kind, or that of a file that is no declaration. Letter case does not matter.
func Schema(kind string) ([]byte, error) {
	b, err := embedded.ReadFile("json/" + kindName(kind) + ".schema.json")
	if err != nil || strings.ContainsAny(kind, "./\\") {
		names := Names()
		err := fault.New(fault.Missing, "there is no schema %q%s", kind, didYouMean(kind, names))
		return nil, fault.WithHint(err, "name one of %s", strings.Join(names, ", "))
	}
	return b, nil
}

// compiled are the schemas of the kinds, each ready to validate once it is asked for: a repository
// declares few kinds, and a program is begun more often than it runs long.
var compiled = func() map[string]func() *jsonschema.Schema {
	out := map[string]func() *jsonschema.Schema{}
	for _, k := range table {
		out[k.Name] = sync.OnceValue(func() *jsonschema.Schema { return ready(k.Name) })
	}
	return out
}()

// ready is the schema of a kind.
func ready(kind string) *jsonschema.Schema {
	raw, err := Schema(kind)
	if err != nil {
		panic(err) // a kind without its schema: go generate was not run, and a test says so
	}
	s, err := Compile(kind, raw)
	if err != nil {
		panic(fmt.Errorf("schema of %s: %w", kind, err))
	}
	return s
}

// own is where the program's own schemas are for the compiler. What is below json-schema.org it does not hold against the
// schema of schemas, which takes it longer than all the rest: of these schemas tests do it, once and for all.
const own = "https://json-schema.org/vishwa/"

// Compile makes a schema that comes with the program ready to validate. It has to be one that a test holds against the
// schema of schemas.
func Compile(name string, raw []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(expression)
	if err := c.AddResource(own+name, doc); err != nil {
		return nil, err
	}
	return c.Compile(own + name)
}

// expressions are the patterns of the schemas, each compiled once: they stand in several.
var expressions sync.Map

func expression(pattern string) (jsonschema.Regexp, error) {
	if known, ok := expressions.Load(pattern); ok {
		return known.(jsonschema.Regexp), nil
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	expressions.Store(pattern, compiled)
	return compiled, nil
}
