// Seldon Core 1: a SeldonDeployment of the deployment's name, with a predictor for each release. Its controller makes a Deployment of a
// predictor, changes its routes once those of all predictors are ready, and takes away Deployments of predictors that are no longer declared
// after that. A predictor has the release's name: a changed one of the same name would change pods that serve, one by one. Its status has
// no generation, but names the Deployments that it is about; the weights are in what it makes for Istio.

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// seldonRuns is the container that serves, and the graph's one node.
const seldonRuns = "model"

func seldonDeployment() *shape {
	return &shape{
		unit: kube.SeldonDeployments, bytes: port.BytesVerified, kept: true,
		check: checkSeldonDeployment, make: (*work).predict, begins: beginsPredictor, stands: predictorStands, routed: predictorsRoute,
		part: func(r port.Release) (part, bool) {
			t := r.SeldonDeployment
			if t == nil {
				return part{}, false
			}
			return part{cluster: t.Cluster, adopt: t.Adopt, brings: true}, true
		},
		service: func(string, standing) (string, string) { return "", "" },
		divides: byPredictors(),
	}
}

func checkSeldonDeployment(r port.Release) error {
	t := r.SeldonDeployment
	switch {
	case len(r.Name) > schemas.MostSeldonName:
		return wrong("shorten it", "its name is longer than the %d letters that Seldon has room for", schemas.MostSeldonName)
	case !schemas.ByDigest(t.Image):
		return wrong("let vishwa image pin write its digest", "image %q is not named by digest", t.Image)
	case !schemas.ByDigest(t.Worker):
		return wrong("write name@sha256:... as your registry tells it", "image %q of the worker is not named by digest", t.Worker)
	case r.Model.Digest == "":
		return wrong("name a model", "it has no model, and Seldon serves nothing else")
	case len(t.Elsewhere()) > 0:
		return wrong("remove it, or where it is the path of a model, write "+modelsAt+" or one below it", "spec.target.seldonDeployment.%s may have the server load another model than the one that is verified", t.Elsewhere()[0])
	}
	return checkServed(r)
}

// predict fills in the objects of r. What Seldon's CRD does not know of pods is left out, and what its controller sets itself: who the pod
// runs as, and what is done before it ends.
func (w *work) predict(r port.Release) {
	t := r.SeldonDeployment
	spec, models := w.podSpec(t.Pods, "", ""), mount("vishwa-release", modelsAt, true)
	models["subPath"] = strings.TrimSuffix(served.ModelDir, "/")
	delete(spec, "securityContext")
	readable(spec)
	listens, env, parameters := cmp.Or(t.ContainerPort, 9000), []any{}, []any{}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		env = append(env, variable(name, t.Variables[name]))
	}
	its := map[string]string{"model_uri": modelsAt}
	maps.Copy(its, t.Parameters)
	for _, name := range slices.Sorted(maps.Keys(its)) {
		one := variable(name, its[name]) // Seldon puts them into a variable, where $(NAME) would become others' text, and with it other parameters
		one["type"] = "STRING"
		parameters = append(parameters, one)
	}
	ready := map[string]any{"path": r.Ready, "port": listens}
	spec["containers"] = []any{map[string]any{
		"name": seldonRuns, "image": t.Image, "imagePullPolicy": "IfNotPresent", "env": env, "resources": given(t.Resources, true),
		"terminationMessagePolicy": "FallbackToLogsOnError",
		"ports":                    []any{map[string]any{"name": "http", "containerPort": listens, "protocol": "TCP"}},
		"readinessProbe":           map[string]any{"httpGet": ready, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3},
		// Seldon's own probe begins a container again that does not listen within a minute or so; how long a release may take, we say.
		"startupProbe": map[string]any{"httpGet": ready, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3600},
		"securityContext": map[string]any{
			"runAsNonRoot": true, "allowPrivilegeEscalation": false, "privileged": false, "capabilities": map[string]any{"drop": []any{"ALL"}},
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"volumeMounts": []any{models},
	}}
	of := map[string]any{
		"replicas": max(1, t.Replicas), "annotations": map[string]any{"seldon.io/no-engine": "true"},
		"graph":          map[string]any{"name": seldonRuns, "type": "MODEL", "parameters": parameters},
		"componentSpecs": []any{map[string]any{"spec": spec}},
	}
	of = plain(of)
	w.Unit = unitOf(r.Name, of)
	w.Bring.Secret = w.server.secretOf(w.Unit)
	component, _ := of["componentSpecs"].([]any)[0].(map[string]any)
	w.bind(component["spec"].(map[string]any))
	labels := w.server.labels(r.Name)
	of["name"], of["traffic"], of["labels"] = canaryName(w.Unit), whole, with(labels, labelUnit, w.Unit)
	notes := map[string]string{noteKey: string(r.Key), noteModel: string(r.Model.Digest), noteBytes: w.server.bytes(w.standing)}
	w.unit = parts{kube.SeldonDeployments, r.Name, labels, notes, map[string]any{"predictors": []any{of}}}.object()
	w.units = append(w.units, w.unit)
	w.URL = fmt.Sprintf("http://%s/seldon/%s/%s", t.Gateway, w.Place.At.Namespace, r.Name)
	w.Objects = w.all()
}

