// A release that is tried next to the one that serves: another version, which is loaded beside it and which a label of its own leads to. The
// server divides no requests; the deployment's label leads to one of the two. Where it leads says models.config alone.

package tfserving

import (
	"cmp"
	"context"
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tfconfig"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var _ port.Splitter = (*server)(nil)

// whole is all of the requests.
const whole = 100

// Splits is of the one target that there is.
func (s *server) Splits(target string) bool { return target == port.TargetTFServing }

// trialLabel leads to what is tried, next to a label that leads to what serves.
func trialLabel(label string) string {
	if label == "canary" {
		return "next"
	}
	return "canary"
}

// Split has r loaded next to what serves, and the label lead to one of the two.
func (s *server) Split(ctx context.Context, r port.Release, part port.Part) (port.Live, error) {
	end, err := s.turn(ctx, r.Name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	all, err := s.readKnown(r.Name)
	if err == nil {
		err = s.divides(r, part, all)
	}
	if err == nil {
		err = s.split(ctx, r, part.Weight, all)
	}
	if err != nil {
		return port.Live{}, fault.WithHint(fault.New(fault.Of(err), "try %s: %w", r.Name, err), "%s", cmp.Or(fault.HintOf(err), "correct what the message names, then run vishwa apply; the release that serves goes on"))
	}
	return s.observe(ctx, r.Name, all)
}

func wrong(way, format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, format, args...), "%s", way)
}

// divides refuses what cannot be tried.
func (s *server) divides(r port.Release, part port.Part, all known) error {
	switch {
	case r.TFServing == nil:
		return fault.New(fault.Internal, "release %s is of target %q, and not of TensorFlow Serving", r.Name, r.Target())
	case part.Shadow != nil:
		return wrong("remove shadow from spec.rollout, or serve it by target local or docker", "a model server compares no answers")
	case part.Weight < 0 || part.Weight > whole:
		return wrong("declare blueGreen in place of canary", "%d is not a weight from 0 to %d", part.Weight, whole)
	case part.Weight != 0 && part.Weight != whole:
		return wrong("declare blueGreen in place of canary", "TensorFlow Serving divides no requests: its label leads to one version")
	case all.Served == nil:
		return fault.WithHint(fault.New(fault.Missing, "nothing serves that a release could be tried next to"), "run vishwa apply: it serves what the branch declares")
	case !all.Places[0].same(place{r.TFServing.Server, s.o.Servers[r.TFServing.Server]}):
		return wrong("remove blueGreen from spec.rollout until it serves there", "what serves is on model server %s, and a release is tried next to it", all.Places[0].Name)
	}
	return nil
}

func (s *server) split(ctx context.Context, r port.Release, weight int, all known) error {
	w, err := s.plan(ctx, r, all)
	if err != nil {
		return err
	}
	defer w.root.Close()
	at := w.rec.Served
	switch {
	case at == nil:
		return fault.WithHint(fault.New(fault.Missing, "nothing serves that a release could be tried next to"), "run vishwa apply: it serves what the branch declares")
	case at.Key == w.key:
		return fault.WithHint(fault.New(fault.Conflict, "%s serves already", w.key.Short()), "run vishwa plan to see what is left to do")
	case at.Label != w.label:
		return wrong("vishwa rollout promote --full serves it at once", "it has the label %s, and what serves has %s: one label leads to one of two releases", w.label, at.Label)
	case at.Model == w.model:
		return wrong("vishwa rollout promote --full serves it at once", "its model is the one that serves: there is nothing to compare")
	}
	if t := w.rec.Tried; t != nil && t.Key != w.key {
		if err := w.untry(ctx); err != nil {
			return err
		}
	}
	fresh := w.rec.Tried == nil
	err = w.loadBeside(ctx)
	if err != nil && fresh {
		w.rec.Tried = nil
		w.undo(err)
	}
	if err != nil {
		return err
	}
	return w.lead(ctx, weight)
}

