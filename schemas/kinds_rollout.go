// When, and in which steps, a new release of a deployment takes the place of the one that serves.

package schemas

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/calendar"
)

// Rollout says when a new release takes the place of the one that serves. What served before and comes back, after a crash or by a rollback, waits for nothing.
type Rollout struct {
	// Freeze lists the times in which nothing new is released.
	Freeze []Freeze `json:"freeze,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
	// After is the deployment that must serve the same model first.
	After *After `json:"after,omitempty" part:"placement"`
	// Shadow sends a part of the requests to a new release as well, before it answers any; nobody gets its answers.
	Shadow *Shadow `json:"shadow,omitempty" part:"placement"`
	// Canary lets a new release take over step by step, next to the one that serves; without it, it takes over at once.
	Canary *Canary `json:"canary,omitempty" part:"placement"`
	// BlueGreen begins a new release complete next to the one that serves, and then gives it all requests at once; in place of canary.
	BlueGreen *BlueGreen `json:"blueGreen,omitempty" part:"placement"`
	// Analyses compare the two while both serve, by name: what is found worse is rolled back at once, at whichever step.
	Analyses map[string]Analysis `json:"analyses,omitempty" part:"placement"`
	// Revert says how the commits are reverted that made a release which was rolled back: by a pull request, by a commit directly on the tracked branch, or by people alone.
	Revert string `json:"revert,omitempty" jsonschema:"enum=pull-request,enum=commit,enum=none,default=pull-request" part:"placement"`
}

// Reverts tells whether it is proposed to revert what was rolled back, and whether that is committed without a pull request.
func (r *Rollout) Reverts() (proposed, direct bool) {
	return r.Tries() && r.Revert != "none", r != nil && r.Revert == "commit"
}

// Tries tells whether a new release stands next to the one that serves before it takes its place.
func (r *Rollout) Tries() bool {
	return r != nil && (r.Shadow != nil || r.Canary != nil || r.BlueGreen != nil)
}

// Steps are those that a new release is tried by, as a canary's: of a shadow first, and of blueGreen with its switch among them.
func (r *Rollout) Steps() (out []CanaryStep) {
	if r.Shadow != nil {
		out = r.Shadow.steps(r.Analyses)
	}
	if r.Canary != nil {
		return append(out, r.Canary.Steps...)
	}
	if r.BlueGreen == nil {
		return out
	}
	none, all := 0, 100
	out = append(out, CanaryStep{SetWeight: &none})
	for _, s := range r.BlueGreen.BeforeSwitch {
		out = append(out, CanaryStep{Pause: s.Pause, Analysis: s.Analysis})
	}
	out = append(out, CanaryStep{SetWeight: &all})
	for _, s := range r.BlueGreen.AfterSwitch {
		out = append(out, CanaryStep{Pause: s.Pause, Analysis: s.Analysis})
	}
	return out
}

// Canary is how a new release takes over.
type Canary struct {
	// Steps are done one after another; after the last one the new release serves all requests. The first sets a weight.
	Steps []CanaryStep `json:"steps" jsonschema:"required,minItems=1,maxItems=50" part:"placement"`
}

// CanaryStep is one step of a canary: it sets a weight, pauses, or waits for analyses.
type CanaryStep struct {
	// SetWeight is how many per cent of the requests the new release answers from here on.
	SetWeight *int `json:"setWeight,omitempty" jsonschema:"minimum=1,maximum=100" part:"placement"`
	// Pause waits.
	Pause *Pause `json:"pause,omitempty" part:"placement"`
	// Analysis names the analyses that must find the new release no worse before it goes on.
	Analysis []string `json:"analysis,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
}

// BlueGreen is how a new release takes over all at once. It answers first those alone who ask for it by its key; and the old one goes
// on next to it, after the switch too, until the last step is done.
type BlueGreen struct {
	// BeforeSwitch are steps that are done before the new release has the requests.
	BeforeSwitch []SwitchStep `json:"beforeSwitch,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
	// AfterSwitch are steps that are done while it has them, and the old one can have them back at once.
	AfterSwitch []SwitchStep `json:"afterSwitch,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
}

