package kubernetes

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// scaled is a release behind a route whose pods the cluster scales.
func (s *stage) scaled(version string) port.Release {
	s.t.Helper()
	r := s.routed(version)
	r.Kubernetes.Autoscale, r.Kubernetes.Resources.CPU = &schemas.Autoscale{Max: 5}, "0.5"
	return r
}

// TestReleasesThatAreScaledAtOnceKeepTheirPartsAndTheirPods: an autoscaler of each has as many pods as it likes, which is no drift of either and changes
// no weight; what ends takes its autoscaler with it, and what goes on keeps its pods.
func TestReleasesThatAreScaledAtOnceKeepTheirPartsAndTheirPods(t *testing.T) {
	t.Parallel()
	for name, promote := range map[string]bool{"promoted": true, "given up": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onDouble(t)
			one, two := s.scaled("1"), s.scaled("2")
			s.apply(one)
			old := s.unit("one")
			s.split(two, 20)
			tried := ""
			for unit := range s.double.Objects("deployments") {
				if unit != old {
					tried = unit
				}
			}
			if n := len(s.double.Objects("horizontalpodautoscalers")); n != 2 || tried == "" {
				t.Fatalf("%d autoscalers, and %q is tried", n, tried)
			}
			for unit, pods := range map[string]int{old: 4, tried: 5} {
				s.double.Edit("deployments", unit, "kube-controller-manager", "scale", func(o map[string]any) { spec(o)["replicas"] = pods })
			}
			s.until("both are scaled", func() bool {
				return len(s.double.Pods(labelUnit, old)) == 4 && len(s.double.Pods(labelUnit, tried)) == 5
			})
			s.until("both are ready", func() bool {
				now := s.observe("one")
				return now.Health == port.Ready && now.Message == "" && now.Beside != nil && now.Beside.Health == port.Ready && now.Beside.Weight == 20
			})
			if by := s.by(200); by["2"] < 10 || by["2"] > 80 || by["1"] != 200-by["2"] {
				t.Errorf("of 200 requests, 20 per cent to five pods of nine: %v", by)
			}
			s.split(two, 60) // another weight takes no pod from either
			if a, b := len(s.double.Pods(labelUnit, old)), len(s.double.Pods(labelUnit, tried)); a != 4 || b != 5 {
				t.Errorf("with another weight there are %d and %d pods", a, b)
			}
			if _, err := s.server.(port.Splitter).Join(t.Context(), "one", port.Trial{Key: two.Key}, promote); err != nil {
				t.Fatal(err)
			}
			stays, pods, answers := old, 4, "1"
			if promote {
				stays, pods, answers = tried, 5, "2"
			}
			s.until("the other is gone, with its autoscaler", func() bool {
				return len(s.double.Objects("deployments")) == 1 && len(s.double.Objects("horizontalpodautoscalers")) == 1
			})
			if n := len(s.double.Pods(labelUnit, stays)); n != pods {
				t.Errorf("what stays has %d pods, and had %d", n, pods)
			}
			if by := s.by(20); by[answers] != 20 {
				t.Errorf("at the end: %v", by)
			}
		})
	}
}
