// A large file is taken as it lies there, and only where nobody can change it afterwards.

package store

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func large(t *testing.T, size int) (path string, content []byte) {
	t.Helper()
	path, content = filepath.Join(t.TempDir(), "model.bin"), bytes.Repeat([]byte("weights!"), size/8)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path, content
}

func take(t *testing.T, ctx context.Context, s port.Store, path string) (digest.Digest, int64, bool, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return s.(artifact.FileTaker).TakeFile(ctx, f)
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Ino
}

func TestALargeFileIsTakenAndNotCopied(t *testing.T) {
	base := t.TempDir()
	s := open(t, filepath.Join(base, "store"))
	path, content := large(t, 2*worthTaking)
	if os.Geteuid() == 0 { // a run of root's has a user of its own
		if err := os.Chown(path, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	}
	d, n, taken, err := take(t, t.Context(), s, path)
	if err != nil || !taken || d != digest.Of(content) || n != int64(len(content)) {
		t.Fatalf("%s of %d bytes, taken: %v (%v)", d, n, taken, err)
	}
	kept := s.(dir).file(d)
	if inode(t, kept) != inode(t, path) {
		t.Error("it was copied")
	}
	if st, err := os.Stat(kept); err != nil || st.Mode().Perm() != 0o400 || int(st.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		t.Errorf("%v, %v; want mode 0400, of this user", st, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
		t.Errorf("it comes out with %d bytes (%v)", len(got), err)
	}
	if left, _ := os.ReadDir(s.(dir).tmp()); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// Others of a shared store need its group, and what its folder hands down.
func TestASharedStoreCopies(t *testing.T) {
	base := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(base, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(base, 0o770); err != nil {
		t.Fatal(err)
	}
	s, err := Shared(base)
	if err != nil {
		t.Fatal(err)
	}
	path, _ := large(t, 2*worthTaking)
	if _, _, taken, err := take(t, t.Context(), s, path); taken || err != nil {
		t.Errorf("taken: %v (%v)", taken, err)
	}
}

func TestAFileThatSomebodyMayChangeIsLeftToBeCopied(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"it is open for writing": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
		},
		"it is mapped for writing": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Munmap(m) })
		},
		"it has another name": func(t *testing.T, path string) {
			if err := os.Link(path, path+".second"); err != nil {
				t.Fatal(err)
			}
		},
		"it is small": func(t *testing.T, path string) {
			if err := os.Truncate(path, worthTaking-1); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "store"))
			path, _ := large(t, 2*worthTaking)
			spoil(t, path)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if d, _, taken, err := s.(artifact.FileTaker).TakeFile(t.Context(), f); taken || err != nil {
				t.Fatalf("taken as %s: %v (%v)", d, taken, err)
			}
			if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o644 {
				t.Errorf("the file is left with %v (%v)", st.Mode(), err)
			}
			want, _ := os.ReadFile(path)
			if d, _, err := s.Put(t.Context(), f); err != nil || d != digest.Of(want) {
				t.Errorf("a copy afterwards is %s (%v)", d, err)
			}
			if left, _ := os.ReadDir(s.(dir).tmp()); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// hooked is a context that does something when it is first asked whether it has ended.
type hooked struct {
	context.Context
	once *sync.Once
	do   func()
}

func (h hooked) Err() error { h.once.Do(h.do); return h.Context.Err() }

func TestAFileThatIsOpenedWhileItIsTakenIsNotKept(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store"))
	path, content := large(t, 2*worthTaking)
	ctx := hooked{t.Context(), new(sync.Once), func() {
		os.Chmod(path, 0o600)
		if f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil { // is refused, and noticed all the same
			f.Close()
		}
	}}
	_, _, taken, err := take(t, ctx, s, path)
	if taken || fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Fatalf("taken: %v, %v", taken, err)
	}
	if has, err := s.Has(t.Context(), digest.Of(content)); has || err != nil {
		t.Errorf("it is in the store (%v)", err)
	}
	if left, _ := os.ReadDir(s.(dir).tmp()); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestTakingEndsWithItsContext(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store"))
	path, content := large(t, 2*worthTaking)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, taken, err := take(t, ctx, s, path); taken || err == nil {
		t.Errorf("taken: %v, %v", taken, err)
	}
	if has, _ := s.Has(t.Context(), digest.Of(content)); has {
		t.Error("it is in the store")
	}
}
