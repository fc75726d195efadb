// Editing: one text of a declaration is written into its file, and everything else in it stays
// as people wrote it.

package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/yamlpos"
)

// maxEdited bounds the signs of YAML in a file that is edited.
const maxEdited = 200_000

// SetText is raw, a file that declares ref, with field, such as spec.image, set to value: a
// plain text without quotes or white space. Where the field is there, its value alone is
// replaced; where it is not, it becomes the first of the mapping that it belongs to. What
// cannot be written so is an error that says what to write by hand.
func SetText(raw []byte, ref Ref, field, value string) ([]byte, error) {
	if !utf8.Valid(raw) || yamlpos.Crowded(raw, maxEdited) >= 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the file is not UTF-8 text, or holds too much to be edited"), "write the change by hand")
	}
	spec, which, err := declared(raw, ref)
	if err != nil {
		return nil, err
	}
	out, err := edited(raw, spec, strings.Split(strings.TrimPrefix(field, "spec."), "."), value)
	if err == nil {
		err = onlyThat(raw, out, which, field, value)
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s of %s is written in a way that is not edited: %w", field, ref, err), "write it there yourself: %s", value)
	}
	return out, nil
}

// pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// lookUp finds a key of a mapping.
func lookUp(in *yaml.Node, name string) (pair, bool) {
	if in == nil || in.Kind != yaml.MappingNode {
		return pair{}, false
	}
	for i := 0; i+1 < len(in.Content); i += 2 {
		if in.Content[i].Kind == yaml.ScalarNode && in.Content[i].Value == name {
			return pair{in.Content[i], in.Content[i+1]}, true
		}
	}
	return pair{}, false
}

// declared finds the spec of ref's document, and which document of the file that is.
func declared(raw []byte, ref Ref) (spec pair, which int, err error) {
	docs := yaml.NewDecoder(bytes.NewReader(raw))
	for which = 0; ; which++ {
		var doc yaml.Node
		if err := docs.Decode(&doc); errors.Is(err, io.EOF) {
			return pair{}, 0, fault.WithHint(fault.New(fault.Missing, "%s is not declared in the file", ref), "the file was changed meanwhile: run the command again")
		} else if err != nil {
			return pair{}, 0, fault.WithHint(fault.New(fault.Invalid, "the file cannot be read: %w", err), "correct it: vishwa validate tells what is wrong")
		}
		if len(doc.Content) != 1 {
			continue
		}
		body := doc.Content[0]
		kind, _ := lookUp(body, "kind")
		metadata, _ := lookUp(body, "metadata")
		name, _ := lookUp(metadata.value, "name")
		if kind.value == nil || Declared(kind.value.Value).Kind != ref.Kind || ref.Kind.Traits().New == nil {
			continue
		}
		if ref.Name != "" && (name.value == nil || name.value.Value != ref.Name) {
			continue
		}
		if spec, ok := lookUp(body, "spec"); ok {
			return spec, which, nil
		}
		return pair{}, 0, fault.WithHint(fault.New(fault.Invalid, "%s has no spec", ref), "add its spec: vishwa validate tells what is missing")
	}
}

// edited sets the field at path below in, a key with its mapping.
func edited(raw []byte, in pair, path []string, value string) ([]byte, error) {
	at, there := lookUp(in.value, path[0])
	switch {
	case there && len(path) > 1:
		return edited(raw, at, path[1:], value)
	case there:
		return replaced(raw, at, value)
	}
	text := value
	for i := len(path) - 1; i > 0; i-- {
		text = fmt.Sprintf("{%s: %q}", path[i], text)
	}
	return inserted(raw, in, path[0], text)
}

// replaced writes value in place of the scalar at.value.
func replaced(raw []byte, at pair, value string) ([]byte, error) {
	from, ok := offset(raw, at.value)
	if at.value.Kind != yaml.ScalarNode || !ok || at.value.Alias != nil {
		return nil, fmt.Errorf("its value is not a text in one line")
	}
	was := at.value.Value
	for _, quote := range []string{"", `"`, "'"} {
		if was != "" && bytes.HasPrefix(raw[from:], []byte(quote+was+quote)) {
			return splice(raw, from, from+len(quote+was+quote), quote+value+quote), nil
		}
	}
	return nil, fmt.Errorf("its value is not a text in one line")
}

