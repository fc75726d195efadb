// YAML scalars as JSON values: what JSON cannot hold exactly is refused here, so
// that no number changes on its way to a run.

package schemas

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// maxExact is the largest integer that a JSON number holds without doubt (RFC 8259, section 6).
const maxExact = 1<<53 - 1

// mostDigits is the longest number with a point or an exponent that is held against its value digit by digit.
const mostDigits = 400

// leadingZero is a number whose first digit says nothing: YAML 1.1 has it mean octal.
// integer is one without point and exponent.
// decimal is one as YAML and JSON write it, however large: where it is too large for a number, YAML takes it for text.
var (
	leadingZero = lazyregexp.New(`^[-+]?0[0-9_]`)
	integer     = lazyregexp.New(`^[-+]?([0-9][0-9_]*|0[xob][0-9a-fA-F_]+)$`)
	decimal     = lazyregexp.New(`^[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)([eE][-+]?[0-9]+)?$`)
)

func (t *tree) scalar(n *yaml.Node) any {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		if n.Style == 0 && n.Value != "" && n.Value[0] <= '9' && decimal.MatchString(n.Value) {
			t.problem(n, "%s is beyond what a JSON number holds; put it in quotes", quoteNode(n))
			return nil
		}
		return n.Value
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		if tag != "!!bool" && leadingZero.MatchString(n.Value) {
			t.problem(n, "%s begins with a zero, which some readers take for octal and none keeps; put it in quotes, or leave the zero out", quoteNode(n))
			return nil
		}
		if v, is := simple(n.Value, tag); is {
			return v
		}
		var v any
		if err := n.Decode(&v); err != nil {
			t.problem(n, "%s is no %s; write it plainly", quoteNode(n), tag[2:])
			return nil
		}
		return t.number(n, v)
	default:
		t.plain(n, "!!str")
		return nil
	}
}

// simple is the value of text that most numbers and truth values are written as, and needs no more thought. It has no leading zero.
func simple(text, tag string) (any, bool) {
	switch tag {
	case "!!bool":
		return text == "true", text == "true" || text == "false"
	case "!!int":
		if len(text) > 15 || strings.Trim(text, "0123456789") != "" {
			return nil, false
		}
		n, err := strconv.Atoi(text)
		return float64(n), err == nil
	}
	if whole, part, _ := strings.Cut(text, "."); len(text) > 15 || whole == "" || part == "" || strings.Trim(whole+part, "0123456789") != "" {
		return nil, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

func (t *tree) number(n *yaml.Node, v any) any {
	var f float64
	switch v := v.(type) {
	case bool:
		return v
	case int:
		f = float64(v)
	case int64:
		f = float64(v)
	case uint64:
		f = float64(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.problem(n, "%s is not a number that JSON can hold; give a finite one", n.Value)
			return nil
		}
		if !integer.MatchString(n.Value) {
			return t.fraction(n, v)
		}
		f = v // too large an integer for YAML's own
	}
	if math.Abs(f) > maxExact {
		t.problem(n, "%s is beyond what a JSON number holds exactly; put it in quotes", quoteNode(n))
		return nil
	}
	return f
}

// fraction is f, which n writes with a point or an exponent, where it comes out again as it was written: the last of too many
// digits behind the point are no loss, as nobody counts by them, but a whole number is another one without its last.
func (t *tree) fraction(n *yaml.Node, f float64) any {
	text := strings.ReplaceAll(n.Value, "_", "")
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	switch {
	case f == 0 && strings.ContainsAny(mantissa, "123456789"):
		t.problem(n, "%s is too small for a JSON number and would be 0; put it in quotes, or write 0", quoteNode(n))
		return nil
	case math.Abs(f) <= maxExact:
		return f
	}
	written, ok := new(big.Rat), len(text) <= mostDigits
	if ok {
		_, ok = written.SetString(text)
	}
	again, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if !ok || written.Cmp(again) != 0 {
		t.problem(n, "%s is beyond what a JSON number holds exactly; put it in quotes", quoteNode(n))
		return nil
	}
	return f
}

// merge reads the value of a "<<" key: an alias of a mapping, or a list of them.
func (t *tree) merge(n *yaml.Node, h uint64, depth int) []map[string]any {
	from := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		from = n.Content
	}
	var out []map[string]any
	for _, c := range from {
		m, ok := t.value(c, h, depth+1).(map[string]any)
		if !ok && !t.stopped {
			t.problem(c, "the merge key << wants a mapping; give it an alias of one")
		}
		out = append(out, m)
	}
	return out
}

// lineOf is the line of the first of a mapping's keys with the given text.
func lineOf(n *yaml.Node, key string) int {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i].Line
		}
	}
	return n.Line
}

func quoteNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "{...}"
	case yaml.SequenceNode:
		return "[...]"
	}
	return short(n.Value)
}

// short quotes s for a message, and cuts what is too long to read.
func short(s string) string {
	const most = 60
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		return fmt.Sprintf("%q...", s[:cut])
	}
	return fmt.Sprintf("%q", s)
}
