// The built-in rules, each through Judge, with evidence as a real pass has it.

package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestModelIsHeldToItsGates(t *testing.T) {
	e := engine(t, nil)
	auc := func(g schemas.Gate) schemas.Gate { g.Metric = "test.roc_auc"; return g }
	rmse := func(g schemas.Gate) schemas.Gate { g.Metric = "test.rmse"; return g }
	with := func(change func(*Model)) *Model { m := good(); change(m); return m }
	for name, c := range map[string]struct {
		model *Model
		gate  schemas.Gate
		want  []string
	}{
		"good":                           {good(), auc(schemas.Gate{Min: ptr(0.8), MaxRegression: ptr(0.005)}), nil},
		"below":                          {good(), auc(schemas.Gate{Min: ptr(0.85)}), []string{"deny model/gate"}},
		"zero is a value":                {with(func(m *Model) { m.Metrics["test.roc_auc"] = 0 }), auc(schemas.Gate{Min: ptr(0.5)}), []string{"deny model/gate"}},
		"a gate of zero":                 {with(func(m *Model) { m.Metrics["test.roc_auc"] = -1 }), auc(schemas.Gate{Min: ptr(0)}), []string{"deny model/gate"}},
		"above":                          {good(), rmse(schemas.Gate{Max: ptr(1.5)}), []string{"deny model/gate"}},
		"absent":                         {good(), schemas.Gate{Metric: "test.f1", Min: ptr(0)}, []string{"deny model/gate"}},
		"absent with no bound at all":    {good(), schemas.Gate{Metric: "test.f1"}, []string{"deny model/gate"}},
		"regressed":                      {good(), auc(schemas.Gate{MaxRegression: ptr(0.004)}), []string{"deny model/regression"}},
		"no regression allowed":          {good(), auc(schemas.Gate{MaxRegression: ptr(0)}), []string{"deny model/regression"}},
		"nothing live":                   {with(func(m *Model) { m.Live = nil }), auc(schemas.Gate{MaxRegression: ptr(0)}), nil},
		"less is better, and it is less": {with(func(m *Model) { m.Metrics["test.rmse"] = 1 }), rmse(schemas.Gate{Max: ptr(9), MaxRegression: ptr(0)}), nil},
		"less is better, and it is more": {with(func(m *Model) { m.Metrics["test.rmse"] = 3 }), rmse(schemas.Gate{Max: ptr(9), MaxRegression: ptr(0.5)}), []string{"deny model/regression"}},
		"live without the metric":        {with(func(m *Model) { delete(m.Live.Metrics, "test.rmse") }), rmse(schemas.Gate{Max: ptr(9), MaxRegression: ptr(0.5)}), []string{"warn model/regression"}},
		"nothing known":                  {nil, auc(schemas.Gate{Min: ptr(0.8)}), []string{"deny policy/evidence"}},
	} {
		t.Run(name, func(t *testing.T) { same(t, modelCase(c.model, c.gate).judge(t, e), c.want...) })
	}
	t.Run("goal minimize turns the selected metric round", func(t *testing.T) {
		c := modelCase(good(), auc(schemas.Gate{MaxRegression: ptr(0)}))
		c.subject.Declaration.Spec.(*schemas.Model).Select.Goal = "minimize"
		same(t, c.judge(t, e)) // 0.845 is less than the live 0.85
	})
}

func TestModelFilesAreInAnAllowedFormat(t *testing.T) {
	e := engine(t, nil)
	pickled := good()
	pickled.Files = append(pickled.Files, File{Path: "weights.json", Format: "pickle", Digest: digest.Of(nil), Size: 1})
	empty := good()
	empty.Files = nil
	same(t, modelCase(pickled).judge(t, e), "deny model/format")
	same(t, deployCase("staging", pickled).judge(t, e), "deny model/format")
	same(t, modelCase(empty).judge(t, e), "deny model/format")

	narrow := modelCase(good())
	narrow.project.Policy.ModelFormats = []string{"onnx", "skops"}
	same(t, narrow.judge(t, e), "deny model/format")
	widened := modelCase(pickled)
	widened.project.Policy.ModelFormats = []string{"xgboost-json", "skops", "pickle"}
	same(t, widened.judge(t, e), "deny model/format")
	none := modelCase(good())
	none.project.Policy.ModelFormats = []string{}
	same(t, none.judge(t, e), "deny model/format")
}