// seldonDeployed is what is read of a SeldonDeployment.
type seldonDeployed struct {
	Meta status.Meta `json:"metadata"`
	Spec struct {
		Predictors []predictorOf `json:"predictors"`
	} `json:"spec"`
	Status struct {
		State       string `json:"state"`
		Description string `json:"description"`
		Deployments map[string]struct {
			Available int `json:"availableReplicas"`
		} `json:"deploymentStatus"`
	} `json:"status"`
}

type predictorOf struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels"`
	Traffic int               `json:"traffic"`
	Shadow  bool              `json:"shadow"`
}

// predictorUnit is the release that has most of the requests of a SeldonDeployment.
func predictorUnit(o map[string]any) (unit string) {
	most := -1
	for _, p := range owned.As[seldonDeployed](o).Spec.Predictors {
		if !p.Shadow && p.Traffic > most {
			most, unit = p.Traffic, p.Labels[labelUnit]
		}
	}
	return unit
}

// deploymentOf names what Seldon makes of a predictor of ours.
func deploymentOf(name, unit string) string {
	return name + "-" + canaryName(unit) + "-0-" + seldonRuns
}

// predictorStands asks how a release does, by its pods: what Seldon says is of all releases that a SeldonDeployment names.
func predictorStands(ctx context.Context, s *server, c *kube.Client, name string, at standing) (status.Standing, error) {
	var is seldonDeployed
	if err := c.Get(ctx, kube.SeldonDeployments, name, &is); err != nil {
		return status.Standing{}, err
	}
	r := status.Rollout{Ready: at.Ready, Now: c.Now(), Patience: s.o.Patience}
	err := c.Get(ctx, kube.Deployments, deploymentOf(name, at.Unit), &r.Deployment)
	if err != nil && fault.Of(err) != fault.Missing {
		return status.Standing{}, err
	}
	made := err == nil && r.Deployment.Spec.Template.Meta.Labels[labelUnit] == at.Unit
	if r.Pods, err = s.podsOf(ctx, c, at); err != nil {
		return status.Standing{}, err
	}
	if !made {
		st := status.Standing{Want: 1, Reason: "Seldon has not taken notice of it yet", Cause: notSeenByCore1}
		if is.Status.State == "Failed" {
			st.Reason, st.Cause = kube.Cut("Seldon cannot make it: "+strings.TrimSpace(is.Status.Description)), notMadeByCore1
			st.Over = c.Now().Sub(at.Since) > min(invalidIn, s.o.Start) // it says so of what was declared before, until it has looked
		}
		return st, nil
	}
	for _, p := range r.Pods {
		p.Rename(seldonRuns, status.Serves)
	}
	return r.Stands(), nil
}

// beginsPredictor is the SeldonDeployment that a release begins with: without requests next to what has them, or with those that it has.
func beginsPredictor(w *work, there map[string]any) owned.Object {
	spec, _ := there["spec"].(map[string]any)
	all, _ := spec["predictors"].([]any)
	var others []any
	weight, rest := 0, 0
	for _, one := range all {
		p, _ := one.(map[string]any)
		if p == nil { // no predictor, whatever the cluster, or a file of a branch, says
			continue
		}
		switch is := owned.As[predictorOf](p); {
		case is.Labels[labelUnit] == w.Unit:
			weight = is.Traffic
		case is.Shadow:
		default:
			others, rest = append(others, plain(p)), rest+is.Traffic
		}
	}
	if len(others) == 0 {
		return w.unit
	}
	if rest+weight != whole { // one alone need not say that it has all
		weight = 0
		for i, one := range others {
			one.(map[string]any)["traffic"] = float64(0)
			if i == 0 {
				one.(map[string]any)["traffic"] = float64(whole)
			}
		}
	}
	return predicting(w.unit, append(others, weighed(predictorIn(w.unit), weight))...)
}

// predictorIn is the one predictor of a SeldonDeployment of ours.
func predictorIn(o owned.Object) map[string]any {
	spec, _ := o.Body["spec"].(map[string]any)
	all, _ := spec["predictors"].([]any)
	p, _ := all[0].(map[string]any)
	return p
}

