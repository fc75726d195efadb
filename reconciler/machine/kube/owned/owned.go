// Package owned keeps a set of objects on a cluster as they are declared. What is ours is known by the label of
// the owner alone: it is made as declared, and taken away. What is not is refused, and never changed, unless it is
// nobody's and the declaration says that it is to be taken over.
package owned

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
)

// Labels of our objects.
const (
	LabelOwner = "vishwa.dev/serves-for"
	LabelName  = "vishwa.dev/serves"
)

// Object is one of a cluster as it is declared.
type Object struct {
	Resource kube.Resource  `json:"resource"`
	Name     string         `json:"name"`
	Body     map[string]any `json:"body"`
}

// Hand keeps what an owner has under a name on a cluster.
type Hand struct {
	Kube  *kube.Client
	Owner string
	Name  string
	Now   func() time.Time
	Made  []kube.Resource // that we made objects of there: not being allowed to look at those hides what serves
}

// scaled tells that something else may say how many pods it has, as its declaration does not.
func (o Object) scaled() bool {
	_, said := o.spec()["replicas"]
	return !said && (o.Resource == kube.Deployments || o.Resource == kube.SeldonServers)
}

// Kinds are what objects say that they are, by their resource.
var Kinds = map[string]string{
	"services": "Service", "deployments": "Deployment", "horizontalpodautoscalers": "HorizontalPodAutoscaler",
	"poddisruptionbudgets": "PodDisruptionBudget", "ingresses": "Ingress", "httproutes": "HTTPRoute",
	"inferenceservices": "InferenceService", "models": "Model", "experiments": "Experiment", "servers": "Server", "seldondeployments": "SeldonDeployment",
}

// As is an object of a server as what is known of it.
func As[T any](o map[string]any) (v T) {
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

// Ours tells whether an object is. What a controller makes of one of ours may have its labels, and is the controller's.
func (h Hand) Ours(m status.Meta) bool {
	return m.Labels[LabelOwner] == h.Owner && m.Labels[LabelName] == h.Name && len(m.Owners) == 0
}

// Given tells whether an object has our labels, and belongs to another object.
func (h Hand) Given(m status.Meta) bool {
	return m.Labels[LabelOwner] == h.Owner && m.Labels[LabelName] == h.Name && len(m.Owners) > 0
}

// Find is what stands under an object's name, and whether it is ours; what is not there, or on its way out, is nil.
func (h Hand) Find(ctx context.Context, o Object) (there map[string]any, ours bool, err error) {
	err = h.Kube.Get(ctx, o.Resource, o.Name, &there)
	if err != nil && fault.Of(err) == fault.Missing {
		return nil, false, nil
	}
	meta := metaAs(there)
	if err != nil || meta.Deleted != nil {
		return nil, false, err
	}
	return there, h.Ours(meta), nil
}

// Back has an object of that name as it was when it was found: its spec, and of its labels and notes those that o has. What
// is another object by now, or not ours, is left.
func (h Hand) Back(ctx context.Context, o Object, former map[string]any) error {
	live, ours, err := h.Find(ctx, o)
	if err != nil || !ours || version(live) == version(former) {
		return err
	}
	spec, _ := former["spec"].(map[string]any)
	if o.scaled() {
		spec = maps.Clone(spec)
		delete(spec, "replicas")
	}
	meta := map[string]any{"name": o.Name, "uid": metaAs(former).UID}
	for _, field := range []string{"labels", "annotations"} {
		want, _ := metaOf(o.Body)[field].(map[string]any)
		had, _ := metaOf(former)[field].(map[string]any)
		again := map[string]any{}
		for k := range want {
			if v, there := had[k]; there {
				again[k] = v
			}
		}
		meta[field] = again
	}
	err = h.Kube.Apply(ctx, o.Resource, o.Name, map[string]any{
		"apiVersion": o.Body["apiVersion"], "kind": o.Body["kind"], "metadata": meta, "spec": spec,
	}, false, nil)
	if err != nil && fault.Of(err) == fault.Conflict {
		return nil
	}
	return err
}

// version is the resourceVersion of what a cluster said.
func version(o map[string]any) string {
	v, _ := metaOf(o)["resourceVersion"].(string)
	return v
}

func metaAs(o map[string]any) status.Meta {
	meta := maps.Clone(metaOf(o))
	delete(meta, "managedFields") // the most of it
	return As[status.Meta](meta)
}

// Put has an object as it is declared, and nothing in its spec that somebody else put there. One that is marked as another's is a
// Conflict, whatever was found there before.
func (h Hand) Put(ctx context.Context, o Object) (map[string]any, error) {
	if err := h.theirs(ctx, o); err != nil {
		return nil, err
	}
	for {
		var made map[string]any
		if err := h.Kube.Apply(ctx, o.Resource, o.Name, o.Body, false, &made); err != nil {
			return nil, err
		}
		meta := metaAs(made)
		if meta.Deleted != nil { // it was on its way out: another is made
			if err := h.gone(ctx, o.Resource, o.Name, meta.UID); err != nil {
				return nil, err
			}
			continue
		}
		if len(foreign(made)) == 0 {
			return made, nil
		}
		err := h.Kube.Replace(ctx, o.Resource, o.Name, pure(o, made), &made)
		if fault.Of(err) == fault.Conflict && err != nil { // it was changed a moment ago
			if err := Pause(ctx); err != nil {
				return nil, err
			}
			continue
		}
		return made, err
	}
}

// pure is an object as it is declared, in the place of one that is there: the labels and notes of others stay.
func pure(o Object, there map[string]any) map[string]any {
	out := maps.Clone(o.Body)
	meta, _ := there["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	delete(meta, "managedFields")
	out["metadata"] = meta
	if o.scaled() {
		spec := maps.Clone(o.spec())
		if has, ok := there["spec"].(map[string]any); ok {
			spec["replicas"] = has["replicas"]
		}
		out["spec"] = spec
	}
	return out
}

func (o Object) spec() map[string]any {
	spec, _ := o.Body["spec"].(map[string]any)
	return spec
}

// Pause is a moment between two looks.
func Pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "wait for an object: %w", ctx.Err())
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}

