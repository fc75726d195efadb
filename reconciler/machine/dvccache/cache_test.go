// The cache on a real file system: links, modes, names of both layouts, what is
// remembered, and what is left behind.

package dvccache

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

func opened(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "cache"), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kept(t testing.TB, c *Cache, b []byte) dvc.OID {
	t.Helper()
	oid, _, _, err := c.Insert(context.Background(), bytes.NewReader(b), "")
	if err != nil {
		t.Fatal(err)
	}
	return oid
}

// TestLinkIsOfTheKindThatIsAsked, or of the next one where it cannot be; objects stay protected.
func TestLinkIsOfTheKindThatIsAsked(t *testing.T) {
	for kind, c := range map[string]struct {
		types []string
		exec  bool
		own   bool // the bytes are the work tree's own
		mode  fs.FileMode
	}{
		"copy":                   {types: []string{"copy"}, own: true, mode: 0o644},
		"reflink, or else copy":  {types: []string{"reflink", "copy"}, own: true, mode: 0o644},
		"hardlink":               {types: []string{"hardlink"}, mode: 0o444},
		"symlink":                {types: []string{"symlink"}, mode: 0o444},
		"an executable hardlink": {types: []string{"hardlink"}, exec: true, own: true, mode: 0o755},
	} {
		t.Run(kind, func(t *testing.T) {
			cache := opened(t, Options{Types: c.types})
			oid := kept(t, cache, []byte("data"))
			at := filepath.Join(filepath.Dir(cache.Root()), "file")
			known, err := cache.Link(oid, at, c.exec)
			if err != nil {
				t.Fatal(err)
			}
			object, err := os.Stat(cache.Path(oid))
			if err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(at)
			if err != nil {
				t.Fatal(err)
			}
			if object.Mode().Perm() != 0o444 || os.SameFile(object, st) == c.own || st.Mode().Perm()&0o755 != c.mode {
				t.Errorf("object %v, file %v, one file: %v", object.Mode(), st.Mode(), os.SameFile(object, st))
			}
			if !known.Is(oid) || known.Inode == 0 {
				t.Errorf("it is not known afterwards: %+v", known)
			}
			if err := os.WriteFile(at+"2", []byte("data"), 0o644); err != nil {
				t.Fatal(err)
			}
			if c.own { // a write of equal length, as soon as can be, has another time
				if err := os.WriteFile(at, []byte("DATA"), 0o644); err != nil {
					t.Fatal(err)
				}
				if now, _ := os.Stat(at); now.ModTime().UnixNano() == known.MTime {
					t.Error("a write right after cannot be told from what was there")
				}
			}
		})
	}
	if _, err := Open(t.TempDir(), Options{Types: []string{"teleport"}}); fault.Of(err) != fault.Invalid {
		t.Errorf("an unknown kind of link is %v", err)
	}
}

// TestSpoiledObjectIsNeverTaken: other bytes under a name are not laid out, and go.
func TestSpoiledObjectIsNeverTaken(t *testing.T) {
	c := opened(t, Options{Types: []string{"copy"}})
	for name, store := range map[string]*Cache{"DVC 3": c, "DVC 2": c.Legacy()} {
		for _, size := range []int{4, InMemory + 1} {
			oid := kept(t, store, bytes.Repeat([]byte("d"), size))
			path := store.Path(oid)
			if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o644)); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(t.TempDir(), "file")
			if _, err := store.Link(oid, at, false); fault.Of(err) != fault.Corrupt {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
			if _, err := os.Stat(at); err == nil || store.Has(oid) {
				t.Errorf("%s, %d bytes: it is there still", name, size)
			}
			_, _, _, err := store.Insert(context.Background(), strings.NewReader("other"), oid)
			if fault.Of(err) != fault.Corrupt || store.Has(oid) {
				t.Errorf("%s: other bytes were taken in: %v", name, err)
			}
		}
	}
}

// TestLayoutsAreApart: a name of one is none of the other, and text with carriage returns
// is held against DVC 2's name in its layout alone.
func TestLayoutsAreApart(t *testing.T) {
	c := opened(t, Options{Types: []string{"copy"}})
	text := []byte("a\r\nb\r\n")
	stripped := md5.Sum([]byte("a\nb\n"))
	oid := dvc.OID(hex.EncodeToString(stripped[:]))
	if _, _, _, err := c.Insert(context.Background(), bytes.NewReader(text), oid); fault.Of(err) != fault.Corrupt {
		t.Errorf("DVC 3's layout takes it: %v", err)
	}
	if _, _, _, err := c.Legacy().Insert(context.Background(), bytes.NewReader(text), oid); err != nil {
		t.Fatal(err)
	}
	if c.Has(oid) || !c.Legacy().Has(oid) {
		t.Error("it is in the wrong layout")
	}
	at := filepath.Join(t.TempDir(), "file")
	if _, err := c.Legacy().Link(oid, at, false); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(at); !bytes.Equal(b, text) {
		t.Errorf("it came back as %q", b)
	}
}

