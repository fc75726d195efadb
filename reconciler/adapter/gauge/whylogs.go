// whylogs: two profiles, of the repository or of a bucket, held against each other as whylogs does it: a
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
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const mostProfile = 64 << 20 // bytes

type profiles struct {
	tree fs.FS
	spec schemas.WhylogsGauge
	open func(bucket, key string) (port.Objects, error)
}

// Whylogs reads two profiles. An endpoint that the declaration names is reached as a web server is:
// where it is public, or where o allows it.
func Whylogs(tree fs.FS, spec schemas.WhylogsGauge, o Options) port.Gauge {
	return profiles{tree, spec, func(name, key string) (port.Objects, error) {
		if err := o.Env.MayUse(schemas.S3{URL: "s3://" + name + "/" + key, Endpoint: spec.Endpoint}.Address()); err != nil {
			return nil, err
		}
		return bucket.S3(bucket.S3Options{Bucket: name, Endpoint: spec.Endpoint, Region: spec.Region, Lookup: o.Env.Lookup, Guarded: spec.Endpoint != "", Allow: o.Allow})
	}}
}

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

// openProfile opens a file of the repository, or an object.
func (p profiles) openProfile(ctx context.Context, name string) (io.ReadCloser, error) {
	from, key, remote := schemas.InBucket(name)
	if !remote {
		f, err := p.tree.Open(path.Clean(name))
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Missing, "%s is not there", name), "commit the profile, or correct its path")
		}
		return f, nil
	}
	objects, err := p.open(from, key)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	f, _, err := objects.Get(ctx, key, port.All)
	if err != nil && fault.Of(err) == fault.Missing {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not there", name), "have whylogs write it, or correct its place")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return f, nil
}

func (p profiles) readProfile(ctx context.Context, name string) ([]whylogs.Column, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "read %s: %w", name, err)
	}
	f, err := p.openProfile(ctx, name)
	if err != nil {
		return nil, err
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
