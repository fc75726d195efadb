// KServe in its Knative mode: a revision of Knative a release, and the requests divided between the one that had all of them last and the
// newest, by canaryTrafficPercent. KServe tells the traffic by revisions; which release one is of, its pods say.

package kubernetes

import (
	"context"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	knativeMode     = "Serverless" // as every version knows the Knative mode
	knativeRevision = "serving.knative.dev/revision"
	knativeInside   = "networking.knative.dev/visibility" // of what is reached within the cluster alone
	inCluster       = "cluster-local"
)

// knative tells whether at is an InferenceService in the Knative mode.
func (at standing) knative() bool {
	o := at.find(kube.InferenceServices)
	return o != nil && noted(o.Body, kserveMode) == knativeMode
}

// inside tells whether at is an InferenceService that is declared to be reached within the cluster alone.
func (at standing) inside() bool {
	o := at.find(kube.InferenceServices)
	return o != nil && owned.As[conditioned](o.Body).Meta.Labels[kserveInside] == inCluster
}

// forKnative leaves out what Knative takes from nobody: what pods are given as a whole, and what is done at their end. Without a group of their own,
// the first container reads its ticket as others do.
func forKnative(spec, model map[string]any) {
	for _, field := range []string{"securityContext", "terminationGracePeriodSeconds", "deploymentStrategy"} {
		delete(spec, field)
	}
	delete(model, "lifecycle")
	model["securityContext"].(map[string]any)["runAsNonRoot"] = true
	readable(spec)
}

// readable has the first container read its ticket without a group of the pod's own.
func readable(spec map[string]any) {
	for _, v := range spec["volumes"].([]any) {
		if secret, is := v.(map[string]any)["secret"].(map[string]any); is {
			secret["defaultMode"] = 0o444
		}
	}
}

// predicted is what KServe says of the revisions of an InferenceService, and what it was asked for.
type predicted struct {
	Spec struct {
		Predictor struct {
			Labels map[string]string `json:"labels"`
			Canary *int              `json:"canaryTrafficPercent"`
			Least  int               `json:"minReplicas"`
		} `json:"predictor"`
	} `json:"spec"`
	Status struct {
		Components struct {
			Predictor struct {
				URL     string    `json:"url"` // of Knative's own route
				Created string    `json:"latestCreatedRevision"`
				Ready   string    `json:"latestReadyRevision"`
				Traffic []traffic `json:"traffic"`
			} `json:"predictor"`
		} `json:"components"`
		Conditions status.Conditions `json:"conditions"`
	} `json:"status"`
}

// traffic is how much of the requests a revision has.
type traffic struct {
	Revision string `json:"revisionName"`
	Percent  int    `json:"percent"`
}

// served is how much of the requests the revisions have that are of a release.
func (p predicted) served(of map[string]bool) (percent int) {
	for _, t := range p.Status.Components.Predictor.Traffic {
		if of[t.Revision] {
			percent += t.Percent
		}
	}
	return percent
}

// due is how much of the requests the release of unit is to have.
func (p predicted) due(unit string) int {
	percent := whole
	if p.Spec.Predictor.Canary != nil {
		percent = *p.Spec.Predictor.Canary
	}
	if p.Spec.Predictor.Labels[labelUnit] != unit {
		return whole - percent
	}
	return percent
}

// revisionsOf are the revisions that pods of a release are of, those pods, and how many of them are ready.
func (s *server) revisionsOf(ctx context.Context, c *kube.Client, at standing) (of map[string]bool, pods []status.Pod, ready int, err error) {
	pods, err = s.podsOf(ctx, c, at)
	of = map[string]bool{}
	for _, p := range pods {
		if p.Deleted != nil {
			continue
		}
		of[p.Labels[knativeRevision]] = true
		if _, yes := p.Status.Conditions.Get("Ready"); yes {
			ready++
		}
	}
	delete(of, "")
	return of, pods, ready, err
}

