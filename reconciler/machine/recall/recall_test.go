package recall

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

func TestWhatWasRememberedComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "files")
	m := Memory{path, filepath.Join(t.TempDir(), "seal", "key")}
	if got := m.Load(); len(got) != 0 {
		t.Errorf("nothing is there, and it holds %v", got)
	}
	want := Known{
		"a":          {Stamp: dvccache.Stamp{Size: 1, MTime: 2, CTime: 3, Inode: 4}, Git: [20]byte{5}, SHA256: [32]byte{6}},
		"a/b ü\nc.d": {Stamp: dvccache.Stamp{Size: 1 << 40, MTime: -2, CTime: 1 << 62, Inode: 1<<64 - 1}, Git: [20]byte{19: 7}, SHA256: [32]byte{31: 8}},
	}
	for range 2 { // also over one that is there
		if err := m.Save(want); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Load(); !maps.Equal(got, want) {
		t.Errorf("it holds %v, want %v", got, want)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("beside it there is something: %v, %v", all, err)
	}
}

// A memory that was damaged is none: files are read.
func TestADamagedMemoryIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "files")
	m := Memory{path, filepath.Join(t.TempDir(), "seal", "key")}
	if err := m.Save(Known{"a": {}, "b": {}}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 1
		for _, b := range [][]byte{bad, whole[:i]} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := m.Load(); len(got) != 0 {
				t.Fatalf("with byte %d of %d changed, or no further, it holds %v", i, len(whole), got)
			}
		}
	}
}

// What somebody else wrote, or what is of another checkout, is none: it would lead to keys of files that hold something else.
func TestAMemoryThatWasNotSealedHereIsNone(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := filepath.Join(t.TempDir(), "seal", "key"), filepath.Join(t.TempDir(), "seal", "key")
	if err := (Memory{filepath.Join(dir, "one"), theirs}).Save(Known{"a": {}}); err != nil {
		t.Fatal(err)
	}
	if got := (Memory{filepath.Join(dir, "one"), ours}).Load(); len(got) != 0 {
		t.Errorf("by another key it holds %v", got)
	}
	if err := (Memory{filepath.Join(dir, "two"), ours}).Save(Known{"a": {}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "two"), filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	if got := (Memory{filepath.Join(dir, "one"), ours}).Load(); len(got) != 0 {
		t.Errorf("of another checkout it holds %v", got)
	}
}

func TestWhatWasJustWrittenIsNotSettled(t *testing.T) {
	now := time.Unix(1_700_000_000, 500_000_000)
	for name, c := range map[string]struct {
		written time.Time
		want    bool
	}{
		"long ago":                           {now.Add(-time.Hour), true},
		"just now":                           {now.Add(-time.Millisecond), false},
		"in the future":                      {now.Add(time.Hour), false},
		"half a second ago, without parts":   {now.Truncate(time.Second), false},
		"half a second ago, with parts":      {now.Truncate(time.Second).Add(1), true},
		"several seconds ago, without parts": {now.Truncate(time.Second).Add(-5 * time.Second), true},
	} {
		at := dvccache.Stamp{MTime: c.written.UnixNano(), CTime: c.written.UnixNano()}
		if got := Settled(at, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
