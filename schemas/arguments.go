// Arguments that name what a run is given, for scripts that take it by their own flags.

package schemas

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// What an argument can name.
const (
	NamedParam  = "params"
	NamedInput  = "inputs"
	NamedOutput = "outputs"
)

var givenName = lazyregexp.New(`\$\{(params|inputs|outputs)\.([^{}$]*)\}`)

// Argument is an argument of a command with what it names in place of ${params.NAME}, ${inputs.NAME} and
// ${outputs.NAME}. One with a blank is a text in a language of its own, such as a shell's, and stays as it is.
func Argument(arg string, value func(of, name string) (string, error)) (string, error) {
	if !strings.Contains(arg, "${") || strings.ContainsAny(arg, " \t\r\n") {
		return arg, nil
	}
	var failed error
	out := givenName.ReplaceAllStringFunc(arg, func(whole string) string {
		m := givenName.FindStringSubmatch(whole)
		text, err := value(m[1], m[2])
		if err != nil && failed == nil {
			failed = err
		}
		return text
	})
	return out, failed
}

// ParamText is how a parameter stands in an argument; false where it is a list, an object or null.
func ParamText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, !strings.Contains(v, "\x00")
	case nil, []any, map[string]any:
		return "", false
	default:
		raw, err := json.Marshal(v)
		return string(raw), err == nil
	}
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// given is what the arguments of a command may name.
type given struct {
	params          map[string]any
	variants        map[string]Candidate // each lays its own over params; none is one without any
	inputs, outputs []string
}

// arguments checks what a command's arguments name.
func (d *document) arguments(field string, run []string, g given) {
	for i, arg := range run {
		at := fmt.Sprintf("%s.run.%d", field, i)
		_, _ = Argument(arg, func(of, name string) (string, error) {
			switch of {
			case NamedParam:
				g.param(d, at, name)
			case NamedInput:
				known(d, at, "input", name, g.inputs)
			default:
				known(d, at, "output", name, g.outputs)
			}
			return "", nil
		})
	}
}

func known(d *document, at, what, name string, all []string) {
	if !slices.Contains(all, name) {
		d.problem(at, "names %s %s, which is not declared%s", what, short(name), meantOr(name, all, "declare it"))
	}
}

// param reports a parameter that a candidate lacks, or has as something that no argument can be.
func (g given) param(d *document, at, name string) {
	lacks := func(who string, params map[string]any) bool {
		v, has := params[name]
		if !has {
			v, has = g.params[name]
		}
		if !has {
			d.problem(at, "names parameter %s, which %s does not have; declare it in params", short(name), who)
			return true
		}
		if _, plain := ParamText(v); !plain {
			d.problem(at, "names parameter %s, which is a list, an object or null, and no argument can be that; have the command read it at VISHWA_PARAMS", short(name))
			return true
		}
		return false
	}
	if len(g.variants) == 0 {
		lacks("the run", nil)
		return
	}
	for _, c := range slices.Sorted(maps.Keys(g.variants)) {
		if lacks("candidate "+short(c), g.variants[c].Params) {
			return
		}
	}
}
