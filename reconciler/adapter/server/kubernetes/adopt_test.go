// Whoever declares adopt in one repository does not speak for another: what an owner marked as theirs is not taken over.

package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// neighbour is another installation on the cluster of s.
func (s *stage) neighbour() *stage {
	s.t.Helper()
	other := newStage(s.t, s.double.Kubeconfig(), s.at)
	other.o.Seal, other.o.Patience, other.o.Pace, other.o.Steady, other.o.Drain = other.o.Seal.Derive("another"), s.o.Patience, s.o.Pace, s.o.Steady, s.o.Drain
	other.server, other.words, other.image, other.worker, other.double, other.client = New(other.o), s.words, s.image, s.worker, s.double, s.client
	return other
}

// adopting is r with adopt: true, whatever its target is.
func adopting(r port.Release) port.Release {
	switch {
	case r.Kubernetes != nil:
		r.Kubernetes.Adopt = true
	case r.KServe != nil:
		r.KServe.Adopt = true
	case r.Seldon != nil:
		r.Seldon.Adopt = true
	case r.SeldonDeployment != nil:
		r.SeldonDeployment.Adopt = true
	}
	return r
}

// declared is what is declared of the objects that there are, by resource and name.
func (s *stage) declared() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for _, resource := range []string{"services", "deployments", "httproutes", "ingresses", "horizontalpodautoscalers", "inferenceservices", "models", "experiments", "servers", "seldondeployments"} {
		for name, raw := range s.double.Objects(resource) {
			var o struct {
				Metadata struct {
					Labels, Annotations map[string]string
				}
				Spec any
			}
			if err := json.Unmarshal([]byte(raw), &o); err != nil {
				s.t.Fatal(err)
			}
			out[resource+"/"+name] = fmt.Sprint(o)
		}
	}
	return out
}

func TestWhatAnotherVishwaServesIsNeverTakenOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on func(t *testing.T, options ...func(*kubetest.Options)) *stage
		by func(s *stage, version string) port.Release
	}{
		"kubernetes":       {onDouble, func(s *stage, version string) port.Release { return s.everything(version) }},
		"kserve":           {onDouble, func(s *stage, version string) port.Release { return s.infers("one", version) }},
		"knative":          {onDouble, func(s *stage, version string) port.Release { return s.revises("one", version) }},
		"seldon":           {onSeldon, func(s *stage, version string) port.Release { return s.loads("one", version) }},
		"its own server":   {onServers, func(s *stage, version string) port.Release { return s.hosts("one", version) }},
		"seldonDeployment": {onCore1, func(s *stage, version string) port.Release { return s.predicts("one", version) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.on(t)
			r := c.by(s, "1")
			s.apply(r)
			other, before := s.neighbour(), s.declared()
			other.refused(adopting(c.by(other, "2")), fault.Conflict, "of another Vishwa, "+s.server.(*server).owner, owned.LabelOwner+"-")
			if now := s.declared(); !maps.Equal(now, before) {
				t.Errorf("it was %v\nand is %v", before, now)
			}
			if l := s.observe("one"); l.Key != r.Key || l.Health != port.Ready || l.Message != "" {
				t.Errorf("what serves is %+v", l)
			}
			// Nor the same release, whose objects have the same names.
			other.refused(adopting(c.by(other, "1")), fault.Conflict, "of another Vishwa", "rename the deployment")
		})
	}
}