// loadBeside has w's version available next to the one that serves; the label stays where it is.
func (w *work) loadBeside(ctx context.Context) error {
	seen, err := w.server.ask(ctx, address(w.place.At.URL, w.name, ""))
	if err != nil {
		return err
	}
	if err := w.choose(ctx, seen); err != nil {
		return err
	}
	at, tried := *w.rec.Served, standing{Key: w.key, Model: w.model, Version: w.number, Label: trialLabel(w.label), Since: w.server.o.Env.Now().UTC()}
	if t := w.rec.Tried; t != nil {
		tried.Since = t.Since
	}
	labels := map[string]int64{}
	if weight, _ := w.leadsTo(at, tried); weight == whole && of(seen, w.number).available() {
		labels[at.Label], labels[tried.Label] = w.number, w.number
	} else if of(seen, at.Version).available() {
		labels[at.Label] = at.Version
	}
	w.rec.Tried = &tried
	return w.load(ctx, []int64{at.Version}, labels)
}

// lead has the label lead to what is tried, where it is to have all requests, and else to what serves.
func (w *work) lead(ctx context.Context, weight int) error {
	at, tried := *w.rec.Served, *w.rec.Tried
	to := at.Version
	if weight == whole {
		to = tried.Version
	}
	if err := w.configure(ctx, w.config([]int64{at.Version, tried.Version}, map[string]int64{at.Label: to, tried.Label: tried.Version})); err != nil {
		return err
	}
	if err := w.leads(ctx, tried.Label, tried.Version); err != nil {
		return err
	}
	return w.leads(ctx, at.Label, to)
}

// leadsTo is how much of the requests what is tried has by models.config, and whether that has the model as it is while it is tried: or
// as it was before, as a controller may have been killed.
func (w *work) leadsTo(at, tried standing) (weight int, known bool) {
	one := func(versions []int64, labels map[string]int64) bool {
		return w.there.Says(tfconfig.Model{Name: w.name, BasePath: w.server.base(w.place, w.name), Versions: versions, Labels: labels})
	}
	both := []int64{min(at.Version, tried.Version), max(at.Version, tried.Version)}
	switch {
	case one(both, map[string]int64{at.Label: tried.Version, tried.Label: tried.Version}):
		return whole, true
	case one(both, map[string]int64{at.Label: at.Version, tried.Label: tried.Version}), one(both, map[string]int64{at.Label: at.Version}),
		one([]int64{at.Version}, map[string]int64{at.Label: at.Version}):
		return 0, true
	}
	return 0, false
}

// untry has what serves serve alone again: the label first, and then what was tried ends.
func (w *work) untry(ctx context.Context) error {
	of, at := *w, *w.rec.Served
	of.number, of.label = at.Version, at.Label
	if err := of.configure(ctx, of.config([]int64{at.Version, w.rec.Tried.Version}, map[string]int64{at.Label: at.Version})); err != nil {
		return err
	}
	if err := of.leads(ctx, at.Label, at.Version); err != nil {
		return err
	}
	w.rec.Tried, of.rec.Tried = nil, nil
	if err := of.writeRecord(ctx); err != nil {
		return err
	}
	return of.finish(ctx)
}

// Join ends what is tried under name.
func (s *server) Join(ctx context.Context, name string, is port.Trial, promote bool) (port.Live, error) {
	end, err := s.turn(ctx, name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	all, err := s.readKnown(name)
	if err != nil {
		return port.Live{}, err
	}
	if all.Served == nil {
		return port.Live{}, fault.WithHint(fault.New(fault.Missing, "nothing is served as %s by a model server", name), "run vishwa apply: it serves what the branch declares")
	}
	w, err := s.standingWork(ctx, name, all.Places[0])
	if err != nil {
		return port.Live{}, err
	}
	defer w.root.Close()
	if w.rec.Served == nil {
		w.rec.Served = all.Served
	}
	t, serves := w.rec.Tried, w.rec.Served.Key == is.Key
	switch {
	case serves && !promote:
		return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "%s serves all requests as %s: it was promoted", is.Key.Short(), name), "vishwa rollback serves the release before again")
	case t == nil && !promote:
		return s.observe(ctx, name, all)
	case !serves && (t == nil || t.Key != is.Key || !is.Since.IsZero() && !is.Since.Equal(t.Since)):
		return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "%s is not tried as %s", is.Key.Short(), name), "run vishwa plan: it shows what is")
	case !promote:
		err = w.untry(ctx)
	case serves: // whoever promoted it may have been killed before the old one was gone
		w.number, w.label = w.rec.Served.Version, w.rec.Served.Label
		err = w.finish(ctx)
	default:
		err = w.promote(ctx)
	}
	if err != nil {
		return port.Live{}, fault.WithHint(fault.New(fault.Of(err), "end what is tried as %s: %w", name, err), "%s", cmp.Or(fault.HintOf(err), "see what the server says; what serves goes on"))
	}
	all.Served = w.rec.Served
	if err := s.writeKnown(name, all); err != nil {
		return port.Live{}, err
	}
	return s.observe(ctx, name, all)
}

