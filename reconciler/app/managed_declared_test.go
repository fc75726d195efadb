// When a branch is passed again by itself.

package app

import (
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func TestWhatAPassFreedIsPassedAtOnce(t *testing.T) {
	now := time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	ref := func(name string) schemas.Ref { return schemas.Ref{Kind: "deployment", Name: name} }
	soaks := &plan.Plan{Steps: []plan.Step{{Ref: ref("c"), Held: "soaks", Until: now.Add(time.Hour)}}}
	for name, c := range map[string]struct {
		r      templates.Report
		before []schemas.Ref
		want   time.Time
	}{
		"no plan":           {templates.Report{}, nil, time.Time{}},
		"nothing waits":     {templates.Report{Plan: &plan.Plan{}}, nil, time.Time{}},
		"a time":            {templates.Report{Plan: soaks}, []schemas.Ref{ref("a")}, now.Add(time.Hour)},
		"freed":             {templates.Report{Plan: soaks, Freed: []schemas.Ref{ref("a")}}, nil, now},
		"freed after that":  {templates.Report{Plan: soaks, Freed: []schemas.Ref{ref("b")}}, []schemas.Ref{ref("a")}, now},
		"freed again":       {templates.Report{Plan: soaks, Freed: []schemas.Ref{ref("a")}}, []schemas.Ref{ref("a")}, now.Add(time.Minute)},
		"freed, and before": {templates.Report{Plan: &plan.Plan{}, Freed: []schemas.Ref{ref("a"), ref("b")}}, []schemas.Ref{ref("a")}, now},
	} {
		if at := wakes(c.r, c.before, now); !at.Equal(c.want) {
			t.Errorf("%s: passed again at %s, and not %s", name, at, c.want)
		}
	}
}
