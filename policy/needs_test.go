// The law of rules that need a plan: where it failed they deny, and where none is made by
// design they wait.

package policy

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/schemas"
)

func TestARuleThatNeedsAPlanDeniesWhereItFailed(t *testing.T) {
	const head = "package acme.infra\nimport rego.v1\n"
	read := map[string]string{
		"plainly":          "deny contains \"x\" if input.terraform.resource_changes[_].type == \"x\"",
		"by another rule":  "deny contains \"x\" if some_db\nsome_db if input.terraform.resource_changes[_].type == \"x\"",
		"by a function":    "deny contains \"x\" if bad(\"x\")\nbad(t) if input.terraform.resource_changes[_].type == t",
		"under a name":     "deny contains \"x\" if {\n  t := input.terraform\n  t.resource_changes[_].type == \"x\"\n}",
		"by an import":     "import input.terraform as tf\ndeny contains \"x\" if tf.resource_changes[_].type == \"x\"",
		"in brackets":      "deny contains \"x\" if input[\"terraform\"].resource_changes[_].type == \"x\"",
		"by any name":      "deny contains \"x\" if {\n  some k in [\"terraform\"]\n  input[k].resource_changes[_].type == \"x\"\n}",
		"whole":            "deny contains \"x\" if {\n  i := input\n  walk(i, [_, \"x\"])\n}",
		"in an else":       "deny contains \"x\" if ok == 2\nok := 1 if input.allowDestroy\nelse := 2 if input.terraform.errored",
		"in a default one": "deny contains \"x\" if n > 2\nn := count([r | some r in input.terraform.resource_changes])",
		"of the built-in":  "import data.vishwa.terraform\ndeny contains \"x\" if count(terraform.made) > 3",
		"as a key":         "deny contains \"x\" if input.spec[input.terraform.terraform_version]",
	}
	not := map[string]string{
		"nothing":       "deny contains \"x\" if input.spec.module == \"x\"",
		"a warning":     "deny contains \"y\" if false\nwarn contains \"x\" if input.terraform.errored",
		"another field": "deny contains \"x\" if input.step.warnings[_] == \"terraform\"",
	}
	judge := func(text string, failed, passing bool) (found []string, all []ledger.Finding) {
		e := engine(t, map[string]string{"policy/infra.rego": head + text})
		c := infraCase("null")
		c.phase, c.step.Pending, c.step.Failed, c.step.Passing, c.step.Why = Planning, true, failed, passing, "infra/main.tf:3: no"
		c.subject.Terraform, c.subject.Hint = nil, "correct it"
		all = c.judge(t, e)
		return rules(all), all
	}
	for name, text := range read {
		t.Run(name, func(t *testing.T) {
			found, all := judge(text, true, false)
			if strings.Join(found, ", ") != "deny acme.infra/deny, deny policy/evidence" {
				t.Fatalf("%v: %+v", found, all)
			}
			for _, f := range all {
				if !strings.Contains(f.Message, "the plan of infrastructure/serving, which failed: infra/main.tf:3: no") || f.Hint != "correct it" {
					t.Errorf("%+v", f)
				}
			}
			if found, all = judge(text, false, false); len(found) != 0 {
				t.Errorf("no plan by design: %+v", all)
			}
			if _, all = judge(text, true, true); len(all) != 2 || strings.Contains(all[0].Message, "which failed") || !strings.Contains(all[0].Message, "could not be made this time") {
				t.Errorf("what may pass is said to have failed: %+v", all)
			}
		})
	}
	for name, text := range not {
		t.Run(name, func(t *testing.T) {
			if found, all := judge(text, true, false); strings.Join(found, ", ") != "deny policy/evidence" {
				t.Errorf("%v: %+v", found, all)
			}
		})
	}
}

// Another kind of step needs no Terraform plan, whatever fails.
func TestOnlyInfrastructureNeedsATerraformPlan(t *testing.T) {
	e := engine(t, map[string]string{"policy/infra.rego": "package acme.infra\nimport rego.v1\ndeny contains \"x\" if input.terraform.errored"})
	c := modelCase(good(), schemas.Gate{})
	c.phase, c.step.Pending = Planning, true
	same(t, c.judge(t, e))
}

// TestADeploymentThatDoesNotAnswerIsNotJudged: nothing is done about it, and no rule says no to that.
func TestADeploymentThatDoesNotAnswerIsNotJudged(t *testing.T) {
	e := engine(t, map[string]string{"policy/infra.rego": "package acme.infra\nimport rego.v1\ndeny contains \"x\" if input.terraform.errored", "policy/all.rego": "package acme.all\nimport rego.v1\ndeny contains \"no\""})
	c := deployCase("production", good())
	c.phase, c.step.Held, c.step.Failed, c.step.Passing = Planning, plan.NotAsked+"no answer within 20s", true, true
	same(t, c.judge(t, e))
	c.step.Held, c.step.Failed, c.step.Passing = "", false, false
	same(t, c.judge(t, e), "deny acme.all/deny", "deny deployment/approval")
}

// TestWhatGoesBackIsNotJudged: what serves is better than what is tried, and no rule keeps the requests from it, nor says that it knows nothing of
// it. A check of the rules asks them about all.
func TestWhatGoesBackIsNotJudged(t *testing.T) {
	e := engine(t, map[string]string{"policy/all.rego": "package acme.all\nimport rego.v1\ndeny contains \"no\""})
	for _, c := range []struct {
		move plan.Move
		back bool
	}{
		{plan.Move{Do: rollout.Begin}, false}, {plan.Move{Do: rollout.Weigh, Raises: true}, false}, {plan.Move{Do: rollout.Promote}, false},
		{plan.Move{Do: rollout.RollBack}, true}, {plan.Move{Do: rollout.End}, true}, {plan.Move{Do: rollout.Revive}, true}, {plan.Move{Do: rollout.Weigh}, true},
	} {
		for _, all := range []bool{false, true} {
			one := deployCase("staging", good())
			one.step.Move = &c.move
			if c.back && !all { // nobody gathers what is known of it
				one.subject = Subject{}
			}
			found, err := e.Judge(t.Context(), plan.Plan{Steps: []plan.Step{one.step}}, Evidence{
				Time: noon, Phase: Planning, Project: &schemas.Project{Environments: map[string]schemas.Environment{"staging": {}}}, All: all,
				Of: func(schemas.Ref) Subject { return one.subject },
			})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if all || !c.back {
				want = []string{"deny acme.all/deny"}
			}
			same(t, found, want...)
		}
	}
}
