// What a monitor found, in the shapes that users of other programs know.

package templates

import (
	"encoding/json"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
)

type (
	evidentlyReport struct {
		Metrics []evidentlyMetric `json:"metrics"`
		Tests   []evidentlyTest   `json:"tests"`
	}
	evidentlyMetric struct {
		ID     string         `json:"id"`
		Name   string         `json:"metric_name"`
		Config map[string]any `json:"config"`
		Value  any            `json:"value"`
	}
	evidentlyTest struct {
		ID          string         `json:"id"`
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Metric      map[string]any `json:"metric_config"`
		Test        map[string]any `json:"test_config"`
		Status      string         `json:"status"`
		Bound       map[string]any `json:"bound_test"`
	}
)

// EvidentlyJSON is the evidence in the shape of snapshot.json() of Evidently 0.7: the scores, and what
// Evidently itself would say of them. Columns without a score are left out, as nothing is no 0.
func EvidentlyJSON(e watch.Evidence) ([]byte, error) {
	const share = 0.5
	scored, alarms := 0.0, 0.0
	r := evidentlyReport{Metrics: []evidentlyMetric{}, Tests: []evidentlyTest{}}
	for _, c := range e.Columns {
		m, known := drift.ByName(c.Method)
		if c.Score == nil || !known {
			continue
		}
		scored++
		status := "SUCCESS"
		if c.Alarm {
			alarms++
			status = "FAIL"
		}
		config := map[string]any{"type": "evidently:metric_v2:ValueDrift", "column": c.Name, "method": m.Title, "threshold": c.Threshold}
		id, err := fingerprint(config)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("ValueDrift(column=%s,method=%s,threshold=%v)", c.Name, m.Title, c.Threshold)
		r.Metrics = append(r.Metrics, evidentlyMetric{id, name, config, c.Score})
		r.Tests = append(r.Tests, evidentlyTest{
			ID: "drift", Name: "Value Drift for column " + c.Name, Description: fmt.Sprintf("Drift score is %s. The drift detection method is %s. The drift threshold is %v.", fmt.Sprintf("%.3g", float64(*c.Score)), m.Title, c.Threshold),
			Metric: map[string]any{"metric_id": id, "params": config}, Test: map[string]any{}, Status: status, Bound: map[string]any{},
		})
	}
	config := map[string]any{"type": "evidently:metric_v2:DriftedColumnsCount", "drift_share": share}
	id, err := fingerprint(config)
	if err != nil {
		return nil, err
	}
	whole := map[string]float64{"count": alarms, "share": 0}
	if scored > 0 {
		whole["share"] = alarms / scored
		r.Metrics = append([]evidentlyMetric{{id, fmt.Sprintf("DriftedColumnsCount(drift_share=%v)", share), config, whole}}, r.Metrics...)
	}
	return json.MarshalIndent(r, "", "  ")
}

func fingerprint(config map[string]any) (string, error) {
	d, err := digest.JSON(config)
	if err != nil {
		return "", err
	}
	return d.Hex()[:32], nil
}

// whylogsScore is what calculate_drift_scores of whylogs gives for a column.
type whylogsScore struct {
	Algorithm  string                `json:"algorithm"`
	PValue     *drift.Number         `json:"pvalue"`
	Statistic  *float64              `json:"statistic"`
	Thresholds map[string][2]float64 `json:"thresholds"`
	Category   string                `json:"drift_category"`
}

// WhylogsJSON is the evidence in the shape of whylogs' calculate_drift_scores(with_thresholds=True): the
// p-value of each column, and whylogs' word for it. A monitor keeps no statistic of its chi-square test.
func WhylogsJSON(e watch.Evidence) ([]byte, error) {
	out := map[string]whylogsScore{}
	for _, c := range e.Columns {
		if c.Significance == nil {
			continue
		}
		s := whylogsScore{Algorithm: "chi-square", PValue: c.Significance,
			Thresholds: map[string][2]float64{"NO_DRIFT": {0.15, 1}, "POSSIBLE_DRIFT": {0.05, 0.15}, "DRIFT": {0, 0.05}}}
		if c.Type == "number" {
			s.Algorithm, s.Statistic = "ks", &c.Effect
		}
		switch p := float64(*c.Significance); {
		case p >= 0.15:
			s.Category = "NO_DRIFT"
		case p >= 0.05:
			s.Category = "POSSIBLE_DRIFT"
		default:
			s.Category = "DRIFT"
		}
		out[c.Name] = s
	}
	return json.MarshalIndent(out, "", "  ")
}
