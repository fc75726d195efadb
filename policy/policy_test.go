// Shared by the tests: declarations, evidence and engines to judge them with.

package policy

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/schemas"
)

var noon = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

func ptr(f float64) *float64 { return &f }

func engine(t testing.TB, team map[string]string) *Engine {
	t.Helper()
	e, err := newEngine(team, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newEngine(team map[string]string, opts Options) (*Engine, error) {
	var fsys fs.FS
	var paths []string
	if team != nil {
		m := fstest.MapFS{}
		for name, text := range team {
			m[name] = &fstest.MapFile{Data: []byte(text)}
		}
		fsys, paths = m, []string{"policy"}
	}
	e, err := New(fsys, paths, opts)
	if err != nil {
		return nil, err
	}
	return e, e.Check(context.Background())
}

// ready are an engine's rules, ready to be asked.
func ready(t testing.TB, e *Engine) *judge {
	t.Helper()
	j, err := e.whole.ready()
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func listed(t testing.TB, e *Engine) []Rule {
	t.Helper()
	all, err := e.Rules()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func declare(kind, name string, spec any) *schemas.Declaration {
	return &schemas.Declaration{APIVersion: schemas.APIVersion, Kind: kind, Metadata: schemas.Metadata{Name: name}, Spec: spec}
}

// one is a case: a step, what is known of it, and the project.
type one struct {
	step    plan.Step
	phase   Phase
	subject Subject
	project schemas.Project
}

func (o one) judge(t testing.TB, e *Engine) []ledger.Finding {
	t.Helper()
	if o.phase == "" {
		o.phase = Acting
	}
	if o.project.Environments == nil {
		o.project.Environments = map[string]schemas.Environment{"staging": {}, "production": {}, "canary": {Approvals: 2, Roles: []string{"owner", "lead"}}}
	}
	found, err := e.Judge(context.Background(), plan.Plan{Steps: []plan.Step{o.step}}, Evidence{
		Time: noon, Phase: o.phase, Project: &o.project, All: true, Of: func(schemas.Ref) Subject { return o.subject },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Ref != o.step.Ref || f.Rule == "" || f.Message == "" {
			t.Fatalf("finding without ref, rule or message: %+v", f)
		}
	}
	return found
}

// rules is the findings as "level rule", sorted, each once.
func rules(found []ledger.Finding) []string {
	out := []string{}
	for _, f := range found {
		out = append(out, string(f.Level)+" "+f.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func same(t *testing.T, found []ledger.Finding, want ...string) {
	t.Helper()
	if got := rules(found); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		t.Errorf("found %v, want %v\n%+v", got, want, found)
	}
}

func good() *Model {
	return &Model{
		Digest: digest.Of([]byte("model")), Candidate: schemas.Ref{Kind: "training", Name: "enrollment", Output: "xgboost"},
		Metrics: map[string]float64{"test.roc_auc": 0.845, "test.rmse": 2},
		Live:    &Live{digest.Of([]byte("live")), map[string]float64{"test.roc_auc": 0.85, "test.rmse": 2}},
		Files: []File{
			{Path: "model.json", Format: "xgboost-json", Digest: digest.Of([]byte("{}")), Size: 2},
			{Path: "pre/scaler.skops", Format: "skops", Digest: digest.Of([]byte("s")), Size: 1},
		},
		Signature: &Signature{Verified: true, By: "ci"},
	}
}

func modelCase(m *Model, gates ...schemas.Gate) one {
	return one{
		step: plan.Step{Ref: schemas.Ref{Kind: "model", Name: "enrollment"}, Do: plan.Make, Key: digest.Of(nil), Why: "never made"},
		subject: Subject{Model: m, Declaration: declare("Model", "enrollment", &schemas.Model{
			From: schemas.Ref{Kind: "training", Name: "enrollment"}, Select: schemas.Selection{Metric: "test.roc_auc"}, Gates: gates,
		})},
	}
}

func deployCase(env string, m *Model, approvals ...trust.Approver) one {
	return one{
		step: plan.Step{Ref: schemas.Ref{Kind: "deployment", Name: "enrollment"}, Do: plan.Remake, Key: digest.Of(nil), Why: "model changed"},
		subject: Subject{Model: m, Approvals: approvals, Declaration: declare("Deployment", "enrollment", &schemas.Deployment{
			Model: schemas.Ref{Kind: "model", Name: "enrollment"}, Environment: env,
			Target: schemas.Target{Local: &schemas.LocalTarget{Work: schemas.Work{Run: []string{"python", "serve.py"}}}},
		})},
	}
}

// What people approved is what is served: where nobody checks that, an environment that asks for approvals says so first.
func TestBytesThatNobodyChecksAreServedWhereItIsSaid(t *testing.T) {
	e := engine(t, nil)
	asha := trust.Approver{Principal: "asha", Roles: []string{"approver", "owner"}, Class: "signature"}
	for name, c := range map[string]struct {
		target schemas.Target
		env    string
		says   string // of production and of staging
		was    string
		want   []string
	}{
		"approvals":                       {schemas.Target{Seldon: &schemas.SeldonTarget{}}, "production", "", "", []string{"deny deployment/bytes"}},
		"approvals, a model server":       {schemas.Target{TFServing: &schemas.TFServingTarget{}}, "production", "", "", []string{"deny deployment/bytes"}},
		"approvals, and it says so":       {schemas.Target{Seldon: &schemas.SeldonTarget{}}, "production", "trusted", "", nil},
		"none":                            {schemas.Target{Seldon: &schemas.SeldonTarget{}}, "staging", "", "", nil},
		"none, and it asks for more":      {schemas.Target{Seldon: &schemas.SeldonTarget{}}, "staging", "by-digest", "", []string{"deny deployment/bytes"}},
		"a way out by another label":      {schemas.Target{Seldon: &schemas.SeldonTarget{}}, "staging", "", "production", []string{"deny deployment/bytes"}},
		"a label that was removed":        {schemas.Target{Seldon: &schemas.SeldonTarget{}}, "staging", "", "Production", []string{"deny deployment/bytes"}},
		"what is verified where it is":    {schemas.Target{KServe: &schemas.KServeTarget{}}, "production", "verified", "", nil},
		"what is verified on its machine": {schemas.Target{Local: &schemas.LocalTarget{}}, "production", "verified", "", nil},
	} {
		o := deployCase(c.env, good(), asha)
		o.subject.Declaration.Spec.(*schemas.Deployment).Target = c.target
		o.subject.Was = c.was
		o.project.Environments = map[string]schemas.Environment{"staging": {}, "production": {}}
		if c.says != "" {
			o.project.Environments[c.env] = schemas.Environment{Bytes: c.says}
		}
		t.Run(name, func(t *testing.T) { same(t, o.judge(t, e), c.want...) })
	}
}

func infraCase(raw string) one {
	return one{
		step: plan.Step{Ref: schemas.Ref{Kind: "infrastructure", Name: "serving"}, Do: plan.Make, Key: digest.Of(nil), Why: "never made"},
		subject: Subject{
			Terraform: json.RawMessage(raw), Declaration: declare("Infrastructure", "serving", &schemas.Infrastructure{Module: "infra"}),
		},
	}
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