// standingWork is about what stands under a name, as it is recorded.
func (s *server) standingWork(ctx context.Context, name string, p place) (w *work, err error) {
	w = &work{server: s, name: name, place: p, within: s.o.Unload}
	if w.root, err = s.enter(p); err != nil {
		return nil, err
	}
	var ours bool
	if w.there, err = readConfig(ctx, w.root); err == nil {
		w.rec, ours, err = s.readRecord(ctx, w.root, name)
	}
	if err == nil && !ours {
		err = fault.WithHint(fault.New(fault.Missing, "what is recorded of %s on model server %s is not there", name, p.Name), "run vishwa apply: it is made as declared again")
	}
	if err != nil {
		w.root.Close()
		return nil, err
	}
	return w, nil
}

// promote has what is tried serve, and what served end.
func (w *work) promote(ctx context.Context) error {
	if err := w.lead(ctx, whole); err != nil {
		return err
	}
	now := *w.rec.Tried
	now.Label = w.rec.Served.Label
	w.rec.Served, w.rec.Tried = &now, nil
	w.number, w.label = now.Version, now.Label
	if err := w.writeRecord(ctx); err != nil {
		return err
	}
	return w.finish(ctx)
}

// beside is how what is tried stands.
func (w *work) beside(ctx context.Context, seen []version, weight int) *port.Trial {
	t := w.rec.Tried
	out := &port.Trial{Key: t.Key, Model: t.Model, Since: t.Since, Weight: weight, Health: port.Failing}
	found, err := w.differs(ctx, t.Version, w.rec.Versions[t.Version].Files, false)
	v := of(seen, t.Version)
	switch {
	case err != nil:
		out.Message = "the files of version " + strconv.FormatInt(t.Version, 10) + " cannot be looked at: " + err.Error()
	case len(found) > 0:
		out.Message = "files of version " + strconv.FormatInt(t.Version, 10) + " were changed or removed: " + found[0]
	case v.failed() != "":
		out.Message = v.failed()
	case !v.available():
		out.Message = "the server has not loaded version " + strconv.FormatInt(t.Version, 10)
	default:
		out.Health = port.Ready
	}
	return out
}

// again has both versions as they were recorded, and the label lead where it led.
func (w *work) again(ctx context.Context) error {
	at, tried := *w.rec.Served, *w.rec.Tried
	weight, _ := w.leadsTo(at, tried)
	for _, one := range []standing{at, tried} {
		w.files, w.model = w.rec.Versions[one.Version].Files, one.Model
		if err := w.lay(ctx, one.Version); err != nil {
			return err
		}
	}
	seen, err := w.server.ask(ctx, address(w.place.At.URL, w.name, ""))
	if err != nil {
		return err
	}
	labels, both := map[string]int64{}, []int64{at.Version, tried.Version}
	if of(seen, at.Version).available() {
		labels[at.Label] = at.Version
	}
	if err := w.configure(ctx, w.config(both, labels)); err != nil {
		return err
	}
	if err := w.until(ctx, w.within, "both versions are available", func(seen []version) (bool, error) {
		return of(seen, at.Version).available() && of(seen, tried.Version).available(), nil
	}); err != nil {
		return err
	}
	return w.lead(ctx, weight)
}
