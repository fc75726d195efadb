// What a schema cannot say of a Monitor: statistics that there are, refs that fit, bounds that
// bound.

package schemas

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Statistics are the names that a column's method may have, as package drift offers them; the
// value says whether it takes numbers, categories or both. A test of package watch holds both
// lists together.
var Statistics = map[string]string{
	"auto": "both", "anderson": "number", "chisquare": "category", "cramer_von_mises": "number", "ed": "number", "es": "number",
	"fisher_exact": "category", "g_test": "category", "hellinger": "both", "jensenshannon": "both", "kl_div": "both", "ks": "number",
	"mannw": "number", "psi": "both", "t_test": "number", "wasserstein": "number", "z": "category",
}

// textual are statistics of Evidently that there are none of here.
var textual = map[string]string{
	"TVD":                     "is not offered: its p-value is drawn at random",
	"empirical_mmd":           "is not offered: its p-value is drawn at random",
	"perc_text_content_drift": "is for text, which is not compared; leave the column out",
	"abs_text_content_drift":  "is for text, which is not compared; leave the column out",
}

func (s *Monitor) check(c *checker, d *document) {
	schedule(d, "spec.schedule", s.Schedule)
	c.ref(d, "spec.deployment", s.Deployment, func(t Traits) bool { return t.Serves })
	s.reference(c, d)
	pinned := func(t Traits) bool { return t.Pinned }
	c.ref(d, "spec.current.from", s.Current.From, pinned)
	c.duration(d, "spec.current.window", s.Current.Window)
	if s.Current.Season != nil && s.Current.Window == "" && !d.wrong("spec.current.window") {
		d.problem("spec.current.season", "needs to know how far back the window goes; declare spec.current.window")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Columns)) {
		s.Columns[name].check(c, d, "spec.columns."+name)
	}
	if p := s.Persistence; p != nil && p.Violations > p.Of && p.Of > 0 {
		d.problem("spec.persistence.violations", "%d of %d windows cannot be; ask for %d at most", p.Violations, p.Of, p.Of)
	}
	if s.Labels != nil {
		c.ref(d, "spec.labels.from", s.Labels.From, pinned)
		c.duration(d, "spec.labels.within", s.Labels.Within)
	}
	for i, g := range s.Gates {
		at := fmt.Sprintf("spec.gates.%d", i)
		bounded(d, at, g.Min, g.Max)
		if s.Labels == nil && s.Estimate == "" && !d.wrong("spec.labels") {
			d.problem(at, "can never be judged: outcomes are found nowhere; give spec.labels")
		}
	}
	for i, g := range s.Gauges {
		g.check(c, d, fmt.Sprintf("spec.gauges.%d", i))
	}
	if s.OnDrift != nil {
		s.OnDrift.check(c, d)
	}
	s.envelope(c, d)
}

// reference checks that there is one.
func (s *Monitor) reference(c *checker, d *document) {
	const at = "spec.baseline"
	switch {
	case s.Baseline == nil && s.Reference == (Ref{}) && !d.wrong("spec.reference") && !d.wrong(at) && !d.has(at):
		d.problem("spec.deployment", "is compared with nothing; name the data that its model was trained on in spec.reference, or give spec.baseline: {rows: 5000}")
	case s.Baseline == nil:
		c.output(d, "spec.reference", s.Reference)
	case s.Reference != (Ref{}) || d.wrong("spec.reference"):
		d.problem(at, "is the reference of a monitor without another; remove one of baseline and reference")
	case s.Current.Season != nil:
		d.problem(at, "is of the hours in which the model was asked first, and cannot be narrowed to others; remove spec.current.season")
	case s.Estimate != "":
		d.problem("spec.estimate", "needs a reference with outcomes, and a baseline has none; name the data that the model was trained on in spec.reference")
	}
}

// WithinEnvelope is how a monitor says that what it proposes may be merged without a person.
const WithinEnvelope = "within-envelope"

