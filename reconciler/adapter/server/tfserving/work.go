// One release on its way: its version is laid and loaded beside the one that serves, takes the label once it is
// available, and the one before ends after that. A crash at any step leaves what serves as it is.

package tfserving

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tfconfig"
	"github.com/vishwaops/vishwa/reconciler/machine/conditional"
)

// work is a release being made on a server.
type work struct {
	server *server
	name   string
	place  place
	root   *desk
	rec    record
	there  *tfconfig.File // models.config, as it was found

	label  string
	files  digest.Manifest
	model  digest.Digest
	key    digest.Digest
	adopt  bool
	within time.Duration

	number int64 // of the version
	made   bool  // by this release
}

// readThere reads what stands under the name, and refuses what is not ours; stood tells that this machine made something there.
func (w *work) readThere(ctx context.Context, stood bool) (err error) {
	if w.there, err = readConfig(ctx, w.root); err != nil {
		return err
	}
	rec, ours, err := w.server.readRecord(ctx, w.root, w.name)
	if err != nil {
		return err
	}
	if w.rec = rec; ours {
		if at := rec.Served; at != nil && rec.Versions[at.Version].Stored != w.place.At.InStore {
			return fault.WithHint(fault.New(fault.Conflict, "model %s of model server %s lies elsewhere than inStore says, and a model has one place for its versions", w.name, w.place.Name),
				"put inStore back; or give what is served anew another name, and retire this one")
		}
		return nil
	}
	w.rec.Former = w.there.Text(w.name)
	// A folder may be shared: whoever declares adopt in one repository does not speak for another. Nor does whoever had made something
	// there before another came.
	if others, err := w.root.has(ctx, w.name+"/"+recordFile); err != nil {
		return err
	} else if others {
		return fault.WithHint(fault.New(fault.Conflict, "another Vishwa serves model %s of model server %s", w.name, w.place.Name),
			"rename the deployment, or retire it there; where there is no such Vishwa any more, remove %s, and take over what it served by spec.target.tfserving.adopt: true", w.place.where(w.name+"/"+recordFile))
	}
	if stood {
		return nil
	}
	if w.adopt && w.place.At.InStore && w.rec.Former != "" {
		return fault.WithHint(fault.New(fault.Conflict, "model %s of model server %s has its versions elsewhere, and a model has one place for them", w.name, w.place.Name),
			"take inStore out of the model server, or rename the deployment")
	}
	if w.adopt {
		return nil
	}
	what := ""
	if w.rec.Former != "" {
		what = "models.config has a model " + w.name
	} else if there, err := w.root.has(ctx, w.name); err != nil {
		return err
	} else if there {
		what = "it has a folder " + w.name
	}
	if what == "" {
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "%s already, and that is not of this Vishwa", what),
		"see whose it is in %s; where nobody needs it, remove it, or take it over by spec.target.tfserving.adopt: true; or rename the deployment", w.place.where(""))
}

// change has the release serve, and nothing else under its name.
func (w *work) change(ctx context.Context) error {
	seen, err := w.server.ask(ctx, address(w.place.At.URL, w.name, ""))
	if err != nil {
		return err
	}
	w.rec.Tried = nil // it ends with this
	stays, labels := w.stays(seen)
	if err := w.choose(ctx, seen); err != nil {
		return err
	}
	if err := w.load(ctx, stays, labels); err != nil {
		w.undo(err)
		return err
	}
	return w.moveLabel(ctx, stays, labels)
}

// stays are the versions that have requests, with the labels that lead to them. A label is given to no version that is
// not available: the server would refuse that, and all that stands beside it.
func (w *work) stays(seen []version) (versions []int64, labels map[string]int64) {
	labels = map[string]int64{}
	if at := w.rec.Served; at != nil {
		if of(seen, at.Version).available() {
			labels[at.Label] = at.Version
		}
		return []int64{at.Version}, labels
	}
	if w.rec.Former == "" {
		return nil, labels
	}
	said, _ := w.there.Model(w.name)
	for _, v := range seen {
		if v.available() {
			versions = append(versions, v.Number)
		}
	}
	for label, number := range said.Labels {
		if slices.Contains(versions, number) {
			labels[label] = number
		}
	}
	return versions, labels
}

// choose gives the release its version: the one that has its model, as long as what the server loaded under its number
// cannot have been anything else, or the next number.
func (w *work) choose(ctx context.Context, seen []version) error {
	for _, number := range slices.Sorted(maps.Keys(w.rec.Versions)) {
		serves := w.rec.Served != nil && w.rec.Served.Version == number
		v := of(seen, number)
		if w.rec.Versions[number].Model != w.model || v.failed() != "" || v.State == "END" && !serves {
			continue
		}
		if v.State == "" {
			w.number = number
		} else if found, err := w.differs(ctx, number, w.files, true); err != nil {
			return err
		} else if len(found) == 0 {
			w.number = number
		}
		if serves && w.number == number {
			return nil
		}
	}
	if w.number > 0 {
		return nil
	}
	w.number = w.rec.Last
	for _, v := range seen {
		w.number = max(w.number, v.Number)
	}
	there, err := w.numbers(ctx)
	if err != nil {
		return err
	}
	w.number = max(w.number, slices.Max(append(there, 0)))
	if w.number == math.MaxInt64 {
		return fault.WithHint(fault.New(fault.Conflict, "model %s of model server %s has the version %d, and there is none after it", w.name, w.place.Name, w.number),
			"take that version out of the server and out of %s", w.place.where(w.name))
	}
	w.number++
	w.made = true
	return nil
}

// folder is that of a version.
func (w *work) folder(number int64) string { return w.name + "/" + strconv.FormatInt(number, 10) }

