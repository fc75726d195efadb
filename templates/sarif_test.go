// What is written as SARIF is SARIF, by the schema that OASIS publishes.

package templates

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

func sarifChecker(t *testing.T) func(v any) error {
	t.Helper()
	f, err := os.Open("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(sarifSchema, doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	return func(v any) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
		if err != nil {
			return err
		}
		return compiled.Validate(parsed)
	}
}

// TestFindingsAreSARIF: whatever is found, wherever, by whichever rule.
func TestFindingsAreSARIF(t *testing.T) {
	check := sarifChecker(t)
	if err := check(map[string]any{"version": "2.1.0", "runs": []any{map[string]any{}}}); err == nil {
		t.Fatal("the checker takes what is not SARIF")
	}
	if err := check(ProblemsSARIF("v1", nil, nil)); err != nil {
		t.Errorf("nothing found: %v", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		position := rapid.Custom(func(t *rapid.T) schemas.Position {
			return schemas.Position{File: rapid.OneOf(rapid.Just("vishwa/a b%#?.yaml"), rapid.Just("a:b.yaml"), rapid.String()).Draw(t, "file"), Line: rapid.IntRange(0, 9).Draw(t, "line"), Column: rapid.IntRange(0, 9).Draw(t, "column")}
		})
		a := schemas.Ref{Kind: "model", Name: "a"}
		p := plan.Plan{Steps: []plan.Step{{Ref: a, Pos: position.Draw(t, "pos")}}}
		for range rapid.IntRange(0, 4).Draw(t, "findings") {
			p.Findings = append(p.Findings, ledger.Finding{Rule: rapid.SampledFrom([]string{"model/gate", "team/x"}).Draw(t, "rule"),
				Level: rapid.SampledFrom([]ledger.Level{ledger.Denied, ledger.Warn, ledger.Note}).Draw(t, "level"),
				Ref:   rapid.SampledFrom([]schemas.Ref{a, {Kind: "model", Name: "gone"}}).Draw(t, "ref"), Message: rapid.String().Draw(t, "message"), Hint: rapid.String().Draw(t, "way")})
		}
		if err := check(FindingsSARIF("v1", p, map[string]string{"model/gate": "A gate"})); err != nil {
			t.Fatal(err)
		}
		problem := schemas.Problem{Pos: position.Draw(t, "place"), Field: rapid.String().Draw(t, "field"), Message: rapid.String().Draw(t, "text")}
		if err := check(ProblemsSARIF("v1", []schemas.Problem{problem, problem}, []schemas.Problem{problem})); err != nil {
			t.Fatal(err)
		}
	})
}
