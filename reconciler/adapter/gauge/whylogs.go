// whylogs: two profiles of the repository, held against each other as whylogs does it: a
// Kolmogorov-Smirnov test over the quantile sketches of each column that has numbers in both.

package gauge

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/whylogs"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const mostProfile = 64 << 20 // bytes

type profiles struct {
	tree fs.FS
	spec schemas.WhylogsGauge
}

// Whylogs reads two profiles.
func Whylogs(tree fs.FS, spec schemas.WhylogsGauge) port.Gauge { return profiles{tree, spec} }

func (p profiles) Measure(ctx context.Context) (out []port.Measurement, err error) {
	now, err := p.readProfile(ctx, p.spec.Profile)
	if err != nil {
		return nil, err
	}
	before, err := p.readProfile(ctx, p.spec.Reference)
	if err != nil {
		return nil, err
	}
	was := map[string]whylogs.Sketch{}
	for _, c := range before {
		was[c.Name] = c.Sketch
	}
	least := 0.05
	if p.spec.Threshold != nil {
		least = *p.spec.Threshold
	}
	for _, c := range now {
		base, there := was[c.Name]
		if !there || base.Empty() {
			continue // texts, which have no quantiles
		}
		m := port.Measurement{What: c.Name}
		if !c.Sketch.Empty() {
			d, n := whylogs.Distance(c.Sketch, base)
			if x := drift.KolmogorovTail(n, d); !math.IsNaN(x) {
				m.N, m.Value, m.Alarm = int64(min(c.Sketch.N, math.MaxInt64)), &x, x < least
			}
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s and %s have no column of numbers in common", p.spec.Profile, p.spec.Reference), "name two profiles of the same columns")
	}
	return out, nil
}

func (p profiles) readProfile(ctx context.Context, name string) ([]whylogs.Column, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "read %s: %w", name, err)
	}
	f, err := p.tree.Open(path.Clean(name))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not there", name), "commit the profile, or correct its path")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostProfile+1))
	if err != nil {
		return nil, fault.New(fault.Transient, "read %s: %w", name, err)
	}
	if len(raw) > mostProfile {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is larger than 64 MiB", name), "profile fewer columns")
	}
	all, err := whylogs.Read(raw)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("%s: %w", name, err), "%s", cmp.Or(fault.HintOf(err), "write the profile again"))
	}
	return all, nil
}
