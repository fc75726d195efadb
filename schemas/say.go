// The validator's findings as sentences for people, each with the way out.

package schemas

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// explainErrors maps the fields that e is about to what is wrong with them.
func (d *document) explainErrors(e *jsonschema.ValidationError, s *jsonschema.Schema) map[string]string {
	field := strings.Join(e.InstanceLocation, ".")
	child := func(name string) string { return join(e.InstanceLocation, name) }
	out := map[string]string{}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		names := slices.Collect(maps.Keys(s.Properties))
		free := d.free(s, e.InstanceLocation)
		for _, p := range k.Properties[:min(len(k.Properties), maxProblems)] { // sorted; no more are told
			if Nearest(p, free) != "" {
				out[child(p)] = "unknown field" + didYouMean(p, free)
			} else {
				out[child(p)] = "unknown field" + meantOr(p, names, "remove it")
			}
		}
	case *kind.Required:
		for _, p := range k.Missing {
			out[child(p)] = "is missing; add it" + purpose(s.Properties[p])
		}
	case *kind.PropertyNames:
		out[child(k.Property)] = fmt.Sprintf("%s cannot be a name here; use %s", short(k.Property), s.PropertyNames.Description)
	case *kind.Type:
		out[field] = mistyped(k)
	case *kind.Enum:
		out[field] = fmt.Sprintf("%s is not allowed%s", value(k.Got), meantOr(fmt.Sprint(k.Got), texts(k.Want), ""))
	case *kind.Pattern:
		out[field] = unfit(k, s)
	case *kind.Minimum:
		out[field] = fmt.Sprintf("%s is too small; give at least %s", k.Got.RatString(), k.Want.RatString())
	case *kind.Maximum:
		out[field] = fmt.Sprintf("%s is too large; give at most %s", k.Got.RatString(), k.Want.RatString())
	case *kind.MinItems, *kind.MinProperties, *kind.MinLength:
		out[field] = "is empty; give it a value"
	case *kind.MaxItems:
		out[field] = fmt.Sprintf("is a list of %d; give at most %d", k.Got, k.Want)
	case *kind.MaxProperties:
		out[field] = fmt.Sprintf("is a mapping of %d; give at most %d", k.Got, k.Want)
	case *kind.MaxLength:
		out[field] = fmt.Sprintf("is %d characters long; give at most %d", k.Got, k.Want)
	default:
		out[field] = fmt.Sprintf("does not fit%s", purpose(s))
	}
	return out
}

// purpose is the end of a message that tells what a field is for.
func purpose(s *jsonschema.Schema) string {
	if s == nil || s.Description == "" {
		return ""
	}
	first, _, _ := strings.Cut(s.Description, ". ")
	return " (" + strings.TrimSuffix(first, ".") + ")"
}

func mistyped(k *kind.Type) string {
	want := k.Want[0]
	switch {
	case k.Got == "null":
		return fmt.Sprintf("has no value; give it %s, or remove the line", article(want))
	case want == "string" && (k.Got == "number" || k.Got == "boolean"):
		return fmt.Sprintf("is %s, but a string is wanted; put it in quotes", article(k.Got))
	case want == "integer" && k.Got == "number":
		return "is a number with a fraction; give a whole one"
	case (want == "number" || want == "integer" || want == "boolean") && k.Got == "string":
		return fmt.Sprintf("is a string; give %s, without quotes", article(want))
	case want == "array":
		return fmt.Sprintf("is %s; give a list, such as [a, b]", article(k.Got))
	default:
		return fmt.Sprintf("is %s; give %s", article(k.Got), article(want))
	}
}

// article names a JSON type in YAML's words.
func article(jsonType string) string {
	switch jsonType {
	case "object":
		return "a mapping"
	case "array":
		return "a list"
	case "integer":
		return "an integer"
	default:
		return "a " + jsonType
	}
}

func unfit(k *kind.Pattern, s *jsonschema.Schema) string {
	switch k.Want {
	case RefPattern:
		return short(k.Got) + " is not a ref; write kind/name or kind/name:output in lower case, such as dataset/students"
	case DurationPattern:
		return short(k.Got) + " is not a duration; write one such as 90s, 15m, 2h or 3d"
	case "^/":
		return short(k.Got) + " does not begin with a slash; put one there"
	default:
		return short(k.Got) + " does not fit" + purpose(s)
	}
}

func value(v any) string {
	if s, ok := v.(string); ok {
		return short(s)
	}
	return fmt.Sprint(v)
}

func texts(vs []any) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = fmt.Sprint(v)
	}
	return out
}
