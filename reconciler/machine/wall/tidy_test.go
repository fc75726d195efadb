//go:build linux

// Control groups that nobody needs any more.

package wall

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGroupsOfTheDeadAreRemoved(t *testing.T) {
	parent := t.TempDir()
	dead, alive := filepath.Join(parent, groupPrefix+"999999999"), filepath.Join(parent, groupPrefix+"1")
	for _, dir := range []string{dead, alive} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tidy(parent)
	if _, err := os.Stat(dead); err == nil {
		t.Error("one of a process that is gone is left")
	}
	if _, err := os.Stat(alive); err != nil {
		t.Error("one of a process that lives was removed")
	}
}
