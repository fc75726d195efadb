// A cluster may refuse any of the objects of a release, by a rule, a quota or as its namespace goes. What served goes on, and the release comes
// once it is let.

package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAClusterMadeAnewIsAConflictWhateverServedThere, and whatever was tried next to it.
func TestAClusterMadeAnewIsAConflictWhateverServedThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on func(t *testing.T, options ...func(*kubetest.Options)) *stage
		by func(s *stage, version string) port.Release
	}{
		"a route":          {onDouble, func(s *stage, version string) port.Release { return s.routed(version) }},
		"knative":          {onKnative, func(s *stage, version string) port.Release { return s.revises("one", version) }},
		"seldon":           {onSeldon, func(s *stage, version string) port.Release { return s.loads("one", version) }},
		"seldonDeployment": {onCore1, func(s *stage, version string) port.Release { return s.predicts("one", version) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.on(t)
			old, tried := c.by(s, "1"), c.by(s, "2")
			s.apply(old)
			s.split(tried, 20)
			s.double.Anew()
			try := s.server.(port.Splitter)
			_, splits := try.Split(t.Context(), tried, port.Part{Weight: 40})
			_, promotes := try.Join(t.Context(), "one", port.Trial{Key: tried.Key}, true)
			_, aborts := try.Join(t.Context(), "one", port.Trial{Key: tried.Key}, false)
			_, revives := s.server.(port.Reviver).Revive(t.Context(), "one", old.Key)
			_, retires := s.server.Apply(t.Context(), port.Release{Name: "one"})
			for what, err := range map[string]error{"split": splits, "promote": promotes, "abort": aborts, "revive": revives, "retire": retires} {
				if fault.Of(err) != fault.Conflict || err == nil || !strings.Contains(err.Error(), "is not the one that it was served on") || !strings.Contains(fault.HintOf(err), "uid: ") {
					t.Errorf("%s: %v (%s)", what, err, fault.HintOf(err))
				}
			}
			s.refused(old, fault.Conflict, "is not the one", "set uid: ")
			s.refused(c.by(s, "3"), fault.Conflict, "is not the one", "set uid: ")
			if now := s.observe("one"); now.Key != old.Key || now.Health != port.Failing || !strings.Contains(now.Message, "is not the one that it was served on") {
				t.Errorf("observed %+v", now)
			}
			if made := s.declared(); len(made) > 0 {
				t.Errorf("on another cluster was made %v", made)
			}
		})
	}
}

func TestWhateverObjectTheClusterRefusesWhatServesGoesOn(t *testing.T) {
	t.Parallel()
	pods := func(s *stage, version string) port.Release { // of which each object differs from version to version
		r := s.everything(version)
		r.Kubernetes.Autoscale.Max, r.Kubernetes.MinAvailable = len(version)+2, version+"0%"
		r.Kubernetes.Ingress.TLSSecret = "tls-" + version
		r.Kubernetes.Route = &schemas.Route{Gateway: "public", Host: "one.example.com", Path: "/v" + version}
		return r
	}
	targets := map[string]struct {
		on        func(t *testing.T, options ...func(*kubetest.Options)) *stage
		by        func(s *stage, version string) port.Release
		resources []string
	}{
		"kubernetes":       {onDouble, pods, []string{"deployments", "secrets", "services", "httproutes", "ingresses", "horizontalpodautoscalers", "poddisruptionbudgets"}},
		"kserve":           {onDouble, func(s *stage, version string) port.Release { return s.infers("one", version) }, []string{"inferenceservices", "secrets"}},
		"seldon":           {onSeldon, func(s *stage, version string) port.Release { return s.loads("one", version) }, []string{"models", "experiments"}},
		"seldonDeployment": {onCore1, func(s *stage, version string) port.Release { return s.predicts("one", version) }, []string{"seldondeployments", "secrets"}},
	}
	refusals := map[string]struct {
		words string
		kind  fault.Kind
		says  string
	}{
		"a webhook":           {`admission webhook "rules.example.com" denied the request: not so`, fault.Invalid, "a rule of the cluster refuses it"},
		"a quota":             {`x "y" is forbidden: exceeded quota: objects, requested: count/x=1, used: count/x=1, limited: count/x=1`, fault.Transient, "exceeded quota: objects"},
		"its namespace going": {kubetest.Terminating, fault.Transient, "namespace " + kubetest.Namespace + " is being deleted"},
	}
	for target, of := range targets {
		for _, resource := range of.resources {
			for name, no := range refusals {
				t.Run(fmt.Sprintf("%s, %s of %s", target, name, resource), func(t *testing.T) {
					t.Parallel()
					s := of.on(t)
					old := of.by(s, "1")
					l := s.apply(old)
					s.double.Rule(func(asked string, _ map[string]any) string {
						if asked == resource {
							return no.words
						}
						return ""
					})
					r := of.by(s, "2")
					_, err := s.server.Apply(t.Context(), r)
					s.double.Rule(func(string, map[string]any) string { return "" })
					if err == nil {
						if no.words != kubetest.Terminating { // which refuses no object that is there already
							t.Fatal("it was not refused")
						}
						return
					}
					if fault.Of(err) != no.kind || !strings.Contains(err.Error(), no.says) || fault.HintOf(err) == "" {
						t.Errorf("%v (%v; %s): want %v with %q", err, fault.Of(err), fault.HintOf(err), no.kind, no.says)
					}
					if now := s.observe("one"); now.Key != old.Key || now.Health != port.Ready || now.Message != "" {
						t.Errorf("observed %+v", now)
					}
					if got := s.ask(l, "/infer"); got != "1" {
						t.Errorf("%s answers", got)
					}
					s.apply(r)
					if now := s.observe("one"); now.Key != r.Key || now.Health != port.Ready || now.Message != "" {
						t.Errorf("once it is let, it is %+v", now)
					}
				})
			}
		}
	}
}
