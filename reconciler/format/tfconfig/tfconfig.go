// Package tfconfig reads and writes the file that says to TensorFlow Serving what it loads: a ModelServerConfig in
// protobuf's text format (model_server_config.proto). What it does not change stays as it is, byte for byte: the
// models of others stand in the same file.
package tfconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Max is how large a file may be, in bytes.
const Max = 4 << 20

// Model is one config of the list.
type Model struct {
	Name     string
	BasePath string
	Versions []int64          // those that are loaded, and no others
	Labels   map[string]int64 // of versions
}

// File is a file of one list of models.
type File struct {
	raw     string
	end     int // where its list ends: its closing bracket
	entries []entry
}

type entry struct {
	from, until int // the whole field
	name        string
	said        string // the same for all ways to write it
	model       Model
}

// Parse reads a file. One that says what its models are in another way than as a list of configs is Invalid.
func Parse(raw []byte) (*File, error) {
	f := &File{raw: string(raw)}
	if len(raw) > Max {
		return nil, fault.WithHint(fault.New(fault.Invalid, "it has more than %d bytes", Max), "spread its models over several servers")
	}
	if strings.TrimSpace(withoutComments(f.raw)) == "" {
		f.raw = strings.TrimRight(f.raw, "\n")
		if f.raw != "" {
			f.raw += "\n"
		}
		f.raw += "model_config_list {\n}\n"
	}
	p := &parser{text: f.raw}
	top, err := p.fields(0)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "line %d: %w", 1+strings.Count(f.raw[:min(p.at, len(f.raw))], "\n"), err), "correct it, or have Vishwa begin with an empty file")
	}
	if len(top) != 1 || top[0].name != "model_config_list" || !top[0].message {
		return nil, fault.WithHint(fault.New(fault.Invalid, "it is no single model_config_list"), "write all models into one model_config_list { }")
	}
	f.end = top[0].close
	for _, c := range top[0].fields {
		if c.name != "config" || !c.message {
			return nil, fault.WithHint(fault.New(fault.Invalid, "its list has the field %q", c.name), "write each model as config { }")
		}
		e := entry{from: c.from, until: c.until, said: c.said(), name: c.text("name"), model: c.model()}
		if slices.ContainsFunc(f.entries, func(o entry) bool { return o.name == e.name }) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "it has model %q twice", e.name), "remove one of them")
		}
		f.entries = append(f.entries, e)
	}
	return f, nil
}

// Bytes are the file.
func (f *File) Bytes() []byte { return []byte(f.raw) }

// Names are those of its models.
func (f *File) Names() (out []string) {
	for _, e := range f.entries {
		out = append(out, e.name)
	}
	return out
}

// Text is the config of a model as it stands there; empty where there is none.
func (f *File) Text(name string) string {
	if e, ok := f.entry(name); ok {
		return f.raw[e.from:e.until]
	}
	return ""
}

// Model is the model of a name, as far as Model has its fields.
func (f *File) Model(name string) (Model, bool) {
	e, ok := f.entry(name)
	return e.model, ok
}

// Says tells whether the config of m's name says exactly what m does.
func (f *File) Says(m Model) bool {
	e, ok := f.entry(m.Name)
	if !ok {
		return false
	}
	p := &parser{text: m.String()}
	want, err := p.fields(0)
	return err == nil && len(want) == 1 && want[0].said() == e.said
}

func (f *File) entry(name string) (entry, bool) {
	i := slices.IndexFunc(f.entries, func(e entry) bool { return e.name == name })
	if i < 0 {
		return entry{}, false
	}
	return f.entries[i], true
}

// With is the file with text in the place of the config of a name; empty takes it out.
func (f *File) With(name, text string) (*File, error) {
	from, until := f.end, f.end
	if e, ok := f.entry(name); ok {
		from, until = e.from, e.until
		if text == "" { // with its line
			line := strings.LastIndexByte(f.raw[:from], '\n') + 1
			if strings.TrimSpace(f.raw[line:from]) == "" && until < len(f.raw) && f.raw[until] == '\n' {
				from, until = line, until+1
			}
		}
	} else if text != "" {
		if text = "  " + text + "\n"; !strings.HasSuffix(f.raw[:from], "\n") {
			text = "\n" + text
		}
	}
	return Parse([]byte(f.raw[:from] + text + f.raw[until:]))
}

// String is m as a config.
func (m Model) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "config {\n    name: %q\n    base_path: %q\n    model_platform: \"tensorflow\"\n", m.Name, m.BasePath)
	b.WriteString("    model_version_policy { specific {")
	for _, v := range m.Versions {
		fmt.Fprintf(&b, " versions: %d", v)
	}
	b.WriteString(" } }\n")
	labels := make([]string, 0, len(m.Labels))
	for label := range m.Labels {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	for _, label := range labels {
		fmt.Fprintf(&b, "    version_labels { key: %q value: %d }\n", label, m.Labels[label])
	}
	b.WriteString("  }")
	return b.String()
}

// model is what a config says of a Model's fields.
func (c field) model() Model {
	m := Model{Name: c.text("name"), BasePath: c.text("base_path"), Labels: map[string]int64{}}
	for _, f := range c.fields {
		switch f.name {
		case "version_labels":
			if v, err := strconv.ParseInt(f.text("value"), 10, 64); err == nil {
				m.Labels[f.text("key")] = v
			}
		case "model_version_policy":
			for _, s := range f.fields {
				for _, v := range s.fields {
					if n, err := strconv.ParseInt(v.value, 10, 64); s.name == "specific" && v.name == "versions" && err == nil {
						m.Versions = append(m.Versions, n)
					}
				}
			}
		}
	}
	return m
}
