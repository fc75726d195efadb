// The input document: what rules see of one step. Its shape is a contract with the
// rules that teams write, kept by input.schema.json: every document is validated
// against it before a rule sees it, and a rule that names a field which is not in
// it does not load.

package policy

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

//go:embed input.schema.json
var inputSchema []byte

// maxInput bounds an input document, in bytes; only a Terraform plan comes near.
const maxInput = 64 << 20

// refuse is what an environment does with a model whose signer was revoked, unless it says more.
const refuse = "refuse"

type document struct {
	Phase        Phase            `json:"phase"`
	Time         string           `json:"time"`
	Step         stepDoc          `json:"step"`
	Metadata     metadataDoc      `json:"metadata"`
	Spec         any              `json:"spec"`
	Project      projectDoc       `json:"project"`
	Environment  *environmentDoc  `json:"environment"`
	Dataset      *datasetDoc      `json:"dataset"`
	Inputs       []inputDoc       `json:"inputs"`
	Data         []Data           `json:"data"`
	Model        *modelDoc        `json:"model"`
	Reported     []string         `json:"reported,omitempty"`
	Terraform    json.RawMessage  `json:"terraform"`
	AllowDestroy bool             `json:"allowDestroy"`
	Approvals    []trust.Approver `json:"approvals"`
	Guards       []guardDoc       `json:"guards"`
	Run          *runDoc          `json:"run"`
	Serving      *isolationDoc    `json:"serving"`
	Bytes        *string          `json:"bytes"`
	RunsOn       *runsOnDoc       `json:"runsOn"`
	Plan         planDoc          `json:"plan"`
}

type stepDoc struct {
	Ref     string         `json:"ref"`
	Kind    string         `json:"kind"`
	Name    string         `json:"name"`
	Do      plan.Do        `json:"do"`
	Key     *digest.Digest `json:"key"`
	Why     string         `json:"why"`
	Pending bool           `json:"pending"`
	// Restores is said of deployments.
	Restores bool `json:"restores"`
	// Begun is said of deployments.
	Begun bool `json:"begun,omitempty"`
	// Warnings is said of infrastructure.
	Warnings []string `json:"warnings,omitempty"`
	// Tests is said of infrastructure whose module has tests.
	Tests *testsDoc `json:"tests,omitempty"`
}

type testsDoc struct {
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Skipped  int      `json:"skipped"`
	Failures []string `json:"failures"`
	// NotRun is why they were not run.
	NotRun string `json:"notRun,omitempty"`
	// Modules are those that the tests run.
	Modules []port.TestModule `json:"modules,omitempty"`
}

func tests(t *port.Tests) *testsDoc {
	if t == nil {
		return nil
	}
	return &testsDoc{t.Passed, t.Failed, t.Skipped, append([]string{}, t.Failures...), t.NotRun, t.Modules}
}

type metadataDoc struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
}

type projectDoc struct {
	ModelFormats []string `json:"modelFormats"`
}

type environmentDoc struct {
	Name       string   `json:"name"`
	Approvals  int      `json:"approvals"`
	Roles      []string `json:"roles"`
	Production bool     `json:"production"`
	// Reviews says that what a forge asserts counts as an approval.
	Reviews     bool `json:"reviews"`
	TrackedRuns bool `json:"trackedRuns"`
	// RevokedSigner says what is done with a model whose signer was revoked since.
	RevokedSigner string `json:"revokedSigner"`
	// Isolation is the least level of runs and of serving; null: none is asked for.
	Isolation *string `json:"isolation"`
	// Bytes is the weakest class of what is served.
	Bytes string `json:"bytes"`
}

// guardDoc is what one environment asks of people before the step, as one revision has it.
type guardDoc struct {
	Environment string   `json:"environment"`
	Revision    string   `json:"revision"` // "": what the change itself declares
	Needs       int      `json:"needs"`
	Roles       []string `json:"roles"`
	By          []string `json:"by"` // principals whose approval counts
	Met         bool     `json:"met"`
	Message     string   `json:"message"`
	Hint        string   `json:"hint"`
	// Refused is said where no approval meets it.
	Refused bool `json:"refused,omitempty"`
}

