// What a run makes may be larger than what a store takes at once.

package runner_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// TestALargeOutputComesInParts: each whole, and as one; an object of exactly a part's size is none. Where a part is
// missing or another's, nothing is kept.
func TestALargeOutputComesInParts(t *testing.T) {
	const text = "abcdefghij" // in parts of 4: 3
	large := digest.Of([]byte(text))
	for name, c := range map[string]struct {
		tamper func(part string) error // the second one
		cause  port.Cause
	}{
		"whole":     {},
		"missing":   {func(part string) error { return os.Remove(part) }, port.Lost},
		"another's": {func(part string) error { return os.WriteFile(part, []byte("abcd"), 0o600) }, port.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(partVariable, "4")
			b := newRemoteBench(t)
			b.cfg.Part = 4
			b.Runner = runner.Remote(b.cfg)
			var wrote []string
			b.processes.tamper = func(*process) {
				for _, p := range b.left(t) {
					if strings.Contains(p, "/objects/") {
						wrote = append(wrote, filepath.Base(p))
					}
					if c.tamper != nil && strings.HasSuffix(p, large.Hex()+".1") {
						if err := c.tamper(p); err != nil {
							t.Error(err)
						}
					}
				}
			}
			job := b.job(`printf '` + text + `' > "$VISHWA_OUTPUT_LARGE"; printf abcd > "$VISHWA_OUTPUT_EVEN"`)
			job.Outputs = map[string]string{"large": "large", "even": "even"}
			if _, err := b.Start(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			r := porttest.AwaitRun(t, b.Runner, job.Key, porttest.IsDone).Result
			for _, want := range []string{large.Hex() + ".0", large.Hex() + ".1", large.Hex() + ".2", digest.Of([]byte("abcd")).Hex()} {
				if !slices.Contains(wrote, want) {
					t.Errorf("its worker wrote %q, and not %s", wrote, want)
				}
			}
			if r.Cause != c.cause {
				t.Fatalf("%s: %s", r.Cause, r.Message)
			}
			has, err := b.Store.Has(t.Context(), large)
			if err != nil || has != (c.cause == "") {
				t.Fatalf("it is kept: %t, %v", has, err)
			}
			if !has {
				return
			}
			in, err := b.Store.Get(t.Context(), large)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if got, err := io.ReadAll(in); err != nil || string(got) != text || r.Outputs["large"].Size != int64(len(text)) {
				t.Errorf("it came out as %q, %v, of %d bytes", got, err, r.Outputs["large"].Size)
			}
		})
	}
}
