// KServe 0.20 and newer in its Standard mode: spec.canary of the InferenceService has the release that is tried, with pods of its own, and
// the HTTPRoute that KServe makes of it divides the requests.

package kubernetes

import (
	"context"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// canaried is what an InferenceService says of what is tried.
type canaried struct {
	Percent   int `json:"trafficPercent"`
	Predictor struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"predictor"`
}

// canaryName is the name of what is tried, after which KServe names its Deployment and its Service.
func canaryName(unit string) string { return "r" + unit[strings.LastIndex(unit, "-")+1:] }

// byInference divides requests as the mode of an InferenceService lets it.
func byInference() *divider {
	knative := byPercent()
	return &divider{
		carrier: kube.InferenceServices,
		refuse: func(r port.Release, weight int, served standing) error {
			if r.KServe.Mode == schemas.KServeKnative {
				return knative.refuse(r, weight, served)
			}
			return refuseCanary(r, served)
		},
		able: canaryAble,
		divided: func(served, tried standing, weight int) owned.Object {
			if tried.knative() {
				return knative.divided(served, tried, weight)
			}
			return withCanary(served, tried, weight)
		},
		weight: func(carrier map[string]any, tried standing) (int, bool) {
			if tried.knative() {
				return knative.weight(carrier, tried)
			}
			for _, one := range canariesOf(carrier) {
				if one.Predictor.Labels[labelUnit] == tried.Unit {
					return one.Percent, true
				}
			}
			return 0, false
		},
		held: func(carrier owned.Object) owned.Object {
			if noted(carrier.Body, kserveMode) == knativeMode {
				return knative.held(carrier)
			}
			return carrier
		},
		took: func(ctx context.Context, s *server, c *kube.Client, carrier map[string]any, at standing, weight int) error {
			if at.knative() {
				return knative.took(ctx, s, c, carrier, at, weight)
			}
			return canaryTaken(ctx, s, c, carrier, at)
		},
		back: func(ctx context.Context, s *server, c *kube.Client, name string, rec *record) error {
			if rec.Served.knative() {
				return knative.back(ctx, s, c, name, rec)
			}
			made, err := s.hand(c, name).Put(ctx, *rec.Served.find(kube.InferenceServices))
			if err != nil {
				return err
			}
			return canaryTaken(ctx, s, c, made, *rec.Served)
		},
		rest: func(ctx context.Context, s *server, c *kube.Client, name string, rec *record) error {
			if rec.Served.knative() {
				return knative.rest(ctx, s, c, name, rec)
			}
			return nil
		},
	}
}

// refuseCanary tells why r cannot be tried next to what serves in the Standard mode.
func refuseCanary(r port.Release, served standing) error {
	switch {
	case served.knative():
		return wrong("give the deployment another name, or remove it first: KServe changes the mode of none that is there", "what serves is in KServe's Knative mode")
	case !r.KServe.Expose:
		return wrong("set expose: true in spec.target.kserve", "KServe divides those requests alone that come by its HTTPRoute, and it makes none")
	case len(r.Name) > schemas.MostCanaryName:
		return wrong("shorten it", "its name is longer than the %d letters that KServe has room for next to that of a canary", schemas.MostCanaryName)
	}
	return nil
}

// canaryAble asks the cluster whether its InferenceService has spec.canary, by what it would make of one.
func canaryAble(ctx context.Context, c *kube.Client, served, tried standing) error {
	if tried.knative() {
		return nil
	}
	o := withCanary(served, tried, 0)
	err := c.Apply(ctx, o.Resource, o.Name, o.Body, true, nil)
	if err != nil && fault.Of(err) == fault.Invalid {
		return fault.WithHint(fault.New(fault.Invalid, "KServe of this cluster divides no requests in its Standard mode: its InferenceService takes no spec.canary: %w", err),
			"update KServe to 0.20 or newer, or set mode: knative for a deployment of another name; or remove canary or blueGreen from spec.rollout")
	}
	return err
}

func canariesOf(o map[string]any) []canaried {
	return owned.As[struct {
		Spec struct {
			Canary []canaried `json:"canary"`
		} `json:"spec"`
	}](o).Spec.Canary
}

// withCanary is the InferenceService of what serves, with what is tried next to it: of as many pods as its part of the requests asks for.
func withCanary(served, tried standing, weight int) owned.Object {
	of := *served.find(kube.InferenceServices)
	out := owned.Object{Resource: of.Resource, Name: of.Name, Body: plain(of.Body)}
	its, _ := plain(tried.find(kube.InferenceServices).Body)["spec"].(map[string]any)
	part, _ := its["predictor"].(map[string]any)
	least, _ := part["minReplicas"].(float64)
	part["name"], part["minReplicas"] = canaryName(tried.Unit), float64(max(1, (int(least)*weight+whole-1)/whole))
	delete(part, "maxReplicas") // how many there are follows what serves
	spec, _ := out.Body["spec"].(map[string]any)
	spec["canary"] = []any{map[string]any{"trafficPercent": float64(weight), "predictor": part}}
	return out
}

// canaryTaken returns when KServe's route divides the requests as an InferenceService says, and its Gateway has taken that over; and, where
// all are to go to one release, when its pods are those of at.
func canaryTaken(ctx context.Context, s *server, c *kube.Client, carrier map[string]any, at standing) error {
	name := owned.As[conditioned](carrier).Meta.Name
	canaries := canariesOf(carrier)
	if len(canaries) == 0 {
		if err := s.settle(ctx, &work{standing: at, server: s, kube: c, name: name, served: true}, 0); err != nil {
			return err
		}
	}
	for limit := s.o.Env.Now().Add(reachWithin); ; {
		var route map[string]any
		err := c.Get(ctx, kube.HTTPRoutes, name, &route)
		if err == nil && divides(route, name, canaries) {
			return s.accepted(ctx, c, route)
		}
		switch late := s.o.Env.Now().After(limit); {
		case err != nil && fault.Of(err) != fault.Missing && (fault.Of(err) != fault.Transient || late):
			return err
		case late:
			return fault.WithHint(fault.New(fault.Transient, "the HTTPRoute %s of KServe does not divide the requests as the InferenceService says after %s", name, reachWithin),
				"see that KServe makes routes of the Gateway API (enableGatewayApi of its ConfigMap inferenceservice-config), and what it says of its canaries: kubectl describe inferenceservice")
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
}

// divides tells whether a route gives each canary its part, and no part to what is none.
func divides(route map[string]any, name string, canaries []canaried) bool {
	for _, one := range canaries {
		if weight, _ := weightOf(route, name+"-"+one.Predictor.Name+predictor); weight != one.Percent {
			return false
		}
	}
	for _, b := range backendsOf(route) {
		known := b.Name == name+predictor || slices.ContainsFunc(canaries, func(one canaried) bool { return b.Name == name+"-"+one.Predictor.Name+predictor })
		if !known && (b.Weight == nil || *b.Weight > 0) {
			return false
		}
	}
	return true
}
