// Reading what the program prints: plans, text, backends. No program is needed.

package provisioner

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestPlansThatAreNotWholeAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		fine bool
	}{
		"whole":            {`{"format_version":"1.2","complete":true}`, true},
		"of an older tool": {`{"format_version":"1.0"}`, true},
		"errored":          {`{"format_version":"1.2","errored":true}`, false},
		"incomplete":       {`{"format_version":"1.2","complete":false,"resource_changes":[{"address":"a.b","change":{"actions":["create"]}}]}`, false},
		"no plan":          {`{}`, false},
		"no JSON":          {`correct-horse-battery`, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readPlan([]byte(c.raw))
			if (err == nil) != c.fine || err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEveryActionHasOneWord(t *testing.T) {
	doc, err := readPlan([]byte(`{"format_version":"1.2","resource_changes":[
		{"address":"a.kept","change":{"actions":["no-op"]}},
		{"address":"a.made","change":{"actions":["create"],"before":null,"after":{"size":1,"tags":{"x":1}},"after_unknown":{"id":true,"tags":{}}}},
		{"address":"a.changed","change":{"actions":["update"],"before":{"size":1,"name":"n"},"after":{"size":2,"name":"n"}}},
		{"address":"a.replaced","change":{"actions":["delete","create"]}},
		{"address":"a.replaced2","change":{"actions":["create","delete"]}},
		{"address":"a.gone","change":{"actions":["delete"]}},
		{"address":"a.gone","deposed":"0a1b","change":{"actions":["delete"]}},
		{"address":"a.moved","previous_address":"a.before","change":{"actions":["no-op"]}},
		{"address":"a.taken","change":{"actions":["no-op"],"importing":{"id":"x"}}},
		{"address":"data.a.read","change":{"actions":["read"]}}],
		"resource_drift":[{"address":"a.z","change":{"actions":["update"]}},{"address":"a.y","change":{"actions":["delete"]}},{"address":"a.kept","change":{"actions":["no-op"]}}],
		"output_changes":{"x":{"actions":["create"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "update a.changed, delete a.gone, delete a.gone (deposed 0a1b), create a.made, update a.moved, replace a.replaced, replace a.replaced2, update a.taken, read data.a.read"
	if got := show(doc.actions()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := doc.drift(); !slices.Equal(got, []string{"a.y", "a.z"}) {
		t.Errorf("drift is %v", got)
	}
	if got := doc.Resources[1].Change.attributes(); !slices.Equal(got, []string{"id", "size", "tags"}) {
		t.Errorf("attributes of a.made: %v", got)
	}
	if got := doc.Resources[2].Change.attributes(); !slices.Equal(got, []string{"size"}) {
		t.Errorf("attributes of a.changed: %v", got)
	}
}

func TestAFailureSaysItsKindAndNoValue(t *testing.T) {
	w := &work{stack: port.Infrastructure{Name: "a"}, tool: tool{product: "terraform", version: "1.11.4"}, secrets: new(redactor)}
	w.secrets.addValue(map[string]any{"k": []any{secret, "ab"}})
	w.secrets.addJSON([]byte(`{"resource_changes":[{"change":{"after":{"password":"computed-secret"}}}]}`))
	for name, c := range map[string]struct {
		text string
		kind fault.Kind
		want string
	}{
		"stale":      {"Error: Saved plan is stale\n\nThe given plan file can no longer be applied", fault.Conflict, "Saved plan is stale"},
		"lock":       {"╷\n│ Error: Error acquiring the state lock\n│ \n│ Lock Info:\n│   ID:        x\n│   Who:       ada@lab\n│   Created:   2026-01-02 03:04:05.123 +0000 UTC\n╵", fault.Transient, "held by ada@lab since 2026-01-02 03:04:05"},
		"network":    {"Error: Failed to query available provider packages\n\ncould not connect to registry: dial tcp: no such host", fault.Transient, "Failed to query"},
		"denied":     {"Error: creating bucket\n\noperation error S3: AccessDenied", fault.Denied, "creating bucket"},
		"place":      {"Error: Unsupported argument\n\n  on sub/main.tf line 12, in resource \"x\" \"y\":\n  12: colour = 1", fault.Invalid, "sub/main.tf:12: Unsupported argument"},
		"declared":   {"Error: creating " + secret + " failed", fault.Invalid, "creating (value) failed"},
		"planned":    {"Error: creating computed-secret failed", fault.Invalid, "creating (value) failed"},
		"in details": {"Error: no good\n\nthe value " + secret, fault.Invalid, "no good"},
		"many":       {strings.Repeat("Error: a\nError: b\nError: c\nError: d\nError: e\nError: f\n", 2), fault.Invalid, "e; and 1 more"},
		"silent":     {"Killed", fault.Internal, "ended badly and said nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			err := w.failure("plan", fromText(c.text), errors.New("exit status 1"))
			if fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "" {
				t.Errorf("got %q (%v)", err, fault.Of(err))
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "computed-secret") {
				t.Errorf("%q tells a value", err)
			}
		})
	}
}

func TestNoKnownValueSurvivesCleaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := new(redactor)
		values := rapid.SliceOfN(rapid.StringMatching(`[a-z]{4,12}`), 1, 6).Draw(t, "values")
		for _, v := range values {
			r.addValue(map[string]any{"k": v})
		}
		parts := rapid.SliceOf(rapid.OneOf(rapid.SampledFrom(values), rapid.StringMatching(`[ .:A-Z]{0,5}`))).Draw(t, "parts")
		cleaned := strings.ReplaceAll(r.clean(strings.Join(parts, "")), "(value)", "\x00")
		for _, v := range values {
			if strings.Contains(cleaned, v) {
				t.Fatalf("%q is still in %q", v, cleaned)
			}
		}
	})
}

func FuzzReadPlan(f *testing.F) {
	f.Add([]byte(`{"format_version":"1.2","resource_changes":[{"address":"a","change":{"actions":["create"],"after":{"x":1}}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := readPlan(raw)
		if err != nil {
			return
		}
		if doc.empty() != (len(doc.actions()) == 0) {
			t.Error("an empty plan has actions")
		}
		doc.drift()
		doc.outputs()
		for _, r := range doc.Resources {
			r.Change.attributes()
		}
	})
}

func FuzzProgress(f *testing.F) {
	f.Add([]byte("{\"type\":\"diagnostic\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"x\"}}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p progress
		if n, err := p.Write(raw); n != len(raw) || err != nil {
			t.Error(n, err)
		}
		p.found(errors.New("Error: x"))
	})
}

func FuzzFromText(f *testing.F) {
	f.Add("╷\n│ Error: x\n│ \n│   on main.tf line 99999999999999999999, in y\n╵")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range fromText(text) {
			if d.Severity != "error" || d.Summary == "" {
				t.Errorf("%+v", d)
			}
		}
	})
}
