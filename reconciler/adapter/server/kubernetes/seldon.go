// Seldon Core 2: a Model a release, and an Experiment of the deployment's name that sends every request to one of them.
// A Model that goes on from release to release could not be told from the one before: its condition ModelReady has no
// generation. A new one has no condition until it was looked at.

package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func seldon() *shape {
	return &shape{
		unit: kube.SeldonModels, bytes: port.BytesTrusted,
		check: checkSeldon, needs: needsServer, make: (*work).model, stands: modelStands, routed: experimentRoutes,
		part: func(r port.Release) (part, bool) {
			t := r.Seldon
			if t == nil {
				return part{}, false
			}
			return part{cluster: t.Cluster, adopt: t.Adopt}, true
		},
		service: func(string, standing) (string, string) { return "", "" },
		divides: byExperiment(),
	}
}

// byExperiment divides requests between the Models of two releases. One that has none is not named: Seldon would wait for it to be loaded.
func byExperiment() *divider {
	return &divider{
		carrier: kube.SeldonExperiments,
		divided: func(served, tried standing, weight int) owned.Object {
			of := *served.find(kube.SeldonExperiments)
			out := owned.Object{Resource: of.Resource, Name: of.Name, Body: plain(of.Body)}
			var candidates []any
			for _, one := range []candidate{{served.Unit, whole - weight}, {tried.Unit, weight}} {
				if one.Weight > 0 {
					candidates = append(candidates, one.body())
				}
			}
			spec, _ := out.Body["spec"].(map[string]any)
			spec["candidates"] = candidates
			return out
		},
		weight: func(carrier map[string]any, tried standing) (int, bool) {
			for _, one := range candidatesOf(carrier) {
				if one.Name == tried.Unit {
					return one.Weight, true
				}
			}
			return 0, false
		},
		took: func(ctx context.Context, s *server, c *kube.Client, carrier map[string]any, _ standing, _ int) error {
			return s.routes(ctx, c, experimentRoutes, owned.As[conditioned](carrier).Meta.Name)
		},
	}
}

// candidate is a Model that an Experiment sends a part of the requests to.
type candidate struct {
	Name   string `json:"name"`
	Weight int    `json:"weight"`
}

func (c candidate) body() map[string]any {
	return map[string]any{"name": c.Name, "weight": float64(c.Weight)}
}

func candidatesOf(experiment map[string]any) []candidate {
	return owned.As[struct {
		Spec struct {
			Candidates []candidate `json:"candidates"`
		} `json:"spec"`
	}](experiment).Spec.Candidates
}

func checkSeldon(r port.Release) error {
	switch {
	case r.Model.Digest == "":
		return wrong("name a model", "it has no model, and Seldon serves nothing else")
	case len(r.Seldon.Requirements) == 0:
		return wrong("say what a server has to offer in spec.target.seldon.requirements", "nothing says which server can load it")
	}
	return checkServed(r)
}

// model fills in the objects of r.
func (w *work) model(r port.Release) {
	t := r.Seldon
	w.Files = served.ModelFiles(r.Model)
	w.Laid = w.server.laid(r.Name) + r.Model.Digest.Hex()
	spec := map[string]any{
		"storageUri": strings.TrimSuffix(w.server.o.At, "/") + "/" + w.Laid, "requirements": t.Requirements, "replicas": max(1, t.Replicas),
	}
	serves := t.Server
	if t.OwnServer != nil {
		w.hosts = append(w.hosts, w.ownServer(r.Name, *t.OwnServer))
		serves = w.hosts[0].Name
	}
	for field, value := range map[string]string{"server": serves, "memory": t.Memory, "secretName": t.Secret} {
		if value != "" {
			spec[field] = value
		}
	}
	w.Unit = unitOf(r.Name, plain(spec))
	of := w.server.labels(r.Name)
	notes := map[string]string{noteKey: string(r.Key), noteModel: string(r.Model.Digest), noteBytes: w.server.bytes(w.standing)}
	w.unit = parts{kube.SeldonModels, w.Unit, with(of, labelUnit, w.Unit), nil, spec}.object()
	w.units = append(w.units, w.unit)
	w.fronts = append(w.fronts, parts{kube.SeldonExperiments, r.Name, of, notes, map[string]any{
		"candidates": []any{candidate{w.Unit, whole}.body()},
	}}.object())
	w.URL = fmt.Sprintf("http://seldon-mesh.%s.svc/v2/models/%s", w.Place.At.Namespace, r.Name)
	w.Objects = w.all()
}

