// The reports that the golden files show, built from plans as they are computed.

package templates

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	headSHA = "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c"
	baseSHA = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5a0b1"
)

// report is of pull request 7 with a plan of these steps.
func report(stage Stage, steps []plan.Step, findings ...ledger.Finding) Report {
	p := plan.Plan{Schema: "v1", Revision: headSHA, Tree: someDigest, Steps: steps, Findings: findings}
	return Report{Stage: stage, Pull: 7, Base: "main", BaseSHA: baseSHA, Head: headSHA, Plan: &p, Digest: p.Digest()}
}

func at(s plan.Step, line int) plan.Step {
	s.Pos = schemas.Position{File: "vishwa/" + s.Ref.Name + ".yaml", Line: line, Column: 3}
	return s
}

// project is the running example's steps, each doing do.
func project(t *testing.T, do plan.Do, why string) []plan.Step {
	r := func(s string) schemas.Ref { return ref(t, s) }
	return []plan.Step{
		at(plan.Step{Ref: r("dataset/students"), Do: do, Why: why}, 3),
		at(plan.Step{Ref: r("transform/features"), Do: do, Why: why, Needs: []schemas.Ref{r("dataset/students")}}, 3),
		at(plan.Step{Ref: r("training/enrollment:logistic"), Do: do, Why: why, Needs: []schemas.Ref{r("transform/features")}}, 3),
		at(plan.Step{Ref: r("training/enrollment:xgboost"), Do: do, Why: why, Needs: []schemas.Ref{r("transform/features")}}, 3),
		at(plan.Step{Ref: r("model/enrollment"), Do: do, Why: why, Needs: []schemas.Ref{r("training/enrollment:logistic"), r("training/enrollment:xgboost")}}, 20),
		at(plan.Step{Ref: r("deployment/enrollment-staging"), Do: do, Why: why, Needs: []schemas.Ref{r("model/enrollment")}}, 3),
	}
}

// retrained is the example after a change of its training code.
func retrained(t *testing.T) []plan.Step {
	steps := project(t, plan.Keep, "up to date")
	for i := 2; i < len(steps); i++ {
		steps[i].Do, steps[i].Why = plan.Remake, "code src/train.py changed"
	}
	steps[5].Pending, steps[5].Why = true, "needs model/enrollment"
	return steps
}

func enrollment(t *testing.T, auc float64) ModelChange {
	return ModelChange{
		Ref: ref(t, "model/enrollment"), Candidate: ref(t, "training/enrollment:xgboost"), Digest: digest.Of([]byte("new")),
		Metric: "test.roc_auc", Maximize: true,
		Was:  &Measured{Digest: digest.Of([]byte("was")), Where: "main", Metrics: map[string]float64{"test.roc_auc": 0.8412, "test.log_loss": 0.41, "test.rows": 600}},
		Live: &Measured{Digest: digest.Of([]byte("live")), Where: "deployment/enrollment-staging", Metrics: map[string]float64{"test.roc_auc": 0.8377, "test.log_loss": 0.43}},
		Now:  map[string]float64{"test.roc_auc": auc, "test.log_loss": 0.38, "test.rows": 600, "train.seconds": 1.25},
		Gates: []GateResult{
			{Metric: "test.roc_auc", Rule: "min 0.8", Known: true, Passed: auc >= 0.8},
			{Metric: "test.roc_auc", Rule: "maxRegression 0.005", Known: true, Passed: auc > 0.8362, Message: fmt.Sprintf("%.4f, and 0.8412 on main", auc)},
			{Metric: "test.log_loss", Rule: "max 0.5"},
		},
	}
}

