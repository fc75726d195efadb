// Laws of folders that one process has for itself.

package alone_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/alone"
)

// TestAFolderIsItsHoldersAlone: what is used stays, and what a process left that ended goes, with its lock or, a day later, without one, also where
// it is read-only. What others keep there is not touched.
func TestAFolderIsItsHoldersAlone(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "images")
	if err := alone.Sweep(t.Context(), parent, "e-"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(parent); !errors.Is(err, os.ErrNotExist) {
		t.Error("looking for what is left made a folder")
	}
	used, err := alone.Make(t.Context(), parent, "e-")
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"e-killed/env/bin", "e-unlocked", "e-older", "others"} {
		if err := os.MkdirAll(filepath.Join(parent, left), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, lock := range []string{"e-killed.lock", "e-nofolder.lock"} {
		if err := os.WriteFile(filepath.Join(parent, lock), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(filepath.Join(parent, "e-unlocked"), yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(parent, "e-killed/env"), 0o500); err != nil {
		t.Fatal(err)
	}
	other, err := alone.Make(t.Context(), parent, "e-")
	if err != nil || other.Path == used.Path {
		t.Fatal(other, err)
	}
	want := []string{filepath.Base(used.Path), filepath.Base(other.Path), "e-older", "others", "turn"}
	var got []string
	entries, err := os.ReadDir(parent)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			got = append(got, e.Name())
		}
	}
	if err != nil || len(entries) != len(want)+2 || len(got) != len(want) {
		t.Errorf("%v, and want %v with two locks; %v", entries, want, err)
	}
	if err := errors.Join(used.Close(), other.Close()); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(parent); len(entries) != 3 {
		t.Errorf("left are %v", entries)
	}
}
