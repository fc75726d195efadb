// Delivery by a branch: what would be applied is written to a file of the repository, and Argo CD or Flux applies it. The
// order of a change is the same as elsewhere, one commit a step: the new release begins next to the old one, has the
// requests once the cluster tells that it is ready, and then the old one goes.

package kubernetes

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// noteDelivered is the annotation of where an object is written, for who lost what was recorded here.
const noteDelivered = "vishwa.dev/delivered"

// noteDelivery has the units say where they are written.
func (w *work) noteDelivery() {
	if w.Place.Git == nil {
		return
	}
	for _, o := range slices.Concat(w.hosts, w.units) {
		meta, _ := o.Body["metadata"].(map[string]any)
		notes, _ := meta["annotations"].(map[string]any)
		if notes == nil {
			notes = map[string]any{}
		}
		notes[noteDelivered] = w.Place.Git.Branch + ":" + w.Place.Git.Path
		meta["annotations"] = notes
	}
}

// deliveredBy is where an object says that it is written; nil where it says nothing that could be.
func deliveredBy(m status.Meta) *schemas.GitDelivery {
	branch, path, is := strings.Cut(m.Annotations[noteDelivered], ":")
	if g := (schemas.GitDelivery{Branch: branch, Path: path}); is && g.Reserved("") == "" && g.Escapes() == "" {
		return &g
	}
	return nil
}

// delivers refuses a change of how, or where, something is delivered that serves: who applies the old place would take
// away what the new one just made, as both have one name. A branch that cannot be written to is refused before it is
// recorded, and one where nothing ever came to be is forgotten: what is corrected then is no change.
func (w *work) delivers(ctx context.Context, rec *record, standing []place) error {
	if g := w.Place.Git; g != nil {
		if w.server.o.Branch == nil {
			return fault.New(fault.Internal, "%s is delivered on branch %s, and there is no repository", w.name, g.Branch)
		}
		d, err := w.server.delivery(w.name, w.Place)
		if err == nil {
			_, err = d.readFile(ctx)
		}
		if err != nil {
			return err
		}
	}
	for _, p := range slices.Clone(standing) {
		was, is := p.Git, w.Place.Git
		same := was == nil && is == nil || was != nil && is != nil && *was == *is && (p.is(w.Place) || w.anew(p))
		if !same && rec.Served == nil && w.server.vacant(ctx, w.name, p) {
			rec.Places = slices.DeleteFunc(rec.Places, func(other place) bool { return other.is(p) && other.Git == p.Git })
			continue
		}
		if !same {
			return fault.WithHint(fault.New(fault.Conflict, "it is %s, and would be %s", p.by(), w.Place.by()),
				"declare it under another name, and take the old declaration out once the new one serves")
		}
	}
	return nil
}

// vacant tells whether a branch has nothing for name at p.
func (s *server) vacant(ctx context.Context, name string, p place) bool {
	if p.Git == nil {
		return false
	}
	d, err := s.delivery(name, p)
	if err != nil {
		return fault.Of(err) == fault.Denied // nothing is delivered there
	}
	_, err = d.readFile(ctx)
	return d.raw == nil && (err == nil || fault.Of(err) == fault.Denied)
}

// by is how what is declared comes to a place.
func (p place) by() string {
	if p.Git == nil {
		return "applied to cluster " + p.Name + " by Vishwa"
	}
	return "delivered to cluster " + p.Name + " by " + p.Git.Path + " of branch " + p.Git.Branch
}

