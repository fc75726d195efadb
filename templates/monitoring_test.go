// The rules for Prometheus and the dashboards for Grafana hang together.

package templates

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct{ Alert, Record, Expr string }
	}
}

func TestEveryAlertIsTestedWhereItFiresAndWhereItDoesNot(t *testing.T) {
	all, err := Monitoring()
	if err != nil {
		t.Fatal(err)
	}
	var rules ruleFile
	var operator struct {
		Kind string
		Spec ruleFile
	}
	var tests struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	for name, to := range map[string]any{"rules.yaml": &rules, "prometheusrule.yaml": &operator, "rules_test.yaml": &tests} {
		if err := yaml.Unmarshal(all[name], to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if len(rules.Groups) == 0 || operator.Kind != "PrometheusRule" || !reflect.DeepEqual(rules, operator.Spec) {
		t.Errorf("the operator's rules are others: %+v", operator)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, one := range tests.Tests {
		for _, a := range one.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				fires[a.Alertname] = true
			} else {
				quiet[a.Alertname] = true
			}
		}
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" && (!fires[r.Alert] || !quiet[r.Alert]) {
				t.Errorf("%s is not tested: it fires %v, and is quiet %v", r.Alert, fires[r.Alert], quiet[r.Alert])
			}
		}
	}
}

// Links to a dashboard hold as long as its uid does.
func TestDashboardsKeepTheirNames(t *testing.T) {
	all, err := Monitoring()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fleet", "model", "drift", "controller"} {
		var d struct {
			UID    string
			ID     *int64
			Panels []struct {
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(all["grafana/dashboards/vishwa/"+name+".json"], &d); err != nil || d.UID != "vishwa-"+name || d.ID != nil || len(d.Panels) == 0 {
			t.Errorf("%s: %v: %+v", name, err, d)
		}
		for i, p := range d.Panels {
			if len(p.Targets) == 0 || !strings.Contains(p.Targets[0].Expr, "vishwa_") {
				t.Errorf("%s: panel %d asks nothing", name, i)
			}
		}
	}
}