// TestLegacySumIsDVCs: vectors of dvc_data.hashfile.hash.file_md5(name="md5-dos2unix") stand in
// the script beside the real program; these are its rules, one by one.
func TestLegacySumIsDVCs(t *testing.T) {
	long := strings.Repeat("x", legacyPiece-1)
	for name, c := range map[string]struct{ in, as string }{
		"empty":                   {"", ""},
		"line ends of text":       {"a\r\nb\r\r\n\r", "a\nb\r\n\r"},
		"binary":                  {"a\x00\r\n", "a\x00\r\n"},
		"three in ten are odd":    {"\x80\x80\x80aaaaa\r\n", "\x80\x80\x80aaaaa\n"},
		"four in ten are odd":     {"\x80\x80\x80\x80aaaa\r\n", "\x80\x80\x80\x80aaaa\r\n"},
		"a line end of two parts": {long + "\r\ny\r\n", long + "\r\ny\n"},
		"a part that is not text": {long + "x" + "\x00\r\n", long + "x" + "\x00\r\n"},
	} {
		want := md5.Sum([]byte(c.as))
		for _, step := range []int{1 << 21, 4093} {
			s := NewLegacySum()
			for in := []byte(c.in); len(in) > 0; {
				n := min(step, len(in))
				_, _ = s.Write(in[:n])
				in = in[n:]
			}
			if got := s.OID(); string(got) != hex.EncodeToString(want[:]) {
				t.Errorf("%s, by %d: %s", name, step, got)
			}
		}
	}
}

// TestMemoryThatCannotBeReadIsEmpty, whatever is wrong with it.
func TestMemoryThatCannotBeReadIsEmpty(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.state")
	m := NewMemory(2)
	m.Tree = "d751713988987e9331980363e24189ce.dir"
	for _, p := range []string{"a", "b/ü"} {
		k, _ := Know(Stamp{Size: 1, MTime: 2, CTime: 3, Inode: 4}, SumOf([]byte(p)))
		m.Put(p, k)
	}
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if back := LoadMemory(file); back.Len() != 2 || back.Tree != m.Tree {
		t.Fatalf("it comes back as %d files of %s", back.Len(), back.Tree)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x41
		for _, b := range [][]byte{raw[:i], bad} {
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := LoadMemory(file); got.Len() != 0 || got.Tree != "" {
				t.Fatalf("byte %d: %d files are known", i, got.Len())
			}
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte(memoryMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "m.state")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		LoadMemory(file)
	})
}

// TestWhatAKilledProgramLeftGoes when the next one opens the cache, unless one is at work.
func TestWhatAKilledProgramLeftGoes(t *testing.T) {
	c := opened(t, Options{})
	b := c.Batch()
	if err := b.TakeBytes([]byte("half"), Named(Stamp{}, []byte("half"))); err != nil {
		t.Fatal(err)
	}
	under := func() (n int) {
		for i := range desks {
			names, err := readNames(c.desk(uint64(i)))
			if err != nil {
				t.Fatal(err)
			}
			n += len(names)
		}
		return n
	}
	if _, err := Open(c.Root(), Options{}); err != nil || under() != 1 {
		t.Fatalf("what is under way is gone (%v)", err)
	}
	b.work.Close() // as the system does when a program is killed
	if _, err := Open(c.Root(), Options{}); err != nil || under() != 0 {
		t.Errorf("what was left is there still (%v)", err)
	}
}

// TestDraftsAreNoData: their names are theirs alone, and go with their process.
func TestDraftsAreNoData(t *testing.T) {
	dir := t.TempDir()
	for name, draft := range map[string]bool{
		".vishwa-draft-123-a9": true, ".vishwa-draft-": false, ".vishwa-draft-1": false, ".vishwa-draft-x-1": false, ".vishwa-draft-1-_": false, "data.vishwa-1-1": false,
	} {
		if IsDraft(name) != draft {
			t.Errorf("%s: %v", name, !draft)
		}
	}
	own, err := os.CreateTemp(dir, Draft())
	if err != nil {
		t.Fatal(err)
	}
	own.Close()
	other := filepath.Join(dir, ".vishwa-draft-2147483646-1") // no process has this number
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	Tidy(dir)
	if _, err := os.Stat(other); err == nil {
		t.Error("what a process left that has ended is there still")
	}
	if _, err := os.Stat(own.Name()); err != nil {
		t.Error("what we work on is gone")
	}
}

