// What is ours on a cluster, by the label of the owner alone: it is made as declared, and taken away. What
// is not is refused, and never changed, unless the declaration says that it is to be taken over.

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
)

// as is an object of a server as what is known of it.
func as[T any](o map[string]any) (v T) {
	raw, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		var none T
		return none
	}
	return v
}

func (w *work) ours(m status.Meta) bool {
	return m.Labels[labelOwner] == w.server.owner && m.Labels[labelName] == w.name
}

// refuse tells of what stands under our names and is not ours, before anything is changed.
func (w *work) refuse(ctx context.Context, adopt bool) error {
	for _, o := range w.Objects {
		var there struct {
			Meta status.Meta `json:"metadata"`
		}
		err := w.kube.Get(ctx, o.Resource, o.Name, &there)
		if fault.Of(err) == fault.Missing && err != nil {
			continue
		}
		if err != nil {
			return err
		}
		if w.ours(there.Meta) || adopt {
			continue
		}
		whose := "not Vishwa's"
		if other := there.Meta.Labels[labelOwner]; other != "" && other != w.server.owner {
			whose = "of another Vishwa, " + harmless.Line(other)
		} else if name := there.Meta.Labels[labelName]; other != "" {
			whose = "of the deployment " + harmless.Line(name)
		}
		return fault.WithHint(fault.New(fault.Conflict, "%s %s of namespace %s already exists, and is %s", kinds[o.Resource.Name], o.Name, w.kube.Namespace, whose),
			"see whose it is: kubectl -n %s describe %s %s; where nobody needs it, delete it, or take it over by spec.target.kubernetes.adopt: true; or rename the deployment", w.kube.Namespace, o.Resource, o.Name)
	}
	return nil
}

// putObject has an object as it is declared, and nothing in its spec that somebody else put there.
func (w *work) putObject(ctx context.Context, o object) (map[string]any, error) {
	for {
		var made map[string]any
		if err := w.kube.Apply(ctx, o.Resource, o.Name, o.Body, false, &made); err != nil {
			return nil, err
		}
		meta := as[struct {
			Meta status.Meta `json:"metadata"`
		}](made).Meta
		if meta.Deleted != nil { // it was on its way out: another is made
			if err := w.gone(ctx, o.Resource, o.Name, meta.UID); err != nil {
				return nil, err
			}
			continue
		}
		if len(foreign(made)) == 0 {
			return made, nil
		}
		err := w.kube.Replace(ctx, o.Resource, o.Name, pure(o, made), &made)
		if fault.Of(err) == fault.Conflict && err != nil { // it was changed a moment ago
			if err := pause(ctx); err != nil {
				return nil, err
			}
			continue
		}
		return made, err
	}
}

// pure is an object as it is declared, in the place of one that is there: the labels and notes of others stay.
func pure(o object, there map[string]any) map[string]any {
	out := maps.Clone(o.Body)
	meta, _ := there["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	delete(meta, "managedFields")
	out["metadata"] = meta
	if _, said := o.spec()["replicas"]; o.Resource == kube.Deployments && !said { // it is scaled by what scales it
		spec := maps.Clone(o.spec())
		if has, ok := there["spec"].(map[string]any); ok {
			spec["replicas"] = has["replicas"]
		}
		out["spec"] = spec
	}
	return out
}

func (o object) spec() map[string]any {
	spec, _ := o.Body["spec"].(map[string]any)
	return spec
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "wait for an object: %w", ctx.Err())
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}

// endWithin is how long an object that was deleted may take to be gone: the pods of a node that is lost
// do not end until somebody says so.
const endWithin = 5 * time.Minute

// stays is an object that was deleted, and is there all the same.
func (w *work) stays(r kube.Resource, name string) error {
	return fault.WithHint(fault.New(fault.Transient, "%s %s of namespace %s was deleted %s ago, and is still there", kinds[r.Name], name, w.kube.Namespace, endWithin),
		"see what does not end: kubectl -n %s get pods -l %s=%s; where its node is lost, delete the node, or the pod with --force; then run vishwa apply", w.kube.Namespace, labelName, w.name)
}

