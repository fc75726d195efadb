// A release that is tried next to the one that serves, and what divides the requests between both by weight: its target's divider. That
// object of the cluster is what says who has which part: whoever comes after a kill reads the weights there.

package kubernetes

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var _ port.Splitter = (*server)(nil)

// whole is what the weights of a route come to.
const whole = 100

// Splits is of the targets that have a divider.
func (s *server) Splits(target string) bool {
	how := s.shapes[target]
	return how != nil && how.divides != nil
}

// Split has r answer its part of the requests that come by the route.
func (s *server) Split(ctx context.Context, r port.Release, part port.Part) (port.Live, error) {
	end, err := s.turn(ctx, r.Name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	rec, err := s.readRecord(r.Name)
	if err == nil {
		err = s.divides(r, part, rec)
	}
	if err == nil {
		err = s.split(ctx, r, part.Weight, &rec)
	}
	if err != nil {
		return port.Live{}, fault.WithHint(fault.New(fault.Of(err), "try %s: %w", r.Name, err), "%s", cmp.Or(fault.HintOf(err), "correct what the message names, then run vishwa apply; the release that serves goes on"))
	}
	return s.observe(ctx, r.Name, rec)
}

// divides refuses what cannot be divided.
func (s *server) divides(r port.Release, part port.Part, rec record) error {
	const way = "remove canary or blueGreen from spec.rollout until it serves so, or promote it past all steps: vishwa rollout promote --full"
	switch {
	case !s.Splits(r.Target()) || r.Git != nil:
		return wrong("remove canary or blueGreen from spec.rollout", "requests are divided among releases that we apply alone")
	case part.Shadow != nil:
		return wrong("remove shadow from spec.rollout, or serve it by target local or docker", "nothing on a cluster compares answers")
	case part.Weight < 0 || part.Weight > whole:
		return wrong("set a weight from 1 to 100: setWeight in the steps of spec.rollout", "%d is not a weight from 0 to %d", part.Weight, whole)
	case rec.Served == nil:
		return fault.WithHint(fault.New(fault.Missing, "nothing serves that a release could be tried next to"), "run vishwa apply: it serves what the branch declares")
	case rec.Served.Key == r.Key:
		return fault.WithHint(fault.New(fault.Conflict, "%s serves already", r.Key.Short()), "run vishwa plan to see what is left to do")
	case cmp.Or(rec.Served.Target, port.TargetKubernetes) != r.Target() || rec.Served.Place.Git != nil:
		return wrong(way, "a release is tried next to one of the same target, and what serves is of another")
	}
	by := s.shapes[r.Target()].divides
	if by.refuse != nil {
		if err := by.refuse(r, part.Weight, *rec.Served); err != nil {
			return err
		}
	}
	if rec.Served.find(by.carrier) == nil {
		return wrong(way, "what serves has no %s that could divide its requests", owned.Kinds[by.carrier.Name])
	}
	return nil
}

// find is the object of a kind that at keeps under the deployment's name; nil where there is none.
func (at standing) find(of kube.Resource) *owned.Object {
	i := slices.IndexFunc(at.Objects, func(o owned.Object) bool { return o.Resource == of })
	if i < 0 {
		return nil
	}
	return &at.Objects[i]
}

// split begins r's pods, waits until they serve, and gives them their weight. What is tried is recorded before anything of it is made.
func (s *server) split(ctx context.Context, r port.Release, weight int, rec *record) error {
	p, _ := s.shapes[r.Target()].part(r)
	w, err := s.plan(ctx, r, p)
	if err != nil {
		return err
	}
	if w.kube, err = s.there(ctx, rec.Served.Place); err != nil {
		return err
	}
	w.Place.UID = rec.Served.Place.UID
	switch {
	case !rec.Served.Place.is(w.Place) || rec.Served.Place.Name != w.Place.Name:
		return wrong("remove canary or blueGreen from spec.rollout until it serves there", "what serves is on cluster %s, and a release is tried next to it", rec.Served.Place.Name)
	case w.Unit == rec.Served.Unit:
		return wrong("vishwa rollout promote --full serves it at once", "its pods are those that serve: there is nothing to compare")
	}
	if err := w.needs(ctx, r); err != nil {
		return err
	}
	if able := w.shape().divides.able; able != nil {
		if err := able(ctx, w.kube, *rec.Served, w.standing); err != nil {
			return err
		}
	}
	if rec.Tried != nil && rec.Tried.Key != r.Key {
		if err := s.untry(ctx, w.kube, w.name, rec); err != nil {
			return err
		}
	}
	fresh := rec.Tried == nil
	if !fresh {
		w.Since = rec.Tried.Since
	}
	fronts := w.server.fronts(w.name, w.standing)
	if err := w.refuse(ctx, append(w.all(), fronts...), false); err != nil {
		return err
	}
	rec.stands(w.Place)
	rec.Tried = &w.standing
	if err := s.writeRecord(w.name, *rec); err != nil {
		return err
	}
	err = s.startBeside(ctx, w, *rec, fronts, r.Timeout)
	if err != nil && fresh && fault.Of(err) != fault.Transient {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), owned.EndWithin)
		defer cancel()
		if left := s.untry(back, w.kube, w.name, rec); left != nil {
			s.o.Env.Log.Warn("what did not become ready stays until the next apply", "why", err, "error", left)
		}
	}
	if err != nil {
		return err
	}
	if err := s.writeRecord(w.name, *rec); err != nil { // with what it was lent
		return err
	}
	return s.weigh(ctx, w.kube, w.name, *rec, weight)
}