// SwitchStep is one step before or after a switch: it pauses, or waits for analyses.
type SwitchStep struct {
	// Pause waits.
	Pause *Pause `json:"pause,omitempty" part:"placement"`
	// Analysis names the analyses, each of a gauge, that must find the new release within bounds before it goes on.
	Analysis []string `json:"analysis,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
}

// Pause is a step that waits.
type Pause struct {
	// Duration is for how long; without it, until somebody promotes the release.
	Duration Duration `json:"duration,omitempty" part:"placement"`
}

// Analysis compares the new release with a process of the old one that began with it.
type Analysis struct {
	// Metric is what is compared: error_rate is the share of the requests that are not answered, or with a status of 500 or above. Of requests that are
	// sent to a shadow too, shadow_disagreement is the share of which the answers differ, of those that the old release takes, shadow_error_rate is the share that fail with the new one, and shadow_slower the share that it answers slower.
	Metric string `json:"metric,omitempty" jsonschema:"enum=error_rate,enum=shadow_disagreement,enum=shadow_error_rate,enum=shadow_slower" part:"placement"`
	// Log compares, in place of a metric, what the deployment's log of predictions says of both.
	Log *LogShare `json:"log,omitempty" part:"placement"`
	// Gauge holds what a Prometheus shows against bounds of its own, in place of a comparison: a value beyond them rolls the new release back.
	Gauge *Gauge `json:"gauge,omitempty" part:"placement"`
	// Margin is by how much the new release may be worse: 0.01 is one request more in a hundred. What compares has one, and a gauge has none.
	Margin float64 `json:"margin,omitempty" jsonschema:"minimum=0.0001,maximum=1" part:"placement"`
	// Deadline is for how long, from the beginning of its step, it may be undecided; without it, 2h.
	Deadline Duration `json:"deadline,omitempty" part:"placement"`
	// Inconclusive is what becomes of a release that is undecided at the deadline: hold, until somebody promotes or aborts it, or rollback. Without it, hold.
	Inconclusive string `json:"inconclusive,omitempty" jsonschema:"enum=hold,enum=rollback" part:"placement"`
}

// LogShare is the share of the logged requests of which a column is beyond a bound; fewer are better. Of a request with several instances it is the share of these.
type LogShare struct {
	// Column is the column of the log, such as latency (in seconds), score, prediction or output.NAME.
	Column string `json:"column" jsonschema:"required,maxLength=200" part:"placement"`
	// Above counts values that are greater.
	Above *float64 `json:"above,omitempty" part:"placement"`
	// Below counts values that are less.
	Below *float64 `json:"below,omitempty" part:"placement"`
}

// String names the share.
func (l LogShare) String() string {
	if l.Above != nil {
		return fmt.Sprintf("%s above %g", l.Column, *l.Above)
	}
	if l.Below != nil {
		return fmt.Sprintf("%s below %g", l.Column, *l.Below)
	}
	return l.Column
}

// Beyond tells whether a value is beyond the bound.
func (l LogShare) Beyond(v float64) bool {
	return l.Above != nil && v > *l.Above || l.Below != nil && v < *l.Below
}

// Compares names what an analysis compares.
func (a Analysis) Compares() string {
	switch {
	case a.Log != nil:
		return a.Log.String()
	case a.Gauge != nil:
		return "prometheus"
	}
	return a.Metric
}

// Freeze is a time in which nothing new is released, once or again and again.
type Freeze struct {
	// From is when it begins: a date, such as 2026-12-20 or 2026-12-20T18:00, or a cron expression, such as "0 18 * * FRI".
	From string `json:"from" jsonschema:"required,maxLength=200" part:"placement"`
	// To is when it ends, written as From is: a date alone counts whole, and of a cron expression it is the next time after From.
	To string `json:"to" jsonschema:"required,maxLength=200" part:"placement"`
	// Zone is the IANA name of the time zone whose clocks are meant, such as Europe/Berlin; without it, UTC.
	Zone string `json:"zone,omitempty" jsonschema:"maxLength=64" part:"placement"`
	// Reason is what plans and status show of it.
	Reason string `json:"reason,omitempty" jsonschema:"maxLength=200" part:"text"`
}

// After is a deployment that comes first.
type After struct {
	// Deployment is the one that must serve the same model, as it is declared.
	Deployment Ref `json:"deployment" jsonschema:"required" part:"placement"`
	// Soak is for how long it must have served it without being found down; without it, it need only serve it.
	Soak Duration `json:"soak,omitempty" part:"placement"`
}

// Window is the time that f names.
func (f Freeze) Window() (calendar.Window, error) {
	w, _, err := calendar.Parse(f.From, f.To, f.Zone)
	return w, err
}

func (r *Rollout) check(c *checker, d *document, model Ref) {
	if r == nil {
		return
	}
	if len(r.Freeze) == 0 && r.After == nil && !r.Tries() && len(r.Analyses) == 0 && r.Revert == "" && !d.has("spec.rollout.freeze") {
		d.problem("spec.rollout", "says nothing; give freeze, after, shadow, canary or blueGreen, or remove it")
	}
	r.checkCanary(c, d)
	for i, f := range r.Freeze {
		at := fmt.Sprintf("spec.rollout.freeze.%d", i)
		if !d.has(at+".from") || !d.has(at+".to") {
			continue // the schema has reported it
		}
		if _, of, err := calendar.Parse(f.From, f.To, f.Zone); err != nil {
			d.problem(at+"."+string(of), "%v", err)
		}
	}
	if r.After == nil {
		return
	}
	const at = "spec.rollout.after"
	c.duration(d, at+".soak", r.After.Soak)
	first := c.ref(d, at+".deployment", r.After.Deployment, func(t Traits) bool { return t.Serves })
	if first == nil {
		return
	}
	if s, ok := first.decl.Spec.(Serves); ok && s.Serves().Model != model && model != (Ref{}) && s.Serves().Model != (Ref{}) {
		d.problem(at+".deployment", "%s serves %s, and this one serves %s; name one that serves the same model", r.After.Deployment, s.Serves().Model, model)
	}
	if loop := c.waitsForItself(d.decl.Ref(), r.After.Deployment); loop != "" {
		d.problem(at+".deployment", "%s", loop)
	}
}

// checkCanary checks the steps of a canary, and the analyses that they name.
func (r *Rollout) checkCanary(c *checker, d *document) {
	names := slices.Sorted(maps.Keys(r.Analyses))
	for _, name := range names {
		at, a := "spec.rollout.analyses."+name, r.Analyses[name]
		c.duration(d, at+".deadline", a.Deadline)
		switch {
		case a.given() != 1:
			d.problem(at, "compares %s; give one of metric, log and gauge", map[bool]string{true: "nothing", false: "several things"}[a.given() == 0])
		case a.Gauge != nil:
			a.checkGauge(c, d, at)
		case !d.has(at + ".margin"):
			d.problem(at, "has no margin; say by how much the new release may be worse, such as margin: 0.01")
		case a.Log == nil:
		case (a.Log.Above == nil) == (a.Log.Below == nil):
			d.problem(at+".log", "has no bound, or two; give one of above and below")
		case !d.has("spec.log"):
			d.problem(at+".log", "reads the log of predictions, and the deployment has none; declare it, as spec.log: {}")
		}
	}
	r.checkShadow(c, d, names)
	switch {
	case r.Canary != nil && r.BlueGreen != nil:
		d.problem("spec.rollout.blueGreen", "gives a new release all requests at once, and canary some; give one of the two")
		return
	case r.BlueGreen != nil:
		r.checkBlueGreen(c, d, names)
		return
	case r.Canary == nil && r.Shadow == nil:
		if r.Revert != "" {
			d.problem("spec.rollout.revert", "reverts what a canary was rolled back from, and none of shadow, canary and blueGreen is given; give one, or remove it")
		}
		if len(names) > 0 {
			d.problem("spec.rollout.analyses", "compare a new release that is tried next to the old one, and none of shadow, canary and blueGreen is given; give one, or remove them")
		}
		return
	case r.Canary == nil:
		return
	}
	for i, step := range r.Canary.Steps {
		at := fmt.Sprintf("spec.rollout.canary.steps.%d", i)
		given := 0
		for _, field := range []string{"setWeight", "pause", "analysis"} {
			if d.has(at + "." + field) {
				given++
			}
		}
		switch {
		case given != 1:
			d.problem(at, "does %s; give one of setWeight, pause and analysis in each step", map[bool]string{true: "nothing", false: "several things"}[given == 0])
		case i == 0 && step.SetWeight == nil:
			d.problem(at, "begins with no requests; set a weight first, such as setWeight: 5")
		}
		if step.Pause != nil {
			c.duration(d, at+".pause.duration", step.Pause.Duration)
		}
		r.checkNamed(d, at, step.Analysis, names)
	}
}

// checkBlueGreen checks the steps around a switch. While one of the two has all requests, the other has none that it could be compared by.
func (r *Rollout) checkBlueGreen(c *checker, d *document, names []string) {
	for _, name := range names {
		if a := r.Analyses[name]; a.Gauge == nil && !a.Pairs() && a.given() == 1 && r.Shadow == nil {
			d.problem("spec.rollout.analyses."+name, "compares requests of both releases, and with blueGreen one of them has none; give a gauge, or canary in place of blueGreen")
		}
	}
	if len(r.BlueGreen.BeforeSwitch) == 0 && len(r.BlueGreen.AfterSwitch) == 0 {
		d.problem("spec.rollout.blueGreen", "waits for nothing, before the switch or after it; give beforeSwitch or afterSwitch, or remove it")
	}
	r.checkSwitchSteps(c, d, "spec.rollout.blueGreen.beforeSwitch", r.BlueGreen.BeforeSwitch, names)
	r.checkSwitchSteps(c, d, "spec.rollout.blueGreen.afterSwitch", r.BlueGreen.AfterSwitch, names)
}

// checkNamed checks the analyses that the step at a path names.
func (r *Rollout) checkNamed(d *document, at string, named, names []string) {
	for k, name := range named {
		if _, declared := r.Analyses[name]; !declared {
			d.problem(fmt.Sprintf("%s.analysis.%d", at, k), "%s is none of the analyses%s", short(name), meantOr(name, names, "declare it in spec.rollout.analyses"))
		}
	}
}

// given is how many things an analysis judges by.
func (a Analysis) given() (n int) {
	for _, is := range []bool{a.Metric != "", a.Log != nil, a.Gauge != nil} {
		if is {
			n++
		}
	}
	return n
}

// checkGauge checks the gauge of an analysis: one that tells of now, and has bounds.
func (a Analysis) checkGauge(c *checker, d *document, at string) {
	a.Gauge.check(c, d, at+".gauge")
	switch {
	case d.has(at + ".margin"):
		d.problem(at+".margin", "is of what compares, and a gauge has bounds of its own; remove it, and give min or max there")
	case a.Gauge.Prometheus == nil && !d.wrong(at+".gauge"):
		d.problem(at+".gauge", "reads files, which say nothing of a release that is tried; name a prometheus")
	}
}

// waitsForItself says how ref, which comes after another, would come after itself; "" where it does not.
func (c *checker) waitsForItself(ref, after Ref) string {
	if after == ref {
		return fmt.Sprintf("%s cannot come after itself; name the deployment that comes first", ref)
	}
	seen := map[Ref]bool{}
	for next := after; !seen[next]; {
		seen[next] = true
		to := c.refs[next]
		if to == nil {
			return ""
		}
		spec, ok := to.decl.Spec.(RolledOut)
		if !ok || spec.Rolls() == nil || spec.Rolls().After == nil {
			return ""
		}
		if next = spec.Rolls().After.Deployment; next == ref {
			return fmt.Sprintf("%s waits for %s in its turn, so that neither is ever released; remove one of the two", after, ref)
		}
	}
	return ""
}

// RolledOut is what takes the place of what serves when, and as, it says.
type RolledOut interface {
	// Rolls is nil where a new release takes its place as soon as it is ready.
	Rolls() *Rollout
	Serves
}

// Rolls is how the deployment is rolled out.
func (s *Deployment) Rolls() *Rollout { return s.Rollout }

// For is how long a must have been served.
func (a *After) For() time.Duration { return a.Soak.Or(0) }

// checkDivided refuses to try releases where nothing divides their requests, or nothing counts what analyses ask for.
func (s *Deployment) checkDivided(d *document) {
	r := s.Rollout
	if !r.Tries() {
		return
	}
	if s.Target.TFServing != nil {
		s.Target.TFServing.checkDivided(d, r)
		return
	}
	if s.Serves().Cluster == "" {
		return
	}
	switch {
	case r.Shadow != nil:
		d.problem("spec.rollout.shadow", "compares answers, and nothing on a cluster does; remove it, or serve by target local or docker")
	case s.Delivery != nil:
		d.problem("spec.rollout", "divides the requests among releases step by step, and what others apply from a branch is applied at once; remove canary or blueGreen, or delivery")
	default:
		s.Target.Kubernetes.checkDivided(d)
		s.Target.KServe.checkDivided(d, r)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Analyses)) {
		if a := r.Analyses[name]; a.Gauge == nil && !a.Pairs() && r.BlueGreen == nil {
			d.problem("spec.rollout.analyses."+name, "compares requests that Vishwa counts, and those of a cluster do not pass it; give a gauge of a Prometheus in its place")
		}
	}
}

// checkDivided refuses pods whose requests no route divides.
func (t *KubernetesTarget) checkDivided(d *document) {
	switch {
	case t == nil:
	case t.Route == nil:
		d.problem("spec.target.kubernetes", "has no route that could divide the requests among two releases; declare one, as route: {gateway: public, host: m.example}, or remove canary or blueGreen from spec.rollout")
	case t.Ingress != nil:
		d.problem("spec.target.kubernetes.ingress", "sends all requests to the release that serves, and canary and blueGreen divide those of route alone; remove it, or canary or blueGreen from spec.rollout")
	}
}
