// KServe: an InferenceService of the deployment's name. In the Standard mode KServe makes a Deployment of it
// whose pods change one by one. What its status says of a generation is that of this Deployment, and while pods of
// the release before go on it says that all is well: so pods of the release are looked at, and the InferenceService
// for why there are none.

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	neturl "net/url"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	kserveMode   = "serving.kserve.io/deploymentMode"
	kserveInside = "networking.kserve.io/visibility"
	kserveHost   = "vishwa.dev/host"  // the note of the host that it is declared to be given
	kserveRuns   = "kserve-container" // the container of the runtime, which is that of the model
	predictor    = "-predictor"       // ends the names of what KServe makes for the part that serves
	modelsAt     = "/mnt/models"      // where every runtime of KServe finds the model
)

func inference() *shape {
	return &shape{
		unit: kube.InferenceServices, bytes: port.BytesVerified, kept: true,
		check: checkInference, make: (*work).infer, begins: beginsKnative, stands: inferenceStands,
		part: func(r port.Release) (part, bool) {
			t := r.KServe
			if t == nil {
				return part{}, false
			}
			return part{cluster: t.Cluster, adopt: t.Adopt, brings: r.Package == ""}, true
		},
		service: func(name string, at standing) (string, string) {
			if at.knative() { // its traffic is asked about
				return "", ""
			}
			return name + predictor, name + predictor + "-"
		},
		divides: byInference(),
	}
}

func checkInference(r port.Release) error {
	t := r.KServe
	switch {
	case len(r.Name) > t.MostName():
		return wrong("shorten it", "its name is longer than the %d letters that KServe has room for", t.MostName())
	case r.Package == "" && !schemas.ByDigest(t.Worker):
		return wrong("write name@sha256:... as your registry tells it", "image %q of the worker is not named by digest", t.Worker)
	case t.Image != "" && !schemas.ByDigest(t.Image):
		return wrong("let vishwa image pin write its digest", "image %q is not named by digest", t.Image)
	case t.Mode == schemas.KServeKnative && r.Package != "":
		return wrong("remove package, or mode: knative", "a package is mounted as an image, which Knative does not do")
	case r.Model.Digest == "":
		return wrong("name a model", "it has no model, and a runtime of KServe serves nothing else")
	}
	return checkServed(r)
}

// infer fills in the objects of r.
func (w *work) infer(r port.Release) {
	t := r.KServe
	spec, models := w.podSpec(t.Pods, "", r.Package), mount("vishwa-release", modelsAt, true)
	models["subPath"] = strings.TrimSuffix(served.ModelDir, "/")
	if r.Package != "" {
		models = packageMount(modelsAt)
	}
	security := podSecurity()
	delete(security, "runAsUser") // that of the runtime's image
	delete(security, "runAsGroup")
	spec["securityContext"] = security
	model := map[string]any{
		"modelFormat": map[string]any{"name": t.ModelFormat}, "protocolVersion": cmp.Or(t.Protocol, "v2"), "resources": given(t.Resources, true),
		"name": kserveRuns, "securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "privileged": false, "capabilities": map[string]any{"drop": []any{"ALL"}},
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"lifecycle":    map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": drain}}},
		"volumeMounts": []any{models}, "terminationMessagePolicy": "FallbackToLogsOnError",
	}
	for field, value := range map[string]string{"runtime": t.Runtime, "image": t.Image} {
		if value != "" {
			model[field] = value
		}
	}
	if t.FormatVersion != "" {
		model["modelFormat"] = map[string]any{"name": t.ModelFormat, "version": t.FormatVersion}
	}
	if t.Ready != "" {
		model["readinessProbe"] = map[string]any{
			"httpGet": map[string]any{"path": t.Ready, "port": cmp.Or(t.ReadyPort, 8080)}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3,
		}
	}
	spec["model"], spec["minReplicas"], spec["maxReplicas"] = model, max(1, t.Replicas), max(1, t.Replicas, t.MaxReplicas)
	mode := "RawDeployment" // as every version knows the Standard mode
	spec["deploymentStrategy"] = map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxUnavailable": 0, "maxSurge": 1}}
	if t.Mode == schemas.KServeKnative {
		mode = knativeMode
		forKnative(spec, model)
	}
	spec = plain(spec)
	w.Unit = unitOf(r.Name, spec)
	if r.Package == "" {
		w.Bring.Secret = w.server.secretOf(w.Unit)
		w.bind(spec)
	}
	of := w.server.labels(r.Name)
	spec["labels"] = plain(map[string]any{"labels": with(of, labelUnit, w.Unit)})["labels"]
	notes := map[string]string{
		noteKey: string(r.Key), noteModel: string(r.Model.Digest), noteBytes: w.server.bytes(w.standing),
		kserveMode: mode,
	}
	reachedBy(t.KServeTarget, of, notes)
	w.unit = parts{kube.InferenceServices, r.Name, of, notes, map[string]any{"predictor": spec}}.object()
	w.units = append(w.units, w.unit)
	w.URL = fmt.Sprintf("http://%s%s.%s.svc", r.Name, predictor, w.Place.At.Namespace)
	w.Objects = w.all()
}

