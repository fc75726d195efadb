// Artifacts go in and come out as they were, or not at all.

package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func open(t testing.TB) (s port.Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "store")
	s, err := store.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func lay(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for p, text := range files {
		p = filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestATreeComesOutAsItWentIn: same name, exactly the same files, read-only.
func TestATreeComesOutAsItWentIn(t *testing.T) {
	s, _ := open(t)
	dir := lay(t, map[string]string{"model.json": "{}", "sub/a.bin": strings.Repeat("x", 1<<20), "sub.txt": "", "sub/deep/b": "b"})
	art, err := artifact.PutTree(t.Context(), s, dir)
	if err != nil {
		t.Fatal(err)
	}
	want, err := digest.Walk(os.DirFS(dir))
	if err != nil || art.Digest != want.Digest() || art.Size != want.Size() || art.Name != "tree" {
		t.Fatalf("put tree: %+v, want %s (%v)", art, want.Digest(), err)
	}
	if b, err := artifact.ReadAll(t.Context(), s, art.Digest); err != nil || digest.Of(b) != art.Digest {
		t.Errorf("the manifest is not kept: %v", err)
	}
	if ok, err := artifact.Has(t.Context(), s, art); !ok || err != nil {
		t.Errorf("has = %v, %v", ok, err)
	}
	for name, dst := range map[string]string{"absent": filepath.Join(t.TempDir(), "out"), "empty": t.TempDir()} {
		if err := artifact.Checkout(t.Context(), s, art, dst); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := digest.Walk(os.DirFS(dst))
		if err != nil || got.Digest() != art.Digest {
			t.Errorf("%s: laid out %v (%v)", name, got, err)
		}
		if st, err := os.Stat(filepath.Join(dst, "sub/deep/b")); err != nil || st.Mode().Perm() != 0o444 {
			t.Errorf("%s: %v, %v; want mode 0444", name, st, err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dst), ".partial-*")); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func TestAFileComesOutAsItWentIn(t *testing.T) {
	s, _ := open(t)
	dir := lay(t, map[string]string{"students.csv": "a,b\n1,2\n"})
	art, err := artifact.PutFile(t.Context(), s, filepath.Join(dir, "students.csv"))
	if err != nil || art.Name != "students.csv" || art.Size != 8 || art.Files != nil {
		t.Fatalf("%+v, %v", art, err)
	}
	dst := filepath.Join(t.TempDir(), "in.csv")
	if err := artifact.Checkout(t.Context(), s, art, dst); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(dst); string(b) != "a,b\n1,2\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := artifact.Checkout(t.Context(), s, art, dst); fault.Of(err) != fault.Conflict {
		t.Errorf("over a file: %v", err)
	}
}

// TestOnlyRegularFilesGoIn: what a name could not stand for is refused, by name.
func TestOnlyRegularFilesGoIn(t *testing.T) {
	s, _ := open(t)
	for name, c := range map[string]struct {
		make func(dir string) error
		says string
	}{
		"link to a file":     {func(d string) error { return os.Symlink("model.json", filepath.Join(d, "odd")) }, "odd is a symbolic link"},
		"link leading out":   {func(d string) error { return os.Symlink("/etc/passwd", filepath.Join(d, "odd")) }, "odd is a symbolic link"},
		"link to a folder":   {func(d string) error { return os.Symlink("/etc", filepath.Join(d, "odd")) }, "odd is a symbolic link"},
		"pipe":               {func(d string) error { return syscall.Mkfifo(filepath.Join(d, "odd"), 0o600) }, "odd is a named pipe"},
		"back-slash in name": {func(d string) error { return os.WriteFile(filepath.Join(d, `o\dd`), nil, 0o600) }, `"o\\dd" is not a plain relative path`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lay(t, map[string]string{"model.json": "{}"})
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			_, err := artifact.PutTree(t.Context(), s, dir)
			if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.says) || fault.HintOf(err) == "" {
				t.Errorf("got %v (%v), way %q", err, fault.Of(err), fault.HintOf(err))
			}
		})
	}
	for name, c := range map[string]struct {
		put  func() error
		want fault.Kind
	}{
		"empty folder":  {func() error { _, err := artifact.PutTree(t.Context(), s, t.TempDir()); return err }, fault.Invalid},
		"absent folder": {func() error { _, err := artifact.PutTree(t.Context(), s, "/nowhere/at/all"); return err }, fault.Missing},
		"absent file":   {func() error { _, err := artifact.PutFile(t.Context(), s, "/nowhere/at/all"); return err }, fault.Missing},
		"folder as file": {func() error {
			_, err := artifact.PutFile(t.Context(), s, t.TempDir())
			return err
		}, fault.Invalid},
		"file as folder": {func() error {
			_, err := artifact.PutTree(t.Context(), s, filepath.Join(lay(t, map[string]string{"f": ""}), "f"))
			return err
		}, fault.Invalid},
	} {
		if err := c.put(); fault.Of(err) != c.want || fault.HintOf(err) == "" {
			t.Errorf("%s: got %v (%v), way %q", name, err, fault.Of(err), fault.HintOf(err))
		}
	}
}