// A model may have a hundred thousand files: what is told of them stays short, and denies all the same.
func TestManyFindingsOfOneRuleAreCounted(t *testing.T) {
	e := engine(t, nil)
	pickled := good()
	for i := range 2000 {
		pickled.Files = append(pickled.Files, File{Path: fmt.Sprintf("part-%04d.pkl", i), Format: "pickle", Digest: digest.Of(nil), Size: 1})
	}
	found := modelCase(pickled).judge(t, e)
	if len(found) != ledger.MostOfOne+1 || !strings.Contains(found[0].Message, "part-0000.pkl") {
		t.Fatalf("%d findings: %+v", len(found), found)
	}
	if last := found[ledger.MostOfOne]; last.Message != "and 1990 more findings of this rule" || last.Level != ledger.Denied || last.Hint == "" {
		t.Errorf("%+v", last)
	}
}

func TestDeploymentServesOnlyASignedModel(t *testing.T) {
	e := engine(t, nil)
	for name, c := range map[string]struct {
		sig  *Signature
		want []string
	}{
		"verified":     {&Signature{Verified: true, By: "ci"}, nil},
		"unsigned":     {nil, []string{"deny model/signature"}},
		"unverifiable": {&Signature{Message: "one byte differs"}, []string{"deny model/signature"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := good()
			m.Signature = c.sig
			same(t, deployCase("staging", m).judge(t, e), c.want...)
		})
	}
	other := deployCase("staging", good())
	other.step.Model = digest.Of([]byte("another model"))
	same(t, other.judge(t, e), "deny policy/evidence")
	same(t, deployCase("staging", nil).judge(t, e), "deny policy/evidence")
	same(t, deployCase("nowhere", good()).judge(t, e), "deny policy/evidence")
}

func TestProductionNeedsPeople(t *testing.T) {
	e := engine(t, nil)
	by := func(name string, class trust.Class, roles ...string) trust.Approver {
		return trust.Approver{Principal: name, Roles: roles, Class: class}
	}
	for name, c := range map[string]struct {
		env  string
		by   []trust.Approver
		want []string
	}{
		"staging needs none":     {"staging", nil, nil},
		"production needs one":   {"production", nil, []string{"deny deployment/approval"}},
		"and has one":            {"production", []trust.Approver{by("asha", trust.Signature, "approver")}, nil},
		"in another role":        {"production", []trust.Approver{by("asha", trust.Signature, "reader")}, []string{"deny deployment/approval"}},
		"without a role":         {"production", []trust.Approver{by("asha", trust.Signature)}, []string{"deny deployment/approval"}},
		"as a forge asserts":     {"production", []trust.Approver{by("asha", trust.Forge, "approver")}, []string{"deny deployment/approval"}},
		"one person twice":       {"canary", []trust.Approver{by("asha", trust.Signature, "lead"), by("asha", trust.Signature, "owner")}, []string{"deny deployment/approval"}},
		"two people, two roles":  {"canary", []trust.Approver{by("asha", trust.Signature, "lead"), by("ben", trust.Signature, "owner")}, nil},
		"roles replace approver": {"canary", []trust.Approver{by("asha", trust.Signature, "approver"), by("ben", trust.Signature, "owner")}, []string{"deny deployment/approval"}},
	} {
		t.Run(name, func(t *testing.T) { same(t, deployCase(c.env, good(), c.by...).judge(t, e), c.want...) })
	}
	pending := deployCase("production", nil)
	pending.phase, pending.step.Pending, pending.step.Key = Planning, true, ""
	same(t, pending.judge(t, e), "note deployment/approval")
	kept := deployCase("production", good())
	kept.step.Do = plan.Keep
	same(t, kept.judge(t, e))
	gone := deployCase("production", nil)
	gone.step.Do, gone.subject = plan.Retire, Subject{}
	same(t, gone.judge(t, e))
}

func TestPendingStepsWaitForTheirEvidence(t *testing.T) {
	e := engine(t, nil)
	c := modelCase(nil, schemas.Gate{Metric: "test.roc_auc", Min: ptr(0.9)})
	c.phase, c.step.Pending, c.step.Key = Planning, true, ""
	same(t, c.judge(t, e))
	c.phase = Acting
	same(t, c.judge(t, e), "deny policy/evidence")
	c.phase, c.step.Pending = Planning, false
	same(t, c.judge(t, e), "deny policy/evidence")
}

