// The pages of docs/reference: one a kind or file, made from its JSON Schema, which is
// made from the Go types, with an example that a test applies.

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// schema is what a page tells of a JSON Schema, its properties in their order.
type schema struct {
	Title, Description, Type, Format string
	Properties                       properties
	Items, AdditionalProperties      *schema
	Required                         []string
	Enum                             []any
	Const, Default                   any
	Minimum, Maximum                 json.Number
	OneOf                            []schema
	Pattern                          string
	Anything, Nothing                bool // the schemas true and false
}

type property struct {
	name   string
	schema schema
}

type properties []property

func (s *schema) UnmarshalJSON(raw []byte) error {
	switch string(raw) {
	case "true", "false":
		s.Anything, s.Nothing = string(raw) == "true", string(raw) == "false"
		return nil
	}
	type plain schema
	return json.Unmarshal(raw, (*plain)(s))
}

func (p *properties) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		one := property{name: fmt.Sprint(name)}
		if err := d.Decode(&one.schema); err != nil {
			return err
		}
		*p = append(*p, one)
	}
	return nil
}

// page is the Markdown of one kind or file. examples is the folder of examples.
func page(name string, raw []byte, examples string) ([]byte, error) {
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Made by go generate ./schemas from the comments of the Go types: change those. -->\n\n# %s\n\n%s\n", cmp.Or(s.Title, name), meaning(s.Description, map[string]string{"trust": "File", "controller": "Document"}[name]))
	for _, part := range []struct{ file, intro string }{
		{name + ".yaml", "\n## Example\n\n"},
		{name + ".more.yaml", "\nMore of what can be said:\n\n"},
	} {
		text, err := os.ReadFile(filepath.Join(examples, part.file))
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(part.file, ".more.yaml") {
			continue
		}
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s```yaml\n%s```\n", part.intro, text)
	}
	b.WriteString("\n## Fields\n\nA field in bold must be there.\n\n| field | value | default | meaning |\n|---|---|---|---|\n")
	whole := s.Description
	rows(&b, s, "", whole)
	fmt.Fprintf(&b, "\n`vishwa schema %s` prints the JSON Schema.\n", name)
	return []byte(b.String()), nil
}

// rows writes the fields of s, each with those below it. What the whole page is about
// is not said again.
func rows(b *strings.Builder, s schema, above, whole string) {
	for _, p := range s.Properties {
		path := above + p.name
		field := "`" + path + "`"
		if slices.Contains(s.Required, p.name) {
			field = "**" + field + "**"
		}
		usual := ""
		if p.schema.Default != nil {
			usual = fmt.Sprintf("`%v`", p.schema.Default)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", field, value(p.schema), usual, strings.Replace(meaning(p.schema.Description, p.name), whole, "What this page is about.", 1))
		below(b, p.schema, path, whole)
	}
}

func below(b *strings.Builder, s schema, path, whole string) {
	switch more := s.AdditionalProperties; {
	case len(s.Properties) > 0:
		rows(b, s, path+".", whole)
	case s.Items != nil:
		below(b, *s.Items, path+"[]", whole)
	case more != nil && !more.Anything && !more.Nothing:
		below(b, *more, path+".NAME", whole)
	}
}

// value says in a few words what may stand there.
func value(s schema) string {
	var bounds string
	if s.Minimum != "" || s.Maximum != "" {
		bounds = strings.TrimSuffix(" from "+cmp.Or(s.Minimum.String(), "any")+" to "+s.Maximum.String(), " to ")
	}
	more := s.AdditionalProperties
	switch {
	case s.Const != nil:
		return fmt.Sprintf("`%v`", s.Const)
	case len(s.Enum) > 0:
		var all []string
		for _, v := range s.Enum {
			all = append(all, fmt.Sprintf("`%v`", v))
		}
		return strings.Join(all, ", ")
	case s.Type == "" && len(s.OneOf) > 0:
		var all []string
		for _, one := range s.OneOf {
			all = append(all, value(one))
		}
		return strings.Join(all, ", or ")
	case s.Type == "array" && s.Items != nil:
		return "list of " + plural(value(*s.Items))
	case s.Type == "object" && len(s.Properties) == 0 && more != nil && !more.Anything && !more.Nothing:
		return "names, each with " + article(value(*more))
	case s.Type == "object" && len(s.Properties) == 0:
		return "names with values"
	case s.Type == "object":
		return "fields"
	case s.Type == "":
		return "any"
	case strings.HasPrefix(s.Pattern, "^([a-z]+)/"):
		return "ref"
	case strings.Contains(s.Pattern, "ns|us|ms"):
		return "duration"
	case s.Type == "integer":
		return "whole number" + bounds
	default:
		return s.Type + bounds
	}
}

func plural(s string) string {
	if s == "string" || s == "ref" || s == "number" {
		return s + "s"
	}
	return s
}

func article(s string) string {
	switch s {
	case "string", "ref", "number":
		return "a " + s
	}
	return s
}

// meaning is a field's comment without the field's name, which stands beside it.
func meaning(comment, name string) string {
	text := strings.Join(strings.Fields(comment), " ")
	first, rest, _ := strings.Cut(text, " ")
	if !strings.EqualFold(first, name) {
		return escape(text)
	}
	for _, verb := range []string{"is ", "are "} {
		rest = strings.TrimPrefix(rest, verb)
	}
	letter, n := utf8.DecodeRuneInString(rest)
	return escape(string(unicode.ToUpper(letter)) + rest[n:])
}

func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(text)
}