// knativeStands asks how a release does: its pods are ready, the newest revision is of it where it is what was declared last, and it has
// the requests that it is to have.
func knativeStands(ctx context.Context, s *server, c *kube.Client, name string, at standing) (status.Standing, error) {
	var raw map[string]any
	if err := c.Get(ctx, kube.InferenceServices, name, &raw); err != nil {
		return status.Standing{}, err
	}
	is := owned.As[predicted](raw)
	of, pods, ready, err := s.revisionsOf(ctx, c, at)
	if err != nil {
		return status.Standing{}, err
	}
	newest := is.Status.Components.Predictor.Created
	declared := is.Spec.Predictor.Labels[labelUnit] == at.Unit
	r := status.Rollout{Ready: at.Ready, Now: c.Now(), Patience: s.o.Patience, Pods: pods}
	made := false
	if declared && newest != "" {
		err := c.Get(ctx, kube.Deployments, newest+"-deployment", &r.Deployment)
		if err != nil && fault.Of(err) != fault.Missing {
			return status.Standing{}, err
		}
		made = err == nil && r.Deployment.Spec.Template.Meta.Labels[labelUnit] == at.Unit
	}
	if declared && !made && len(pods) == 0 {
		st := owned.As[inferenceService](raw).untouched(c.Now().Sub(at.Since), min(invalidIn, s.o.Start), knativeMode, "Knative")
		if st.Cause == notSeenByKServe {
			st.Cause = notMadeByKnative
		}
		return st, nil
	}
	if !made { // that of another release says nothing of this one
		r.Deployment = status.Deployment{}
	}
	for _, p := range r.Pods {
		p.Rename(kserveRuns, status.Serves)
	}
	st := r.Stands()
	st.Want, st.Serving, st.Settled = max(1, is.Spec.Predictor.Least), ready, false
	percent, due := is.served(of), is.due(at.Unit)
	_, well := is.Status.Conditions.Get("Ready")
	switch {
	case ready < st.Want: // as its pods say
	case declared && !of[is.Status.Components.Predictor.Ready]:
		st.Reason = "its pods are ready, and Knative does not tell its revision as ready yet"
	case percent < due:
		st.Reason = fmt.Sprintf("its pods are ready, and it has %d %% of the requests", percent)
	case declared && at.inside() && is.Status.Components.Predictor.URL != "" && !owned.As[inferenceService](raw).ofCluster(is.Status.Components.Predictor.URL):
		st.Reason, st.Cause = kube.Cut("Knative gives it the address "+is.Status.Components.Predictor.URL+", and it is to be reached within the cluster alone"), outside
	case declared && due == whole && !well:
		st.Reason = "KServe does not tell it as ready"
	default:
		st.Settled, st.Reason, st.Cause, st.Over = true, "", "", false
	}
	return owned.As[inferenceService](raw).addressed(at, st), nil
}

// byPercent divides requests by canaryTrafficPercent: the InferenceService is that of what is tried, and Knative keeps the revision before.
func byPercent() *divider {
	return &divider{
		carrier: kube.InferenceServices,
		refuse: func(r port.Release, weight int, served standing) error {
			switch {
			case !served.knative():
				return wrong("give the deployment another name, or remove it first: KServe changes the mode of none that is there", "what serves is in KServe's Standard mode")
			case weight == whole:
				return wrong("remove that step: the new release has all requests after the last one", "with 100 %% Knative would end the pods of the release that serves, and nothing could go back at once")
			}
			return nil
		},
		divided: func(_, tried standing, weight int) owned.Object {
			return withPercent(*tried.find(kube.InferenceServices), weight)
		},
		weight: func(carrier map[string]any, tried standing) (int, bool) {
			is := owned.As[predicted](carrier)
			return is.due(tried.Unit), is.Spec.Predictor.Labels[labelUnit] == tried.Unit
		},
		held: func(carrier owned.Object) owned.Object { return withPercent(carrier, 0) },
		took: percentTaken,
		back: percentBack,
		rest: percentRest,
	}
}

// beginsKnative is the InferenceService that a release begins with: without requests next to another release, which Knative would else give
// them up for it; and with those that it has.
func beginsKnative(w *work, there map[string]any) owned.Object {
	if !w.knative() || there == nil {
		return w.unit
	}
	is := owned.As[predicted](there).Spec.Predictor
	switch {
	case is.Labels[labelUnit] != w.Unit:
		return withPercent(w.unit, 0)
	case is.Canary != nil:
		return withPercent(w.unit, *is.Canary)
	}
	return w.unit
}

