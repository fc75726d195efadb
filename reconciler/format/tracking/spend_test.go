// What is done for a run is counted, and not only the bytes that it left.

package tracking

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestRunsThatLieInEachOtherAreReadOnlySoMuch(t *testing.T) {
	fsys := fstest.MapFS{}
	dir := "m/" + strings.Repeat("params/", 60)
	for d := strings.TrimSuffix(dir, "/"); d != "m"; d = d[:strings.LastIndex(d, "/")] {
		fsys[d+"/meta.yaml"] = &fstest.MapFile{Data: []byte("run_id: a1\n")}
	}
	for i := range 100 {
		fsys[fmt.Sprintf("%sx%d", dir, i)] = &fstest.MapFile{}
	}
	f, err := listFiles(fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.left = 60 * 100 * opening // each file is opened once for each run that it lies below, though it is empty
	if err := f.mlflow(newRecorder()); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "larger than what is read") {
		t.Errorf("%v", err)
	}
}
