// What is done for a run is counted, and not only the bytes that it left.

package tracking

import (
	"bytes"
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

// TestAnImageThatCannotBeKeptLeavesTheEarlierOne: the last of a tag counts that is kept at all.
func TestAnImageThatCannotBeKeptLeavesTheEarlierOne(t *testing.T) {
	const png = "\x89PNG\r\n\x1a\n"
	first := []byte(png + "first")
	for name, data := range map[string][]byte{
		"a WebP":           []byte("RIFF\x00\x00\x00\x00WEBP"),
		"one too large":    append([]byte(png), make([]byte, mostMediaFile)...),
		"nothing":          nil,
		"of an older step": []byte(png + "older"),
	} {
		r, step := newRecorder(), int64(2)
		if name == "of an older step" {
			step = 0
		}
		r.picture("digits", 1, first)
		r.picture("digits", step, data)
		if got := r.named(); len(got) != 1 || !bytes.Equal(got[0].Data, first) || got[0].Name != "tensorboard/digits-1.png" || r.shown != len(first) {
			t.Errorf("%s: kept are %d images of %d bytes: %q", name, len(got), r.shown, got)
		}
		if told := len(r.notes) == 1 && strings.Contains(r.notes[0], "images of TensorBoard left out"); told != (name == "one too large") {
			t.Errorf("%s: it notes %q", name, r.notes)
		}
	}
	r := newRecorder()
	r.picture("digits", 1, first)
	r.picture("digits", 2, []byte(png+"second"))
	if got := r.named(); len(got) != 1 || string(got[0].Data) != png+"second" || r.shown != len(png+"second") {
		t.Errorf("the newer one is not kept: %q of %d bytes", got, r.shown)
	}
}