// gone returns when an object is not there any more, or another of its name is.
func (w *work) gone(ctx context.Context, r kube.Resource, name, uid string) error {
	for limit := w.server.o.Env.Now().Add(endWithin); ; {
		var there struct {
			Meta status.Meta `json:"metadata"`
		}
		err := w.kube.Get(ctx, r, name, &there)
		late := w.server.o.Env.Now().After(limit)
		switch {
		case err != nil && fault.Of(err) == fault.Missing, err == nil && there.Meta.UID != uid:
			return nil
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case late:
			return w.stays(r, name)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// remove takes an object of ours away; one that is not there, or not ours, is left.
func (w *work) remove(ctx context.Context, r kube.Resource, name string) error {
	var there struct {
		Meta status.Meta `json:"metadata"`
	}
	err := w.kube.Get(ctx, r, name, &there)
	if err == nil && w.ours(there.Meta) && there.Meta.Deleted == nil {
		err = w.kube.Delete(ctx, r, name, there.Meta.UID)
	}
	if fault.Of(err) == fault.Missing && err != nil {
		return nil
	}
	return err
}

// prune takes away what is ours under the name and not in keep. What is in front goes first.
func (w *work) prune(ctx context.Context, keep []object) error {
	stay := map[string]bool{}
	for _, o := range keep {
		stay[o.Resource.Name+"/"+o.Name] = true
	}
	for _, r := range resources {
		all, err := w.list(ctx, r)
		if err != nil {
			return err
		}
		for _, m := range all {
			if stay[r.Name+"/"+m.Name] || !w.ours(m) || m.Deleted != nil {
				continue
			}
			if err := w.kube.Delete(ctx, r, m.Name, m.UID); err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict {
				return err
			}
		}
	}
	return nil
}

// list are our objects of a kind. A kind that the cluster does not have, or that we were never given, has none of ours.
func (w *work) list(ctx context.Context, r kube.Resource) ([]status.Meta, error) {
	type item struct {
		Meta status.Meta `json:"metadata"`
	}
	all, _, err := kube.List[item](ctx, w.kube, r, kube.Select{Labels: labelOwner + "=" + w.server.owner + "," + labelName + "=" + w.name})
	if kind := fault.Of(err); err != nil && r != kube.Deployments && r != kube.Services && (kind == fault.Invalid || kind == fault.Denied) {
		return nil, nil
	}
	var out []status.Meta
	for _, o := range all {
		out = append(out, o.Meta)
	}
	return out, err
}

// found are the places where something of ours stands under a name that is not recorded here: another replica, or
// one that lost its disk, may have made it. A cluster that we may not look at has none.
func (s *server) found(ctx context.Context, name string) (out []place, err error) {
	for _, cluster := range slices.Sorted(maps.Keys(s.o.Clusters)) {
		p := place{Name: cluster, At: s.o.Clusters[cluster]}
		all := []status.Meta{}
		c, err := s.open(p.At)
		if err == nil {
			p.UID, err = c.UID(ctx)
		}
		if err == nil {
			w := work{server: s, kube: c, name: name}
			all, err = w.list(ctx, kube.Deployments)
		}
		switch kind := fault.Of(err); {
		case err != nil && (kind == fault.Denied || kind == fault.Missing || kind == fault.Invalid || kind == fault.Conflict):
			continue
		case err != nil:
			return nil, fmt.Errorf("look on cluster %s for what is served as %s: %w", cluster, name, err)
		}
		if len(all) > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

// retire takes away whatever is ours under the name, wherever something may stand.
func (s *server) retire(ctx context.Context, name string, rec record) error {
	for len(rec.Places) > 0 {
		if err := s.leave(ctx, name, rec.Places[0]); err != nil {
			return fault.WithHint(fault.New(fault.Of(err), "take %s away from cluster %s: %w", name, rec.Places[0].Name, err), "%s",
				orWay(err, "where that cluster will not come back, remove "+s.file(name)+"; then run vishwa apply"))
		}
		rec.Places = rec.Places[1:]
		rec.Served = nil
		if err := s.writeRecord(name, rec); err != nil {
			return err
		}
	}
	return nil
}

func orWay(err error, more string) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint + "; " + more
	}
	return more
}

// leave has nothing of ours left under the name at p; it returns when the pods are gone.
func (s *server) leave(ctx context.Context, name string, p place) error {
	c, err := s.there(ctx, p)
	if err != nil {
		return err
	}
	w := work{server: s, kube: c, name: name}
	if err := w.prune(ctx, nil); err != nil {
		return err
	}
	for limit := s.o.Env.Now().Add(endWithin); ; {
		left, err := w.list(ctx, kube.Deployments)
		late := s.o.Env.Now().After(limit)
		switch {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case err == nil && len(left) == 0:
			return nil
		case err == nil && late:
			return w.stays(kube.Deployments, left[0].Name)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}
