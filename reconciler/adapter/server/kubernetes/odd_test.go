// What a cluster says may be of any shape: of a hostile or broken server, or of a kind of the same name whose schema is another.

package kubernetes

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// odd calls with as often as v has values, with another shape in the place of each.
func odd(v any, with func()) {
	set := func(put func(any), was any) {
		for _, other := range []any{nil, "text", 1.5, []any{nil}, map[string]any{"": nil}} {
			put(other)
			with()
		}
		put(was)
		odd(was, with)
	}
	switch v := v.(type) {
	case map[string]any:
		for k, was := range v {
			set(func(other any) { v[k] = other }, was)
		}
	case []any:
		for i, was := range v {
			set(func(other any) { v[i] = other }, was)
		}
	}
}

// A goroutine that panics ends the whole program, and with it every repository of a controller.
func TestNoShapeOfAClustersAnswerEndsTheProgram(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	server := s.server.(*server)
	plan := func(r port.Release) *work {
		p, _ := server.shapes[r.Target()].part(r)
		w, err := server.plan(t.Context(), r, p)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for name, by := range map[string]func(name, version string, how ...string) port.Release{
		"kserve": s.exposed, "knative": s.revises, "seldon": s.loads, "seldonDeployment": s.predicts,
		"kubernetes": func(_, version string, how ...string) port.Release { return s.routed(version, how...) },
	} {
		one, two := plan(by("one", "1")), plan(by("one", "2"))
		divides := one.shape().divides
		for _, o := range append(one.all(), divides.divided(one.standing, two.standing, 30)) {
			at := 0
			odd(o.Body, func() {
				at++
				defer func() {
					if why := recover(); why != nil {
						t.Errorf("%s, %s, shape %d: %v", name, owned.Kinds[o.Resource.Name], at, why)
					}
				}()
				unitIn(o)
				noted(o.Body, noteKey)
				divides.weight(o.Body, two.standing)
				if begins := two.shape().begins; begins != nil {
					begins(two, o.Body)
				}
			})
			if at == 0 {
				t.Errorf("%s: nothing of %s was tried", name, o.Name)
			}
		}
	}
}
