// Undoing a release that did not become ready: everything is as it was before it was begun.

package kubernetes

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
)

// step is an object that a release was begun with, and what stood under its name just before.
type step struct {
	owned.Object
	former map[string]any // nil: nothing did
	ours   bool           // it was ours
	served bool           // its pods had requests, or could have
}

// putNoting has an object as it is declared, and notes what stood there before: nobody else knows it once it is changed. A
// record may be missing, or be older than what another replica made since.
func (w *work) putNoting(ctx context.Context, o owned.Object) (map[string]any, error) {
	former, ours, err := w.hand().Find(ctx, o)
	if err != nil {
		return nil, err
	}
	was := step{Object: o, former: former, ours: ours}
	if ours {
		if was.served, err = w.serves(ctx, former); err != nil {
			return nil, err
		}
	}
	w.begun = append(w.begun, was)
	if begins := w.shape().begins; begins != nil && o.Resource == w.shape().unit {
		first := begins(w, former)
		w.short = !reflect.DeepEqual(first.Body, o.Body)
		o = first
	}
	return w.hand().Put(ctx, o)
}

// serves tells whether what stands there may serve: its pods are ready, where it goes on from release to release, and
// else something of the deployment's name sends requests to it.
func (w *work) serves(ctx context.Context, former map[string]any) (bool, error) {
	if w.served { // it is never undone
		return true, nil
	}
	if w.shape().kept {
		at := w.standing
		at.Unit = bears[w.shape().unit](former)
		st, err := w.shape().stands(ctx, w.server, w.kube, w.name, at)
		return st.Serving > 0, err
	}
	for _, front := range w.fronts {
		there, _, err := w.hand().Find(ctx, front)
		if err != nil {
			return false, err
		}
		if names(there["spec"], w.Unit) {
			return true, nil
		}
	}
	return false, nil
}

// names tells whether a value of JSON has a text in it.
func names(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return v == text
	case []any:
		for _, e := range v {
			if names(e, text) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if names(e, text) {
				return true
			}
		}
	}
	return false
}

// undo has what was begun as it was before: what stood there is put back, and what did not is taken away.
func (w *work) undo(ctx context.Context, was record, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if w.fresh {
		defer w.server.unlay(ctx, w.Laid)
	}
	for i := len(w.begun) - 1; i >= 0; i-- {
		if err := w.back(ctx, was, w.begun[i]); err != nil {
			w.server.o.Env.Log.Warn("what did not become ready stays until the next apply", "object", w.begun[i].Name, "why", why, "error", err)
		}
	}
}

// back has one object as it was before.
func (w *work) back(ctx context.Context, was record, s step) (err error) {
	declared, recorded := was.before(w.Place, s.Object)
	stays := s.former
	switch {
	case recorded && (s.former == nil || s.ours && (!s.served || noted(s.former, noteKey) == string(was.Served.Key))):
		stays = declared.Body
		_, err = w.hand().Put(ctx, declared)
	case s.former != nil && (w.shape().kept || !s.ours || s.served):
		err = w.hand().Back(ctx, s.Object, s.former)
	case was.Tried != nil && slices.ContainsFunc(was.Tried.Objects, func(o owned.Object) bool { return o.Resource == s.Resource && o.Name == s.Name && o.Name != w.Unit }):
		return nil // what is tried is served by it
	default: // nothing stood there, or what an apply that did not end had left
		if s.Resource == kube.SeldonServers {
			err = w.server.unloaded(ctx, w.hand(), s.Name)
		}
		if err == nil {
			err = w.hand().Remove(ctx, s.Resource, s.Name)
		}
		return err
	}
	if err != nil || names(stays["spec"], w.Bring.Secret) {
		return err
	}
	return w.forget(ctx, "")
}

// noted is an annotation of an object.
func noted(o map[string]any, name string) string {
	meta, _ := o["metadata"].(map[string]any)
	notes, _ := meta["annotations"].(map[string]any)
	text, _ := notes[name].(string)
	return text
}