// reports are all that the golden files show.
func reports(t *testing.T) map[string]Report {
	all := map[string]Report{}
	all["nothing"] = report(Settled, project(t, plan.Keep, "up to date"))

	first := report(Planned, project(t, plan.Make, "never made"))
	first.Plan.Steps[0].Do, first.Plan.Steps[0].Why = plan.Pin, "data/students.csv is new"
	for i := 1; i < 6; i++ {
		first.Plan.Steps[i].Pending = i > 1
	}
	first.Data = []DataChange{{Ref: ref(t, "dataset/students"), Now: DataShape{Rows: 12_000, Columns: 9}, NowPin: digest.Of([]byte("csv")), BytesN: 1_250_000, Personal: []string{"name", "e_mail"}}}
	first.Models = []ModelChange{{Ref: ref(t, "model/enrollment"), Metric: "test.roc_auc", Maximize: true, Gates: []GateResult{{Metric: "test.roc_auc", Rule: "min 0.8"}}}}
	first.Commands = []string{"/vishwa plan", "/vishwa train", "/vishwa help"}
	first.Notes = []string{"Runs begin when a maintainer says so: the pull request is from a fork."}
	all["first"] = first

	all["improved"] = improved(t)

	worse := report(Blocked, retrained(t), ledger.Finding{Rule: "model/gate", Level: ledger.Denied, Ref: ref(t, "model/enrollment"), Message: "test.roc_auc 0.79 is below 0.8", Hint: "train better, or lower the gate"})
	worse.Plan.Steps[4].Held, worse.Plan.Steps[5].Held = "model/gate: test.roc_auc 0.79 is below 0.8", "needs model/enrollment"
	worse.Models = []ModelChange{enrollment(t, 0.79)}
	worse.Runs = improved(t).Runs
	worse.Commands = []string{"/vishwa explain model/enrollment"}
	all["regression"] = worse

	denied := report(Blocked, project(t, plan.Make, "never made"),
		ledger.Finding{Rule: "team/hours", Level: ledger.Note, Ref: ref(t, "dataset/students"), Message: "nobody works on Sundays"},
		ledger.Finding{Rule: "data/personal", Level: ledger.Denied, Ref: ref(t, "dataset/students"), Message: "column e_mail looks personal and is not tagged", Hint: "tag it with personal: true, or drop it"},
		ledger.Finding{Rule: "deployment/resources", Level: ledger.Warn, Ref: ref(t, "deployment/enrollment-staging"), Message: "no limit of memory", Hint: "declare resources.memory"},
		ledger.Finding{Rule: "model/licence", Level: ledger.Denied, Ref: ref(t, "model/enrollment"), Message: "no licence is declared", Hint: "declare spec.licence"})
	for i := range denied.Plan.Steps {
		denied.Plan.Steps[i].Held = "data/personal: column e_mail looks personal and is not tagged"
	}
	all["denied"] = denied

	all["broken"] = Report{Stage: Broken, Pull: 7, Base: "main", Head: headSHA, Problems: []schemas.Problem{
		{Pos: schemas.Position{File: "vishwa/training.yaml", Line: 14, Column: 7}, Field: "spec.inputs.train", Message: "needs dataset/student, which is not declared; did you mean dataset/students?"},
		{Pos: schemas.Position{File: "vishwa.yaml", Line: 2}, Message: "unknown kind Projekt; did you mean Project?"}}}
	all["conflict"] = Report{Stage: Broken, Pull: 7, Base: "main", Head: headSHA, Conflict: []string{"src/train.py", "vishwa/model.yaml"}}
	all["error"] = Report{Stage: Broken, Pull: 7, Base: "main", Head: headSHA, Error: "pin dataset/students: GET /students.csv: 503 Service Unavailable", Hint: "wait: it is tried again"}

	destroy := report(Awaiting, project(t, plan.Keep, "up to date"), ledger.Finding{Rule: "terraform/destroy", Level: ledger.Warn, Ref: ref(t, "infrastructure/serving"), Message: "terraform_data.disk is destroyed, and its data with it", Hint: "set prevent_destroy, or take a copy"})
	destroy.Plan.Steps = append(destroy.Plan.Steps, at(plan.Step{Ref: ref(t, "infrastructure/serving"), Do: plan.Remake, Why: "the stack differs", Actions: []port.ResourceAction{
		{Address: "terraform_data.disk", Action: "delete"}, {Address: `terraform_data.each["a b"]`, Action: "update"}, {Address: "terraform_data.login", Action: "replace"},
		{Address: "module.net.terraform_data.new", Action: "create"}, {Address: "data.x.y", Action: "read"}}}, 3))
	destroy.Approvals = []Approval{{Ref: ref(t, "infrastructure/serving"), Environment: "staging", Need: 1, Roles: []string{"operators"}}}
	all["destroy"] = destroy

	all["many"] = many(t, 300)

	waiting := improved(t)
	waiting.Stage = Awaiting
	waiting.Approvals = []Approval{
		{Ref: ref(t, "deployment/enrollment-production"), Environment: "production", Need: 2, Roles: []string{"owners", "risk"}, Given: []string{"asha (signature)"}, Void: []string{"ben approved another plan, 0a1b2c3d4e5f", "the author's own review never counts"}},
		{Ref: ref(t, "deployment/enrollment-staging"), Environment: "staging", Need: 1, Reviews: true, Given: []string{"ben (review)"}}}
	waiting.Commands = []string{"/vishwa approve", "/vishwa explain"}
	all["waiting"] = waiting

	held := waiting
	held.MergedAs = "5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f80"
	all["merged-waiting"] = held
	refused := all["denied"]
	refused.MergedAs = held.MergedAs
	all["merged-denied"] = refused

	merged := report(Merged, retrained(t))
	merged.Records = []Record{{Seq: 41, Action: ledger.Approve, Ref: ref(t, "deployment/enrollment-staging"), Made: someDigest}}
	all["merged"] = merged

	deployed := report(Deployed, retrained(t))
	deployed.Records = []Record{
		{Seq: 41, Action: ledger.Select, Ref: ref(t, "model/enrollment"), Made: digest.Of([]byte("41"))},
		{Seq: 42, Action: ledger.Deploy, Ref: ref(t, "deployment/enrollment-staging"), Made: digest.Of([]byte("42")), URL: "http://127.0.0.1:8080/"}}
	deployed.Earlier = improved(t).Earlier
	all["deployed"] = deployed

	failed := report(Blocked, retrained(t))
	failed.Runs = []Run{
		{Ref: ref(t, "training/enrollment:logistic"), State: "done", Text: "12 s", Seq: 40, Isolation: &port.Isolation{Level: "namespaces", Landlock: 6, Network: "none", Limits: "cgroup v2"}},
		{Ref: ref(t, "training/enrollment:xgboost"), State: "failed", Text: "ended with exit code 1 after 3 s", Seq: 41, Tail: "Traceback (most recent call last):\n  File \"src/train.py\", line 12, in <module>\n\traise ValueError(\"no column hours\")\nValueError: no column hours\n"}}
	failed.Commands = []string{"/vishwa retry training/enrollment:xgboost"}
	failed.Answers = []Answer{{Command: "/vishwa explain training/enrollment", By: "asha", Text: "training/enrollment:xgboost: code src/train.py changed\n  was sha256:aa\n  now sha256:bb"}}
	all["failed"] = failed

	underway := report(Running, retrained(t))
	underway.Runs = []Run{{Ref: ref(t, "training/enrollment:logistic"), State: "running", Text: "since 10:20:30 UTC"}, {Ref: ref(t, "training/enrollment:xgboost"), State: "waiting"}}
	underway.Commands = []string{"/vishwa cancel"}
	all["running"] = underway

	all["abandoned"] = Report{Stage: Abandoned, Pull: 7, Base: "main", Head: headSHA, Runs: []Run{{Ref: ref(t, "training/enrollment:xgboost"), State: "cancelled", Text: "after 4 s"}}}
	all["hostile"] = hostileReport(t)
	return all
}

