// What is no part of a key, or guards what is made, is told by its path.

package schemas

import (
	"maps"
	"slices"
	"testing"
)

func TestWhatASpecIsNotMadeOfIsToldByItsPath(t *testing.T) {
	training := &Training{Work: Work{Run: []string{"python"}, Env: Environs{Requirements: "r.txt", Pass: []string{"TOKEN"}}}, Limits: Limits{Network: Network{NetworkNone}},
		Params: map[string]any{"a": 1}, Retrain: &Retrain{}}
	deployment := &Deployment{Environment: "staging", Target: Target{Local: &LocalTarget{Hosted: Hosted{Readiness: Readiness{ReadyTimeout: "1m"}}}}, Rollout: &Rollout{}}
	for _, c := range []struct {
		spec any
		want []string
	}{
		{training, []string{"spec.env.pass", "spec.network", "spec.retrain"}},
		{&Model{Select: Selection{Metric: "auc"}, Gates: []Gate{{Metric: "auc"}}}, []string{"spec.gates"}},
		{deployment, []string{"spec.rollout", "spec.target.local.readyTimeout"}},
		{&Model{Select: Selection{Metric: "auc"}}, nil},
		{nil, nil},
	} {
		if got := slices.Sorted(maps.Keys(Unkeyed(c.spec))); !slices.Equal(got, c.want) {
			t.Errorf("%T: %v, want %v", c.spec, got, c.want)
		}
	}
}
