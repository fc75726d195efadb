// Many decisions side by side: that they stay the same, and what they cost.

package policy

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/vishwaops/vishwa/policy/terms"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

func many(t testing.TB, n int) (plan.Plan, Evidence) {
	t.Helper()
	cases := []one{
		modelCase(good(), schemas.Gate{Metric: "test.roc_auc", Min: ptr(0.8), MaxRegression: ptr(0.01)}),
		deployCase("staging", good()),
		{step: plan.Step{Ref: schemas.Ref{Kind: "dataset"}, Do: plan.Pin}, subject: Subject{Pin: digest.Of(nil), Declaration: declare("Dataset", "", &schemas.Dataset{Source: schemas.DataSource{Path: "a.csv"}})}},
		{step: plan.Step{Ref: schemas.Ref{Kind: "training"}, Do: plan.Make}, subject: Subject{Declaration: declare("Training", "", &schemas.Training{Work: schemas.Work{Run: []string{"true"}}})}},
	}
	subjects := map[schemas.Ref]Subject{}
	var p plan.Plan
	for i := range n {
		c := cases[i%len(cases)]
		d := *c.subject.Declaration
		d.Metadata.Name = fmt.Sprintf("n%d", i)
		c.subject.Declaration, c.step.Ref = &d, d.Ref()
		c.step.Key = digest.Of([]byte(d.Metadata.Name))
		p.Steps, subjects[d.Ref()] = append(p.Steps, c.step), c.subject
	}
	return p, Evidence{Time: noon, Phase: Acting, Project: &schemas.Project{Environments: map[string]schemas.Environment{"staging": {}}}, Of: func(r schemas.Ref) Subject { return subjects[r] }}
}

func TestDecisionsAreTheSameSideBySide(t *testing.T) {
	e := engine(t, map[string]string{"policy/a.rego": "package team\n\nnote contains input.step.ref if input.step.kind == \"dataset\""})
	p, ev := many(t, 400)
	first, err := e.Judge(context.Background(), p, ev)
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.Judge(context.Background(), p, ev)
	if err != nil || !slices.Equal(first, again) || len(first) != 100 {
		t.Errorf("%d findings, then %d, %v", len(first), len(again), err)
	}
	for i, f := range first {
		if f.Message != p.Steps[4*i+2].Ref.String() {
			t.Fatalf("finding %d is %+v", i, f)
		}
	}
}

// BenchmarkDecision is one prepared decision: "rules" evaluates them on a prepared
// input, "whole" also makes and validates the input.
func BenchmarkDecision(b *testing.B) {
	e := engine(b, nil)
	p, ev := many(b, 4)
	questions, err := e.ready(b.Context(), []string{"dataset", "deployment", "model", "training"})
	if err != nil {
		b.Fatal(err)
	}
	for i, name := range []string{"model", "deployment", "dataset", "training"} {
		s := p.Steps[i]
		j := questions[string(s.Ref.Kind)]
		b.Run(name+"/rules", func(b *testing.B) {
			doc, err := describe(s, &ev, ev.Of(s.Ref))
			if err != nil {
				b.Fatal(err)
			}
			input, err := j.shape.Value(doc, &terms.Shared{})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if f := j.evaluate(context.Background(), s, input, ev.Time, e.opts.Timeout); len(f) > 0 {
					b.Fatal(f)
				}
			}
		})
		b.Run(name+"/whole", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if f := j.decide(context.Background(), s, &ev, &terms.Shared{}, e.opts.Timeout); len(f) > 0 {
					b.Fatal(f)
				}
			}
		})
	}
}

// BenchmarkJudge is a plan of 10,000 steps, on all cores.
func BenchmarkJudge(b *testing.B) {
	e := engine(b, nil)
	p, ev := many(b, 10_000)
	for b.Loop() {
		if f, err := e.Judge(context.Background(), p, ev); err != nil || len(f) > 0 {
			b.Fatal(f, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/step")
}

// BenchmarkPrepare is what preparing the built-in rules costs a program, once.
func BenchmarkPrepare(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		e, err := gathered(nil, nil, Options{})
		if err == nil {
			_, err = e.whole.ready()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// TestJudgingGrowsWithTheSteps: twice the candidates of a training take about twice the
// room, though each is shown the spec that declares them all.
func TestJudgingGrowsWithTheSteps(t *testing.T) {
	e := engine(t, nil)
	room := func(n int) uint64 {
		spec := &schemas.Training{Work: schemas.Work{Run: []string{"true"}}, Candidates: map[string]schemas.Candidate{}}
		d := declare("Training", "", spec)
		d.Metadata.Name = "y"
		var p plan.Plan
		for i := range n {
			name := fmt.Sprintf("c%d", i)
			spec.Candidates[name] = schemas.Candidate{Params: map[string]any{"n": i}}
			p.Steps = append(p.Steps, plan.Step{Ref: schemas.Ref{Kind: "training", Name: "y", Output: name}, Do: plan.Make, Key: digest.Of([]byte(name))})
		}
		ev := Evidence{Time: noon, Phase: Planning, Project: &schemas.Project{}, Of: func(schemas.Ref) Subject { return Subject{Declaration: d} }}
		var was, is runtime.MemStats
		runtime.ReadMemStats(&was)
		if _, err := e.Judge(t.Context(), p, ev); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&is)
		return is.TotalAlloc - was.TotalAlloc
	}
	room(200) // warm
	one, two := room(400), room(800)
	if two > one*5/2 {
		t.Errorf("400 candidates take %d KiB, and 800 take %d", one>>10, two>>10)
	}
}