// envelope checks that an envelope is there where it is asked for, and bounds what there is.
func (s *Monitor) envelope(c *checker, d *document) {
	const at = "spec.envelope"
	asked := s.OnDrift != nil && s.OnDrift.Retrain == WithinEnvelope
	switch {
	case asked && s.Envelope == nil && !d.wrong(at) && !d.has(at):
		d.problem("spec.onDrift.retrain", "says within-envelope, and there is none; declare spec.envelope, or say pull-request")
	case !asked && s.Envelope != nil && !d.wrong("spec.onDrift.retrain"):
		d.problem(at, "is there, and nothing is merged by it; say retrain: within-envelope below spec.onDrift, or remove it")
	}
	if s.Envelope == nil {
		return
	}
	for i, ref := range s.Envelope.Data {
		field := fmt.Sprintf("%s.data.%d", at, i)
		if c.ref(d, field, ref, func(t Traits) bool { return t.Pinned }) != nil && s.OnDrift != nil && !slices.Contains(s.OnDrift.Data, ref) {
			d.problem(field, "%s is moved by no proposal; list it below spec.onDrift.data too, or remove it", ref)
		}
	}
	if len(s.Envelope.Data) == 0 && !s.Envelope.Rounds && !d.wrong(at+".data") {
		d.problem(at, "lets nothing by; list data whose pins may move, or say rounds: true")
	}
	for i, m := range s.Envelope.Metrics {
		ordered(d, fmt.Sprintf("%s.metrics.%d", at, i), m.Min, m.Max)
	}
}

func (w Watching) check(c *checker, d *document, at string) {
	takes, known := Statistics[w.Method]
	switch {
	case w.Method == "":
		return
	case textual[w.Method] != "":
		d.problem(at+".method", "%s %s", w.Method, textual[w.Method])
	case !known:
		var names []string
		if c.repo.guesses.may(w.Method, len(Statistics)) {
			names = slices.Sorted(maps.Keys(Statistics))
		}
		d.problem(at+".method", "there is no statistic %s%s", short(w.Method), meantOr(w.Method, names, "name one of "+strings.Join(slices.Sorted(maps.Keys(Statistics)), ", ")))
	case takes != "both" && w.Type != "" && takes != w.Type:
		d.problem(at+".method", "%s is of %s columns, and this one is a %s; name another", w.Method, takes, w.Type)
	}
}

func (g Gauge) check(c *checker, d *document, at string) {
	var given []string
	for _, name := range namesOfGauges {
		if d.has(at + "." + name) {
			given = append(given, name)
		}
	}
	switch {
	case len(given) > 1:
		d.problem(at+"."+given[1], "and %s are both given, but a gauge is one; make two of them", given[0])
	case len(given) == 0 && !d.wrong(at):
		d.problem(at, "measures nothing; give one of %s", strings.Join(namesOfGauges, ", "))
	}
	if p := g.Prometheus; p != nil {
		bounded(d, at+".prometheus", p.Min, p.Max)
		c.duration(d, at+".prometheus.for", p.For)
		withoutCredential(d, at+".prometheus.url", p.URL, "name the variable in token")
	}
	if e := g.Evidently; e != nil {
		c.path(d, at+".evidently.report", e.Report, file)
	}
	if w := g.Whylogs; w != nil {
		c.fileOrObject(d, at+".whylogs.profile", w.Profile)
		c.fileOrObject(d, at+".whylogs.reference", w.Reference)
		withoutCredential(d, at+".whylogs.endpoint", w.Endpoint, "have whoever runs Vishwa give it")
	}
}

// fileOrObject checks a file of the repository, or an object of a bucket.
func (c *checker) fileOrObject(d *document, field, place string) {
	bucket, key, remote := InBucket(place)
	switch {
	case !remote:
		c.path(d, field, place, file)
	case bucket == "" || key == "":
		d.problem(field, "names no object; write s3://BUCKET/KEY")
	}
}

