// Rules and dashboards ask for metrics that there are.

package controller

import (
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vishwaops/vishwa/templates"
)

func TestRulesAndDashboardsAskForMetricsThatThereAre(t *testing.T) {
	registry := prometheus.NewRegistry()
	told(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]map[string]bool{}
	for _, f := range families {
		labels[f.GetName()] = map[string]bool{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels[f.GetName()][l.GetName()] = true
			}
		}
	}
	all, err := templates.Monitoring()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\bvishwa_[a-z0-9_]+`)
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	asked := map[string]bool{}
	for file, raw := range all {
		for _, n := range name.FindAllString(string(raw), -1) {
			plain := suffix.ReplaceAllString(n, "")
			if labels[n] == nil && labels[plain] == nil {
				t.Errorf("%s asks for %s, which there is not", file, n)
			}
			asked[plain] = true
		}
	}
	for n := range labels {
		if !asked[n] {
			t.Errorf("nobody asks for %s: draw it, or have a rule watch it", n)
		}
	}
}
