// Because says what changed between two recipes, in the words of the declaration.

package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// most is how many changes a reason names before it counts the rest.
const most = 3

// explainChange names what differs between the recipe that was made and the one that is
// wanted: "code src/train.py changed", "param C 1 -> 2".
func explainChange(was, now port.Recipe) string {
	out := changes(was, now)
	if len(out) == 0 {
		return "declared anew"
	}
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return strings.Join(out, ", ")
}

func changes(was, now port.Recipe) (out []string) {
	if !slices.Equal(was.Command, now.Command) {
		out = append(out, "command changed: "+strings.Join(now.Command, " "))
	}
	out = append(out, digests("code", was.Code, now.Code)...)
	if was.Env != now.Env {
		out = append(out, "environment lock changed")
	}
	out = append(out, params(was.Params, now.Params)...)
	out = append(out, inputs(was, now)...)
	out = append(out, fields(was.Spec, now.Spec)...)
	if !reflect.DeepEqual(was.Stop, now.Stop) {
		out = append(out, "rule of early stopping changed")
	}
	if !slices.Equal(was.Personal, now.Personal) {
		out = append(out, "columns that its log treats as personal changed")
	}
	if was.Schema != now.Schema {
		out = append(out, "recipe format changed")
	}
	return out
}

// inputs names those that differ. Data that is named otherwise, by its pointer's MD5 in
// place of its own digest, is data that is to be looked at.
func inputs(was, now port.Recipe) []string {
	_, digest := was.Inputs["data"]
	_, pointer := now.Inputs["pointer"]
	_, pointed := was.Inputs["pointer"]
	_, named := now.Inputs["data"]
	data := schemas.Declared(now.Kind).Pinned
	switch {
	case data && digest && pointer:
		return []string{"its pointer names other data, without a SHA-256"}
	case data && pointed && named:
		return []string{"its pointer names the SHA-256 now"}
	}
	return digests("input", was.Inputs, now.Inputs)
}

func digests(what string, was, now map[string]digest.Digest) (out []string) {
	for _, name := range both(was, now) {
		a, had := was[name]
		b, has := now[name]
		switch {
		case !had:
			out = append(out, fmt.Sprintf("%s %s added", what, name))
		case !has:
			out = append(out, fmt.Sprintf("%s %s removed", what, name))
		case a != b:
			out = append(out, fmt.Sprintf("%s %s changed", what, name))
		}
	}
	return out
}

func params(was, now map[string]any) (out []string) {
	for _, name := range both(was, now) {
		a, had := was[name]
		b, has := now[name]
		x, y := short(a), short(b)
		switch {
		case !had:
			out = append(out, fmt.Sprintf("param %s = %s added", name, y))
		case !has:
			out = append(out, fmt.Sprintf("param %s = %s removed", name, x))
		case x != y:
			out = append(out, fmt.Sprintf("param %s %s -> %s", name, x, y))
		case !same(a, b):
			out = append(out, fmt.Sprintf("param %s changed", name))
		}
	}
	return out
}

func fields(was, now json.RawMessage) (out []string) {
	var a, b map[string]any
	if json.Unmarshal(was, &a) != nil || json.Unmarshal(now, &b) != nil {
		return nil
	}
	for _, name := range both(a, b) {
		if !same(a[name], b[name]) {
			out = append(out, fmt.Sprintf("spec.%s changed", name))
		}
	}
	return out
}

func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errA := digest.JSON(a)
	y, errB := digest.JSON(b)
	return errA == nil && errB == nil && x == y
}

// short is a value in JSON, cut to what fits a line.
func short(v any) string {
	b, err := digest.Canonical(v)
	if err != nil {
		return "?"
	}
	if len(b) > 40 {
		return strings.ToValidUTF8(string(b[:37]), "") + "..."
	}
	return string(b)
}

func both[V any](a, b map[string]V) []string {
	names := map[string]bool{}
	for n := range a {
		names[n] = true
	}
	for n := range b {
		names[n] = true
	}
	return slices.Sorted(maps.Keys(names))
}