// config is the model with versions and labels.
func (w *work) config(versions []int64, labels map[string]int64) string {
	all := slices.Sorted(slices.Values(versions))
	return tfconfig.Model{Name: w.name, BasePath: w.server.base(w.place, w.name), Versions: slices.Compact(all), Labels: labels}.String()
}

// load lays the version, and returns when it is available beside those that stay.
func (w *work) load(ctx context.Context, stays []int64, labels map[string]int64) error {
	w.rec.Versions[w.number], w.rec.Last = laid{w.model, w.files, w.place.At.InStore}, max(w.rec.Last, w.number)
	if err := w.writeRecord(ctx); err != nil { // before anything else is made there
		return err
	}
	if err := w.pin(ctx, stays, labels); err != nil {
		return err
	}
	if err := w.lay(ctx, w.number); err != nil {
		return err
	}
	if err := w.configure(ctx, w.config(append(slices.Clone(stays), w.number), labels)); err != nil {
		return err
	}
	return w.until(ctx, w.within, "version "+strconv.FormatInt(w.number, 10)+" is available", func(seen []version) (bool, error) {
		v := of(seen, w.number)
		if why := v.failed(); why != "" {
			return false, fault.WithHint(fault.New(fault.Invalid, "the server cannot load it: %s", why), "put the model right, or see that the server is new enough for it; what was served before goes on")
		}
		return v.available(), nil
	})
}

// pinned is a label that only tells that a config was read.
const pinned = "vishwa-takes-over"

// pin has the versions of somebody else's that serve stay, whatever their config says of the newest one: else the server
// would have ours in their place as soon as its folder is there.
func (w *work) pin(ctx context.Context, stays []int64, labels map[string]int64) error {
	if w.rec.Served != nil || len(stays) == 0 {
		return nil
	}
	labels = maps.Clone(labels)
	labels[pinned] = slices.Max(stays)
	if err := w.configure(ctx, w.config(stays, labels)); err != nil {
		return err
	}
	return w.leads(ctx, pinned, labels[pinned])
}

// moveLabel moves the label, and has what had it before end.
func (w *work) moveLabel(ctx context.Context, stays []int64, labels map[string]int64) error {
	moved := maps.Clone(labels)
	moved[w.label] = w.number
	if err := w.configure(ctx, w.config(append(slices.Clone(stays), w.number), moved)); err != nil {
		return err
	}
	if err := w.leads(ctx, w.label, w.number); err != nil {
		return err
	}
	if at := w.rec.Served; at == nil || at.Key != w.key || at.Version != w.number || at.Label != w.label {
		w.rec.Served = &standing{Key: w.key, Model: w.model, Version: w.number, Label: w.label, Since: w.server.o.Env.Now().UTC()}
	}
	w.rec.Former = ""
	if err := w.writeRecord(ctx); err != nil {
		return err
	}
	return w.finish(ctx)
}

// leads returns when a label leads to a version.
func (w *work) leads(ctx context.Context, label string, number int64) error {
	return w.until(ctx, w.within, "label "+label+" leads to version "+strconv.FormatInt(number, 10), func([]version) (bool, error) {
		led, err := w.server.ask(ctx, address(w.place.At.URL, w.name, label))
		return len(led) == 1 && led[0].Number == number && led[0].available(), err
	})
}

// finish has the version that serves alone in models.config, and removes ours that the server has unloaded. One that
// takes its time is removed by a later apply.
func (w *work) finish(ctx context.Context) error {
	if err := w.configure(ctx, w.config([]int64{w.number}, map[string]int64{w.label: w.number})); err != nil {
		return err
	}
	others := func(seen []version) (left []int64) {
		for _, v := range seen {
			if v.Number != w.number && v.loaded() {
				left = append(left, v.Number)
			}
		}
		return left
	}
	var left []int64
	err := w.until(ctx, w.server.o.Unload, "the server unloads what served before", func(seen []version) (bool, error) {
		left = others(seen)
		return len(left) == 0, nil
	})
	var late *lateError
	switch {
	case errors.As(err, &late):
		w.server.o.Env.Log.Warn("what served before is not unloaded yet", "name", w.name, "versions", left)
	case err != nil:
		return err
	}
	dropped := false
	for number := range w.rec.Versions {
		if number == w.number || slices.Contains(left, number) {
			continue
		}
		if err := w.drop(ctx, number); err != nil {
			return err
		}
		dropped = true
	}
	if !dropped {
		return nil
	}
	return w.writeRecord(ctx)
}

// undo has it as it was before. What waits for a server that is away stays, and is gone on with.
func (w *work) undo(why error) {
	var late *lateError
	if errors.Is(why, conditional.ErrOvertaken) { // it is somebody else's to go on with
		return
	}
	if at := w.rec.Served; at != nil && at.Version == w.number || fault.Of(why) == fault.Transient && !errors.As(why, &late) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text := w.rec.Former
	if at := w.rec.Served; at != nil {
		text = w.config([]int64{at.Version}, map[string]int64{at.Label: at.Version})
	}
	err := w.unchanged(ctx)
	if err == nil && w.made { // before a config of others, which may lead to the largest number that is there
		err = w.drop(ctx, w.number)
	}
	if err == nil {
		err = w.configure(ctx, text)
	}
	if err == nil && w.rec.Served == nil && len(w.rec.Versions) == 0 {
		err = w.clear(ctx)
	} else if err == nil {
		err = w.writeRecord(ctx)
	}
	if err != nil {
		w.server.o.Env.Log.Warn("what was not available stays until the next apply", "name", w.name, "why", why, "error", err)
	}
}