func weighed(p map[string]any, weight int) map[string]any {
	out := plain(p)
	out["traffic"] = float64(weight)
	return out
}

// predicting is a SeldonDeployment with other predictors.
func predicting(of owned.Object, predictors ...any) owned.Object {
	out := owned.Object{Resource: of.Resource, Name: of.Name, Body: plain(of.Body)}
	out.Body["spec"].(map[string]any)["predictors"] = predictors
	return out
}

// byPredictors divides requests between the predictors of two releases.
func byPredictors() *divider {
	return &divider{
		carrier: kube.SeldonDeployments,
		divided: func(served, tried standing, weight int) owned.Object {
			of := *served.find(kube.SeldonDeployments)
			return predicting(of, weighed(predictorIn(of), whole-weight), weighed(predictorIn(*tried.find(kube.SeldonDeployments)), weight))
		},
		weight: func(carrier map[string]any, tried standing) (int, bool) {
			for _, p := range owned.As[seldonDeployed](carrier).Spec.Predictors {
				if p.Labels[labelUnit] == tried.Unit {
					return p.Traffic, true
				}
			}
			return 0, false
		},
		took: predictorsTaken,
		back: func(ctx context.Context, s *server, c *kube.Client, name string, rec *record) error {
			made, err := s.hand(c, name).Put(ctx, *rec.Served.find(kube.SeldonDeployments))
			if err != nil {
				return err
			}
			return predictorsTaken(ctx, s, c, made, *rec.Served, whole)
		},
	}
}

// predictorsTaken returns when Seldon has carried out a SeldonDeployment.
func predictorsTaken(ctx context.Context, s *server, c *kube.Client, carrier map[string]any, _ standing, _ int) error {
	return s.routes(ctx, c, predictorsRoute, owned.As[seldonDeployed](carrier).Meta.Name)
}

// predictorsRoute tells whether Seldon has carried out what it is asked for name: of just the predictors that are declared, by its status,
// which says nothing of their weights, and by these in the routes that it makes for Istio.
func predictorsRoute(ctx context.Context, c *kube.Client, name string) (bool, string, error) {
	var is seldonDeployed
	if err := c.Get(ctx, kube.SeldonDeployments, name, &is); err != nil {
		return false, "", err
	}
	if is.Status.State != "Available" {
		return false, kube.Cut(strings.TrimSpace("SeldonDeployment " + name + " is " + cmp.Or(is.Status.State, "of no state") + ": " + is.Status.Description)), nil
	}
	all := map[string]bool{}
	for _, p := range is.Spec.Predictors {
		at := name + "-" + p.Name + "-0-" + seldonRuns
		if all[at] = true; is.Status.Deployments[at].Available == 0 {
			return false, "SeldonDeployment " + name + " does not tell predictor " + kube.Cut(p.Name) + " as available", nil
		}
	}
	for at := range is.Status.Deployments {
		if !all[at] {
			return false, "SeldonDeployment " + name + " goes on with " + kube.Cut(at), nil
		}
	}
	return weightsRoute(ctx, c, name, is)
}

// virtualService is what is read of one of Istio's.
type virtualService struct {
	Meta struct {
		Name   string `json:"name"`
		Owners []struct {
			UID string `json:"uid"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		HTTP []struct {
			Route []struct {
				To struct {
					Host string `json:"host"`
				} `json:"destination"`
				Weight int `json:"weight"`
			} `json:"route"`
		} `json:"http"`
	} `json:"spec"`
}

// weightsRoute tells whether the routes that Seldon made for Istio have the weights of the predictors. A cluster without Istio has none, nor
// has one where Seldon is set up for another ingress.
func weightsRoute(ctx context.Context, c *kube.Client, name string, is seldonDeployed) (bool, string, error) {
	all, _, err := kube.List[virtualService](ctx, c, kube.VirtualServices, kube.Select{})
	switch {
	case err != nil && kube.Lacks(err):
		return true, "", nil
	case err != nil:
		return false, "", err
	}
	want := map[string]int{}
	for _, p := range is.Spec.Predictors {
		if !p.Shadow {
			want[name+"-"+p.Name] = p.Traffic
		}
	}
	for _, one := range all {
		if len(one.Meta.Owners) == 0 || one.Meta.Owners[0].UID != is.Meta.UID {
			continue
		}
		for _, rule := range one.Spec.HTTP {
			has := map[string]int{}
			for _, to := range rule.Route {
				host, _, _ := strings.Cut(to.To.Host, ".")
				has[host] = to.Weight
			}
			if !maps.Equal(has, want) {
				return false, "VirtualService " + one.Meta.Name + " does not have the weights of the predictors", nil
			}
		}
	}
	return true, "", nil
}