func improved(t *testing.T) Report {
	r := report(Settled, retrained(t))
	r.Models = []ModelChange{enrollment(t, 0.8533)}
	r.Data = []DataChange{{Ref: ref(t, "dataset/students"), Was: DataShape{12_000, 9}, Now: DataShape{11_500, 10}, Added: []string{"campus"}, Gone: []string{"old_id"},
		WasPin: digest.Of([]byte("csv")), NowPin: digest.Of([]byte("csv2")), Personal: []string{"name"}, BytesWas: 1_250_000, BytesN: 1_200_000}}
	r.Runs = []Run{
		{Ref: ref(t, "training/enrollment:logistic"), State: "kept", Text: "made before, under the same key", Seq: 17},
		{Ref: ref(t, "training/enrollment:xgboost"), State: "done", Text: "1 min 12 s", Seq: 40}}
	r.Earlier = []Earlier{{Head: baseSHA, Digest: someDigest, Verdict: "Blocked: training/enrollment:xgboost failed; the log below says why"}}
	r.Full = "https://github.example/acme/students/runs/12?check_suite_focus=true"
	return r
}

// many is a plan of n steps, of which every third is up to date.
func many(t interface{ Fatal(...any) }, n int) Report {
	var steps []plan.Step
	for i := range n {
		s := plan.Step{Ref: ref(t, fmt.Sprintf("training/forecast-for-region-%04d:gradient-boosting", i)), Do: []plan.Do{plan.Make, plan.Remake, plan.Keep}[i%3], Why: "code src/forecast/train.py and params learning_rate, max_depth changed"}
		if i > 0 {
			s.Needs = []schemas.Ref{steps[i/2].Ref}
		}
		steps = append(steps, at(s, i+1))
	}
	r := report(Planned, steps)
	for i := range n / 3 {
		r.Plan.Findings = append(r.Plan.Findings, ledger.Finding{Rule: "training/resources", Level: ledger.Warn, Ref: steps[i].Ref, Message: "no limit of memory is declared", Hint: "declare spec.resources.memory"})
	}
	r.Full = "https://github.example/acme/students/actions/runs/12"
	return r
}