// startBeside has w serve next to what serves, reached by its fronts alone.
func (s *server) startBeside(ctx context.Context, w *work, rec record, fronts []owned.Object, within time.Duration) (err error) {
	if w.shape().kept {
		err = w.beginBeside(ctx, rec)
	} else {
		err = w.begin(ctx, rec)
	}
	if err == nil {
		err = s.settle(ctx, w, within)
	}
	for _, front := range fronts {
		if err == nil {
			_, err = w.hand().Put(ctx, front)
		}
		if err == nil {
			err = s.sends(ctx, w.kube, front.Name, w.Unit+"-")
		}
	}
	return err
}

// fronts are what leads to a release that is tried alone, where its target has such a thing: a Service of its pods.
func (s *server) fronts(name string, at standing) []owned.Object {
	of := at.find(kube.Services)
	if of == nil {
		return nil
	}
	spec, _ := of.Body["spec"].(map[string]any)
	return []owned.Object{parts{kube.Services, at.Unit, with(s.labels(name), labelUnit, at.Unit), nil, spec}.object()}
}

// carries refuses to change a carrier that is somebody else's by now: nobody but its owner says who has the requests.
func (s *server) carries(ctx context.Context, c *kube.Client, name string, served standing) error {
	o := served.find(s.shape(served).divides.carrier)
	there, ours, err := s.hand(c, name).Find(ctx, *o)
	if err != nil || there == nil || ours {
		return err
	}
	return fault.WithHint(fault.New(fault.Denied, "%s %s of namespace %s divides the requests, and is not Vishwa's any more", owned.Kinds[o.Resource.Name], o.Name, c.Namespace),
		"see whose it is: kubectl -n %s describe %s %s; give it back its labels, or delete it", c.Namespace, o.Resource, o.Name)
}

// beginBeside has what is tried there, without requests of its own, where it has no unit of its own but the carrier; or with those that it has.
func (w *work) beginBeside(ctx context.Context, rec record) error {
	by := w.shape().divides
	o := rec.Served.find(by.carrier)
	there, _, err := w.hand().Find(ctx, *o)
	if err != nil {
		return err
	}
	weight, _ := by.weight(there, w.standing)
	made, err := w.hand().Put(ctx, by.divided(*rec.Served, w.standing, weight))
	if err != nil {
		return err
	}
	meta := owned.As[conditioned](made).Meta
	if w.Since.IsZero() {
		w.Since = w.kube.Now().UTC().Truncate(time.Second)
	}
	return w.lend(ctx, meta.UID)
}

// untry gives all requests to what serves, and takes away what is tried.
func (s *server) untry(ctx context.Context, c *kube.Client, name string, rec *record) error {
	h, by, tried := s.hand(c, name), s.shape(*rec.Served).divides, *rec.Tried
	if err := s.carries(ctx, c, name, *rec.Served); err != nil {
		return err
	}
	if by.back != nil {
		if err := by.back(ctx, s, c, name, rec); err != nil {
			return err
		}
	} else {
		made, err := h.Put(ctx, *rec.Served.find(by.carrier))
		if err != nil {
			return err
		}
		if err := by.took(ctx, s, c, made, *rec.Served, whole); err != nil {
			return err
		}
	}
	h.Made = rec.made(rec.Served.Place)
	if err := s.prune(ctx, h, rec.Served.Objects); err != nil {
		return err
	}
	rec.outlives(&tried)
	if err := (&work{standing: *rec.Served, server: s, kube: c, name: name}).forgets(ctx, rec); err != nil {
		return err
	}
	s.swept(ctx, name, tried, rec.Served.Laid)
	rec.Tried = nil
	if err := s.writeRecord(name, *rec); err != nil || by.rest == nil {
		return err
	}
	if err := by.rest(ctx, s, c, name, rec); err != nil {
		s.o.Env.Log.Warn("what serves has all requests again, and more pods than it needs until the next change", "deployment", name, "error", err)
	}
	return nil
}