func TestRunsReadWhatIsPinnedAndDeclared(t *testing.T) {
	e := engine(t, nil)
	students := schemas.Ref{Kind: "dataset", Name: "students"}
	run := func(inputs ...Input) one {
		return one{
			step: plan.Step{Ref: schemas.Ref{Kind: "training", Name: "enrollment", Output: "logistic"}, Do: plan.Make, Key: digest.Of(nil)},
			subject: Subject{Inputs: inputs, Declaration: declare("Training", "enrollment", &schemas.Training{
				Work: schemas.Work{Run: []string{"python", "train.py"}}, Inputs: map[string]schemas.Ref{"students": students},
			})},
		}
	}
	pinned := Input{"students", students, digest.Of(nil), true}
	same(t, run(pinned).judge(t, e))
	same(t, run().judge(t, e), "deny input/unpinned")
	same(t, run(Input{"students", students, "", true}).judge(t, e), "deny input/unpinned")
	same(t, run(pinned, Input{"cities", students, digest.Of(nil), false}).judge(t, e), "deny input/undeclared")
	waiting := run()
	waiting.phase, waiting.step.Pending = Planning, true
	same(t, waiting.judge(t, e))
}

func TestPersonalDataNeedsAPurpose(t *testing.T) {
	e := engine(t, nil)
	data := func(purpose string, tags ...string) one {
		return one{
			step: plan.Step{Ref: schemas.Ref{Kind: "dataset", Name: "students"}, Do: plan.Pin},
			subject: Subject{Pin: digest.Of(nil), Declaration: declare("Dataset", "students", &schemas.Dataset{
				Source: schemas.DataSource{Path: "students.csv"}, Purpose: purpose,
				Columns: map[string]schemas.Column{"region": {Tags: tags}, "hours": {}},
			})},
		}
	}
	same(t, data("").judge(t, e))
	same(t, data("", "geo", "personal").judge(t, e), "deny data/purpose")
	same(t, data("  ", "Personal").judge(t, e), "deny data/purpose")
	same(t, data("to advise applicants", "personal").judge(t, e))
	lost := data("")
	lost.subject.Pin = ""
	same(t, lost.judge(t, e), "deny input/unpinned")
}

