// Data comes in by one way: what it violates stops it, or warns, and its profile is kept.

package pass

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/schemas"
)

func TestDataThatViolatesWhatIsDeclaredDoesNotComeIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.csv")
	if err := os.WriteFile(file, []byte("a\n1\n-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	zero := 0.0
	gone := fault.New(fault.Missing, "gone")
	for name, c := range map[string]struct {
		min        *float64
		violations string
		fetch      error
		kind       fault.Kind
		says       string
		broken     int
	}{
		"fits":             {},
		"violates":         {min: &zero, kind: fault.Invalid, says: "the data violates its declaration"},
		"violates, warns":  {min: &zero, violations: "warn", broken: 1},
		"cannot be had":    {fetch: gone, kind: fault.Missing, says: "gone"},
		"is a dataset's":   {violations: "warn"},
		"violates nothing": {violations: "deny"},
	} {
		t.Run(name, func(t *testing.T) {
			store, told := shelf{&town{bytes: map[digest.Digest][]byte{}}}, []string(nil)
			taken, err := Intake{
				Decl:  &schemas.Declaration{Kind: "Dataset", Spec: &schemas.Dataset{Columns: map[string]schemas.Column{"a": {Type: "number", Min: c.min}}, Violations: c.violations}},
				Store: store, Now: time.Unix(0, 0), Hint: "correct it", Tell: func(s string) { told = append(told, s) },
				Fetch: func(context.Context) ([]quality.File, error) {
					return []quality.File{{Path: "d.csv", Size: 7, Open: func(context.Context) (quality.Content, error) { return os.Open(file) }}}, c.fetch
				},
			}.Take(t.Context())
			if c.says != "" {
				if err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.says) || len(store.bytes) > 0 {
					t.Errorf("%v, and %d stored", err, len(store.bytes))
				}
				if c.fetch == nil && fault.HintOf(err) != "correct it" || c.fetch != nil && !errors.Is(err, c.fetch) {
					t.Errorf("hint %q", fault.HintOf(err))
				}
				return
			}
			if err != nil || taken.Profile == nil || taken.Profile.Rows != 2 || len(taken.Broken) != c.broken || len(store.bytes) != 1 || taken.Kept.Digest == "" {
				t.Errorf("%+v, %v, and %d stored", taken, err, len(store.bytes))
			}
		})
	}
}
