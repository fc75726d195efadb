// Rules see where a run is to be carried out, and where one was.

package policy

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

const runsOnRules = `package team

deny contains "team/gpus" if input.runsOn.resources.gpu > 4
deny contains "team/nodes" if input.runsOn.nodes > 2
deny contains "team/tool" if {
	input.runsOn != null
	not input.runsOn.tool in {"local", "docker"}
}
deny contains "team/cpu" if input.runsOn.resources.cpu > 1.5
deny contains "team/memory" if input.runsOn.resources.memory > 1073741824
deny contains "team/image" if {
	input.step.kind == "training"
	not ours
}

ours if {
	input.runsOn.image != null
	startswith(input.runsOn.image, "registry.example.com/")
}
`

func TestRulesSeeWhereARunIsCarriedOut(t *testing.T) {
	e := engine(t, map[string]string{"policy/a.rego": runsOnRules})
	image := "registry.example.com/base@sha256:" + digest.Of(nil).Hex()
	for name, c := range map[string]struct {
		on   *schemas.RunsOn
		want []string
	}{
		"plain":          {nil, []string{"team/image"}},
		"docker":         {&schemas.RunsOn{Runner: "box", Image: image, Resources: schemas.Resources{CPU: "1500m", Memory: "1Gi", GPU: 4}}, nil},
		"too much":       {&schemas.RunsOn{Runner: "box", Image: image, Nodes: 3, Resources: schemas.Resources{CPU: "1.6", Memory: "2G", GPU: 5}}, []string{"team/cpu", "team/gpus", "team/memory", "team/nodes"}},
		"another image":  {&schemas.RunsOn{Runner: "box", Image: "evil/" + image}, []string{"team/image"}},
		"another tool":   {&schemas.RunsOn{Runner: "dags"}, []string{"team/image", "team/tool"}},
		"nobody's":       {&schemas.RunsOn{Runner: "none", Image: image}, []string{"team/tool"}},
		"no such amount": {&schemas.RunsOn{Runner: "box", Image: image, Resources: schemas.Resources{CPU: "x", Memory: "x"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			step := plan.Step{Ref: schemas.Ref{Kind: "training", Name: "e", Output: "default"}, Do: plan.Make, Why: "never made", RunsOn: c.on}
			project := schemas.Project{Runners: map[string]schemas.Runner{"box": {Docker: &schemas.DockerRunner{}}, "dags": {Airflow: &schemas.AirflowRunner{}}}}
			found := one{step: step, project: project, subject: Subject{Declaration: declare("Training", "e", &schemas.Training{})}}.judge(t, e)
			var got []string
			for _, f := range found {
				got = append(got, f.Message)
			}
			if !equalSets(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func equalSets(a, b []string) bool {
	in := map[string]int{}
	for _, s := range a {
		in[s]++
	}
	for _, s := range b {
		in[s]--
	}
	for _, n := range in {
		if n != 0 {
			return false
		}
	}
	return true
}