// deliver is serve, for what others apply.
func (s *server) deliver(ctx context.Context, w *work, rec record, within time.Duration) (port.Live, error) {
	d, err := s.delivery(w.name, w.Place)
	if err != nil {
		return port.Live{}, err
	}
	stood, err := d.readFile(ctx)
	if err != nil {
		return port.Live{}, err
	}
	mine := slices.Contains(rec.Wrote, digest.Of(d.raw)) // as it is read: a step of ours adds to what we wrote
	if d.raw != nil && !mine && !d.sealed(d.raw) {
		if stood, err = w.restored(d, rec, stood); err != nil {
			return port.Live{}, err
		}
	}
	back, err := w.before(ctx, rec, mine, stood)
	if err != nil {
		return port.Live{}, err
	}
	if began, err := w.beginOn(ctx, d, &rec, stood, within); err != nil {
		switch kind := fault.Of(err); {
		case w.served || kind == fault.Transient || kind == fault.Cancelled && !w.shape().kept:
		case began:
			w.takeBack(ctx, d, &rec, back, stood)
		case kind != fault.Conflict: // else whoever wrote it meanwhile may have begun the same
			w.unbring(ctx, stood)
		}
		return port.Live{}, err
	}
	if err := d.write(ctx, &rec, over(stood, w.Objects...), "Send the requests for "+w.name+" to "+w.Unit); err != nil {
		return port.Live{}, err
	}
	if err := w.taken(ctx, w.fronts, within); err != nil {
		return port.Live{}, err
	}
	if err := s.reached(ctx, w); err != nil {
		return port.Live{}, err
	}
	if err := s.route(ctx, w); err != nil {
		return port.Live{}, err
	}
	old := rec.Served
	rec.Served, rec.Places = &w.standing, []place{w.Place}
	if err := s.writeRecord(w.name, rec); err != nil {
		return port.Live{}, err
	}
	if err := d.end(ctx, w.kube, &rec, stood, w.Objects, "End what "+w.name+" was before "+w.Unit); err != nil {
		return port.Live{}, err
	}
	if err := s.unlend(ctx, w.kube, stood, w.Objects); err != nil {
		return port.Live{}, err
	}
	if old != nil && old.Laid != w.Laid {
		s.unlay(ctx, old.Laid)
	}
	return s.observe(ctx, w.name, rec)
}

// restored is what stood before somebody changed the file: what they wrote is never written again, under our name. It is
// what is recorded here, or what is declared, where the file goes on from that.
func (w *work) restored(d *delivery, rec record, stood []owned.Object) ([]owned.Object, error) {
	key := keyOf(stood)
	switch old := rec.Served; {
	case old != nil && (w.served || holds(stood, old.Objects) || key != "" && key == keyOf(old.Objects)):
		return old.Objects, nil
	case key != "" && key == keyOf(w.Objects):
		return w.Objects, nil
	}
	return nil, fault.WithHint(fault.New(fault.Conflict, "somebody changed %s of branch %s, and what it was is not recorded here", d.file(), d.at.Git.Branch),
		"put it back as Vishwa last wrote it, by git revert on %s; git log %s -- %s shows who changed it; then run vishwa apply", d.at.Git.Branch, d.at.Git.Branch, d.file())
}

// beginOn has the units written beside what stood, and waits until they serve; began tells whether they are written.
func (w *work) beginOn(ctx context.Context, d *delivery, rec *record, stood []owned.Object, within time.Duration) (began bool, err error) {
	if err := w.lay(ctx); err != nil {
		return false, err
	}
	if w.Since = w.kube.Now().UTC().Truncate(time.Second); rec.Served != nil && rec.Served.Unit == w.Unit {
		w.Since = rec.Served.Since
	}
	if err := w.lend(ctx, ""); err != nil {
		return false, err
	}
	if err := d.write(ctx, rec, over(stood, slices.Concat(w.hosts, w.units)...), "Begin "+w.Unit+" for "+w.name); err != nil {
		return false, err
	}
	if err := w.taken(ctx, slices.Concat(w.hosts, w.units), within); err != nil {
		return true, err
	}
	return true, w.server.settle(ctx, w, within)
}