// reachedBy says by the labels and the notes of an InferenceService how it is to be reached. In the Knative mode KServe goes by Knative's label alone:
// without it, all that Knative serves has a way in from outside.
func reachedBy(t schemas.KServeTarget, labels, notes map[string]string) {
	switch {
	case !t.Expose:
		labels[kserveInside] = inCluster
		if t.Mode == schemas.KServeKnative {
			labels[knativeInside] = inCluster
		}
	case t.Host != "":
		notes[kserveHost] = t.Host
	}
}

// inferenceUnit is the release that an InferenceService is of.
func inferenceUnit(o map[string]any) string {
	return owned.As[struct {
		Spec struct {
			Predictor struct {
				Labels map[string]string `json:"labels"`
			} `json:"predictor"`
		} `json:"spec"`
	}](o).Spec.Predictor.Labels[labelUnit]
}

// inferenceService is what is read of one.
type inferenceService struct {
	Spec struct {
		Canary []canaried `json:"canary"`
	} `json:"spec"`
	Status struct {
		URL     string `json:"url"`
		Address struct {
			URL string `json:"url"` // of a Service, whatever is exposed: KServe and Knative build it with the cluster's own domain
		} `json:"address"`
		Mode       string `json:"deploymentMode"`
		Components struct {
			Predictor struct {
				URL string `json:"url"` // of Knative's own route
			} `json:"predictor"`
		} `json:"components"`
		Model struct {
			Transition string `json:"transitionStatus"`
			Failure    struct {
				Reason  string `json:"reason"`
				Message string `json:"message"`
			} `json:"lastFailureInfo"`
		} `json:"modelStatus"`
		Conditions status.Conditions `json:"conditions"`
	} `json:"status"`
}

// invalidIn is how long KServe may say that what it is asked for cannot be, before that is believed: it says so of
// the release before as well, until it has looked.
const invalidIn = 10 * time.Second

func inferenceStands(ctx context.Context, s *server, c *kube.Client, name string, at standing) (status.Standing, error) {
	if at.knative() {
		return knativeStands(ctx, s, c, name, at)
	}
	var is inferenceService
	if err := c.Get(ctx, kube.InferenceServices, name, &is); err != nil {
		return status.Standing{}, err
	}
	r := status.Rollout{Ready: cmp.Or(at.Ready, "its probe"), Now: c.Now(), Patience: s.o.Patience}
	of := name + predictor
	for _, one := range is.Spec.Canary {
		if one.Predictor.Labels[labelUnit] == at.Unit {
			of = name + "-" + one.Predictor.Name + predictor
		}
	}
	err := c.Get(ctx, kube.Deployments, of, &r.Deployment)
	if err != nil && fault.Of(err) != fault.Missing {
		return status.Standing{}, err
	}
	taken := err == nil && r.Deployment.Spec.Template.Meta.Labels[labelUnit] == at.Unit
	if r.Pods, err = s.podsOf(ctx, c, at); err != nil {
		return status.Standing{}, err
	}
	if !taken {
		st := is.untouched(c.Now().Sub(at.Since), min(invalidIn, s.o.Start), "RawDeployment", "Standard")
		for _, p := range r.Pods { // it may go back to what still serves
			if _, ready := p.Status.Conditions.Get("Ready"); ready && p.Deleted == nil {
				st.Serving++
			}
		}
		return st, nil
	}
	for _, p := range r.Pods {
		p.Rename(kserveRuns, status.Serves)
	}
	st := r.Stands()
	if ready, yes := is.Status.Conditions.Get("Ready"); st.Settled && !yes {
		st.Settled, st.Reason = false, kube.Cut("KServe does not tell it as ready: "+strings.TrimSpace(ready.Reason+" "+ready.Message))
	}
	return is.addressed(at, st), nil
}

