// What gauges show of a deployment whose release is tried: asked anew at each look, and held against what its analyses allow.

package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// readings are what the gauges of d's analyses show now, by analysis. One that cannot be asked has no value, and says why.
func (l armsLog) readings(ctx context.Context, d *schemas.Declaration) map[string]rollout.Reading {
	spec, ok := d.Spec.(schemas.RolledOut)
	if !ok || spec.Rolls() == nil {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, l.within)
	defer done()
	out := map[string]rollout.Reading{}
	for _, name := range slices.Sorted(maps.Keys(spec.Rolls().Analyses)) {
		of := spec.Rolls().Analyses[name].Gauge
		if of == nil {
			continue
		}
		all, err := l.measure(ctx, *of)
		out[name] = readingOf(of, all, err)
	}
	return out
}

func (l armsLog) measure(ctx context.Context, of schemas.Gauge) ([]port.Measurement, error) {
	if l.agreed != nil {
		if err := l.agreed(ctx).gauge(of); err != nil {
			return nil, err
		}
	}
	g, err := openGauge(nil, of, l.env, l.allow)
	if err != nil {
		return nil, err
	}
	return g.Measure(ctx)
}

// readingOf is what a gauge's answer comes to. No value is never a good one.
func readingOf(of *schemas.Gauge, all []port.Measurement, err error) rollout.Reading {
	switch {
	case err != nil:
		said := "it cannot be asked: " + err.Error()
		if way := fault.HintOf(err); way != "" {
			said += " (" + way + ")"
		}
		return rollout.Reading{Says: said}
	case len(all) != 1 || all[0].N == 0 || all[0].Value == nil:
		return rollout.Reading{Says: "it has no value"}
	}
	var allowed []string
	if p := of.Prometheus; p != nil && p.Min != nil {
		allowed = append(allowed, fmt.Sprintf("at least %g", *p.Min))
	}
	if p := of.Prometheus; p != nil && p.Max != nil {
		allowed = append(allowed, fmt.Sprintf("at most %g", *p.Max))
	}
	return rollout.Reading{Known: true, Beyond: all[0].Alarm, Says: fmt.Sprintf("%.4g, and %s is allowed", *all[0].Value, strings.Join(allowed, " and "))}
}
