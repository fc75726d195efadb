// Two profiles of whylogs as a gauge.

package gauge

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestWhylogsProfilesAreHeldAgainstEachOther(t *testing.T) {
	tree := fstest.MapFS{}
	for _, name := range []string{"one-profile", "one-reference", "tens-profile", "tens-reference", "drift-profile", "drift-reference"} {
		raw, err := os.ReadFile("../../format/whylogs/testdata/" + name + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		tree[name+".bin"] = &fstest.MapFile{Data: raw}
	}
	tree["cut.bin"] = &fstest.MapFile{Data: tree["tens-profile.bin"].Data[:1000]}
	measure := func(now, was string) (map[string]port.Measurement, error) {
		all, err := Whylogs(tree, schemas.WhylogsGauge{Profile: now + ".bin", Reference: was + ".bin"}, Options{}).Measure(context.Background())
		out := map[string]port.Measurement{}
		for _, m := range all {
			out[m.What] = m
		}
		return out, err
	}
	same, err := measure("tens-profile", "tens-reference")
	if err != nil || len(same) != 5 || same["const"].Alarm || *same["const"].Value != 1 || same["const"].N != 60 {
		t.Errorf("%+v, %v", same, err)
	}
	if _, texts := same["kind"]; texts {
		t.Error("a column of texts is compared by quantiles")
	}
	moved, err := measure("drift-profile", "drift-reference")
	if err != nil || !moved["area"].Alarm || *moved["area"].Value > 1e-50 {
		t.Errorf("%+v, %v", moved, err)
	}
	// of one value on each side whylogs has no test, and no value is not 0
	one, err := measure("one-profile", "one-reference")
	if err != nil || one["area"].N != 0 || one["area"].Value != nil || one["area"].Alarm {
		t.Errorf("%+v, %v", one, err)
	}
	for name, want := range map[string]fault.Kind{"cut": fault.Invalid, "gone": fault.Missing} {
		if _, err := measure(name, "tens-reference"); fault.Of(err) != want || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same out of a bucket.
	dir := t.TempDir()
	for _, name := range []string{"drift-profile", "cut"} {
		if err := os.WriteFile(filepath.Join(dir, name+".bin"), tree[name+".bin"].Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	far := func(now string) ([]port.Measurement, error) {
		p := Whylogs(tree, schemas.WhylogsGauge{Profile: "s3://lake/" + now, Reference: "drift-reference.bin"}, Options{}).(profiles)
		p.open = func(name, _ string) (port.Objects, error) {
			if name != "lake" {
				return nil, fault.New(fault.Denied, "no")
			}
			return bucket.Dir(dir)
		}
		return p.Measure(t.Context())
	}
	if all, err := far("drift-profile.bin"); err != nil || len(all) != len(moved) {
		t.Errorf("%+v, %v", all, err)
	}
	for name, want := range map[string]fault.Kind{"cut.bin": fault.Invalid, "gone.bin": fault.Missing} {
		if _, err := far(name); fault.Of(err) != want || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	private := schemas.WhylogsGauge{Profile: "s3://lake/x", Reference: "drift-reference.bin", Endpoint: "http://127.0.0.1:1"}
	lookup := func(name string) (string, bool) {
		return "x", strings.HasPrefix(name, "AWS_ACCESS") || strings.HasPrefix(name, "AWS_SECRET")
	}
	if _, err := Whylogs(tree, private, Options{Env: port.Env{Lookup: lookup}}).Measure(t.Context()); fault.Of(err) != fault.Denied {
		t.Errorf("an endpoint that is a private address: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Whylogs(tree, schemas.WhylogsGauge{Profile: "tens-profile.bin", Reference: "tens-reference.bin"}, Options{}).Measure(ctx); fault.Of(err) != fault.Cancelled {
		t.Errorf("%v", err)
	}
}