const evil = "@octocat @acme/team #1 GH-1 acme/x#2 <img src=x onerror=alert(1)> <!-- [a](javascript:b) ![](http://evil.test/x.png) | x |\n```\n</details>\n~~~\n# h\n> q\n- l\n1. n\n---\n````` \x1b[2J\x1b]0;x\a \u202Eevil https://evil.test www.evil.test a@evil.test **b** `c` ``d \\| \\` \xff \u200b&#64;me 0123456789abcdef0123456789abcdef01234567\r\n::error::x\n%% end\n\t--> ]]>"

// hostileReport is a report whose every text tries to break out.
func hostileReport(t interface{ Fatal(...any) }) Report {
	bad := schemas.Ref{Kind: schemas.Kind(evil), Name: evil, Output: evil}
	r := report(Blocked, []plan.Step{
		{Ref: ref(t, "model/a"), Do: plan.Make, Why: evil, Held: evil, Actions: []port.ResourceAction{{Address: evil, Action: evil}}, Pos: schemas.Position{File: evil, Line: 1}},
		{Ref: bad, Do: plan.Do(evil), Why: evil, Needs: []schemas.Ref{ref(t, "model/a")}, Pending: true},
		{Ref: ref(t, "model/b"), Do: plan.Keep, Why: evil}},
		ledger.Finding{Rule: evil, Level: ledger.Level(evil), Ref: ref(t, "model/a"), Message: evil, Hint: evil})
	r.Base, r.BaseSHA, r.Head, r.Digest = evil, evil, evil, digest.Digest(evil)
	r.Error, r.Hint, r.Notes, r.Conflict, r.Commands, r.Full = evil, evil, []string{evil}, []string{evil}, []string{evil}, "https://evil.test/)@octocat"
	r.Problems = []schemas.Problem{{Pos: schemas.Position{File: evil, Line: 1}, Field: evil, Message: evil}}
	measured := map[string]float64{evil: 1, "nan": math.NaN()}
	r.Models = []ModelChange{{Ref: bad, Candidate: bad, Digest: digest.Digest(evil), Metric: evil, Now: measured, Was: &Measured{digest.Digest(evil), evil, measured}, Live: &Measured{Where: evil},
		Gates: []GateResult{{Metric: evil, Rule: evil, Message: evil}}}}
	r.Data = []DataChange{{Ref: bad, Added: []string{evil}, Gone: []string{evil}, Personal: []string{evil}, WasPin: digest.Digest(evil), NowPin: digest.Digest(evil + "x")}}
	r.Runs = []Run{{Ref: bad, State: "failed", Text: evil, Tail: evil + "\n" + strings.Repeat("`", 12) + "\n" + evil}, {Ref: bad, State: evil, Text: evil, Isolation: &port.Isolation{Level: evil, Network: evil, Limits: evil}}}
	r.Approvals = []Approval{{Ref: bad, Environment: evil, Need: 2, Roles: []string{evil}, Given: []string{evil}, Void: []string{evil}}}
	r.Records = []Record{{Action: ledger.Action(evil), Ref: bad, Made: digest.Digest(evil), URL: "javascript:" + evil}, {URL: "https://x.test/" + evil}}
	r.Answers = []Answer{{Command: evil, By: evil, Text: evil}}
	r.Earlier = []Earlier{{Head: evil, Digest: digest.Digest(evil), Verdict: evil}}
	return r
}
