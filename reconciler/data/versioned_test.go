// What a version_aware remote keeps is said to be DVC's alone, and fails a pull.

package data

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestVersionAwareIsSaidToBeDVCsAlone(t *testing.T) {
	root, home := t.TempDir(), t.TempDir()
	if err := Init(root); err != nil {
		t.Fatal(err)
	}
	text := "outs:\n- path: d\n  hash: md5\n  files:\n  - relpath: x\n    md5: d41d8cd98f00b204e9800998ecf8427e\n    size: 0\n    cloud: {s: {etag: e, version_id: v}}\n"
	if err := os.WriteFile(filepath.Join(root, "d.dvc"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := Open(root, Options{Env: port.Env{Now: time.Now, Lookup: func(n string) (string, bool) { return home, n == "HOME" }}})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := w.Status(t.Context(), nil); err != nil || len(all) != 1 || all[0].State != DVCsAlone {
		t.Errorf("status: %v, %v", all, err)
	}
	if _, err := w.Fetch(t.Context(), "", nil); err == nil || !strings.Contains(err.Error(), DVCsAlone) {
		t.Errorf("fetch: %v", err)
	}
}