// TestSettled: what was written just before it was read may be written again unseen.
func TestSettled(t *testing.T) {
	now := time.Unix(100, 0)
	for ago, want := range map[time.Duration]bool{0: false, granularity: false, granularity + 1: true} {
		at := now.Add(-ago).UnixNano()
		if got := (Stamp{MTime: at, CTime: at}).Settled(now); got != want {
			t.Errorf("%s ago: %v", ago, got)
		}
	}
}

// TestAnObjectThatWasWrittenToIsNotLinked: through a hard link, somebody wrote to the cache.
func TestAnObjectThatWasWrittenToIsNotLinked(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(filepath.Join(dir, "cache"), Options{Types: []string{"hardlink"}})
	if err != nil {
		t.Fatal(err)
	}
	oid, _, _, err := c.Insert(t.Context(), strings.NewReader("right"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.Path(oid), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Link(oid, filepath.Join(dir, "good"), false); err != nil { // nothing was written
		t.Fatal(err)
	}
	if st, err := os.Stat(c.Path(oid)); err != nil || st.Mode().Perm() != 0o444 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := os.Chmod(c.Path(oid), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "good"), []byte("wrong"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Link(oid, filepath.Join(dir, "bad"), false); fault.Of(err) != fault.Corrupt || err == nil {
		t.Errorf("%v, want Corrupt", err)
	}
	if c.Has(oid) {
		t.Error("it is kept")
	}
}

// TestALinkThatComesLaterIsNotFollowed: what is put into an open folder is in that folder, whatever has its name by then.
func TestALinkThatComesLaterIsNotFollowed(t *testing.T) {
	for _, kind := range []string{"copy", "reflink,copy", "hardlink", "symlink"} {
		c := opened(t, Options{Types: strings.Split(kind, ",")})
		oid := kept(t, c, []byte("data"))
		large := kept(t, c, bytes.Repeat([]byte("d"), InMemory+1))
		base := filepath.Dir(c.Root())
		at, elsewhere := filepath.Join(base, "folder"), filepath.Join(base, "elsewhere")
		if err := errors.Join(os.Mkdir(at, 0o755), os.Mkdir(elsewhere, 0o755)); err != nil {
			t.Fatal(err)
		}
		dir, err := os.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		if err := errors.Join(os.Rename(at, at+"2"), os.Symlink(elsewhere, at)); err != nil {
			t.Fatal(err)
		}
		l, err := c.Linker()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for name, oid := range map[string]dvc.OID{"small": oid, "large": large} {
			k, err := l.Link(oid, Spot{dir, name}, false)
			if err != nil || !k.Is(oid) || k.Inode == 0 {
				t.Fatalf("%s, %s: %+v, %v", kind, name, k, err)
			}
		}
		for folder, want := range map[string]int{at + "2": 2, elsewhere: 0} {
			if names, err := readNames(folder); err != nil || len(names) != want {
				t.Errorf("%s: %s has %q, %v", kind, folder, names, err)
			}
		}
	}
}

// TestABatchFindsWhatIsThere: what it has named itself, and what was there before; of what another names
// meanwhile it needs to know nothing.
func TestABatchFindsWhatIsThere(t *testing.T) {
	c := opened(t, Options{})
	one, two := Named(Stamp{}, []byte("one")), Named(Stamp{}, []byte("two"))
	kept(t, c, []byte("one"))
	b, other := c.Batch(), c.Batch()
	defer b.Drop()
	defer other.Drop()
	if !b.Has(one) || b.Has(two) || other.Has(two) {
		t.Fatal("it is mistaken at first")
	}
	for _, b := range []*Batch{b, other} {
		if err := errors.Join(b.TakeBytes([]byte("two"), two), b.TakeBytes([]byte("one"), one), b.Keep()); err != nil {
			t.Fatal(err)
		}
		if !b.Has(two) {
			t.Error("it does not find what it has named")
		}
	}
	if _, err := c.Check(two.oid()); err != nil {
		t.Error(err)
	}
}
