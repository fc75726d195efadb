// Laws of cost: it is what the last runs took at today's prices, and no plan is another for it.

package plan

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/schemas"
)

func TestCostIsWhatTheLastRunsTook(t *testing.T) {
	training := func(output string) schemas.Ref { return schemas.Ref{Kind: "training", Name: "e", Output: output} }
	facts := &ledger.Facts{ByKey: map[digest.Digest]*ledger.Entry{}}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ran := func(seq int64, ref schemas.Ref, took time.Duration) {
		e := ledger.Entry{Seq: seq, Action: ledger.Train, Ref: ref, Key: digest.Of([]byte{byte(seq)}), Run: &ledger.Run{Started: at, Finished: at.Add(took)}}
		facts.ByKey[e.Key] = &e
	}
	ran(1, training("a"), 100*time.Hour) // long ago
	ran(2, training("a"), time.Hour)
	ran(3, training("a"), 2*time.Hour)
	ran(4, training("a"), 3*time.Hour)
	ran(5, training("b"), -time.Hour) // a clock that went back
	scored, known := schemas.Ref{Kind: "model", Name: "scored"}, map[string]float64{}
	e := ledger.Entry{Seq: 6, Action: ledger.Evaluate, Ref: scored, Key: digest.Of([]byte{6}), Run: &ledger.Run{Started: at, Finished: at.Add(30 * time.Minute)}}
	facts.ByKey[e.Key] = &e
	prices := price.Prices{Runners: map[string]price.Runner{"local": {CPUHour: 1}, "gpu": {CPUHour: 1, MemoryGiBHour: 0.5, GPUHour: map[string]float64{"a100": 10, price.AnyGPU: 4}}, "box": {GPUHour: map[string]float64{"a100": 1}}}}
	gpu := schemas.Resources{CPU: "500m", Memory: "2Gi", GPU: 2, GPUKind: "a100"}
	other := gpu
	other.GPUKind = "h100"
	for name, c := range map[string]struct {
		step    Step
		want    float64
		unknown bool
	}{
		"plain":                     {Step{Ref: training("a"), Do: Make}, 2, false},
		"all that it is given":      {Step{Ref: training("a"), Do: Remake, RunsOn: &schemas.RunsOn{Runner: "gpu", Resources: gpu}}, 2 * (0.5 + 1 + 20), false},
		"on its nodes":              {Step{Ref: training("a"), Do: Remake, RunsOn: &schemas.RunsOn{Runner: "gpu", Resources: gpu, Nodes: 3}}, 6 * (0.5 + 1 + 20), false},
		"another GPU":               {Step{Ref: training("a"), Do: Make, RunsOn: &schemas.RunsOn{Runner: "gpu", Resources: other}}, 2 * (0.5 + 1 + 8), false},
		"a GPU without a price":     {Step{Ref: training("a"), Do: Make, RunsOn: &schemas.RunsOn{Runner: "box", Resources: other}}, 0, true},
		"a runner without a price":  {Step{Ref: training("a"), Do: Make, RunsOn: &schemas.RunsOn{Runner: "free"}}, 0, false},
		"a candidate that is new":   {Step{Ref: training("new"), Do: Make}, 2, false},
		"never run":                 {Step{Ref: schemas.Ref{Kind: "transform", Name: "t"}, Do: Make}, 0, true},
		"kept":                      {Step{Ref: training("a"), Do: Keep}, 0, false},
		"held":                      {Step{Ref: training("a"), Do: Make, Held: "why"}, 0, false},
		"retired":                   {Step{Ref: training("a"), Do: Retire}, 0, false},
		"scored on two rows":        {Step{Ref: scored, Do: Make, Evaluations: []Evaluation{{}, {}, {Metrics: known}}}, 1, false},
		"scored already":            {Step{Ref: scored, Do: Make, Evaluations: []Evaluation{{Metrics: known}}}, 0, false},
		"to be scored, when made":   {Step{Ref: scored, Do: Make, Pending: true, scorings: 4}, 2, false},
		"never scored":              {Step{Ref: schemas.Ref{Kind: "model", Name: "new"}, Do: Make, Pending: true, scorings: 1}, 0, true},
		"no run":                    {Step{Ref: schemas.Ref{Kind: "model", Name: "m"}, Do: Make}, 0, false},
		"what cannot be read of it": {Step{Ref: training("a"), Do: Make, RunsOn: &schemas.RunsOn{Resources: schemas.Resources{CPU: "x"}}}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			was := Plan{Steps: []Step{c.step}}
			p := was.Priced(prices, facts)
			if p.Cost == nil || p.Cost.Amount != c.want || slices.Contains(p.Cost.Unknown, c.step.Ref) != c.unknown {
				t.Errorf("%+v", p.Cost)
			}
			if priced := p.Steps[0].Cost != nil; priced != (c.want > 0) || was.Steps[0].Cost != nil {
				t.Errorf("the step costs %v", p.Steps[0].Cost)
			}
			if p.Digest() != was.Digest() || len(Diff(was, p)) > 0 {
				t.Error("a price makes another plan of it")
			}
			if free := was.Priced(price.Prices{}, facts); free.Cost != nil {
				t.Errorf("without prices: %+v", free.Cost)
			}
		})
	}
}

func TestInfrastructureCostsByTheMonth(t *testing.T) {
	ref := func(name string) schemas.Ref { return schemas.Ref{Kind: "infrastructure", Name: name} }
	plans := map[schemas.Ref]string{
		ref("kept"):  `{"resource_changes": [{"address": "a.a", "type": "disk", "change": {"before": {"size": 10}, "after": {"size": 10}}}]}`,
		ref("grown"): `{"resource_changes": [{"address": "b.b", "type": "disk", "change": {"before": {"size": 1}, "after": {"size": 3}}}, {"address": "c.c", "type": "pool", "change": {"after": {}}}]}`,
	}
	was := Plan{Steps: []Step{{Ref: ref("kept"), Do: Keep}, {Ref: ref("grown"), Do: Remake}, {Ref: ref("failed"), Do: Make, Pending: true}, {Ref: schemas.Ref{Kind: "model", Name: "m"}, Do: Make}}}
	change := func(ref schemas.Ref) []byte { return []byte(plans[ref]) }
	p := was.Estimated(price.Prices{Resources: terraform.Prices{"disk": {Per: map[string]float64{"size": 2}}}}, change)
	want := Monthly{Amount: 26, Change: 4, Unknown: []string{"c.c", "infrastructure/failed"}}
	if p.Cost != nil || p.Monthly == nil || !reflect.DeepEqual(*p.Monthly, want) {
		t.Errorf("all of it costs %+v", p.Monthly)
	}
	if one := p.Steps[1].Monthly; p.Steps[0].Monthly != nil || one == nil || one.Amount != 6 || one.Change != 4 || was.Steps[1].Monthly != nil {
		t.Errorf("what is changed costs %+v", one)
	}
	if p.Digest() != was.Digest() || len(Diff(was, p)) > 0 {
		t.Error("a price makes another plan of it")
	}
	if free := was.Estimated(price.Prices{}, change); free.Monthly != nil {
		t.Errorf("without prices: %+v", free.Monthly)
	}
}