// withPercent is an InferenceService of which the newest revision has that much of the requests.
func withPercent(of owned.Object, weight int) owned.Object {
	out := owned.Object{Resource: of.Resource, Name: of.Name, Body: plain(of.Body)}
	spec, _ := out.Body["spec"].(map[string]any)
	if part, is := spec["predictor"].(map[string]any); is {
		part["canaryTrafficPercent"] = float64(weight)
	}
	return out
}

// percentTaken returns when a release has that much of the requests, by what KServe tells of its traffic.
func percentTaken(ctx context.Context, s *server, c *kube.Client, carrier map[string]any, at standing, weight int) error {
	name := owned.As[conditioned](carrier).Meta.Name
	for limit := s.o.Env.Now().Add(reachWithin); ; {
		var is predicted
		percent := -1
		err := c.Get(ctx, kube.InferenceServices, name, &is)
		if err == nil {
			var of map[string]bool
			if of, _, _, err = s.revisionsOf(ctx, c, at); err == nil {
				percent = is.served(of)
			}
		}
		late := s.o.Env.Now().After(limit)
		switch {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case err == nil && percent == weight:
			return s.drained(ctx)
		case late:
			return fault.WithHint(fault.New(fault.Transient, "InferenceService %s gives %d %% of the requests to it after %s, and not %d %%", name, percent, reachWithin, weight), "see what KServe and Knative say: kubectl describe inferenceservice; kubectl get routes.serving.knative.dev")
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
}

// percentBack gives all requests to the revision that had them before what is tried, which is there still. What serves is declared next to it
// again, without requests: Knative would else send all of them to the revision that is tried, until another one is ready.
func percentBack(ctx context.Context, s *server, c *kube.Client, name string, rec *record) error {
	h, served := s.hand(c, name), *rec.Served
	there, _, err := h.Find(ctx, *served.find(kube.InferenceServices))
	if err != nil {
		return err
	}
	if inferenceUnit(there) == rec.Tried.Unit {
		made, err := h.Put(ctx, withPercent(*rec.Tried.find(kube.InferenceServices), 0))
		if err == nil {
			err = percentTaken(ctx, s, c, made, served, whole)
		}
		if err != nil {
			return err
		}
	}
	served.Objects = []owned.Object{withPercent(*served.find(kube.InferenceServices), 0)}
	if _, err := h.Put(ctx, served.Objects[0]); err != nil {
		return err
	}
	rec.Served = &served
	return nil
}

// percentRest has one revision of what serves in place of two, once the newer is ready. Where that takes too long, both stay until the next change.
func percentRest(ctx context.Context, s *server, c *kube.Client, name string, rec *record) error {
	served := *rec.Served
	for limit := s.o.Env.Now().Add(restWithin); ; {
		var is predicted
		of, _, _, err := s.revisionsOf(ctx, c, served)
		if err == nil {
			err = c.Get(ctx, kube.InferenceServices, name, &is)
		}
		now := is.Status.Components.Predictor
		if err == nil && now.Ready != "" && now.Ready == now.Created && of[now.Ready] {
			break
		}
		if err != nil && fault.Of(err) != fault.Transient || s.o.Env.Now().After(limit) {
			return err
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
	o := *served.find(kube.InferenceServices)
	o.Body = plain(o.Body)
	spec, _ := o.Body["spec"].(map[string]any)
	if part, is := spec["predictor"].(map[string]any); is {
		delete(part, "canaryTrafficPercent")
	}
	served.Objects = []owned.Object{o}
	made, err := s.hand(c, name).Put(ctx, o)
	if err != nil {
		return err
	}
	rec.Served = &served
	if err := s.writeRecord(name, *rec); err != nil {
		return err
	}
	return percentTaken(ctx, s, c, made, served, whole)
}

// restWithin is how long a second revision of what serves may take to be ready, until it is left as it is.
const restWithin = 2 * time.Minute
