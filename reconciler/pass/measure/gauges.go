// Gauges: what other programs measured, next to what is measured here.

package measure

import (
	"cmp"
	"context"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// gauges asks each of them. One that cannot be read is told, and keeps nothing else.
func (s *session) gauges(ctx context.Context, e *watch.Evidence) error {
	for _, g := range s.spec.Gauges {
		kind, what := gaugeNames(g)
		at := watch.GaugeReading{Gauge: kind, What: what}
		all, err := s.readGauge(ctx, g)
		switch {
		case fault.Of(err) == fault.Cancelled && err != nil:
			return err
		case err != nil:
			at.Unknown = err.Error()
			e.Gauges = append(e.Gauges, at)
			continue
		case len(all) == 0:
			at.Unknown = "it shows nothing"
			e.Gauges = append(e.Gauges, at)
		}
		for _, r := range all {
			one := watch.GaugeReading{Gauge: kind, What: cmp.Or(r.What, what), N: r.N, Broken: r.Alarm}
			if r.Value != nil {
				v := drift.Number(*r.Value)
				one.Value = &v
			} else {
				one.Unknown = "there is nothing to measure"
			}
			e.Gauges = append(e.Gauges, one)
		}
	}
	return nil
}

func (s *session) readGauge(ctx context.Context, g schemas.Gauge) ([]port.Measurement, error) {
	open, err := s.Gauge(s.in.Tree, g)
	if err != nil {
		return nil, err
	}
	return open.Measure(ctx)
}

func gaugeNames(g schemas.Gauge) (kind, what string) {
	switch {
	case g.Prometheus != nil:
		return "prometheus", g.Prometheus.Query
	case g.Evidently != nil:
		return "evidently", g.Evidently.Report
	case g.Whylogs != nil:
		return "whylogs", g.Whylogs.Profile
	}
	return "", ""
}
