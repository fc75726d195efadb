// How what is served stands: by what is recorded beside it, what models.config says and what the server does; and how it
// is made so again.

package tfserving

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tfconfig"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Observe tells how it stands. A server that does not answer hides nothing else: what is served there is told as failing.
func (s *server) Observe(ctx context.Context, name string) (port.Live, error) {
	if s.unknown(name) {
		return port.Live{}, nil
	}
	all, err := s.readKnown(name)
	if err != nil {
		return port.Live{}, err
	}
	return s.observe(ctx, name, all)
}

const again = "; run vishwa apply, or wait for the controller: it is made again as declared"

func (s *server) observe(ctx context.Context, name string, all known) (port.Live, error) {
	at := all.Served
	if at == nil {
		return port.Live{}, nil
	}
	p := all.Places[0]
	l := port.Live{Key: at.Key, Model: at.Model, Since: at.Since, URL: address(p.At.URL, name, at.Label), Bytes: port.BytesTrusted, Health: port.Failing}
	root, err := s.enter(p)
	if err != nil {
		l.Message = err.Error()
		return l, nil
	}
	defer root.Close()
	rec, ours, err := s.readRecord(ctx, root, name)
	if err != nil {
		return port.Live{}, err
	}
	if !ours {
		l.Message = "what is recorded of it in " + p.where(name) + " is not there" + again
		return l, nil
	}
	if now := rec.Served; now != nil { // another replica may have served since
		at = now
		l.Key, l.Model, l.Since, l.URL = at.Key, at.Model, at.Since, address(p.At.URL, name, at.Label)
	} else {
		rec.Served = at
	}
	w := &work{server: s, name: name, place: p, root: root, rec: rec}
	if rec.Tried != nil {
		err := w.observeBoth(ctx, &l)
		return l, err
	}
	if l.Message = w.drift(ctx); l.Message != "" {
		l.Message += again
		return l, nil
	}
	led, err := s.ask(ctx, l.URL)
	switch {
	case ctx.Err() != nil:
		return l, fault.New(fault.Cancelled, "look at %s: %w", name, ctx.Err())
	case err != nil:
		l.Message = err.Error() + "; " + fault.HintOf(err)
	case len(led) != 1:
		l.Message = "the server has no label " + at.Label + " of it" + again
	case led[0].Number != at.Version:
		l.Message = "label " + at.Label + " leads to version " + strconv.FormatInt(led[0].Number, 10) + ", not " + strconv.FormatInt(at.Version, 10) + again
	case led[0].failed() != "":
		l.Message = led[0].failed()
	case !led[0].available():
		l.Health, l.Message = port.Starting, "the server has it as "+led[0].State
	default:
		l.Health = port.Ready
	}
	return l, nil
}

// observeBoth fills in how what serves stands while another is tried, and how that does. A server that does not answer tells of neither.
func (w *work) observeBoth(ctx context.Context, l *port.Live) error {
	at := w.rec.Served
	seen, err := w.server.ask(ctx, address(w.place.At.URL, w.name, ""))
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "look at %s: %w", w.name, ctx.Err())
	}
	if err != nil {
		l.Message = err.Error() + "; " + fault.HintOf(err)
		return nil
	}
	led, err := w.server.ask(ctx, l.URL)
	if err != nil {
		l.Message = err.Error() + "; " + fault.HintOf(err)
		return nil
	}
	weight, leads := 0, len(led) == 1 && (led[0].Number == at.Version || led[0].Number == w.rec.Tried.Version)
	if leads && led[0].Number == w.rec.Tried.Version { // whatever it was told
		weight = whole
	}
	l.Beside = w.beside(ctx, seen, weight)
	drift := w.drift(ctx)
	switch {
	case drift != "": // what is declared is not what serves: it is brought back as it was recorded
		l.Health, l.Message = port.Down, drift+again
	case !leads:
		l.Health, l.Message = port.Down, "label "+at.Label+" leads to neither of its versions"+again
	case !of(seen, at.Version).available():
		l.Message = strings.TrimSpace("the server has not loaded version " + strconv.FormatInt(at.Version, 10) + " " + of(seen, at.Version).failed())
	default:
		l.Health = port.Ready
	}
	return nil
}

// drift tells what of ours in the folder is not as it was left.
func (w *work) drift(ctx context.Context) string {
	there, err := readConfig(ctx, w.root)
	if err != nil {
		return err.Error()
	}
	w.there = there
	at := w.rec.Served
	says := false
	if t := w.rec.Tried; t != nil {
		_, says = w.leadsTo(*at, *t)
	} else {
		says = there.Says(tfconfig.Model{Name: w.name, BasePath: w.server.base(w.place, w.name), Versions: []int64{at.Version}, Labels: map[string]int64{at.Label: at.Version}})
	}
	if there.Text(w.name) == "" {
		return "models.config has it no more"
	}
	if !says {
		return "its config in models.config was changed"
	}
	found, err := w.differs(ctx, at.Version, w.rec.Versions[at.Version].Files, false)
	if err != nil {
		return "the files of version " + strconv.FormatInt(at.Version, 10) + " cannot be looked at: " + err.Error()
	}
	if len(found) > 0 {
		return "files of version " + strconv.FormatInt(at.Version, 10) + " were changed or removed: " + found[0]
	}
	return ""
}

// Revive makes what stands as it was recorded again, where that is the release of key.
func (s *server) Revive(ctx context.Context, name string, key digest.Digest) (port.Live, error) {
	if s.unknown(name) {
		return port.Live{}, fault.WithHint(fault.New(fault.Missing, "%s is served by no model server", name), "run vishwa apply: it serves what the branch declares")
	}
	if held, err := sandbox.Held(filepath.Join(s.o.Dir, name+".lock")); err == nil && held { // who changes it is not disturbed
		return port.Live{}, nil
	}
	end, err := s.turn(ctx, name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	all, err := s.readKnown(name)
	if err != nil {
		return port.Live{}, err
	}
	for _, p := range all.Places {
		root, err := s.enter(p)
		if err != nil {
			return port.Live{}, err
		}
		defer root.Close()
		rec, ours, err := s.readRecord(ctx, root, name)
		if err != nil || !ours || rec.Served == nil || rec.Served.Key != key {
			continue
		}
		at := rec.Served
		w := &work{server: s, name: name, place: p, root: root, rec: rec, label: at.Label, key: key, model: at.Model,
			files: rec.Versions[at.Version].Files, within: s.o.Unload}
		if w.there, err = readConfig(ctx, root); err != nil {
			return port.Live{}, err
		}
		if rec.Tried != nil {
			err = w.again(ctx)
		} else {
			err = w.change(ctx)
		}
		if err != nil {
			return port.Live{}, err
		}
		all.Served = w.rec.Served
		if err := s.writeKnown(name, all); err != nil {
			return port.Live{}, err
		}
		return s.observe(ctx, name, all)
	}
	return port.Live{}, fault.WithHint(fault.New(fault.Missing, "%s does not serve %s by a model server", name, key.Short()), "run vishwa apply: it serves what the branch declares")
}
