// What divides the requests between two releases, a divider a target; and of pods the route that does, and whether what carries it has
// taken the weights.

package kubernetes

import (
	"cmp"
	"context"
	"reflect"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// divider is what divides the requests of a target between the release that serves and one that is tried.
type divider struct {
	// carrier is the object under the deployment's name that has the weights.
	carrier kube.Resource
	// refuse tells why r cannot be given so much of the requests for what serves; nil where it always can.
	refuse func(r port.Release, weight int, served standing) error
	// able asks the cluster whether it can divide them; nil where every one can.
	able func(ctx context.Context, c *kube.Client, served, tried standing) error
	// divided is the carrier of what serves, with a part of the requests for what is tried.
	divided func(served, tried standing, weight int) owned.Object
	// weight is the part that a carrier gives what is tried; false where it does not name it.
	weight func(carrier map[string]any, tried standing) (weight int, named bool)
	// shows has whoever divides the requests find what is tried before it has any; nil where what has none is found all the same.
	shows func(ctx context.Context, s *server, c *kube.Client, name string, rec record) error
	// took returns when whoever divides the requests has taken over a carrier, by which at has so much of them.
	took func(ctx context.Context, s *server, c *kube.Client, carrier map[string]any, at standing, weight int) error
	// held is the carrier of what serves while something is tried that it does not name; nil: as it is without that.
	held func(carrier owned.Object) owned.Object
	// back gives all requests to what serves, where the carrier as it was before is not enough, and notes in rec how it stands then;
	// rest does what takes longer, once it is recorded that nothing is tried.
	back, rest func(ctx context.Context, s *server, c *kube.Client, name string, rec *record) error
}

// byRoute divides requests for pods, of those that come by an HTTPRoute.
func byRoute() *divider {
	return &divider{
		carrier: kube.HTTPRoutes,
		refuse: func(r port.Release, _ int, _ standing) error {
			if r.Kubernetes.Route == nil {
				return wrong("declare spec.target.kubernetes.route", "it has no route that could divide its requests")
			}
			return nil
		},
		divided: func(served, tried standing, weight int) owned.Object {
			return divided(*served.find(kube.HTTPRoutes), tried.Unit, weight)
		},
		weight: func(carrier map[string]any, tried standing) (int, bool) { return weightOf(carrier, tried.Unit) },
		shows:  showsByRoute,
		took: func(ctx context.Context, s *server, c *kube.Client, carrier map[string]any, _ standing, _ int) error {
			return s.accepted(ctx, c, carrier)
		},
	}
}

// weigh gives what is tried its weight, and returns when the requests are divided so.
func (s *server) weigh(ctx context.Context, c *kube.Client, name string, rec record, weight int) error {
	by := s.shape(*rec.Served).divides
	if err := s.carries(ctx, c, name, *rec.Served); err != nil {
		return err
	}
	if by.shows != nil && weight > 0 {
		if err := by.shows(ctx, s, c, name, rec); err != nil {
			return err
		}
	}
	made, err := s.hand(c, name).Put(ctx, by.divided(*rec.Served, *rec.Tried, weight))
	if err != nil {
		return err
	}
	return by.took(ctx, s, c, made, *rec.Tried, weight)
}

// showsByRoute has a route name the Service of what is tried without a weight until its Gateway has found it: for requests that go to a
// Service that it does not know yet, Traefik answers 500, and hears of Services and of routes in no order.
func showsByRoute(ctx context.Context, s *server, c *kube.Client, name string, rec record) error {
	var live map[string]any
	if err := c.Get(ctx, kube.HTTPRoutes, name, &live); err != nil && fault.Of(err) != fault.Missing {
		return err
	}
	if _, named := weightOf(live, rec.Tried.Unit); named {
		return nil
	}
	made, err := s.hand(c, name).Put(ctx, divided(*rec.Served.find(kube.HTTPRoutes), rec.Tried.Unit, 0))
	if err != nil {
		return err
	}
	return s.carried(ctx, c, made)
}

// divided is the route of what serves, with a part of the requests for the Service of what is tried.
func divided(route owned.Object, to string, weight int) owned.Object {
	out := owned.Object{Resource: route.Resource, Name: route.Name, Body: plain(route.Body)}
	spec, _ := out.Body["spec"].(map[string]any)
	rules, _ := spec["rules"].([]any)
	for _, r := range rules {
		if rule, is := r.(map[string]any); is {
			rule["backendRefs"] = []any{
				map[string]any{"name": route.Name, "port": float64(80), "weight": float64(whole - weight)},
				map[string]any{"name": to, "port": float64(80), "weight": float64(weight)},
			}
		}
	}
	return out
}

// weightOf is the part of the requests that a route gives a Service; false where it does not name it.
func weightOf(route map[string]any, to string) (weight int, named bool) {
	for _, b := range backendsOf(route) {
		if b.Name == to {
			if b.Weight == nil {
				return 1, true
			}
			return *b.Weight, true
		}
	}
	return 0, false
}

// backend is a Service that a rule of a route sends requests to; without a weight it is 1.
type backend struct {
	Name   string `json:"name"`
	Weight *int   `json:"weight"`
}

// backendsOf are those of all rules of a route.
func backendsOf(route map[string]any) (out []backend) {
	type rules struct {
		Spec struct {
			Rules []struct {
				Backends []backend `json:"backendRefs"`
			} `json:"rules"`
		} `json:"spec"`
	}
	for _, rule := range owned.As[rules](route).Spec.Rules {
		out = append(out, rule.Backends...)
	}
	return out
}

// accepted returns when a route is carried, and whoever carries it has had the time to do as it says: Traefik says so of a route some
// seconds before its requests go there.
func (s *server) accepted(ctx context.Context, c *kube.Client, route map[string]any) error {
	if err := s.carried(ctx, c, route); err != nil {
		return err
	}
	return s.drained(ctx)
}

// comes returns when the requests that come by a way in of w's go to w; was is what stood there before. What is behind a way in follows the
// pods of a Service by itself, some seconds late.
func (s *server) comes(ctx context.Context, w *work, was *standing) error {
	had := was != nil && was.Place.is(w.Place)
	o, same := w.find(kube.HTTPRoutes), false // whether its requests go where they went
	switch {
	case o != nil:
		before := &owned.Object{}
		if had {
			before = cmp.Or(was.find(kube.HTTPRoutes), before)
		}
		same = !w.moves && reflect.DeepEqual(before.Body, o.Body)
	case w.exposed():
		same = had && was.exposed()
	case w.moves && w.find(kube.Ingresses) != nil:
		return s.drained(ctx)
	default:
		return nil
	}
	var route map[string]any
	err := w.kube.Get(ctx, kube.HTTPRoutes, w.name, &route)
	switch {
	case o == nil && err != nil && (fault.Of(err) == fault.Missing || kube.Lacks(err)): // KServe makes an Ingress
		return nil
	case err != nil:
		return err
	case same:
		return s.carried(ctx, w.kube, route)
	}
	return s.accepted(ctx, w.kube, route)
}

// exposed tells whether KServe makes a way in of its own to what stands in its Standard mode.
func (at standing) exposed() bool {
	o := at.find(kube.InferenceServices)
	return o != nil && !at.knative() && owned.As[struct {
		Meta status.Meta `json:"metadata"`
	}](o.Body).Meta.Labels[kserveInside] == ""
}

// gatewayRef names a Gateway, as a route does.
type gatewayRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// in has the Gateway of a route that names no namespace be in the route's.
func (g gatewayRef) in(namespace string) gatewayRef {
	g.Namespace = cmp.Or(g.Namespace, namespace)
	return g
}

// routeTold is what is said of a route.
type routeTold struct {
	Meta status.Meta `json:"metadata"`
	Spec struct {
		Parents []gatewayRef `json:"parentRefs"`
	} `json:"spec"`
	Status struct {
		Parents []struct {
			Of         gatewayRef `json:"parentRef"`
			Conditions []struct {
				Type       string `json:"type"`
				Status     string `json:"status"`
				Reason     string `json:"reason"`
				Message    string `json:"message"`
				Generation int64  `json:"observedGeneration"`
			} `json:"conditions"`
		} `json:"parents"`
	} `json:"status"`
}

// why a route of a namespace is not carried as it is in this generation; "" where it is.
func (r routeTold) why(generation int64, namespace string) (why string) {
	why = "no Gateway says anything of it"
	asked := map[gatewayRef]bool{}
	for _, p := range r.Spec.Parents {
		asked[p.in(namespace)] = true
	}
	first := true
	for _, p := range r.Status.Parents {
		switch {
		case !asked[p.Of.in(namespace)]: // what a Gateway of before said stays there
			continue
		case first:
			first, why = false, ""
		}
		yes := 0
		for _, cond := range p.Conditions {
			switch {
			case cond.Type != "Accepted" && cond.Type != "ResolvedRefs":
			case cond.Generation < generation:
				why = "its Gateway has not seen it yet"
			case cond.Status != "True":
				why = harmless.Line(strings.TrimSpace(cond.Type + " is " + cond.Status + ": " + cond.Reason + " " + cond.Message))
			default:
				yes++
			}
		}
		if yes == 0 && why == "" {
			why = "its Gateway does not say that it takes it"
		}
	}
	return why
}

// carried returns when each Gateway of a route says of this very state of it that it takes its requests, and that all that it sends to is there.
func (s *server) carried(ctx context.Context, c *kube.Client, route map[string]any) error {
	of := owned.As[routeTold](route)
	within := cmp.Or(s.o.Reach, reachWithin)
	for limit := s.o.Env.Now().Add(within); ; {
		var now routeTold
		err := c.Get(ctx, kube.HTTPRoutes, of.Meta.Name, &now)
		why := now.why(of.Meta.Generation, c.Namespace)
		late := s.o.Env.Now().After(limit)
		switch {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case err == nil && why == "":
			return nil
		case late:
			return fault.WithHint(fault.New(fault.Transient, "no request comes by HTTPRoute %s as it says, after %s: %s", of.Meta.Name, within, why), "see that the Gateway's controller runs, and that the Gateway lets this namespace attach routes: kubectl describe httproute")
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
}

// restoreDivided has everything as it was recorded, and what divides the requests with the weight that it has.
func (w *work) restoreDivided(ctx context.Context, rec record) error {
	if rec.Tried == nil {
		return w.restore(ctx)
	}
	if _, err := w.server.beside(ctx, w.kube, w.name, &rec); err != nil && fault.Of(err) != fault.Missing {
		return err
	}
	as := w.Objects
	w.Objects = rec.Served.Objects
	err := w.restore(ctx)
	w.Objects = as
	return err
}
