// Metrics decide what is deployed: what is read is what was written, and what
// cannot be compared is refused by its name.

package work

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestMetricsAreReadByDottedName(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want map[string]float64
	}{
		"flat JSON":          {`{"auc": 0.9, "n": 3}`, map[string]float64{"auc": 0.9, "n": 3}},
		"nested JSON":        {"\ufeff{\"test\": {\"roc\": {\"auc\": 1e-3}}}\n", map[string]float64{"test.roc.auc": 0.001}},
		"tabs":               {"{\n\t\"a\": 1,\n\t\"b\": -2\n}", map[string]float64{"a": 1, "b": -2}},
		"lists":              {`{"loss": [3, 2, {"x": 1}]}`, map[string]float64{"loss.0": 3, "loss.1": 2, "loss.2.x": 1}},
		"texts and booleans": {`{"a": 1, "model": "xgboost", "ok": true}`, map[string]float64{"a": 1}},
		"YAML":               {"test:\n  auc: 0.5\n  n: 0x10\nname: banana\n", map[string]float64{"test.auc": 0.5, "test.n": 16}},
		"YAML flow":          {"{a: 1, b: {c: 2}}", map[string]float64{"a": 1, "b.c": 2}},
		"smallest":           {`{"a": 5e-324, "b": 1.7976931348623157e308}`, map[string]float64{"a": 5e-324, "b": math.MaxFloat64}},
	} {
		got, err := ParseMetrics([]byte(c.raw))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, c.want)
		}
	}
}

func TestMetricsThatCannotBeComparedAreRefusedByName(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60)
	for raw, says := range map[string]string{
		`{"test": {"auc": NaN}}`:              "test.auc is NaN",
		`{"test": {"a": 1, "auc": Infinity}}`: "test.auc is infinite",
		`{"test": {"auc":-Infinity}, "b": 1}`: "test.auc is infinite",
		`{"loss": [1, NaN]}`:                  "loss.1 is NaN",
		`{"a": 1e999}`:                        "a is infinite",
		`{"a": "nan"}`:                        "a is NaN",
		"a: .nan":                             "a is NaN",
		"a: {b: -.inf}":                       "a.b is infinite",
		"a: nan":                              "a is NaN",
		"a: [1, -Infinity]":                   "a.1 is infinite",
		`{"a": null}`:                         "a is null",
		"a: ~":                                "a is null",
		`{"a": 1, "a": 2}`:                    "a comes twice",
		"a: 1\na: 2":                          "a comes twice",
		`{"a": {"b": 1}, "a.b": 2}`:           "a.b comes twice",
		`{"a": "x"}`:                          "no number",
		`{}`:                                  "no number",
		`[1, 2]`:                              "not an object",
		`0.9`:                                 "not an object",
		"":                                    "empty",
		" \n":                                 "empty",
		`{"a": 1} {"b": 2}`:                   "follows",
		"a: 1\n---\nb: 2":                     "more than one document",
		"a: &x [1]\nb: *x":                    "b is an alias",
		`{"": 1}`:                             "empty",
		`{"a`:                                 "neither JSON nor YAML",
		deep:                                  "deep",
		`{"a": "` + strings.Repeat("x", 1<<20) + `"}`:  "larger than",
		`{"a": [` + strings.Repeat("1,", 5000) + `1]}`: "more than 4096",
	} {
		_, err := ParseMetrics([]byte(raw))
		if err == nil || !strings.Contains(err.Error(), says) || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%.40q: got %v, want %q", raw, err, says)
		}
	}
}

// TestMetricsAreTheSameInJSONAndYAML: whatever numbers, in whatever nesting.
func TestMetricsAreTheSameInJSONAndYAML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]float64{}
		tree := map[string]any{}
		for _, group := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,6}`), 1, 4, rapid.ID).Draw(t, "groups") {
			inner := map[string]any{}
			for k, v := range rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,6}`), rapid.Float64(), 1, 4).Draw(t, "numbers") {
				inner[k], want[group+"."+k] = v, v
			}
			tree[group] = inner
		}
		j, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yaml.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range [][]byte{j, y} {
			if got, err := ParseMetrics(raw); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: got %v, %v", raw, got, err)
			}
		}
	})
}

func FuzzMetrics(f *testing.F) {
	for _, s := range []string{`{"a": {"b": [1, 2.5e3]}}`, "a: 1\nb: {c: .inf}", `{"a": NaN}`, "a: &x 1\nb: *x", `{"a":1,"a":2}`, "{a: b: c}", "? [a]\n: 1", "<<: {a: 1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseMetrics(raw)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		if len(m) == 0 || len(m) > metricsCount {
			t.Errorf("%q: %d numbers", raw, len(m))
		}
		for name, v := range m {
			if name == "" || math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%q: %q is %v", raw, name, v)
			}
		}
		if js := map[string]any{}; json.Unmarshal(raw, &js) == nil {
			for name, v := range js { // where encoding/json reads it too, both read the same
				if f, ok := v.(float64); ok && m[name] != f {
					t.Errorf("%q: %q is %v, not %v", raw, name, m[name], f)
				}
			}
		}
	})
}

// TestMemoryIsBlamedOnTheKernelsWord: the nearest counter that can be read, and none where there is none.
func TestMemoryIsBlamedOnTheKernelsWord(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, c := range map[string]struct {
		machine fstest.MapFS
		count   int64
		scope   string
	}{
		"version 2": {fstest.MapFS{"proc/self/cgroup": file("0::/user/x\n"), "sys/fs/cgroup/user/x/memory.events": file("low 0\noom 2\noom_kill 3\noom_group_kill 0\n"),
			"proc/vmstat": file("oom_kill 9\n")}, 3, "its control group"},
		"version 1": {fstest.MapFS{"proc/self/cgroup": file("9:cpu:/\n4:memory:/m\n0::/\n"), "sys/fs/cgroup/memory/m/memory.oom_control": file("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")}, 4, "its control group"},
		"machine":   {fstest.MapFS{"proc/self/cgroup": file("0::/../..\n"), "proc/vmstat": file("nr_free 1\noom_kill 5\n")}, 5, "this machine"},
		"nothing":   {fstest.MapFS{}, 0, ""},
	} {
		if n, scope := oomKills(c.machine); n != c.count || scope != c.scope {
			t.Errorf("%s: got %d of %q", name, n, scope)
		}
	}
	killed := ending{code: -1, signal: 9}
	if r := verdict(killed, ""); r.Cause != "signal" {
		t.Errorf("a kill without an out-of-memory kill is %s", r.Cause)
	}
	killed.oom = "this machine"
	if r := verdict(killed, ""); r.Cause != "out-of-memory" || !strings.Contains(r.Message, "memory") {
		t.Errorf("an out-of-memory kill is %+v", r)
	}
}
