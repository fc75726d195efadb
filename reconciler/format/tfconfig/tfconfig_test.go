// The file of TensorFlow Serving: what is ours is written, and what is others' stays.

package tfconfig

import (
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// others is a file as people write it.
const others = `# models of the team
model_config_list: {
  config: { name: 'fraud', base_path: "/models/" "fraud"; # kept
    model_platform: "tensorflow"
    model_version_policy < latest { num_versions: 2 } >
    logging_config { sampling_config { sampling_rate: 0.5 } }
  },
  config { name: "old" base_path: "/models/old" version_labels { key: 'stable' value: 3 } }
}
`

func parsed(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWhatIsOthersStaysByteForByte(t *testing.T) {
	m := Model{Name: "churn", BasePath: "/models/churn", Versions: []int64{42, 43}, Labels: map[string]int64{"stable": 42, "canary": 43}}
	f, err := parsed(t, others).With("churn", m.String())
	if err != nil || !f.Says(m) || !slices.Equal(f.Names(), []string{"fraud", "old", "churn"}) {
		t.Fatalf("%v %s", err, f.bytes())
	}
	if got, _ := f.Model("churn"); got.BasePath != m.BasePath || !slices.Equal(got.Versions, m.Versions) || got.Labels["canary"] != 43 {
		t.Errorf("%+v", got)
	}
	m.Labels = map[string]int64{"stable": 43}
	if f.Says(m) {
		t.Error("a label that moved is not seen")
	}
	if f, err = f.With("churn", m.String()); err != nil || !f.Says(m) {
		t.Fatalf("%v %s", err, f.bytes())
	}
	former := f.Text("old")
	if f, err = f.With("old", ""); err != nil || strings.Contains(string(f.Bytes()), "/models/old") {
		t.Fatalf("%v %s", err, f.bytes())
	}
	if f, err = f.With("old", former); err != nil {
		t.Fatal(err)
	}
	if f, err = f.With("churn", ""); err != nil || !strings.HasPrefix(string(f.Bytes()), others[:strings.Index(others, "  config { name: \"old\"")]) {
		t.Fatalf("%v\n%s", err, f.bytes())
	}
}

// bytes are f's, where there is one.
func (f *File) bytes() []byte {
	if f == nil {
		return nil
	}
	return f.Bytes()
}

func TestAnEmptyFileIsAListOfNone(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing yet\n", "model_config_list {}", "model_config_list { }\n"} {
		f := parsed(t, text)
		g, err := f.With("a", Model{Name: "a", BasePath: "/a", Versions: []int64{1}}.String())
		if err != nil || !slices.Equal(g.Names(), []string{"a"}) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTheSameSaidOtherwiseIsTheSame(t *testing.T) {
	m := Model{Name: "a", BasePath: "/a", Versions: []int64{2, 1}, Labels: map[string]int64{"s": 1}}
	if f := parsed(t, `model_config_list { config: < model_version_policy: { specific { versions: 2, versions: 1 } } base_path: '/a' version_labels { value: 1 key: "s" } name: "a" model_platform: "tensorflow" > }`); !f.Says(m) {
		t.Error("it is not the same")
	}
	for _, other := range []string{"versions: 1 versions: 2", "versions: 2", "versions: 2 versions: 1 versions: 3"} {
		if f := parsed(t, `model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" model_version_policy { specific { `+other+` } } version_labels { key: "s" value: 1 } } }`); f.Says(m) {
			t.Errorf("%s is the same", other)
		}
	}
}

func TestWhatIsNoSuchFileIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"custom_model_config { }":                                               "no single model_config_list",
		"model_config_list { } model_config_list { }":                           "no single model_config_list",
		"model_config_list { other { } }":                                       `the field "other"`,
		"model_config_list { config: [ { name: 'a' } ] }":                       "list in brackets",
		"model_config_list { config { name: 'a' } config { name: \"a\" } }":     `has model "a" twice`,
		"model_config_list {\n  config {\n name: \"a } }":                       "line 3: name: its text has no end",
		"model_config_list {":                                                   "has no end",
		"model_config_list { config { name: 'a\\x41' } }":                       `\x is not read here`,
		"model_config_list }":                                                   "has no value",
		"}":                                                                     "no single",
		"model_config_list " + strings.Repeat("{ a ", 40):                       "nested too deep",
		"model_config_list { config { name: 'a' } }" + strings.Repeat(" ", Max): "more than",
	} {
		_, err := Parse([]byte(text))
		if err == nil || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %v, hint %q", text, err, fault.HintOf(err))
		}
	}
}

// FuzzParse: whatever a file says, taking a model in and out again leaves it, and the models of others.
func FuzzParse(f *testing.F) {
	f.Add(others)
	f.Add("model_config_list { config: < name: 'a' > }")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		was, err := Parse([]byte(text))
		if err != nil {
			return
		}
		m := Model{Name: "vishwa-model", BasePath: "/m", Versions: []int64{7}, Labels: map[string]int64{"stable": 7}}
		if _, there := was.Model(m.Name); there {
			return
		}
		with, err := was.With(m.Name, m.String())
		if err != nil || !with.Says(m) {
			t.Fatalf("%v in %q", err, text)
		}
		for _, name := range was.Names() {
			if with.Text(name) != was.Text(name) {
				t.Errorf("%q was %q, and is %q", name, was.Text(name), with.Text(name))
			}
		}
		if back, err := with.With(m.Name, ""); err != nil || !slices.Equal(back.Names(), was.Names()) {
			t.Errorf("%v: %q", err, back.bytes())
		}
	})
}
