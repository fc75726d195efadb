// Listings are written by strangers: what they name, how much of it there is, and
// what becomes of it while it is read.

package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// named is a bucket that lists any names, and has the same bytes under each.
type named []string

func (n named) List(context.Context, string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		for _, k := range n {
			if !yield(port.Object{Key: "p/" + k, Size: 1, ETag: "x"}, nil) {
				return
			}
		}
	}
}

func (n named) Stat(_ context.Context, key string) (port.Object, error) {
	return port.Object{}, fault.New(fault.Missing, "no %s", key)
}

func (n named) Get(_ context.Context, key string, _ port.Range) (io.ReadCloser, port.Object, error) {
	return io.NopCloser(strings.NewReader("x")), port.Object{Key: key, Size: 1, ETag: "x"}, nil
}

func TestHostileNamesAreRefusedByName(t *testing.T) {
	for what, names := range map[string][]string{
		"climbing":             {"../x"},
		"climbing later":       {"a/../../x"},
		"climbing in place":    {"a/../b"},
		"dots alone":           {".."},
		"here":                 {"."},
		"absolute":             {"/etc/passwd"},
		"empty":                {""},
		"empty part":           {"a//b"},
		"NUL":                  {"a\x00b"},
		"back-slash":           {`..\x`},
		"drive":                {`c:\x`},
		"no UTF-8":             {"a\xffb"},
		".git":                 {".git/config"},
		".GIT deeper":          {"a/.GiT/hooks/post-checkout"},
		".git with a dot":      {".git./config"},
		".git with a space":    {".git /config"},
		".git unseen":          {".g\u200cit/config"},
		".git as a stream":     {".git::$INDEX_ALLOCATION/config"},
		".git's short name":    {"git~1/config"},
		"device":               {"a/NUL"},
		"device with a suffix": {"com1.csv"},
		"device with a space":  {"Aux .txt"},
		"console":              {"CONIN$"},
		"long":                 {strings.Repeat("a", 10_000)},
		"long parts":           {strings.Repeat("a/", 5_000) + "b"},
		"case":                 {"Data.csv", "data.csv"},
		"case beyond ASCII":    {"É.csv", "é.csv"},
		"spelling":             {"e\u0301.csv", "\u00e9.csv"},
		"twice":                {"a", "a"},
		"file and folder":      {"a", "a/b"},
		"file and folder, far": {"a", "a.b", "a/b"},
		"file and folder case": {"A", "a/b"},
		"our own":              {".vishwa-fetch/x"},
	} {
		t.Run(what, func(t *testing.T) {
			outer := t.TempDir()
			dir := filepath.Join(outer, "in")
			src := s3Source(t, "s3://bucket/p/", append(named{"fine"}, names...))
			_, err := src.Inspect(t.Context())
			wantKind(t, err, fault.Invalid)
			if said := fmt.Sprint(err); !slices.ContainsFunc(names, func(n string) bool {
				return strings.Contains(said, strings.TrimSuffix(download.Quoted(n), "…"))
			}) || len(said) > 1000 {
				t.Errorf("the error does not name it: %.300s", said)
			}
			// Nor is a look believed that comes from elsewhere.
			look := port.Snapshot{Token: "t"}
			for _, n := range names {
				look.Files = append(look.Files, port.SourceFile{Path: n, Size: 1, ETag: "x"})
			}
			wantKind(t, src.Fetch(t.Context(), look, dir, nil), fault.Invalid)
			if left, _ := os.ReadDir(outer); len(left) > 0 {
				t.Errorf("%q was made", left[0].Name())
			}
		})
	}
}

func TestOddNamesAreTaken(t *testing.T) {
	names := []string{"a b.csv", "naïve/日本/😀.txt", "a&b<c>.txt", "q\"'.txt", "tab\t.txt", "\x7f.txt", ".gitignore", ".github/x", "a.git/x", "...", "..a", "a..", "-rf", "~", "console.txt",
		"com10", "community/x", "year=2024/month=01/part-0.parquet", "2024-01-01T00:00:00.json", strings.Repeat("a", 255)}
	src := s3Source(t, "s3://bucket/p", named(names))
	look, err := src.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := src.Fetch(t.Context(), look, dir, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(n))); string(b) != "x" {
			t.Errorf("%q: %q %v", n, b, err)
		}
	}
}

func TestNoLinkLeadsOut(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "a")); err != nil {
		t.Skip(err)
	}
	src := s3Source(t, "s3://bucket/p", named{"a/x"})
	look, err := src.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Fetch(t.Context(), look, dir, nil); err == nil {
		t.Error("it was fetched through a link")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("%q was written outside", left[0].Name())
	}
}