// TestWhatIsMarkedByItsOwnerIsNotTakenOverUntilTheyLetGo of it, by what the message says.
func TestWhatIsMarkedByItsOwnerIsNotTakenOverUntilTheyLetGo(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	var uid string
	for _, raw := range s.double.Objects("namespaces") {
		_, rest, _ := strings.Cut(raw, `"uid":"`)
		uid, _, _ = strings.Cut(rest, `"`)
	}
	service := func(labels, notes map[string]any, owners ...any) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "one", "labels": labels, "annotations": notes, "ownerReferences": owners},
			"spec": map[string]any{"selector": map[string]any{"app": "theirs"}, "ports": []any{map[string]any{"port": 80.0, "protocol": "TCP"}}}}
	}
	const argo, helm = "argocd.argoproj.io/tracking-id", "meta.helm.sh/release-name"
	of := func(label, value string) map[string]any { return map[string]any{label: value} }
	r := adopting(s.release("one", "1"))
	for name, c := range map[string]struct {
		theirs     map[string]any
		words, way string
	}{
		"another deployment": {service(map[string]any{owned.LabelOwner: s.server.(*server).owner, owned.LabelName: "two"}, nil), "of the deployment two", "rename one of the two"},
		"Argo CD":            {service(nil, of(argo, "payroll:/Service:team-a/one")), "applied by Argo CD as payroll:/Service:team-a/one", "annotate services one " + argo + "-"},
		"Argo CD, by label":  {service(of("argocd.argoproj.io/instance", "payroll"), nil), "applied by Argo CD as payroll", "label services one argocd.argoproj.io/instance-"},
		"Flux":               {service(of("kustomize.toolkit.fluxcd.io/name", "payroll"), nil), "applied by Flux as payroll", "rename the deployment"},
		"a chart by Flux":    {service(of("helm.toolkit.fluxcd.io/name", "payroll"), nil), "applied by Flux as payroll", "label services one"},
		"Helm":               {service(nil, of(helm, "payroll")), "applied by Helm as payroll", "annotate services one " + helm + "-"},
		"kapp":               {service(of("kapp.k14s.io/app", "1"), nil), "applied by kapp as 1", "label services one kapp.k14s.io/app-"},
		"another object": {service(nil, nil, map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs", "uid": uid, "controller": true}),
			"of another object, which made it (metadata.ownerReferences)", "rename the deployment"},
	} {
		s.double.Put("services", c.theirs)
		before := s.declared()
		s.refused(r, fault.Conflict, "Service one of namespace "+kubetest.Namespace+" already exists, and is "+c.words, c.way)
		if now := s.declared(); !maps.Equal(now, before) {
			t.Errorf("%s: it was %v\nand is %v", name, before, now)
		}
		s.double.Delete("services", "one")
	}
	// Argo CD 2 writes a label that people write too.
	s.double.Put("services", service(of("app.kubernetes.io/instance", "payroll"), nil))
	s.double.Edit("services", "one", "argocd-controller", "", func(o map[string]any) {
		o["spec"].(map[string]any)["selector"] = map[string]any{"app": "payroll"}
	})
	s.refused(r, fault.Conflict, "applied by Argo CD as payroll", "label services one app.kubernetes.io/instance-")
	s.double.Delete("services", "one")

	s.double.Put("services", service(map[string]any{owned.LabelOwner: "s-gone", owned.LabelName: "one", "team": "b"}, nil))
	s.refused(r, fault.Conflict, "of another Vishwa, s-gone", "kubectl -n "+kubetest.Namespace+" label services one "+owned.LabelOwner+"- "+owned.LabelName+"-")
	s.double.Edit("services", "one", "kubectl-label", "", func(o map[string]any) {
		labels := o["metadata"].(map[string]any)["labels"].(map[string]any)
		delete(labels, owned.LabelOwner)
		delete(labels, owned.LabelName)
	})
	if got := s.ask(s.apply(r), "/"); got != "1" {
		t.Errorf("they let go of it, and %s answers", got)
	}
}

// TestWhatAnotherMakesMeanwhileIsNotTakenOver: a release is looked for at first, and waited for after that.
func TestWhatAnotherMakesMeanwhileIsNotTakenOver(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	theirs := map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "one", "labels": map[string]any{owned.LabelOwner: "s-another", owned.LabelName: "one"}},
		"spec": map[string]any{"selector": map[string]any{"app": "theirs"}, "ports": []any{map[string]any{"port": 80.0, "protocol": "TCP"}}}}
	s.double.After(func(q *http.Request) {
		if q.Method == http.MethodPatch && strings.Contains(q.URL.Path, "/deployments/") && s.double.Objects("services")["one"] == "" {
			s.double.Put("services", theirs)
		}
	})
	for _, adopts := range []bool{false, true} {
		r := s.release("one", "1")
		r.Kubernetes.Adopt = adopts
		s.refused(r, fault.Conflict, "Service one of namespace "+kubetest.Namespace+" already exists, and is of another Vishwa, s-another", "retire it there")
		if raw := s.double.Objects("services")["one"]; !strings.Contains(raw, `"app":"theirs"`) || strings.Contains(raw, s.server.(*server).owner) {
			t.Errorf("it is %s", raw)
		}
	}
}
