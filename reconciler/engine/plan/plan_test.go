// Reasons, selection and the digest: cases, one a line.

package plan

import (
	"encoding/json"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestBecauseNamesWhatChanged(t *testing.T) {
	code := func(text string) map[string]digest.Digest {
		return map[string]digest.Digest{"src/train.py": digest.Of([]byte(text))}
	}
	for want, c := range map[string]struct{ was, now port.Recipe }{
		"param C 1 -> 2":                  {port.Recipe{Params: map[string]any{"C": 1.0}}, port.Recipe{Params: map[string]any{"C": 2.0}}},
		"param C = 2 added":               {port.Recipe{}, port.Recipe{Params: map[string]any{"C": 2.0}}},
		"param C = 2 removed":             {port.Recipe{Params: map[string]any{"C": 2.0}}, port.Recipe{}},
		"code src/train.py changed":       {port.Recipe{Code: code("a")}, port.Recipe{Code: code("b")}},
		"code src/train.py added":         {port.Recipe{}, port.Recipe{Code: code("b")}},
		"input train changed":             {port.Recipe{Inputs: map[string]digest.Digest{"train": "a"}}, port.Recipe{Inputs: map[string]digest.Digest{"train": "b"}}},
		"environment lock changed":        {port.Recipe{Env: "a"}, port.Recipe{Env: "b"}},
		"command changed: python -O t.py": {port.Recipe{Command: []string{"python"}}, port.Recipe{Command: []string{"python", "-O", "t.py"}}},
		"spec.select changed":             {port.Recipe{Spec: json.RawMessage(`{"select":1}`)}, port.Recipe{Spec: json.RawMessage(`{"select":2}`)}},
		"declared anew":                   {port.Recipe{Params: map[string]any{"C": 1}}, port.Recipe{Params: map[string]any{"C": 1.0}}},
		"recipe format changed":           {port.Recipe{Schema: "a"}, port.Recipe{Schema: "b"}},
		"param a = 1 added, param b = 1 added, param c = 1 added, and 2 more": {port.Recipe{}, port.Recipe{Params: map[string]any{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}}},
	} {
		if got := explainChange(c.was, c.now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDigestIsOfWhatThePlanDoesAlone(t *testing.T) {
	base := func() Plan {
		return Plan{Schema: Schema, Revision: "r", Tree: "t", Policy: "p", Trust: "u", Steps: []Step{
			{Ref: ref("model/m"), Do: Make, Key: "k", Why: "never made"}, {Ref: ref("dataset/d"), Do: Keep, Key: "d"}}}
	}
	for name, c := range map[string]struct {
		change func(*Plan)
		moves  bool
	}{
		"reason":      {func(p *Plan) { p.Steps[0].Why = "other" }, false},
		"position":    {func(p *Plan) { p.Steps[0].Pos.Line = 3 }, false},
		"held":        {func(p *Plan) { p.Steps[0].Held = "no" }, false},
		"findings":    {func(p *Plan) { p.Findings = []ledger.Finding{{Rule: "r"}} }, false},
		"a kept step": {func(p *Plan) { p.Steps[1].Key = "e" }, false},
		"revision":    {func(p *Plan) { p.Revision = "s" }, false},
		"tree":        {func(p *Plan) { p.Tree = "s" }, true},
		"policy":      {func(p *Plan) { p.Policy = "s" }, true},
		"trust":       {func(p *Plan) { p.Trust = "s" }, true},
		"key":         {func(p *Plan) { p.Steps[0].Key = "l" }, true},
		"action":      {func(p *Plan) { p.Steps[0].Do = Remake }, true},
		"pending":     {func(p *Plan) { p.Steps[0].Pending = true }, true},
		"model":       {func(p *Plan) { p.Steps[0].Model = "m" }, true},
		"change":      {func(p *Plan) { p.Steps[0].Change = "c" }, true},
		"a step more": {func(p *Plan) { p.Steps[1].Do = Pin }, true},
	} {
		p := base()
		c.change(&p)
		if (p.Digest() != base().Digest()) != c.moves {
			t.Errorf("%s: moves the digest is %v", name, !c.moves)
		}
	}
}

// TestWhatNoApprovalLetsThroughIsTheReason: whoever reads that approvals are missing would ask for them in vain.
func TestWhatNoApprovalLetsThroughIsTheReason(t *testing.T) {
	at := ref("deployment/a")
	found := []ledger.Finding{
		{Rule: ledger.ApprovalRule, Level: ledger.Denied, Ref: at, Message: "needs 1"},
		{Rule: "model/gate", Level: ledger.Denied, Ref: at, Message: "too low"},
		{Rule: "policy/evidence", Level: ledger.Denied, Ref: at, Message: "not known"},
	}
	p := Plan{Steps: []Step{{Ref: at, Do: Remake}}}
	for n, want := range map[int]string{1: "deployment/approval: needs 1", 3: "model/gate: too low"} {
		if got := Gate(p, found[:n]).Steps[0].Held; got != want {
			t.Errorf("held: %s, want %s", got, want)
		}
	}
}
