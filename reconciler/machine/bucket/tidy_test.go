// What is left half-written in a folder, and what is not.

package bucket

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTidyTakesWhatNobodyWrites, and leaves what somebody may.
func TestTidyTakesWhatNobodyWrites(t *testing.T) {
	root := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		at   time.Time
		left bool
	}{
		"files/md5/aa/.vishwa-put-2147483646-x": {old, false}, // no process has this number
		"files/md5/aa/.vishwa-put-2147483646-y": {time.Now(), true},
		"files/md5/aa/.vishwa-put-1-x":          {old, true},
		"files/md5/aa/.vishwa-put-x":            {old, true},
		"files/md5/aa/data":                     {old, true},
	} {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at, c.at, c.at); err != nil {
			t.Fatal(err)
		}
		if err := dir(root).Tidy(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(at); (err == nil) != c.left {
			t.Errorf("%s: left %v", name, err == nil)
		}
	}
	if err := dir(filepath.Join(root, "nothing")).Tidy(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
}
