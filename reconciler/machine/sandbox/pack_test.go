// A pack is laid out as it was packed, and one that was made to do harm does none.

package sandbox

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

var packed = digest.Of([]byte("an environment"))

// archive is a pack of these entries for dir.
func archive(t testing.TB, head packHead, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	small, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(small)
	raw, err := json.Marshal(head)
	if err == nil {
		err = errors.Join(w.WriteHeader(&tar.Header{Name: packName, Size: int64(len(raw)), Mode: 0o644}))
	}
	if err == nil {
		_, err = w.Write(raw)
	}
	for _, h := range entries {
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
		}
	}
	if err = errors.Join(err, w.Close(), small.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAPackHoldsWhatItsEnvironmentHeld(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "env"), ""
	old := time.Unix(1_700_000_000, 0)
	if err := errors.Join(os.MkdirAll(filepath.Join(from, "bin"), 0o755), os.MkdirAll(filepath.Join(from, "lib"), 0o755),
		os.WriteFile(filepath.Join(from, "lib", "a.py"), []byte("a = 1\n"), 0o644), os.WriteFile(filepath.Join(from, "bin", "tool"), []byte("#!/bin/sh\n"), 0o755),
		os.Symlink("/usr/bin/python3", filepath.Join(from, "bin", "python")), os.Symlink("lib", filepath.Join(from, "lib64")),
		os.Chtimes(filepath.Join(from, "lib", "a.py"), old, old)); err != nil {
		t.Fatal(err)
	}
	want, err := summary(from, contents)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Pack(t.Context(), Environment{Bin: filepath.Join(from, "bin"), Digest: packed}, &out); err != nil {
		t.Fatal(err)
	}
	to = from // where it was made, on another machine
	if err := os.Rename(from, from+".old"); err != nil {
		t.Fatal(err)
	}
	if err := unpack(t.Context(), &out, packed, to, 1<<20); err != nil {
		t.Fatal(err)
	}
	if got, err := summary(to, contents); err != nil || got != want {
		t.Errorf("it holds something else: %v", err)
	}
	if st, err := os.Stat(filepath.Join(to, "lib", "a.py")); err != nil || !st.ModTime().Equal(old) {
		t.Errorf("its files are not as old as they were: %v", err)
	}
}

func TestNoPackReachesOutOfItsFolder(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(h *packHead)
		entries []tar.Header
		trail   int // bytes after the last entry
		say     string
	}{
		"another environment":    {change: func(h *packHead) { h.Name = digest.Of(nil) }, say: "another interpreter"},
		"another folder":         {change: func(h *packHead) { h.Dir = "/elsewhere" }, say: "another folder"},
		"a path that climbs":     {entries: []tar.Header{{Name: "../out", Size: 1, Mode: 0o644}}, say: "leads out"},
		"a path from the root":   {entries: []tar.Header{{Name: "/tmp/out", Size: 1, Mode: 0o644}}, say: "leads out"},
		"through a link":         {entries: []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "l/out", Size: 1, Mode: 0o644}}, say: "escapes"},
		"through a link of root": {entries: []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, {Name: "l/out", Size: 1, Mode: 0o644}}, say: "escapes"},
		"over a link":            {entries: []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../out"}, {Name: "l", Size: 1, Mode: 0o644}}, say: "exists"},
		"a hard link":            {entries: []tar.Header{{Name: "h", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}}, say: "neither"},
		"a device":               {entries: []tar.Header{{Name: "d", Typeflag: tar.TypeChar}}, say: "neither"},
		"more than its limit":    {entries: []tar.Header{{Name: "a", Size: 7000, Mode: 0o644}, {Name: "b", Size: 7000, Mode: 0o644}}, say: "more than its limit"},
		"empty files":            {entries: []tar.Header{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}}, say: "more than its limit"},
		"no end":                 {trail: 1 << 20, say: "does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			around := t.TempDir()
			dir := filepath.Join(around, "env")
			head := packHead{Name: packed, Dir: dir}
			if c.change != nil {
				c.change(&head)
			}
			raw := archive(t, head, c.entries...)
			if c.trail > 0 { // frames of zstd that follow each other are one stream
				more, err := zstd.NewWriter(nil)
				if err != nil {
					t.Fatal(err)
				}
				raw = more.EncodeAll(make([]byte, c.trail), raw)
			}
			err := unpack(t.Context(), bytes.NewReader(raw), packed, dir, 5*entrySize-1)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v, want %q", err, c.say)
			}
			if _, err := os.Lstat(filepath.Join(around, "out")); err == nil {
				t.Error("it wrote out of its folder")
			}
		})
	}
	t.Run("a mode of its own", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "env")
		if err := unpack(t.Context(), bytes.NewReader(archive(t, packHead{Name: packed, Dir: dir}, tar.Header{Name: "s", Mode: 0o6755})), packed, dir, entrySize); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(dir, "s")); err != nil || st.Mode() != 0o755 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
	})
}

// FuzzUnpack: whatever comes as a pack, nothing appears beside its folder.
func FuzzUnpack(f *testing.F) {
	f.Add("lib/a.py", "", byte(tar.TypeReg), "b", byte(tar.TypeReg))
	f.Add("l", "..", byte(tar.TypeSymlink), "l/out", byte(tar.TypeReg))
	f.Add("a/", "", byte(tar.TypeDir), "a/../../out", byte(tar.TypeReg))
	f.Fuzz(func(t *testing.T, first, link string, kind byte, second string, other byte) {
		around := t.TempDir()
		dir := filepath.Join(around, "env")
		var out bytes.Buffer
		small, _ := zstd.NewWriter(&out)
		w := tar.NewWriter(small)
		raw, _ := json.Marshal(packHead{Name: packed, Dir: dir})
		_ = w.WriteHeader(&tar.Header{Name: packName, Size: int64(len(raw))})
		_, _ = w.Write(raw)
		for _, h := range []tar.Header{{Name: first, Linkname: link, Typeflag: kind}, {Name: second, Typeflag: other}} {
			_ = w.WriteHeader(&h) // what tar cannot say is left out
		}
		_, _ = w.Close(), small.Close()
		_ = unpack(t.Context(), &out, packed, dir, 10*entrySize)
		all, err := os.ReadDir(around)
		if err != nil || len(all) > 1 || len(all) == 1 && all[0].Name() != "env" {
			t.Errorf("beside its folder: %v, %v", all, err)
		}
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Type()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
				t.Errorf("%s is %s", p, d.Type())
			}
			return nil
		})
	})
}
