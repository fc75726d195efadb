// Files of a repository that are made to be waited for, or to take all memory.

package data

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestNothingIsReadOfWhatIsNoPlainFile(t *testing.T) {
	const lock = "schema: '2.0'\nstages:\n  s: {cmd: x, outs: [{path: m, hash: md5, md5: d41d8cd98f00b204e9800998ecf8427e, size: 0}]}\n"
	const params = "stages: {s: {cmd: x, vars: [p.yaml], outs: ['${x}']}}"
	for name, c := range map[string]struct {
		files map[string]string
		make  func(root string) error
		says  string // "": it is passed over
	}{
		"a .dvcignore that is a pipe":      {make: func(r string) error { return syscall.Mkfifo(r+"/.dvcignore", 0o600) }, says: ".dvcignore is not a regular file"},
		"a .dvcignore without an end":      {make: func(r string) error { return os.Symlink("/dev/zero", r+"/.dvcignore") }, says: ".dvcignore is not a regular file"},
		"a dvc.yaml that is a pipe":        {files: map[string]string{"dvc.lock": lock}, make: func(r string) error { return syscall.Mkfifo(r+"/dvc.yaml", 0o600) }, says: "dvc.yaml is not a regular file"},
		"a file of parameters is a pipe":   {files: map[string]string{"dvc.lock": lock, "dvc.yaml": params}, make: func(r string) error { return syscall.Mkfifo(r+"/p.yaml", 0o600) }},
		"parameters without an end":        {files: map[string]string{"dvc.lock": lock, "dvc.yaml": params}, make: func(r string) error { return os.Symlink("/dev/zero", r+"/p.yaml") }},
		"a .dvc file that is very large":   {make: func(r string) error { return os.WriteFile(r+"/x.dvc", make([]byte, maxSmall+1), 0o600) }, says: "x.dvc has more than 16 MiB"},
		"a dvc.lock of very many values":   {files: map[string]string{"dvc.lock": "schema: '2.0'\nstages: [" + strings.Repeat("-,", 1_100_000) + "]"}, says: "dvc.lock has more than"},
		"a .dvcignore of very many values": {files: map[string]string{".dvcignore": strings.Repeat("a\n", 20_000)}, says: "more than 10000 patterns"},
	} {
		t.Run(name, func(t *testing.T) {
			root, home := t.TempDir(), t.TempDir()
			w := &Workspace{}
			for _, step := range []func() error{
				func() error { return Init(root) },
				func() error { return os.Remove(root + "/.dvcignore") },
				func() error {
					return os.WriteFile(root+"/a.dvc", []byte("outs: [{path: a, hash: md5, md5: 0cc175b9c0f1b6a831c399e269772661, size: 1}]"), 0o600)
				},
				func() error { return os.WriteFile(root+"/a", []byte("a"), 0o600) },
				func() (err error) {
					w, err = Open(root, Options{Env: port.Env{Now: time.Now, Lookup: func(n string) (string, bool) { return home, n == "HOME" }}})
					return err
				},
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			for file, text := range c.files {
				if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.make != nil {
				if err := c.make(root); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.Status(t.Context(), nil)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}