func TestATokenIsOfTheWholeListing(t *testing.T) {
	files := []port.SourceFile{{Path: "a", Size: 1, ETag: "x"}, {Path: "b", Size: 2, ETag: "y"}}
	tokens := map[string]string{"as it is": listing(files)}
	for name, change := range map[string]func([]port.SourceFile) []port.SourceFile{
		"a name":    func(f []port.SourceFile) []port.SourceFile { f[0].Path = "a1"; return f },
		"a tag":     func(f []port.SourceFile) []port.SourceFile { f[1].ETag = "x"; return f },
		"a size":    func(f []port.SourceFile) []port.SourceFile { f[1].Size = 3; return f },
		"one less":  func(f []port.SourceFile) []port.SourceFile { return f[:1] },
		"one more":  func(f []port.SourceFile) []port.SourceFile { return append(f, port.SourceFile{Path: "c"}) },
		"run into":  func(f []port.SourceFile) []port.SourceFile { f[0].Path, f[0].ETag = `a" 1 "x`, ""; return f },
		"no tag":    func(f []port.SourceFile) []port.SourceFile { f[0].ETag = ""; return f },
		"a version": func(f []port.SourceFile) []port.SourceFile { f[0].ETag, f[0].Version = "", "v2"; return f },
	} {
		tokens[name] = listing(change(slices.Clone(files)))
	}
	if seen := slices.Compact(slices.Sorted(maps.Values(tokens))); len(seen) != len(tokens) {
		t.Errorf("%d tokens for %d listings", len(seen), len(tokens))
	}
	files[0].Version, files[1].Modified = "v9", files[1].Modified.AddDate(1, 0, 0)
	if listing(files) != tokens["as it is"] {
		t.Error("writing the same bytes again moved the token")
	}
}

func TestAPrefixIsFetchedWithItsFolders(t *testing.T) {
	b, dir := folder(t)
	want := map[string]string{"a.csv": "1", "b/c.csv": "22", "b/d/e.csv": "", "f.csv": strings.Repeat("x", 2<<20)}
	for name, data := range want {
		put(t, b, dir, "raw/"+name, []byte(data))
	}
	put(t, b, dir, "raw-too/not.csv", []byte("beside it"))
	for _, url := range []string{"s3://bucket/raw", "s3://bucket/raw/"} {
		src, into := s3Source(t, url, b), t.TempDir()
		look, err := src.Inspect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := src.Fetch(t.Context(), look, into, nil); err != nil {
			t.Fatal(err)
		}
		if len(look.Files) != len(want) {
			t.Errorf("%s: saw %v", url, look.Files)
		}
		for name, data := range want {
			if got, err := os.ReadFile(filepath.Join(into, filepath.FromSlash(name))); string(got) != data {
				t.Errorf("%s: %s has %d bytes, want %d: %v", url, name, len(got), len(data), err)
			}
		}
		if left, _ := os.ReadDir(into); len(left) != 3 {
			t.Errorf("%s: %d entries stand in the folder, want a.csv, b and f.csv", url, len(left))
		}
	}
}

// TestALargeObjectComesInPiecesAndBounds: pieces side by side, cut again and again,
// make the same bytes, in memory that does not grow with them.
func TestALargeObjectComesInPiecesAndBounds(t *testing.T) {
	const size = 3*download.Piece + 12345
	data := make([]byte, size)
	for r, i := rand.New(rand.NewPCG(1, 2)), 0; i < size; i += 997 {
		data[i] = byte(r.Uint32())
	}
	b, dir := folder(t)
	put(t, b, dir, "big", data)
	w := &trouble{cut: download.Piece/2 + 1}
	src, into := s3Source(t, "s3://bucket/big", &troubled{b, w}), t.TempDir()
	look, err := src.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := src.Fetch(t.Context(), look, into, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > download.Piece {
		t.Errorf("reading %d bytes took %d of memory", size, used)
	}
	got, err := os.ReadFile(filepath.Join(into, "big"))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("fetched something else: %v", err)
	}
}

func TestAStoppedLargeObjectGoesOn(t *testing.T) {
	const size = 4 * download.Piece
	b, dir := folder(t)
	put(t, b, dir, "big", make([]byte, size))
	src, err := Open(schemas.DataSource{S3: &schemas.S3{URL: "s3://bucket/big"}}, Options{Jobs: 1, Bucket: func(schemas.S3) (port.Objects, error) { return b, nil }})
	if err != nil {
		t.Fatal(err)
	}
	look, err := src.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err = src.Fetch(ctx, look, into, func(done, _ int64) {
		if done > 3*download.Piece {
			cancel()
		}
	})
	wantKind(t, err, fault.Cancelled)
	began := int64(-1)
	if err := src.Fetch(t.Context(), look, into, func(done, _ int64) {
		if began < 0 {
			began = done
		}
	}); err != nil {
		t.Fatal(err)
	}
	if began < 3*download.Piece {
		t.Errorf("the second began at %d", began)
	}
	if st, err := os.Stat(filepath.Join(into, "big")); err != nil || st.Size() != size {
		t.Errorf("fetched something else: %v", err)
	}
}
