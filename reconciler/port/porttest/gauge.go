// What every gauge keeps to, whatever it reads.

package porttest

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Gauged is a gauge, and what stands behind it.
type Gauged struct {
	Gauge port.Gauge
	// Show has the gauge show a number; NaN is a value that is none.
	Show func(t *testing.T, value float64)
	// Alarms is a number that is out of bounds.
	Alarms float64
	// Empty has it measure nothing; nil: a gauge of this kind always measures something.
	Empty func(t *testing.T)
	// Gone takes away what is measured; what kind that is, its own test says. Nil: it cannot go.
	Gone func(t *testing.T)
	// GoneIs is the kind of that.
	GoneIs fault.Kind
	// Broken has it show what nobody can read.
	Broken func(t *testing.T)
	// Secrets stand in its address or credentials.
	Secrets []string
}

// Gauge insists on port.Gauge's promises. open gives a gauge of its own.
func Gauge(t *testing.T, open func(t *testing.T) Gauged) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, Gauged){
		"ANumberIsShown":              gaugeShows,
		"OutOfBoundsAlarms":           gaugeAlarms,
		"NothingMeasuredIsNotZero":    gaugeEmpty,
		"NaNIsRefused":                gaugeNaN,
		"WhatIsGoneHasItsKind":        gaugeGone,
		"WhatCannotBeReadIsInvalid":   gaugeBroken,
		"ACancelledReadingIsCalledSo": gaugeCancelled,
	} {
		t.Run(name, func(t *testing.T) { law(t, open(t)) })
	}
}

func (g Gauged) quiet(t *testing.T, err error) {
	t.Helper()
	for _, secret := range g.Secrets {
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(fault.HintOf(err), secret)) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func (g Gauged) refused(t *testing.T, want fault.Kind) {
	t.Helper()
	all, err := g.Gauge.Measure(t.Context())
	if err == nil || fault.Of(err) != want {
		t.Errorf("it shows %+v, %v (%v)", all, err, fault.Of(err))
	}
	if want != fault.Cancelled && fault.HintOf(err) == "" {
		t.Errorf("nothing says what to do: %v", err)
	}
	g.quiet(t, err)
}

func gaugeShows(t *testing.T, g Gauged) {
	for _, x := range []float64{0.01, 0} {
		g.Show(t, x)
		all, err := g.Gauge.Measure(t.Context())
		if err != nil || len(all) != 1 || all[0].Value == nil || math.Abs(*all[0].Value-x) > 1e-12 || all[0].N < 1 || all[0].What == "" {
			t.Fatalf("of %v it shows %+v, %v", x, all, err)
		}
		if all[0].Alarm {
			t.Errorf("%v is an alarm", x)
		}
	}
}

func gaugeAlarms(t *testing.T, g Gauged) {
	g.Show(t, g.Alarms)
	all, err := g.Gauge.Measure(t.Context())
	if err != nil || len(all) != 1 || !all[0].Alarm {
		t.Errorf("it shows %+v, %v", all, err)
	}
}

func gaugeEmpty(t *testing.T, g Gauged) {
	if g.Empty == nil {
		return // such a gauge always shows something, which ANumberIsShown holds
	}
	g.Empty(t)
	all, err := g.Gauge.Measure(t.Context())
	if err != nil || len(all) != 1 || all[0].N != 0 || all[0].Value != nil || all[0].Alarm {
		t.Errorf("it shows %+v, %v", all, err)
	}
}

func gaugeNaN(t *testing.T, g Gauged) {
	g.Show(t, math.NaN())
	g.refused(t, fault.Invalid)
}

func gaugeGone(t *testing.T, g Gauged) {
	g.Gone(t)
	g.refused(t, g.GoneIs)
}

func gaugeBroken(t *testing.T, g Gauged) {
	g.Broken(t)
	g.refused(t, fault.Invalid)
}

func gaugeCancelled(t *testing.T, g Gauged) {
	g.Show(t, 0.01)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Gauge.Measure(ctx); err == nil || fault.Of(err) != fault.Cancelled {
		t.Errorf("%v (%v)", err, fault.Of(err))
	}
}