// EndWithin is how long an object that was deleted may take to be gone: the pods of a node that is lost
// do not end until somebody says so.
const EndWithin = 5 * time.Minute

// Stays is an object that was deleted, and is there all the same.
func (h Hand) Stays(r kube.Resource, name string) error {
	return fault.WithHint(fault.New(fault.Transient, "%s %s of namespace %s was deleted %s ago, and is still there", Kinds[r.Name], name, h.Kube.Namespace, EndWithin),
		"see what does not end: kubectl -n %s get pods -l %s=%s; where its node is lost, delete the node, or the pod with --force; then run vishwa apply", h.Kube.Namespace, LabelName, h.Name)
}

// gone returns when an object is not there any more, or another of its name is.
func (h Hand) gone(ctx context.Context, r kube.Resource, name, uid string) error {
	for limit := h.Now().Add(EndWithin); ; {
		var there struct {
			Meta status.Meta `json:"metadata"`
		}
		err := h.Kube.Get(ctx, r, name, &there)
		late := h.Now().After(limit)
		switch {
		case err != nil && fault.Of(err) == fault.Missing, err == nil && there.Meta.UID != uid:
			return nil
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case late:
			return h.Stays(r, name)
		}
		if err := Pause(ctx); err != nil {
			return err
		}
	}
}

// Remove takes an object of ours away; one that is not there, or not ours, is left.
func (h Hand) Remove(ctx context.Context, r kube.Resource, name string) error {
	var there struct {
		Meta status.Meta `json:"metadata"`
	}
	err := h.Kube.Get(ctx, r, name, &there)
	if err == nil && h.Ours(there.Meta) && there.Meta.Deleted == nil {
		err = h.Kube.Delete(ctx, r, name, there.Meta.UID)
	}
	if fault.Of(err) == fault.Missing && err != nil {
		return nil
	}
	return err
}

// Prune takes away what is ours under the name and not in keep. What is in front goes first.
func (h Hand) Prune(ctx context.Context, of []kube.Resource, keep []Object) error {
	stay := map[string]bool{}
	for _, o := range keep {
		stay[o.Resource.Name+"/"+o.Name] = true
	}
	for _, r := range of {
		all, err := h.List(ctx, r)
		if err != nil {
			return err
		}
		for _, m := range all {
			if stay[r.Name+"/"+m.Name] || m.Deleted != nil {
				continue
			}
			if err := h.Kube.Delete(ctx, r, m.Name, m.UID); err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict {
				return err
			}
		}
	}
	return nil
}

// List are our objects of a kind. A kind that the cluster does not have, or that we were never given, has none of ours;
// one that we made objects of is there, unless the cluster says itself that it has no such kind any more.
func (h Hand) List(ctx context.Context, r kube.Resource) ([]status.Meta, error) {
	type item struct {
		Meta status.Meta `json:"metadata"`
	}
	all, _, err := kube.List[item](ctx, h.Kube, r, kube.Select{Labels: LabelOwner + "=" + h.Owner + "," + LabelName + "=" + h.Name})
	if kind := fault.Of(err); err != nil && r != kube.Deployments && r != kube.Services && (kind == fault.Invalid || kind == fault.Denied) {
		if !slices.Contains(h.Made, r) || kube.Lacks(err) {
			return nil, nil
		}
	}
	var out []status.Meta
	for _, o := range all {
		if h.Ours(o.Meta) {
			out = append(out, o.Meta)
		}
	}
	return out, err
}