// Join ends what is tried under name.
func (s *server) Join(ctx context.Context, name string, of port.Trial, promote bool) (port.Live, error) {
	end, err := s.turn(ctx, name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	rec, err := s.readRecord(name)
	if err != nil {
		return port.Live{}, err
	}
	t, serves := rec.Tried, rec.Served != nil && rec.Served.Key == of.Key
	switch {
	case rec.Served == nil:
		return port.Live{}, fault.WithHint(fault.New(fault.Missing, "nothing is served as %s on a cluster", name), "run vishwa apply: it serves what the branch declares")
	case serves && !promote:
		return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "%s serves all requests as %s: it was promoted", of.Key.Short(), name), "vishwa rollback serves the release before again")
	case t == nil && !promote:
		return s.observe(ctx, name, rec)
	case !serves && (t == nil || t.Key != of.Key || !of.Since.IsZero() && !of.Since.Equal(t.Since)):
		return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "%s is not tried as %s", of.Key.Short(), name), "run vishwa plan: it shows what is")
	}
	c, err := s.there(ctx, rec.Served.Place)
	switch {
	case err != nil:
		return port.Live{}, err
	case !promote:
		err = s.untry(ctx, c, name, &rec)
	case serves: // whoever promoted it may have been killed before the old one was gone
		h := s.hand(c, name)
		h.Made = rec.made(rec.Served.Place)
		err = s.prune(ctx, h, rec.Served.Objects)
		if err == nil {
			err = (&work{standing: *rec.Served, server: s, kube: c, name: name}).forgets(ctx, &rec)
		}
		if err == nil {
			s.swept(ctx, name, *rec.Served, rec.Served.Laid)
			err = s.writeRecord(name, rec)
		}
	default:
		return s.promote(ctx, c, name, rec)
	}
	if err != nil {
		return port.Live{}, err
	}
	return s.observe(ctx, name, rec)
}

// promote has what is tried serve all requests. From the record on it is what serves: one that is killed after that is gone on with
// as a change of what is declared is healed.
func (s *server) promote(ctx context.Context, c *kube.Client, name string, rec record) (port.Live, error) {
	w := &work{standing: *rec.Tried, server: s, kube: c, name: name}
	for _, o := range w.Objects {
		switch {
		case o.Resource == kube.SeldonServers:
			w.hosts = append(w.hosts, o)
		case o.Name == w.Unit:
			w.units = append(w.units, o)
		case o.Resource == kube.Services: // first: both that the route divides the requests between lead to the same pods then
			w.fronts = slices.Insert(w.fronts, 0, o)
		default:
			w.fronts = append(w.fronts, o)
		}
	}
	st, err := w.shape().stands(ctx, s, c, name, w.standing)
	if err != nil {
		return port.Live{}, err
	}
	if st.Serving == 0 {
		return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "the release that is tried as %s does not answer: %s", name, st.Reason), "see vishwa rollout status; vishwa rollout abort gives it up")
	}
	if err := s.carries(ctx, c, name, *rec.Served); err != nil {
		return port.Live{}, err
	}
	rec.outlives(rec.Served)
	if err := s.writeRecord(name, record{Places: rec.Places, Served: &w.standing, Forget: rec.Forget}); err != nil {
		return port.Live{}, err
	}
	for _, o := range w.fronts {
		made, err := w.hand().Put(ctx, o)
		if err == nil && o.Resource == kube.Services {
			err = s.reached(ctx, w)
		}
		if by := w.shape().divides; err == nil && o.Resource == by.carrier && w.shape().routed == nil { // else it is waited for next
			err = by.took(ctx, s, c, made, w.standing, whole)
		}
		if err != nil {
			return port.Live{}, err
		}
	}
	rec.Tried = nil
	return s.succeed(ctx, w, rec)
}

// beside is how what is tried stands, by the cluster's word; and what serves is then to be with the weight that is found. What the cluster does not say is an error, and no release that fails.
func (s *server) beside(ctx context.Context, c *kube.Client, name string, rec *record) (*port.Trial, error) {
	t, served := rec.Tried, *rec.Served
	out := &port.Trial{Key: t.Key, Model: t.Model, Since: t.Since, Health: port.Failing}
	by := s.shape(served).divides
	var live map[string]any
	if err := c.Get(ctx, by.carrier, served.find(by.carrier).Name, &live); err != nil && fault.Of(err) != fault.Missing {
		return nil, err
	}
	served.Objects = slices.Clone(served.Objects)
	if weight, named := by.weight(live, *t); named && weight >= 0 && weight <= whole {
		out.Weight = weight
		*served.find(by.carrier) = by.divided(*rec.Served, *t, weight)
	} else if by.held != nil {
		*served.find(by.carrier) = by.held(*served.find(by.carrier))
	}
	rec.Served = &served
	drift, err := s.differs(ctx, c, name, append(unitsOf(*t), s.fronts(name, *t)...))
	if err != nil {
		return nil, err
	}
	if out.Message = drift; drift != "" {
		return out, nil
	}
	st, err := s.shape(*t).stands(ctx, s, c, name, *t)
	if err != nil {
		return nil, err
	}
	if out.Message = st.Reason; st.Serving > 0 {
		out.Health = port.Ready
	}
	return out, nil
}

// unitsOf are the objects that are as long there as a release, and what it is served by.
func unitsOf(at standing) (out []owned.Object) {
	for _, o := range at.Objects {
		if o.Name == at.Unit || o.Resource == kube.SeldonServers {
			out = append(out, o)
		}
	}
	return out
}
