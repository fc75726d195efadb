// A report that Evidently 0.7 wrote as JSON.

package gauge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	mostReport  = 64 << 20 // bytes
	mostMetrics = 10_000   // of drift: each is a line of the evidence
)

type report struct {
	tree fs.FS
	spec schemas.EvidentlyGauge
}

// Evidently reads a report from the repository's tree.
func Evidently(tree fs.FS, spec schemas.EvidentlyGauge) port.Gauge { return report{tree, spec} }

// metric is one metric of a report; those of before 0.7 have the second form.
type metric struct {
	Config struct {
		Type      string   `json:"type"`
		Column    string   `json:"column"`
		Method    string   `json:"method"`
		Threshold *float64 `json:"threshold"`
		Share     *float64 `json:"drift_share"`
	} `json:"config"`
	Value  json.RawMessage `json:"value"`
	Metric string          `json:"metric"`
	Result json.RawMessage `json:"result"`
}

func (r report) Measure(ctx context.Context) ([]port.Measurement, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "read %s: %w", r.spec.Report, context.Cause(ctx))
	}
	f, err := r.tree.Open(path.Clean(r.spec.Report))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not there", r.spec.Report), "commit the report, or correct its path")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostReport+1))
	if err != nil || len(raw) > mostReport {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s cannot be read, or has more than %d bytes", r.spec.Report, mostReport), "keep the report of one window in a file")
	}
	var body struct{ Metrics []metric }
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is no report as JSON, or one of its values is not a number: %w", r.spec.Report, err), "write it with snapshot.json() of Evidently 0.7")
	}
	var out []port.Measurement
	for _, m := range body.Metrics {
		if m.Metric != "" || m.Result != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s has the form of before Evidently 0.7", r.spec.Report), "write it with snapshot.json() of Evidently 0.7")
		}
		one, ok, err := r.one(m)
		if err != nil {
			return nil, err
		}
		if ok {
			if len(out) == mostMetrics {
				return nil, fault.WithHint(fault.New(fault.Invalid, "%s has more than %d metrics of drift", r.spec.Report, mostMetrics), "name the columns that matter in the report")
			}
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s says nothing of drift", r.spec.Report), "add ValueDrift, DriftedColumnsCount or DataDriftPreset to the report")
	}
	return out, nil
}

func (r report) one(m metric) (out port.Measurement, ok bool, err error) {
	_, kind, _ := strings.Cut(m.Config.Type, "evidently:metric_v2:")
	switch kind {
	case "ValueDrift":
		x, err := r.number(m.Value, m.Config.Column)
		if err != nil {
			return out, false, err
		}
		method, known := byTitle(m.Config.Method)
		limit := method.Threshold
		if m.Config.Threshold != nil {
			limit = *m.Config.Threshold
		}
		if !known {
			return out, false, fault.WithHint(fault.New(fault.Invalid, "%s: column %s has the unknown method %q", r.spec.Report, m.Config.Column, m.Config.Method), "use a statistic of docs/monitoring.md")
		}
		return port.Measurement{What: "drift of " + harmless.Line(fmt.Sprintf("%.200s", m.Config.Column)), N: 1, Value: &x, Alarm: method.Drifted(x, limit)}, true, nil
	case "DriftedColumnsCount":
		var v struct{ Count, Share *float64 }
		if json.Unmarshal(m.Value, &v) != nil || v.Share == nil || math.IsNaN(*v.Share) {
			return out, false, fault.WithHint(fault.New(fault.Invalid, "%s: the share of drifted columns is not a number", r.spec.Report), "write the report again with Evidently's DataDriftPreset")
		}
		limit := 0.5
		if m.Config.Share != nil {
			limit = *m.Config.Share
		}
		return port.Measurement{What: "share of drifted columns", N: 1, Value: v.Share, Alarm: *v.Share >= limit}, true, nil
	}
	return out, false, nil
}

// number is a value, which newer reports may wrap.
func (r report) number(raw json.RawMessage, column string) (float64, error) {
	var x *float64
	if json.Unmarshal(raw, &x) != nil || x == nil {
		var wrapped struct{ Value *float64 }
		if json.Unmarshal(raw, &wrapped) != nil || wrapped.Value == nil {
			return 0, fault.WithHint(fault.New(fault.Invalid, "%s: the score of column %s is not a number", r.spec.Report, column), "leave a column out that has no score")
		}
		x = wrapped.Value
	}
	return *x, nil
}

// byTitle finds a method by the name or by the title that reports have.
func byTitle(name string) (drift.Method, bool) {
	name, _, _ = strings.Cut(name, " (threshold") // some write it beside
	for _, n := range drift.Names() {
		if m, _ := drift.ByName(n); m.Name == name || m.Title == name {
			return m, true
		}
	}
	return drift.Method{}, false
}
