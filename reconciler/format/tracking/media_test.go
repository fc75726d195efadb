// What is too much to be kept of a run's images and tables is counted, so that nobody looks for it in vain.

package tracking_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/format/tracking"
)

// TestImagesAndTablesThatAreLeftOutAreCounted: those that are large, and those that are too many.
func TestImagesAndTablesThatAreLeftOutAreCounted(t *testing.T) {
	files := map[string]string{"m/1/a1/artifacts/large.png": strings.Repeat("x", 8<<20+1)}
	for i := range 66 {
		files[fmt.Sprintf("m/1/a1/artifacts/plot-%02d.png", i)] = "x"
	}
	got, left, err := tracking.Media(tree(files), nil)
	if err != nil || left != 3 || len(got) != 64 || got[63] != "m/1/a1/artifacts/plot-63.png" {
		t.Errorf("%v, %q and %d left out", err, got, left)
	}
	var d tracking.Document
	if d.LeftOut(0); len(d.Notes) != 0 {
		t.Errorf("%q", d.Notes)
	}
	if d.LeftOut(left); !slices.Equal(d.Notes, []string{"images and tables left out: 3; kept are 64, of at most 8 MiB each and 64 MiB together"}) {
		t.Errorf("%q", d.Notes)
	}
	for range 100 {
		d.LeftOut(left)
	}
	d.Version = 1
	raw, err := d.Encode()
	if err == nil {
		_, err = tracking.Decode(raw)
	}
	if err != nil {
		t.Error(err)
	}
}
