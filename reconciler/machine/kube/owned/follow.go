// Following what somebody else applies: each object is held against what was declared, by reading alone.

package owned

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// Lags says what the cluster has not as it is declared; "" is nothing. What was added to what is declared, as by
// defaults, is not told: that is for who applies it.
func (h Hand) Lags(ctx context.Context, all []Object) (string, error) {
	for _, o := range all {
		what := fmt.Sprintf("%s %s", Kinds[o.Resource.Name], o.Name)
		var live map[string]any
		err := h.Kube.Get(ctx, o.Resource, o.Name, &live)
		if fault.Of(err) == fault.Missing && err != nil {
			return what + " is not there", nil
		}
		if err != nil {
			return "", err
		}
		switch meta := metaAs(live); {
		case meta.Deleted != nil:
			return what + " is being removed", nil
		case !h.Ours(meta):
			return what + " is there, and is not what is declared: its labels are others, or it has an owner", nil
		}
		for _, part := range []string{"labels", "annotations"} {
			if at := lacks("metadata."+part, metaOf(live)[part], metaOf(o.Body)[part]); at != "" {
				return what + " is another by " + at, nil
			}
		}
		if at := lacks("spec", live["spec"], o.Body["spec"]); at != "" {
			return what + " is another by " + at, nil
		}
	}
	return "", nil
}

// lacks is where a value of JSON does not have what is wanted of it; "" is nowhere. A server drops what is empty, and
// writes amounts in a way of its own.
func lacks(at string, has, want any) string {
	if reflect.DeepEqual(has, want) || has == nil && empty(want) {
		return ""
	}
	switch w := want.(type) {
	case map[string]any:
		h, ok := has.(map[string]any)
		if !ok {
			break
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if found := lacks(at+"."+harmless.Line(k), h[k], w[k]); found != "" {
				return found
			}
		}
		return ""
	case []any:
		h, ok := has.([]any)
		if !ok || len(h) != len(w) {
			break
		}
		for i := range w {
			if found := lacks(fmt.Sprintf("%s.%d", at, i), h[i], w[i]); found != "" {
				return found
			}
		}
		return ""
	case string:
		h, ok := has.(string)
		a, err := resource.ParseQuantity(w)
		if !ok || err != nil {
			break
		}
		if b, err := resource.ParseQuantity(h); err == nil && a.Cmp(b) == 0 {
			return ""
		}
	}
	return at
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, inner := range v {
			if !empty(inner) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return reflect.ValueOf(v).IsZero()
}