func TestTerraformIsLookedInto(t *testing.T) {
	e := engine(t, nil)
	change := func(kind, actions, after string) string {
		return `{"format_version":"1.2","complete":true,"errored":false,"resource_changes":[{"address":"` + kind + `.x","type":"` + kind +
			`","change":{"actions":` + actions + `,"before":null,"after":` + after + `,"after_unknown":{}}}]}`
	}
	made := func(kind, after string) string { return change(kind, `["create"]`, after) }
	iam, public, escalation := []string{"deny terraform/iam"}, []string{"deny terraform/public-storage"}, []string{"deny terraform/escalation"}
	cases := map[string]struct {
		raw  string
		want []string
	}{
		"real create":             {testdata(t, "terraform/create.json"), nil},
		"real replace":            {testdata(t, "terraform/replace.json"), []string{"deny terraform/destroy"}},
		"real destroy":            {testdata(t, "terraform/destroy.json"), []string{"deny terraform/destroy"}},
		"null":                    {`null`, []string{"deny policy/evidence"}},
		"none":                    {``, []string{"deny policy/evidence"}},
		"not an object":           {`[]`, []string{"deny policy/evidence"}},
		"errored":                 {`{"format_version":"1.2","errored":true}`, []string{"deny terraform/plan"}},
		"incomplete":              {`{"format_version":"1.2","complete":false}`, []string{"deny terraform/plan"}},
		"unknown format":          {`{"format_version":"2.0"}`, []string{"deny terraform/plan"}},
		"no format":               {`{}`, []string{"deny terraform/plan"}},
		"changes of wrong shape":  {`{"format_version":"1.2","resource_changes":null}`, []string{"deny terraform/plan"}},
		"actions of wrong shape":  {change("x", `"delete"`, `{}`), []string{"deny terraform/plan"}},
		"delete":                  {change("aws_instance", `["delete"]`, `null`), []string{"deny terraform/destroy"}},
		"delete, create":          {change("aws_instance", `["delete","create"]`, `{}`), []string{"deny terraform/destroy"}},
		"no-op of something wide": {change("azurerm_storage_account", `["no-op"]`, `{"allow_nested_items_to_be_public":true}`), nil},

		"aws action *":         {made("aws_iam_policy", `{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:Get\",\"*\"],\"Resource\":\"arn:aws:s3:::b\"}]}"}`), iam},
		"aws resource *":       {made("aws_iam_role_policy", `{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:Get\",\"Resource\":\"*\"}}"}`), iam},
		"aws NotAction":        {made("aws_iam_user_policy", `{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"NotAction\":\"iam:x\",\"Resource\":\"arn:aws:s3:::b\"}}"}`), iam},
		"aws inline":           {made("aws_iam_role", `{"inline_policy":[{"name":"n","policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s3:::b\"}}"}]}`), iam},
		"aws garbage":          {made("aws_iam_group_policy", `{"policy":"{ not json"}`), iam},
		"aws narrow":           {made("aws_iam_policy", `{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::b/*\"},{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}]}"}`), nil},
		"aws administrator":    {made("aws_iam_role_policy_attachment", `{"policy_arn":"arn:aws:iam::aws:policy/AdministratorAccess"}`), iam},
		"aws escalation":       {made("aws_iam_role_policy", `{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"iam:AttachRolePolicy\"],\"Resource\":\"arn:aws:iam::1:role/training\"}}"}`), escalation},
		"aws roles, bounded":   {made("aws_iam_policy", `{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"iam:CreateRole\",\"Resource\":\"arn:aws:iam::1:role/ml/x\",\"Condition\":{\"StringEquals\":{\"iam:PermissionsBoundary\":\"arn:aws:iam::1:policy/ml\"}}}}"}`), nil},
		"aws everybody's role": {made("aws_iam_role", `{"assume_role_policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"sts:AssumeRole\"}}"}`), escalation},
		"google everybody":     {made("google_cloud_run_service_iam_member", `{"member":"allUsers","role":"roles/run.invoker"}`), iam},
		"google binding":       {made("google_project_iam_binding", `{"members":["user:a@b.c","allAuthenticatedUsers"],"role":"roles/viewer"}`), iam},
		"google owner":         {made("google_project_iam_member", `{"member":"user:a@b.c","role":"roles/owner"}`), iam},
		"google narrow":        {made("google_project_iam_member", `{"member":"user:a@b.c","role":"roles/viewer"}`), nil},
		"azure owner":          {made("azurerm_role_assignment", `{"role_definition_name":"Owner","scope":"/subscriptions/00000000-0000-0000-0000-000000000000"}`), iam},
		"azure owner of group": {made("azurerm_role_assignment", `{"role_definition_name":"Owner","scope":"/subscriptions/0/resourceGroups/g"}`), nil},
		"azure definition":     {made("azurerm_role_definition", `{"permissions":[{"actions":["*"]}]}`), iam},

		"aws acl":          {made("aws_s3_bucket_acl", `{"acl":"public-read"}`), public},
		"aws acl private":  {made("aws_s3_bucket_acl", `{"acl":"private"}`), nil},
		"aws acl null":     {made("aws_s3_bucket", `{"acl":null}`), nil},
		"aws block off":    {made("aws_s3_bucket_public_access_block", `{"block_public_acls":true,"block_public_policy":false,"ignore_public_acls":true,"restrict_public_buckets":true}`), public},
		"aws block on":     {made("aws_s3_bucket_public_access_block", `{"block_public_acls":true,"block_public_policy":true,"ignore_public_acls":true,"restrict_public_buckets":true}`), nil},
		"aws policy":       {made("aws_s3_bucket_policy", `{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"s3:GetObject\"}]}"}`), public},
		"aws policy star":  {made("aws_s3_bucket_policy", `{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\"}}"}`), public},
		"aws policy named": {made("aws_s3_bucket_policy", `{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::1:root\"}}}"}`), nil},
		"google acl":       {made("google_storage_bucket_acl", `{"predefined_acl":"publicRead","role_entity":null}`), public},
		"google entity":    {made("google_storage_bucket_access_control", `{"entity":"allUsers","role":"READER"}`), public},
		"google entities":  {made("google_storage_object_acl", `{"role_entity":["OWNER:user-a","READER:allUsers"]}`), public},
		"google bucket":    {made("google_storage_bucket_iam_member", `{"member":"allUsers","role":"roles/storage.objectViewer"}`), iam},
		"azure nested":     {made("azurerm_storage_account", `{"allow_nested_items_to_be_public":true}`), public},
		"azure container":  {made("azurerm_storage_container", `{"container_access_type":"blob"}`), public},
		"azure private":    {made("azurerm_storage_container", `{"container_access_type":"private"}`), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { same(t, infraCase(c.raw).judge(t, e), c.want...) })
	}
	allowed := infraCase(cases["real destroy"].raw)
	allowed.subject.AllowDestroy = true
	same(t, allowed.judge(t, e))
	retired := infraCase(cases["real destroy"].raw)
	retired.step.Do, retired.subject.Declaration = plan.Retire, nil
	same(t, retired.judge(t, e), "deny terraform/destroy")
	retired.subject.Terraform = nil
	same(t, retired.judge(t, e), "deny policy/evidence")
	kept := infraCase("")
	kept.step.Do = plan.Keep
	same(t, kept.judge(t, e))
	unknown := infraCase(`{"format_version":"1.2","resource_changes":[{"address":"aws_iam_policy.x","type":"aws_iam_policy","change":{"actions":["create"],"after":{},"after_unknown":{"policy":true}}}]}`)
	same(t, unknown.judge(t, e), "warn terraform/iam")
}

