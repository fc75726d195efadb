// Laws of runners and pull requests: where code that nobody reviewed runs is what the base says.

package pass

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/port"
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

// TestAPullRequestBeginsExternalWorkWhereTheBaseLetsIt: to be let onto a runner is not to be let
// say what its tool does.
func TestAPullRequestBeginsExternalWorkWhereTheBaseLetsIt(t *testing.T) {
	const tool = `runners: {dags: {airflow: {url: "https://airflow.example", dag: vishwa}}}, pullRequests: {runners: [local, dags]`
	for name, c := range map[string]struct{ base, pull, why string }{
		"not let":         {base: tool + "}", pull: tool + "}", why: "lets no pull request begin external work on runner dags"},
		"let by itself":   {base: tool + "}", pull: tool + ", external: [dags]}", why: "lets no pull request begin external work on runner dags"},
		"let by the base": {base: tool + ", external: [dags]}", pull: tool + "}"},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := newHouse(tree(runners(c.base)))
			apply(t, h)
			w.ran = nil
			work := tree(runners(c.pull), replaced("auc: 0.9", "auc: 0.95"), replaced("run: [python, e.py]", "runner: dags\n  external: {airflow: {dag: production}}"),
				replaced("\n  code: [e.py]", ""))
			apart, p := pulled(t, h, w, work)
			make7(t, apart, p)
			if said := strings.Join(p.KeptBack(), " "); len(w.ran) > 0 != (c.why == "") || !strings.Contains(said, c.why) {
				t.Errorf("ran %v, and is kept back for %q", w.ran, said)
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

// TestARuleCapsWhatAPlanCosts: and a price voids no approval.
func TestARuleCapsWhatAPlanCosts(t *testing.T) {
	h, w := newHouse(tree(replaced("environments:", "policy: {paths: [policy]}, environments:"), with("policy/cost.rego", `package team

deny contains {"rule": "team/cost", "message": sprintf("it costs %v", [input.plan.estimatedCost]), "hint": "wait"} if {
	input.runsOn != null
	input.plan.estimatedCost > 1
}

warn contains {"rule": "team/unknown", "message": concat(" ", input.plan.unknownCost), "hint": "wait"} if count(input.plan.unknownCost) > 0
`)))
	apply(t, h)
	h.commit(w, two, tree(replaced("environments:", "policy: {paths: [policy]}, environments:"), with("policy/cost.rego", string(mustRead(t, w.trees[one], "policy/cost.rego"))), with("e.py", "# other\n")))
	digests := map[string]bool{}
	for _, c := range []struct {
		prices price.Prices
		held   bool
	}{{price.Prices{}, false}, {price.Prices{Runners: map[string]price.Runner{"local": {CPUHour: 1e-9}}}, false}, {price.Prices{Runners: map[string]price.Runner{"local": {CPUHour: 3600e9}}}, true}} {
		h.Prices = c.prices
		_, in, err := h.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		world, err := Observe(t.Context(), in, port.Revision{SHA: two}, h.Observers)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range world.Facts.ByKey { // the town's runs take no time
			if e.Run != nil {
				e.Run.Finished = e.Run.Started.Add(time.Second)
			}
		}
		p, err := h.Plan(t.Context(), world, ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		digests[string(p.Digest())] = true
		for _, s := range p.Work() {
			if s.Ref.Kind == "training" && strings.HasPrefix(s.Held, "team/cost: it costs") != c.held {
				t.Errorf("with %v, %s is held: %q", c.prices, s.Ref, s.Held)
			}
		}
	}
	if len(digests) != 1 {
		t.Errorf("prices make %d plans", len(digests))
	}
}

func mustRead(t *testing.T, tree fs.FS, name string) []byte {
	t.Helper()
	raw, err := fs.ReadFile(tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