// before is what the file is to hold where the release does not become ready: what stood without it, and never less than
// what serves. A release that has the requests by what stood is one that serves, also where the record of this machine
// does not say so: it may be missing, or be older than what another replica made since.
func (w *work) before(ctx context.Context, rec record, mine bool, stood []owned.Object) ([]owned.Object, error) {
	if old := rec.Served; mine && old != nil && old.Unit != w.Unit {
		goesOn := holds(stood, old.Objects)
		if !goesOn && w.shape().kept { // written already, and the pods before it are there until its own are ready
			st, err := w.server.shape(*old).stands(ctx, w.server, w.kube, w.name, *old)
			if err != nil && fault.Of(err) != fault.Missing {
				return nil, err
			}
			goesOn = err == nil && st.Serving > 0
		}
		if goesOn { // and what was begun in between, and never ended, goes too
			return old.Objects, nil
		}
	}
	w.served = w.served || slices.ContainsFunc(stood, func(o owned.Object) bool {
		if bears[o.Resource] != nil {
			return unitIn(o) == w.Unit
		}
		return unitIn(o) == "" && names(o.Body["spec"], w.Unit)
	})
	return without(stood, w.Unit), nil
}

// takeBack takes out of the file what this release put in.
func (w *work) takeBack(ctx context.Context, d *delivery, rec *record, back, stood []owned.Object) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := d.end(ctx, w.kube, rec, over(stood, w.hosts...), back, "Take back "+w.Unit+", which does not become ready")
	if err == nil {
		err = w.taken(ctx, back, 20*time.Second)
	}
	if err != nil {
		w.server.o.Env.Log.Warn("what did not become ready stays until the next apply", "file", d.file(), "branch", d.at.Git.Branch, "error", err)
		return
	}
	w.unbring(ctx, back, stood...)
}

// unbring takes away what the pods of the release, and of what went with it, read, but for those that stay.
func (w *work) unbring(ctx context.Context, stay []owned.Object, went ...owned.Object) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := w.server.unlend(ctx, w.kube, slices.Concat(went, w.units), stay); err != nil {
		w.server.o.Env.Log.Warn("the Secret of what did not become ready stays", "namespace", w.Place.At.Namespace, "error", err)
	}
	if w.fresh {
		w.server.unlay(ctx, w.Laid)
	}
}

// without are the objects but for those of a unit, and but for Servers that loaded nothing else.
func without(all []owned.Object, unit string) []owned.Object {
	stay := slices.DeleteFunc(slices.Clone(all), func(o owned.Object) bool { return unitIn(o) == unit })
	return slices.DeleteFunc(stay, func(o owned.Object) bool {
		return o.Resource == kube.SeldonServers && !slices.ContainsFunc(stay, func(other owned.Object) bool { return names(other.Body["spec"], o.Name) })
	})
}

// holds tells whether all has the units of others.
func holds(all, others []owned.Object) bool {
	return !slices.ContainsFunc(others, func(other owned.Object) bool {
		return unitIn(other) != "" && !slices.ContainsFunc(all, func(o owned.Object) bool { return idOf(o) == idOf(other) && unitIn(o) == unitIn(other) })
	})
}

