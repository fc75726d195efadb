// Laws of runners and pull requests: where code that nobody reviewed runs is what the base says.

package pass

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
)

const someImage = "base@sha256:00000000000000000000000000000000000000000000000000000000000000aa"

// runners has the project say of its runners what is given.
func runners(text string) func(fstest.MapFS) {
	return replaced("spec: {environments:", "spec: {"+text+", environments:")
}

// TestAPullRequestRunsWhereTheBaseLetsIt: whatever a change says of runners, it is run where
// the base lets pull requests run, as the base declares that, or after the merge.
func TestAPullRequestRunsWhereTheBaseLetsIt(t *testing.T) {
	const base = `runners: {gpu: {docker: {host: "unix:///run/docker.sock"}}}`
	for name, c := range map[string]struct {
		base, pull, training, why string
	}{
		"local":                     {base: base, pull: base},
		"not listed":                {base: base, pull: base, training: "gpu", why: "runner gpu is not one that the base branch lets pull requests use"},
		"listed by itself":          {base: base, pull: base + ", pullRequests: {runners: [local, gpu]}", training: "gpu", why: "runner gpu is not one that the base branch lets"},
		"listed":                    {base: base + ", pullRequests: {runners: [local, gpu]}", pull: base, training: "gpu"},
		"pointed at another host":   {base: base + ", pullRequests: {runners: [local, gpu]}", pull: `runners: {gpu: {docker: {host: "tcp://evil.example:2375"}}}`, training: "gpu"},
		"another tool":              {base: base + ", pullRequests: {runners: [local, gpu]}", pull: `clusters: {c: {namespace: n}}, runners: {gpu: {kubernetes: {cluster: c}}}`, training: "gpu", why: "runner gpu is docker on the base branch, and another tool here"},
		"its own":                   {base: base + ", pullRequests: {runners: [local, gpu]}", pull: `runners: {mine: {docker: {host: "tcp://evil.example:2375"}}}, pullRequests: {runners: [local, mine]}`, training: "mine", why: "runner mine is not one that"},
		"by its default":            {base: base, pull: base + ", defaults: {runner: gpu, image: \"" + someImage + "\"}", why: "runner gpu is not one that"},
		"local where it is not let": {base: base + ", pullRequests: {runners: [gpu]}", pull: base, why: "runner local is not one that"},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := newHouse(tree(runners(c.base)))
			apply(t, h)
			w.ran = nil
			on := "timeout: 2h"
			if c.training != "" {
				on = "runner: " + c.training + "\n  image: " + someImage
			}
			work := tree(runners(c.pull), replaced("auc: 0.9", "auc: 0.95"), replaced("run: [python, e.py]", "run: [python, e.py]\n  "+on))
			apart, p := pulled(t, h, w, work)
			make7(t, apart, p)
			if ran := len(w.ran) > 0; ran != (c.why == "") {
				t.Errorf("ran %v, and is kept back for %q", w.ran, p.KeptBack())
			}
			said := strings.Join(p.KeptBack(), " ")
			if c.why == "" && said != "" || !strings.Contains(said, c.why) || p.Runs() != (c.why == "") {
				t.Errorf("kept back for %q; runs %v", said, p.Runs())
			}
			if gpu := p.World.Project.Runners["gpu"]; gpu.Docker == nil || gpu.Docker.Host != "unix:///run/docker.sock" {
				t.Errorf("runner gpu counts as %+v", gpu)
			}
			for _, s := range p.Plan.Work() {
				if s.Ref.Kind == "training" && s.Held != "" {
					t.Errorf("after the merge, %s is held: %s", s.Ref, s.Held)
				}
			}
			for _, s := range p.PreMerge().Work() {
				if s.Ref.Kind == "model" && c.why != "" && s.Held == "" && s.Do != plan.Keep {
					t.Errorf("%s is made before what it needs", s.Ref)
				}
			}
		})
	}
}

// TestAListedRunnerIsUsedOnTheTrackedBranch: what keeps pull requests back keeps nobody else.
func TestAListedRunnerIsUsedOnTheTrackedBranch(t *testing.T) {
	h, w := newHouse(tree(runners(`runners: {gpu: {docker: {}}}, defaults: {runner: gpu, image: "` + someImage + `"}`)))
	apply(t, h)
	if len(w.ran) != 3 {
		t.Errorf("ran %v", w.ran)
	}
	run := w.facts.Latest[ref("training/e:high")].Run
	if run.Runner != "gpu" || run.Image != someImage || run.Nodes != 0 {
		t.Errorf("recorded as %+v", run)
	}
}