// TestNothingIsLaidOutHalf: whatever is wrong, dst is not there and nothing lies beside it.
func TestNothingIsLaidOutHalf(t *testing.T) {
	evil := func(p string) port.Artifact {
		m := digest.Manifest{{Path: p, Digest: digest.Of(nil)}}
		return port.Artifact{Name: "evil", Digest: m.Digest(), Files: m}
	}
	good := func(t *testing.T, s port.Store) port.Artifact {
		art, err := artifact.PutTree(t.Context(), s, lay(t, map[string]string{"a": "a", "b/c": "c"}))
		if err != nil {
			t.Fatal(err)
		}
		return art
	}
	for name, c := range map[string]struct {
		art  func(t *testing.T, s port.Store, path string) port.Artifact
		want fault.Kind
	}{
		"parent path":   {func(*testing.T, port.Store, string) port.Artifact { return evil("../out") }, fault.Corrupt},
		"absolute path": {func(*testing.T, port.Store, string) port.Artifact { return evil("/out") }, fault.Corrupt},
		"back-slash":    {func(*testing.T, port.Store, string) port.Artifact { return evil(`..\out`) }, fault.Corrupt},
		"no digest":     {func(*testing.T, port.Store, string) port.Artifact { return port.Artifact{} }, fault.Corrupt},
		"another name": {func(t *testing.T, s port.Store, _ string) port.Artifact {
			art := good(t, s)
			art.Digest = digest.Of(nil)
			return art
		}, fault.Corrupt},
		"wrong size": {func(t *testing.T, s port.Store, _ string) port.Artifact {
			art := good(t, s)
			art.Files[1].Size = 7
			art.Digest = art.Files.Digest()
			return art
		}, fault.Corrupt},
		"file gone": {func(t *testing.T, s port.Store, path string) port.Artifact {
			art := good(t, s)
			h := art.Files[1].Digest.Hex()
			os.Remove(filepath.Join(path, "sha256", h[:2], h[2:]))
			return art
		}, fault.Missing},
		"file changed": {func(t *testing.T, s port.Store, path string) port.Artifact {
			art := good(t, s)
			h := art.Files[1].Digest.Hex()
			p := filepath.Join(path, "sha256", h[:2], h[2:])
			os.Chmod(p, 0o600)
			os.WriteFile(p, []byte("C"), 0o600)
			return art
		}, fault.Corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := open(t)
			art := c.art(t, s, path)
			parent := t.TempDir()
			err := artifact.Checkout(t.Context(), s, art, filepath.Join(parent, "dst"))
			if fault.Of(err) != c.want || fault.HintOf(err) == "" {
				t.Errorf("got %v (%v), way %q", err, fault.Of(err), fault.HintOf(err))
			}
			if left, _ := os.ReadDir(parent); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestNothingIsWrittenThroughALink: a link in dst's place is neither followed nor replaced.
func TestNothingIsWrittenThroughALink(t *testing.T) {
	s, _ := open(t)
	art, err := artifact.PutTree(t.Context(), s, lay(t, map[string]string{"a": "a"}))
	if err != nil {
		t.Fatal(err)
	}
	victim := t.TempDir()
	for _, to := range []string{victim, filepath.Join(victim, "absent")} {
		link := filepath.Join(t.TempDir(), "dst")
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		if err := artifact.Checkout(t.Context(), s, art, link); fault.Of(err) != fault.Conflict {
			t.Errorf("got %v", err)
		}
	}
	if left, _ := os.ReadDir(victim); len(left) > 0 {
		t.Errorf("written through the link: %v", left)
	}
}

// TestCopyNamesWhatItCopies: however the bytes arrive, size, name and bytes are right.
func TestCopyNamesWhatItCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(256<<10-2, 256<<10+2), rapid.IntRange(0, 3<<20)).Draw(t, "size")
		b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte"), 1, 2}, n/3+1)[:n]
		step := rapid.IntRange(1000, 1<<20).Draw(t, "step")
		var out bytes.Buffer
		d, size, err := artifact.Copy(t.Context(), &out, &stepped{bytes.NewReader(b), step})
		if err != nil || size != int64(n) || d != digest.Of(b) || !bytes.Equal(out.Bytes(), b) {
			t.Fatalf("%d bytes: copied %d, %s, %v", n, size, d, err)
		}
	})
}

type stepped struct {
	r    io.Reader
	step int
}

func (s *stepped) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.step)]) }

// TestSmallFilesAreKeptSideBySide: and large ones one after another; one that cannot be kept ends it.
func TestSmallFilesAreKeptSideBySide(t *testing.T) {
	m := digest.Manifest{}
	for i := range 64 {
		m = append(m, digest.File{Path: strconv.Itoa(i), Size: int64(i%2) << 30})
	}
	var now, most, large atomic.Int64
	together := make(chan struct{})
	two := sync.OnceFunc(func() { close(together) })
	err := artifact.Spread(t.Context(), m, func(ctx context.Context, i int) error {
		n := now.Add(1)
		defer now.Add(-1)
		most.Store(max(most.Load(), n))
		if m[i].Size > 0 {
			large.Store(max(large.Load(), n))
		} else if n > 1 {
			two()
		} else if i == 0 {
			<-together
		}
		return nil
	})
	if err != nil || most.Load() < 2 || most.Load() > 16 || large.Load() != 1 {
		t.Errorf("%d small ones at a time, %d large ones, %v", most.Load(), large.Load(), err)
	}
	var done atomic.Int64
	if err := artifact.Spread(t.Context(), m, func(context.Context, int) error {
		done.Add(1)
		return errors.New("no room")
	}); err == nil || done.Load() > 32 {
		t.Errorf("%d were tried, %v", done.Load(), err)
	}
}