// TestTheLevelOfIsolationIsTheStrictest of where a deployment goes and where it was, and
// what rules of a team see of runs.
func TestTheLevelOfIsolationIsTheStrictest(t *testing.T) {
	project := schemas.Project{Environments: map[string]schemas.Environment{"staging": {Isolation: "namespaces"}, "canary": {Isolation: "landlock"}, "lab": {}}}
	run := func(level string) Run {
		return Run{Ref: schemas.Ref{Kind: "training", Name: "enrollment", Output: "xgboost"}, Isolation: &port.Isolation{Level: level, Network: "none"}}
	}
	for name, c := range map[string]struct {
		to, was string
		runs    []Run
		want    []string
	}{
		"as asked":                       {"staging", "", []Run{run("namespaces")}, nil},
		"too weak":                       {"staging", "", []Run{run("namespaces"), run("landlock")}, []string{"deny deployment/isolation"}},
		"recorded before levels were":    {"canary", "", []Run{{Ref: run("").Ref}}, []string{"deny deployment/isolation"}},
		"a level that nobody knows":      {"canary", "", []Run{run("perfect")}, []string{"deny deployment/isolation"}},
		"nothing is asked":               {"lab", "", []Run{run("none")}, nil},
		"it gets out by another label":   {"lab", "staging", []Run{run("landlock")}, []string{"deny deployment/isolation"}},
		"the stricter of two":            {"canary", "staging", []Run{run("landlock")}, []string{"deny deployment/isolation"}},
		"the stricter is where it goes":  {"staging", "canary", []Run{run("landlock")}, []string{"deny deployment/isolation"}},
		"it was where nothing was asked": {"canary", "lab", []Run{run("landlock")}, nil},
		"it was where there is no more":  {"canary", "gone", []Run{run("landlock")}, nil},
	} {
		m := good()
		m.Runs = c.runs
		o := deployCase(c.to, m)
		o.project, o.subject.Was = project, c.was
		t.Run(name, func(t *testing.T) { same(t, o.judge(t, engine(t, nil)), c.want...) })
	}
	e := engine(t, map[string]string{"policy/a.rego": `package team

deny contains sprintf("%s has seen the network", [input.run.ref]) if input.run.isolation.network == "all"

deny contains sprintf("%s had the whole network, or nobody knows", [run.ref]) if {
	some run in input.model.runs
	not limited(run)
}

limited(run) if run.isolation.network != "all"

deny contains "it is served without limits" if input.serving.limits == ""
`})
	training := one{
		step: plan.Step{Ref: schemas.Ref{Kind: "training", Name: "t", Output: "default"}, Do: plan.Keep, Key: digest.Of(nil), Why: "up to date"},
		subject: Subject{Declaration: declare("Training", "t", &schemas.Training{}),
			Run: &Run{Ref: schemas.Ref{Kind: "training", Name: "t", Output: "default"}, Isolation: &port.Isolation{Level: "landlock", Network: "all"}}},
	}
	if found := training.judge(t, e); len(found) != 1 || found[0].Message != "training/t:default has seen the network" {
		t.Errorf("of a training: %+v", found)
	}
	training.subject.Run = nil
	same(t, training.judge(t, e))
	o := deployCase("lab", good())
	o.project, o.subject.Model.Runs = project, []Run{run("namespaces"), {Ref: schemas.Ref{Kind: "transform", Name: "old"}}, {Ref: schemas.Ref{Kind: "transform", Name: "open"}, Isolation: &port.Isolation{Level: "none", Network: "all"}}}
	o.subject.Serving = &port.Isolation{Level: "namespaces", Network: "none"}
	if found := o.judge(t, e); len(found) != 3 || !strings.HasPrefix(found[1].Message, "transform/old had") {
		t.Errorf("of a deployment: %+v", found)
	}
}