// addressed is st, held against the host that is declared: KServe gives a way in its host by settings of its own, and a release is not to have
// requests of another host than the one that it was let have.
func (is inferenceService) addressed(at standing, st status.Standing) status.Standing {
	host := ""
	if o := at.find(kube.InferenceServices); o != nil {
		host = noted(o.Body, kserveHost)
	}
	if host == "" {
		return st
	}
	u, err := neturl.Parse(is.Status.URL)
	switch {
	case err == nil && schemas.NewClaim(u.Hostname(), u.Path) == schemas.NewClaim(host, ""):
		if own := is.Status.Components.Predictor.URL; at.knative() && own != "" && !is.ofCluster(own) && !beside(own, host) {
			st.Settled, st.Over, st.Cause = false, true, besides
			st.Reason = kube.Cut(fmt.Sprintf("Knative gives its own route the address %s, which is none that comes with the host %s", own, host))
		}
	case is.Status.URL == "", is.ofCluster(is.Status.URL): // or that of before it was exposed
		if st.Settled {
			st.Settled, st.Reason, st.Cause = false, "KServe does not tell its address yet", elsewhere
		}
	default:
		st.Settled, st.Over, st.Cause = false, true, elsewhere
		st.Reason = kube.Cut(fmt.Sprintf("KServe gives it the address %s, and it is declared to be at the host %s", is.Status.URL, host))
	}
	return st
}

// beside tells whether an address is one that Knative gives besides a host.
func beside(address, host string) bool {
	u, err := neturl.Parse(address)
	t := schemas.KServeTarget{Mode: schemas.KServeKnative, Expose: true, Host: host}
	return err == nil && slices.Contains(t.Besides(), u.Hostname())
}

// ofCluster tells whether an address is one of the cluster's own: it ends as those of its Services do. One that is exposed may have svc
// anywhere else in it, by a domain-template.
func (is inferenceService) ofCluster(address string) bool {
	of := hostOf(address)
	if strings.HasSuffix(of, ".svc") || strings.HasSuffix(of, ".svc.cluster.local") {
		return true
	}
	name, domain, found := strings.Cut(hostOf(is.Status.Address.URL), ".svc.")
	return found && strings.Count(name, ".") == 1 && strings.HasSuffix(of, ".svc."+domain)
}

// hostOf is the host of an address, as DNS compares it.
func hostOf(address string) string {
	u, err := neturl.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// untouched is one that KServe has made no pods of, since so long; old and name are what the mode is called that it is to be in.
func (is inferenceService) untouched(since, invalid time.Duration, old, name string) status.Standing {
	st := status.Standing{Want: 1, Reason: "KServe has not taken notice of it yet", Cause: notSeenByKServe}
	said := kube.Cut(strings.TrimSpace(cmp.Or(is.Status.Model.Failure.Message, is.Status.Model.Failure.Reason)))
	switch mode := is.Status.Mode; {
	case mode != "" && mode != old && mode != name:
		st.Reason, st.Cause, st.Over = fmt.Sprintf("KServe serves it in the mode %s, and it is to be served in %s", kube.Cut(mode), name), "", since > invalid
	case is.Status.Model.Transition == "InvalidSpec":
		st.Reason, st.Cause, st.Over = "KServe cannot serve it: "+cmp.Or(said, "it says no more than InvalidSpec"), notServable, since > invalid
	}
	return st
}
