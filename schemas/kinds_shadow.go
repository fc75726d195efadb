// A new release that is sent requests which the old one answers: both answers are compared, and nobody gets the new one's.

package schemas

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Shadow sends a part of the requests to a new release as well, once the one that serves has answered them. Nobody gets the new release's answers.
type Shadow struct {
	// Percent is how many per cent of the requests are sent to the new release as well.
	Percent int `json:"percent" jsonschema:"required,minimum=1,maximum=100" part:"placement"`
	// Steps are done one after another while it is; without them, all analyses that compare answers must find the new release no worse, and without such analyses it waits until somebody promotes it.
	Steps []SwitchStep `json:"steps,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
	// Paths are those whose GET and POST requests are sent twice, each whole, or up to a * at its end; without them, those that end as paths of inference do: infer, predict, invocations, predictions, score, embeddings and completions.
	Paths []string `json:"paths,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
	// Tolerance is by how much two numbers may differ that agree; without it, by nothing.
	Tolerance float64 `json:"tolerance,omitempty" jsonschema:"minimum=0" part:"placement"`
	// Slower is how much later than the old release's an answer of the new one begins that counts as slower.
	Slower Duration `json:"slower,omitempty" part:"placement"`
}

// Metrics of pairs: what two releases answered to the same request.
const (
	ShadowDisagreement = "shadow_disagreement"
	ShadowErrorRate    = "shadow_error_rate"
	ShadowSlower       = "shadow_slower"
)

// Pairs tells whether a compares two answers to the same request.
func (a Analysis) Pairs() bool { return strings.HasPrefix(a.Metric, "shadow_") }

// SlowerBy is by how much later an answer begins that is slower; zero where none is.
func (s *Shadow) SlowerBy() time.Duration { return s.Slower.Or(0) }

// steps are those of a shadow, as a canary's, without requests that it answers.
func (s *Shadow) steps(analyses map[string]Analysis) []CanaryStep {
	none := 0
	out := []CanaryStep{{SetWeight: &none}}
	for _, step := range s.Steps {
		out = append(out, CanaryStep{Pause: step.Pause, Analysis: step.Analysis})
	}
	if len(s.Steps) > 0 {
		return out
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(analyses)) {
		if analyses[name].Pairs() {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return append(out, CanaryStep{Analysis: names})
	}
	return append(out, CanaryStep{Pause: &Pause{}})
}

// checkShadow checks a shadow, and what compares answers to the same request.
func (r *Rollout) checkShadow(c *checker, d *document, names []string) {
	for _, name := range names {
		at := "spec.rollout.analyses." + name
		switch a := r.Analyses[name]; {
		case a.Pairs() && r.Shadow == nil:
			d.problem(at+".metric", "compares two answers to the same request, and no request is sent twice; give shadow, such as shadow: {percent: 10}")
		case a.Metric == ShadowSlower && r.Shadow.Slower == "":
			d.problem(at+".metric", "counts answers that are slower, and spec.rollout.shadow.slower does not say by how much; give it, such as slower: 50ms")
		case r.Shadow != nil && r.Canary == nil && a.Metric != "" && !a.Pairs(), r.Shadow != nil && r.Canary == nil && a.Log != nil:
			d.problem(at, "compares requests that each release answers, and a shadow answers none; give one of shadow_disagreement, shadow_error_rate and shadow_slower, or canary besides shadow")
		}
	}
	if r.Shadow == nil {
		return
	}
	const at = "spec.rollout.shadow"
	c.duration(d, at+".slower", r.Shadow.Slower)
	for i, p := range r.Shadow.Paths {
		if whole, _ := strings.CutSuffix(p, "*"); !strings.HasPrefix(p, "/") || strings.ContainsAny(whole, "*?#") {
			d.problem(fmt.Sprintf("%s.paths.%d", at, i), "%s is not a path; write one such as /predict, or /v2/models/* for all below", short(p))
		}
	}
	r.checkSwitchSteps(c, d, at+".steps", r.Shadow.Steps, names)
	for i, step := range r.Shadow.Steps {
		for k, name := range step.Analysis {
			if a, declared := r.Analyses[name]; declared && a.given() == 1 && !a.Pairs() && a.Gauge == nil {
				d.problem(fmt.Sprintf("%s.steps.%d.analysis.%d", at, i, k), "%s compares requests that each release answers, and a shadow answers none; name it in a step of canary", short(name))
			}
		}
	}
}

// checkSwitchSteps checks steps that set no weights.
func (r *Rollout) checkSwitchSteps(c *checker, d *document, field string, steps []SwitchStep, names []string) {
	for i, step := range steps {
		at := fmt.Sprintf("%s.%d", field, i)
		if d.has(at+".pause") == d.has(at+".analysis") {
			d.problem(at, "does %s; give one of pause and analysis in each step", map[bool]string{true: "two things", false: "nothing"}[d.has(at+".pause")])
		}
		if step.Pause != nil {
			c.duration(d, at+".pause.duration", step.Pause.Duration)
		}
		r.checkNamed(d, at, step.Analysis, names)
	}
}
