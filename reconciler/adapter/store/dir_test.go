// The folder store keeps the port's promises, and the disk's trouble in check.

package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func open(t testing.TB, path string) port.Store {
	t.Helper()
	s, err := Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDirKeepsThePromises(t *testing.T) {
	porttest.Store(t, func(t *testing.T) (port.Store, func(digest.Digest)) {
		s := open(t, filepath.Join(t.TempDir(), "store"))
		return s, func(d digest.Digest) {
			path := s.(dir).file(d)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			os.Chmod(path, 0o600)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestWhatIsKeptIsReadOnly: nobody changes kept bytes in passing, and the layout
// is the documented one.
func TestWhatIsKeptIsReadOnly(t *testing.T) {
	path := t.TempDir()
	d, _, err := open(t, path).Put(t.Context(), strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(path, "sha256", "ba", "7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
	if err != nil || st.Mode().Perm() != 0o400 {
		t.Errorf("%s: %v, %v; want mode 0400", d, st, err)
	}
	if left, _ := os.ReadDir(filepath.Join(path, "tmp")); len(left) > 0 {
		t.Errorf("put leaves %v", left)
	}
}

// TestKilledPutsAreCleared: what kill -9 leaves is gone after the next start, and
// a Put that is under way in another process is left alone.
func TestKilledPutsAreCleared(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	stale := filepath.Join(path, "tmp", "put-stale")
	pr, pw := io.Pipe()
	done := make(chan error)
	go func() { _, _, err := s.Put(t.Context(), pr); done <- err }()
	pw.Write([]byte("first half, ")) // returns when Put reads: it holds its lock
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	open(t, path)
	if _, err := os.Stat(stale); err != nil {
		t.Error("cleared while a Put was under way")
	}
	pw.Write([]byte("second half"))
	pw.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	open(t, path)
	if left, _ := os.ReadDir(filepath.Join(path, "tmp")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestLinksAreNotFollowed: a link or a folder in a kept file's place is tampering.
func TestLinksAreNotFollowed(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func(path string) error{
		"link":   func(path string) error { return os.Symlink(other, path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			d, _, err := s.Put(t.Context(), strings.NewReader("abc"))
			if err != nil {
				t.Fatal(err)
			}
			path := s.(dir).file(d)
			if err := errors.Join(os.Remove(path), put(path)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), d); fault.Of(err) != fault.Corrupt || fault.HintOf(err) == "" {
				t.Errorf("got %v, way %q", err, fault.HintOf(err))
			}
			if ok, err := s.Has(t.Context(), d); ok || err != nil {
				t.Errorf("has = %v, %v", ok, err)
			}
		})
	}
}

// TestAFolderThatCannotBeWrittenIsSaid: with the way out, and nothing kept.
func TestAFolderThatCannotBeWrittenIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dir(filepath.Join(file, "store")); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("below a file: %v, way %q", err, fault.HintOf(err))
	}
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	path := t.TempDir()
	if err := os.Chmod(path, 0o500); err != nil {
		t.Fatal(err)
	}
	_, _, err := open(t, path).Put(t.Context(), strings.NewReader("abc"))
	if fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), path) {
		t.Errorf("got %v, way %q", err, fault.HintOf(err))
	}
}

// TestAFullDiskIsSaid: a small file system, really filled.
func TestAFullDiskIsSaid(t *testing.T) {
	path := t.TempDir()
	if err := syscall.Mount("vishwa-test", path, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(path, 0) })
	s := open(t, path)
	big := bytes.Repeat([]byte("full"), 1<<20)
	_, _, err := s.Put(t.Context(), bytes.NewReader(big))
	if fault.Of(err) != fault.Transient || !strings.Contains(fault.HintOf(err), "free some space") {
		t.Errorf("got %v, way %q", err, fault.HintOf(err))
	}
	if ok, _ := s.Has(t.Context(), digest.Of(big)); ok {
		t.Error("half a Put can be seen")
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("small")); err != nil {
		t.Errorf("the failed Put still holds its space: %v", err)
	}
}

// TestAStoreIsItsUsersAlone: folders and files have no bits for others, and none for the
// group but in a folder that is shared.
func TestAStoreIsItsUsersAlone(t *testing.T) {
	for name, c := range map[string]struct {
		open          func(string) (port.Store, error)
		root          fs.FileMode
		folder, files fs.FileMode
	}{
		"private, new":             {Dir, 0, 0o700, 0o400},
		"private, as it once was":  {Dir, 0o755, 0o700, 0o400},
		"shared by its group":      {Shared, 0o770, 0o770, 0o440},
		"shared, for reading":      {Shared, 0o750, 0o750, 0o440},
		"declared and not shared":  {Shared, 0o700, 0o700, 0o400},
		"declared, open to others": {Shared, 0o777, 0o770, 0o440},
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "store")
			if c.root != 0 {
				if err := errors.Join(os.Mkdir(root, 0o700), os.Chmod(root, c.root)); err != nil {
					t.Fatal(err)
				}
			}
			s, err := c.open(root)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Put(t.Context(), strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
			err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
				if err != nil || p == root || d.Name() == "lock" {
					return err
				}
				info, err := d.Info()
				want := c.files
				if d.IsDir() {
					want = c.folder
				}
				if err == nil && info.Mode().Perm() != want {
					t.Errorf("%s has mode %o, want %o", p[len(root):], info.Mode().Perm(), want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