type datasetDoc struct {
	Pin *digest.Digest `json:"pin"`
	// Pointer is the MD5 by which a .dvc file or dvc.lock names data whose digest is known
	// once it is brought; null where the repository does not say.
	Pointer *string `json:"pointer"`
}

type inputDoc struct {
	Name     string         `json:"name"`
	Ref      schemas.Ref    `json:"ref"`
	Digest   *digest.Digest `json:"digest"`
	Declared bool           `json:"declared"`
}

type modelDoc struct {
	Digest    digest.Digest      `json:"digest"`
	Candidate schemas.Ref        `json:"candidate"`
	Metrics   map[string]float64 `json:"metrics"`
	Live      *liveDoc           `json:"live"`
	Scores    map[string]score   `json:"scores"`
	Files     []File             `json:"files"`
	Signature *Signature         `json:"signature"`
	OnBehalf  *int               `json:"onBehalf"` // pull request; null: run on the tracked branch
	Runs      []runDoc           `json:"runs"`
}

// score is how the model did on rows, and how the model that is served did on them.
type score struct {
	Data     digest.Digest      `json:"data"`
	Metrics  map[string]float64 `json:"metrics"`
	Champion *liveDoc           `json:"champion"` // null: no other model is served
	// Before is of the rows that the champion was released with, where they were others.
	Before *score `json:"before,omitempty"`
}

func scores(all []ledger.Score) map[string]score {
	out := map[string]score{}
	for _, s := range all { // those of before come after today's
		d := score{Data: s.Data, Metrics: orNone(s.Metrics)}
		if s.Champion != "" {
			d.Champion = &liveDoc{s.Champion, orNone(s.ChampionMetrics)}
		}
		if now, there := out[s.Rows]; there && s.Before {
			before := d
			now.Before = &before
			d = now
		}
		out[s.Rows] = d
	}
	return out
}

type liveDoc struct {
	Digest  digest.Digest      `json:"digest"`
	Metrics map[string]float64 `json:"metrics"`
}

// describe is the document for one step.
func describe(s plan.Step, ev *Evidence, sub Subject) (*document, error) {
	d := &document{
		Phase: ev.Phase, Time: ev.Time.UTC().Format(time.RFC3339Nano),
		Step:     stepDoc{s.Ref.String(), string(s.Ref.Kind), s.Ref.Name, s.Do, known(s.Key), s.Why, s.Pending, s.Restores, sub.Begun, sub.Warnings, tests(sub.Tests)},
		Metadata: metadataDoc{Name: s.Ref.Name, Labels: map[string]string{}},
		Project:  projectDoc{ev.Project.Policy.ModelFormats},
		Inputs:   []inputDoc{}, Terraform: sub.Terraform, AllowDestroy: sub.AllowDestroy, Reported: sub.Reported, Approvals: []trust.Approver{}, Guards: guards(sub.Guards),
	}
	if len(d.Terraform) == 0 {
		d.Terraform = nil
	}
	if s.Do != plan.Retire {
		if sub.Declaration == nil || sub.Declaration.Spec == nil {
			return nil, fmt.Errorf("its declaration is missing")
		}
		if sub.Declaration.Ref() != s.Ref.Whole() {
			return nil, fmt.Errorf("its declaration is that of %s", sub.Declaration.Ref())
		}
		d.Spec = sub.Declaration.Spec
		if l := sub.Declaration.Metadata.Labels; l != nil {
			d.Metadata.Labels = l
		}
		if spec, ok := d.Spec.(schemas.Serves); ok {
			d.Environment = stricter(environment(spec.Serves().Environment, ev.Project), sub.Was, ev.Project)
			d.Bytes = orNull(spec.Serves().Bytes)
		}
	}
	if s.Ref.Kind.Traits().Pinned {
		d.Dataset = &datasetDoc{Pin: known(sub.Pin)}
		if sub.Pointer != "" {
			d.Dataset.Pointer = &sub.Pointer
		}
	}
	for _, i := range sub.Inputs {
		d.Inputs = append(d.Inputs, inputDoc{i.Name, i.Ref, known(i.Digest), i.Declared})
	}
	d.Data = orEmpty(sub.Data)
	for i := range d.Data {
		d.Data[i].Violations = orEmpty(d.Data[i].Violations)
	}
	for _, a := range sub.Approvals {
		d.Approvals = append(d.Approvals, trust.Approver{Principal: a.Principal, Roles: orEmpty(a.Roles), Class: a.Class})
	}
	d.Run, d.Serving, d.RunsOn = ran(sub.Run), apart(sub.Serving), runsOn(s, d.Spec, ev.Project)
	d.Plan = costs(ev.Cost, ev.Monthly)
	if m := sub.Model; m != nil {
		if s.Model != "" && m.Digest != s.Model {
			return nil, fmt.Errorf("what is known is of model %s, and the step serves %s", m.Digest.Short(), s.Model.Short())
		}
		d.Model = &modelDoc{m.Digest, m.Candidate, orNone(m.Metrics), nil, scores(m.Scores), orEmpty(m.Files), m.Signature, pull(m.OnBehalf), []runDoc{}}
		for _, r := range m.Runs {
			d.Model.Runs = append(d.Model.Runs, *ran(&r))
		}
		if m.Live != nil {
			d.Model.Live = &liveDoc{m.Live.Digest, orNone(m.Live.Metrics)}
		}
	}
	return d, nil
}