// unitIn is the unit that an object is, or is part of; "" for what keeps its name.
func unitIn(o owned.Object) string {
	if unit := bears[o.Resource]; unit != nil {
		return unit(o.Body)
	}
	meta, _ := o.Body["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	unit, _ := labels[labelUnit].(string)
	return unit
}

// unlend takes away what the pods of units were brought by, but for those that stay.
func (s *server) unlend(ctx context.Context, c *kube.Client, all, stay []owned.Object) error {
	for _, o := range all {
		unit := unitIn(o)
		if unit == "" || !names(o.Body["spec"], s.secretOf(unit)) { // or its pods are brought nothing
			continue
		}
		if slices.ContainsFunc(stay, func(o owned.Object) bool { return unitIn(o) == unit }) {
			continue
		}
		if err := c.Delete(ctx, kube.Secrets, s.secretOf(unit), ""); err != nil && fault.Of(err) != fault.Missing {
			return err
		}
	}
	return nil
}

// taken returns when the cluster has objects as the branch does. That it has not is no fault of the release: it stays
// written, and the next apply goes on.
func (w *work) taken(ctx context.Context, all []owned.Object, within time.Duration) error {
	for limit := w.server.o.Env.Now().Add(within); ; {
		lag, err := w.hand().Lags(ctx, all)
		late := w.server.o.Env.Now().After(limit)
		switch {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case err == nil && lag == "":
			return nil
		case late:
			return fault.WithHint(fault.New(fault.Transient, "it is written to %s of branch %s, and after %s the cluster has it not yet: %s", w.Place.Git.File(w.name), w.Place.Git.Branch, within, lag),
				"see that Argo CD or Flux applies that branch to namespace %s, and what it says; the next apply goes on", w.Place.At.Namespace)
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
}

// strays is what of a delivery is not as it was left: of the file, by whoever may write to the branch, or of the cluster.
func (s *server) strays(ctx context.Context, c *kube.Client, name string, rec record, way string, l *port.Live) (string, error) {
	d, err := s.delivery(name, rec.Served.Place)
	if err != nil {
		return "", err
	}
	declared, err := d.manifest(rec.Served.Objects)
	if err != nil {
		return "", err
	}
	raw, known, err := d.readShort(ctx)
	switch what := d.file() + " of branch " + d.at.Git.Branch; {
	case err != nil:
		return "", err
	case !known: // then it is the cluster that counts
	case bytes.Equal(raw, declared):
	case d.sealed(raw), raw != nil && slices.Contains(rec.Wrote, digest.Of(raw)): // a step, of ours or of another replica
		if !s.busy(name) { // a pass has the lease, and ends it where it is wanted no more
			l.Left = what + " is at a step of a release that has not ended"
		}
	case raw == nil:
		return "somebody removed " + what + way, nil
	default:
		return "somebody changed " + what + way, nil
	}
	lag, err := s.hand(c, name).Lags(ctx, rec.Served.Objects)
	if lag != "" {
		lag += "; see why Argo CD or Flux does not have it as " + d.file() + " of branch " + d.at.Git.Branch + " does"
	}
	return lag, err
}

// redeliver has what the pods read brought anew, and waits until the cluster is as it was recorded. The file is written by
// a pass alone, which has the lease: another replica may be about to.
func (w *work) redeliver(ctx context.Context) error {
	d, err := w.server.delivery(w.name, w.Place)
	if err != nil {
		return err
	}
	declared, err := d.manifest(w.Objects)
	if err != nil {
		return err
	}
	if _, err := d.readFile(ctx); err != nil {
		return err
	}
	if !bytes.Equal(d.raw, declared) {
		return fault.WithHint(fault.New(fault.Missing, "%s of branch %s is not as it was recorded, and takes a pass to be written", d.file(), d.at.Git.Branch), "run vishwa apply, or wait for the controller's next pass")
	}
	if err := w.lay(ctx); err != nil {
		return err
	}
	if err := w.lend(ctx, ""); err != nil {
		return err
	}
	return w.taken(ctx, w.Objects, time.Minute)
}

// retract removes the file, and returns when who applies it has taken everything away.
func (s *server) retract(ctx context.Context, c *kube.Client, name string, p place, rec record) error {
	d, err := s.delivery(name, p)
	if err != nil {
		return err
	}
	stood, err := d.readFile(ctx)
	if err != nil {
		return err
	}
	if err := d.end(ctx, c, &rec, stood, nil, "Retire "+name); err != nil {
		return err
	}
	if err := s.gone(ctx, s.hand(c, name), func(r kube.Resource, unit string) error {
		return fault.WithHint(fault.New(fault.Transient, "%s of branch %s was removed %s ago, and %s %s is still there", d.file(), p.Git.Branch, owned.EndWithin, owned.Kinds[r.Name], unit),
			"have Argo CD or Flux prune what the branch has no more (syncPolicy.automated.prune, or prune: true), or delete it; then run vishwa apply")
	}); err != nil {
		return err
	}
	if rec.Served != nil {
		stood = append(stood, rec.Served.Objects...)
	}
	return s.unlend(ctx, c, stood, nil)
}
