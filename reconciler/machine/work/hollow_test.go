package work

// Files that claim more than was written to them.

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// TestHollowFilesAreCountedBeyondAnyNumber: sizes that add up to less than nothing.
func TestHollowFilesAreCountedBeyondAnyNumber(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "vishwa-") // tmpfs allows the largest files
	if err != nil {
		t.Skip("there is no /dev/shm")
	}
	defer os.RemoveAll(shm)
	l, err := sandbox.NewLayout(filepath.Join(shm, "work"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		f, err := os.Create(filepath.Join(l.Dir(), strconv.Itoa(i)))
		if err == nil {
			err = f.Truncate(1<<63 - 4096)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if msg := (&worker{layout: l}).hollow(); msg == "" {
		t.Error("taken for small ones")
	}
}