// lay has the model's files, and no others, in the folder that the servers read: what is lost or was changed there is
// written again. They are held against their digests on the way.
func (w *work) lay(ctx context.Context) error {
	if w.Laid == "" || len(w.Files) == 0 {
		return nil
	}
	shelf, err := w.server.o.Shelf()
	if err != nil {
		return err
	}
	there := map[string]int64{}
	for o, err := range shelf.List(ctx, w.Laid+"/") {
		if err != nil {
			return err
		}
		there[o.Key] = o.Size
	}
	w.fresh = len(there) == 0 // else another release, or one of another replica, may be read from it
	for _, f := range w.Files {
		key := w.Laid + "/" + f.Path
		size, is := there[key]
		delete(there, key)
		if is && size == f.Size {
			if is, err = served.Lies(ctx, shelf, key, f.Digest); err != nil {
				return fmt.Errorf("read %s where its server reads it: %w", f.Path, err)
			}
			if is {
				continue
			}
		}
		if err := served.LayFile(ctx, w.server.o.Store, shelf, w.server.o.Dir, w.Laid, f); err != nil {
			return fmt.Errorf("write %s where its server reads it: %w", f.Path, err)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return shelf.Delete(ctx, slices.Sorted(maps.Keys(there))...)
}

// laid has a folder of the store for each release of name that is read from one.
func (s *server) laid(name string) string { return "serving/" + s.owner + "/" + name + "/" }

// sweep removes every folder that releases of name were read from, but for the one that stays: also what a controller that was killed left.
func (s *server) sweep(ctx context.Context, name, stays string) { s.clear(ctx, s.laid(name), stays) }

// swept does so where one of at's target is read from a folder.
func (s *server) swept(ctx context.Context, name string, at standing, stays string) {
	if at.Laid != "" {
		s.sweep(ctx, name, stays)
	}
}

// unlay removes a folder that no release is read from any more.
func (s *server) unlay(ctx context.Context, laid string) {
	if laid != "" {
		s.clear(ctx, laid+"/", "")
	}
}

// clear removes what the store has below a folder, but for what is below stays. What cannot be removed costs room, and no more.
func (s *server) clear(ctx context.Context, below, stays string) {
	shelf, err := s.o.Shelf()
	var keys []string
	if err == nil {
		for o, more := range shelf.List(ctx, below) {
			if err = more; err != nil {
				break
			}
			if stays == "" || !strings.HasPrefix(o.Key, stays+"/") {
				keys = append(keys, o.Key)
			}
		}
	}
	if err == nil && len(keys) > 0 {
		err = shelf.Delete(ctx, keys...)
	}
	if err != nil {
		s.o.Env.Log.Warn("what was served stays in the store", "folder", below, "error", err)
	}
}

// conditioned is an object of Seldon's, as far as it is read.
type conditioned struct {
	Meta   status.Meta `json:"metadata"`
	Status struct {
		Available  int               `json:"availableReplicas"`
		Conditions status.Conditions `json:"conditions"`
	} `json:"status"`
}

// lost are the reasons of ModelReady that waiting does not help with.
var lost = []string{"ModelFailed", "ScheduleFailed", "ModelTerminateFailed", "ModelTerminated"}

func modelStands(ctx context.Context, s *server, c *kube.Client, _ string, at standing) (status.Standing, error) {
	var is conditioned
	if err := c.Get(ctx, kube.SeldonModels, at.Unit, &is); err != nil {
		return status.Standing{}, err
	}
	st := status.Standing{Want: 1}
	ready, yes := is.Status.Conditions.Get("ModelReady")
	said := kube.Cut(strings.TrimSpace(ready.Reason + " " + ready.Message))
	switch {
	case yes:
		st.Settled, st.Serving = true, max(1, is.Status.Available)
	case ready.Type == "":
		st.Reason, st.Cause = "Seldon has not taken notice of it yet", notSeenBySeldon
	case slices.Contains(lost, ready.Reason):
		st.Reason, st.Cause, st.Over = "Seldon does not load it: "+said, notLoaded, c.Now().Sub(ready.Since) > s.o.Start
		if st.Over && ready.Reason == "ScheduleFailed" {
			st.Reason = strings.TrimSuffix(st.Reason+"; of Servers, "+offered(ctx, c), "; of Servers, ")
		}
	default:
		st.Reason = "Seldon loads it: " + said
	}
	err := at.hosted(ctx, s, c, &st)
	return st, err
}

// experimentRoutes tells whether requests for name go to its unit.
func experimentRoutes(ctx context.Context, c *kube.Client, name string) (bool, string, error) {
	var is conditioned
	if err := c.Get(ctx, kube.SeldonExperiments, name, &is); err != nil {
		return false, "", err
	}
	ready, yes := is.Status.Conditions.Get("ExperimentReady")
	return yes, kube.Cut(strings.TrimSpace("Experiment " + name + " is not ready: " + ready.Reason + " " + ready.Message)), nil
}

// route returns when requests go to the release, for a target that has a way of its own for them. It waits a moment
// besides: that way says no more than that it is there, and the release before is taken away next.
func (s *server) route(ctx context.Context, w *work) error {
	if w.shape().routed == nil {
		return nil
	}
	return s.routes(ctx, w.kube, w.shape().routed, w.name)
}

func (s *server) routes(ctx context.Context, c *kube.Client, routed func(context.Context, *kube.Client, string) (bool, string, error), name string) error {
	for limit := s.o.Env.Now().Add(reachWithin); ; {
		yes, why, err := routed(ctx, c, name)
		switch late := s.o.Env.Now().After(limit); {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case yes && err == nil:
			return s.drained(ctx)
		case late:
			return fault.WithHint(fault.New(fault.Transient, "it is ready, and requests do not go to it after %s: %s", reachWithin, why), "see that its controller runs; the next apply goes on")
		}
		if err := pauseFor(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// drained waits until requests of a moment ago are over.
func (s *server) drained(ctx context.Context) error {
	return pauseFor(ctx, s.o.Drain)
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "wait for its requests: %w", ctx.Err())
	case <-time.After(d):
		return nil
	}
}