// guards are verdicts for rules.
func guards(all []guard.Verdict) []guardDoc {
	out := []guardDoc{}
	for _, v := range all {
		d := guardDoc{Environment: v.Place, Revision: v.Revision, Needs: v.Needs, Roles: v.Roles, By: []string{}, Met: v.Met, Message: v.Message, Hint: v.Hint, Refused: v.Refused}
		for _, w := range v.Given {
			d.By = append(d.By, w.Principal)
		}
		out = append(out, d)
	}
	return out
}

// stricter is e, or what guards the environment that the deployment was in before
// where that asks for more: a release does not get out of it by another label.
func stricter(e *environmentDoc, was string, p *schemas.Project) *environmentDoc {
	if e == nil || was == "" || was == e.Name {
		return e
	}
	old := environment(was, p)
	if old == nil {
		old = &environmentDoc{Name: was, Roles: []string{"approver"}, Production: schemas.Production(was), RevokedSigner: e.RevokedSigner, Bytes: e.Bytes}
		if old.needed() > 0 {
			old.Bytes = strongest(e.Bytes, schemas.BytesByDigest) // as one that says nothing of them
		}
	}
	both := *e
	if old.needed() > e.needed() {
		both = *old
		both.Name = e.Name + ", before " + was
	}
	both.Reviews, both.TrackedRuns = e.Reviews && old.Reviews, e.TrackedRuns || old.TrackedRuns
	both.RevokedSigner = e.RevokedSigner
	if old.RevokedSigner == refuse {
		both.RevokedSigner = refuse
	}
	both.Isolation = orNull(Least(e.Name, was, p))
	both.Bytes = strongest(e.Bytes, old.Bytes)
	return &both
}

// needed is how many approvals the environment asks for, as deployment.rego has it.
func (e *environmentDoc) needed() int {
	if e.Production {
		return max(e.Approvals, 1)
	}
	return e.Approvals
}

// environment is what the project says of an environment, or nil where it says nothing.
func environment(name string, p *schemas.Project) *environmentDoc {
	e, ok := p.Environments[name]
	if !ok {
		return nil
	}
	d := &environmentDoc{Name: name, Approvals: e.Approvals, Roles: e.Roles, Production: schemas.Production(name),
		Reviews: e.Reviews, TrackedRuns: e.TrackedRuns, Isolation: orNull(e.Isolation), RevokedSigner: cmp.Or(e.RevokedSigner, refuse)}
	if len(d.Roles) == 0 {
		d.Roles = []string{"approver"}
	}
	if d.Bytes = e.Bytes; d.Bytes == "" && d.needed() > 0 {
		d.Bytes = schemas.BytesByDigest
	} else if d.Bytes == "" {
		d.Bytes = schemas.BytesTrusted
	}
	return d
}

// strongest is the class of bytes that asks for more.
func strongest(a, b string) string {
	for _, class := range []string{schemas.BytesVerified, schemas.BytesByDigest} {
		if a == class || b == class {
			return class
		}
	}
	return a
}

func known(d digest.Digest) *digest.Digest {
	if d == "" {
		return nil
	}
	return &d
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func orNone(m map[string]float64) map[string]float64 {
	if m == nil {
		return map[string]float64{}
	}
	return m
}