// inserted writes a field before all others of in.
func inserted(raw []byte, in pair, name, text string) ([]byte, error) {
	m := in.value
	if m.Kind != yaml.MappingNode || len(m.Content) == 0 {
		return nil, fmt.Errorf("its mapping has no field yet")
	}
	if m.Style&yaml.FlowStyle != 0 {
		from, ok := offset(raw, m)
		if !ok || raw[from] != '{' {
			return nil, fmt.Errorf("its mapping begins in an unusual way")
		}
		if !strings.HasPrefix(text, "{") {
			text = `"` + text + `"`
		}
		return splice(raw, from+1, from+1, name+": "+text+", "), nil
	}
	first := m.Content[0]
	if first.Line <= in.key.Line {
		return nil, fmt.Errorf("its mapping begins in an unusual way")
	}
	from := lineStart(raw, in.key.Line+1)
	end := "\n"
	if from > 1 && raw[from-2] == '\r' {
		end = "\r\n"
	}
	return splice(raw, from, from, strings.Repeat(" ", first.Column-1)+name+": "+text+end), nil
}

func splice(raw []byte, from, to int, text string) []byte {
	out := append(bytes.Clone(raw[:from]), text...)
	return append(out, raw[to:]...)
}

// lineStart is where a line begins, which counts from 1.
func lineStart(raw []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(raw[at:], '\n')
		if i < 0 {
			return len(raw)
		}
		at += i + 1
	}
	return at
}

// offset is where a node begins; columns count characters.
func offset(raw []byte, n *yaml.Node) (int, bool) {
	at := lineStart(raw, n.Line)
	for range n.Column - 1 {
		if at >= len(raw) || raw[at] == '\n' {
			return 0, false
		}
		_, size := utf8.DecodeRune(raw[at:])
		at += size
	}
	return at, at < len(raw)
}

// onlyThat reads both texts and tells whether the edit changed that one field.
func onlyThat(was, is []byte, which int, field, value string) error {
	before, err := allOf(was)
	if err != nil {
		return err
	}
	after, err := allOf(is)
	if err != nil || len(before) != len(after) {
		return fmt.Errorf("it would not be read any more")
	}
	m, ok := before[which].(map[string]any)
	path := strings.Split(field, ".")
	for _, name := range path[:len(path)-1] {
		if !ok {
			break
		}
		next, there := m[name]
		if !there {
			next = map[string]any{}
			m[name] = next
		}
		m, ok = next.(map[string]any)
	}
	if !ok {
		return fmt.Errorf("what it belongs to is not a mapping")
	}
	m[path[len(path)-1]] = value
	if !reflect.DeepEqual(before, after) {
		return fmt.Errorf("more than that would change")
	}
	return nil
}

// allOf is the documents of a file as values, each with aliases of its own.
func allOf(raw []byte) (out []any, err error) {
	docs := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var doc any
		if err := docs.Decode(&doc); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, doc)
	}
}

// SetRound is raw, a file that declares ref, with its round set. Everything else stays as
// people wrote it; what cannot be written so is an error that says what to write by hand.
func SetRound(raw []byte, ref Ref, r Round) ([]byte, error) {
	if !utf8.Valid(raw) || yamlpos.Crowded(raw, maxEdited) >= 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the file is not UTF-8 text, or holds too much to be edited"), "write the change by hand")
	}
	out, which, err := withRound(raw, ref, r)
	if err == nil {
		err = onlyRound(raw, out, which, r)
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "spec.round of %s is written in a way that is not edited: %w", ref, err), "write it there yourself: round: {number: %d, reason: %q}", r.Number, r.Reason)
	}
	return out, nil
}

func withRound(raw []byte, ref Ref, r Round) (out []byte, which int, err error) {
	spec, which, err := declared(raw, ref)
	if err != nil {
		return nil, 0, err
	}
	if _, there := lookUp(spec.value, "round"); !there {
		out, err = inserted(raw, spec, "round", fmt.Sprintf("{number: %d, reason: %q}", r.Number, r.Reason))
		return out, which, err
	}
	out = raw
	for _, field := range []struct{ name, value string }{{"number", fmt.Sprint(r.Number)}, {"reason", r.Reason}} {
		if spec, _, err = declared(out, ref); err != nil {
			return nil, 0, err
		}
		round, _ := lookUp(spec.value, "round")
		at, there := lookUp(round.value, field.name)
		if there {
			out, err = replaced(out, at, field.value)
		} else {
			out, err = inserted(out, round, field.name, fmt.Sprintf("%q", field.value))
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return out, which, nil
}

// onlyRound reads both texts and tells whether the edit changed the round alone.
func onlyRound(was, is []byte, which int, r Round) error {
	before, err := allOf(was)
	if err != nil {
		return err
	}
	after, err := allOf(is)
	if err != nil || len(before) != len(after) {
		return fmt.Errorf("it would not be read any more")
	}
	doc, _ := before[which].(map[string]any)
	spec, ok := doc["spec"].(map[string]any)
	if !ok {
		return fmt.Errorf("what it belongs to is not a mapping")
	}
	spec["round"] = map[string]any{"number": r.Number, "reason": r.Reason}
	if !reflect.DeepEqual(before, after) {
		return fmt.Errorf("more than that would change")
	}
	return nil
}