// InBucket is the bucket and the key of s3://bucket/key.
func InBucket(place string) (bucket, key string, is bool) {
	rest, is := strings.CutPrefix(place, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, is
}

var namesOfGauges = []string{"prometheus", "evidently", "whylogs"}

func (r *Retrain) check(c *checker, d *document) {
	if r == nil {
		return
	}
	schedule(d, "spec.retrain.schedule", r.Schedule)
	c.moving(d, "spec.retrain.data", r.Data)
}

// Calendars is what may be done again when its time has come.
type Calendars interface {
	Calendar() *Retrain // nil: never by itself
}

func (s *Training) Calendar() *Retrain { return s.Retrain }

// Times has the controller look when its time has come.
func (s *Training) Times() string {
	if s.Retrain == nil {
		return ""
	}
	return s.Retrain.Schedule
}

func (o *OnDrift) check(c *checker, d *document) {
	c.moving(d, "spec.onDrift.data", o.Data)
	c.duration(d, "spec.onDrift.cooldown", o.Cooldown)
	if o.Budget != nil {
		c.duration(d, "spec.onDrift.budget.per", o.Budget.Per)
	}
}

// moving checks datasets whose pins are to move.
func (c *checker) moving(d *document, field string, data []Ref) {
	seen := map[Ref]bool{}
	for i, ref := range data {
		at := fmt.Sprintf("%s.%d", field, i)
		if seen[ref] && ref != (Ref{}) {
			d.problem(at, "%s is listed twice; remove one", ref)
			continue
		}
		seen[ref] = true
		if to := c.ref(d, at, ref, func(t Traits) bool { return t.Pinned }); to != nil {
			if data, ok := to.decl.Spec.(Data); ok && !data.Data().Source.Mutable() && !to.full() {
				d.problem(at, "%s changes with commits alone, so that its pin cannot move; name one whose source is mutable", ref)
			}
		}
	}
}

// bounded reports bounds that bound nothing.
func bounded(d *document, at string, low, high *float64) {
	if low == nil && high == nil && d.has(at) && !d.wrong(at) {
		d.problem(at, "bounds nothing; give min or max")
	}
	for _, b := range []*float64{low, high} {
		if b != nil && (math.IsNaN(*b) || math.IsInf(*b, 0)) {
			d.problem(at, "a bound is not a number; give one")
		}
	}
	ordered(d, at, low, high)
}

// output checks a ref to data: a dataset, or one output of a transform.
func (c *checker) output(d *document, field string, ref Ref) {
	to := c.ref(d, field, ref, func(t Traits) bool { return t.Input })
	if to == nil || to.decl.Traits().Outputs != NamedOutputs {
		return
	}
	run, ok := to.decl.Spec.(Runnable)
	if !ok {
		return
	}
	made, _ := run.Writes()
	outputs := slices.Sorted(maps.Keys(made))
	switch _, there := made[ref.Output]; {
	case to.full() || there || ref.Output == "" && len(made) < 2 || to.has("spec.outputs."+ref.Output):
	case ref.Output == "":
		d.problem(field, "%s has %d outputs; name one, such as %s:%s", ref, len(outputs), ref, outputs[0])
	case !c.repo.guesses.may(ref.Output, len(made)):
		d.problem(field, "%s has no such output; name one that it declares", ref)
	default:
		d.problem(field, "%s has no output %s%s", ref.Whole(), ref.Output, meantOr(ref.Output, outputs, "declare it"))
	}
}

// Watches holds what is served against what its model was trained on.
type Watches interface {
	Watches() *Monitor
}

func (s *Monitor) Watches() *Monitor { return s }
func (s *Monitor) Times() string     { return s.Schedule }

// Rounds is what may be trained again though nothing of it has changed.
type Rounds interface {
	Rounds() *Round
}

func (s *Training) Rounds() *Round { return s.Round }
