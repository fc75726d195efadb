// The laws of names: same content, same name; anything else, another.

package digest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

func TestKnownDigests(t *testing.T) {
	if got := Of(nil); got != "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Fatal(got)
	}
	d, n, err := Copy(&bytes.Buffer{}, strings.NewReader("abc"))
	if err != nil || n != 3 || d != Of([]byte("abc")) {
		t.Fatal(d, n, err)
	}
}

func TestAListIsNamedAsItsJSON(t *testing.T) {
	for _, list := range [][]map[string]any{{}, {{}}, {{"a": 1}, {}, {"a": nil, "b": "<é>", "c": map[string]any{"b": 1.5, "a": []any{}}}}} {
		want, err := JSON(list)
		if err != nil {
			t.Fatal(err)
		}
		var rows []Members
		for _, one := range list {
			var row Members
			for _, name := range slices.Sorted(maps.Keys(one)) {
				row = append(row, Member{name, one[name]})
			}
			rows = append(rows, row)
		}
		if got, err := List(slices.Values(rows)); err != nil || got != want {
			t.Errorf("%v is named %s, want %s, %v", list, got, want, err)
		}
	}
	if _, err := List(slices.Values([]Members{{{"a", func() {}}}})); err == nil {
		t.Error("a list that JSON has not is named")
	}
}

// TestCanonicalJSON: vectors of RFC 8785, and scalars, which it takes as well.
func TestCanonicalJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{"b":1,"a":[1.0,1e3,0.000001]}`: `{"a":[1,1000,0.000001],"b":1}`,
		`{"€":1,"\r":2,"1":3}`:           `{"\r":2,"1":3,"€":1}`,
		`2.50`:                           `2.5`,
		`"a<b"`:                          `"a<b"`,
		`true`:                           `true`,
		`null`:                           `null`,
	} {
		var v any
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Fatal(err)
		}
		if got, err := Canonical(v); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", in, got, err, want)
		}
	}
	if _, err := Canonical(func() {}); err == nil {
		t.Error("a function has a canonical form")
	}
}

func TestParseIsTheInverseOfPrinting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Of(rapid.SliceOf(rapid.Byte()).Draw(t, "content"))
		for _, s := range []string{string(d), d.Hex()} {
			if got, err := Parse(s); err != nil || got != d {
				t.Fatalf("%s: %s, %v", s, got, err)
			}
		}
	})
	for _, bad := range []string{"", "sha256:", "md5:abc", strings.Repeat("A", 64), strings.Repeat("a", 63)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is taken for a digest", bad)
		}
	}
}

// TestAManifestNamesExactlyItsFiles: one more, one less or one other byte is another name.
func TestAManifestNamesExactlyItsFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,4}(/[a-z]{5,8})?`), rapid.SliceOf(rapid.Byte()), 1, 6).Draw(t, "files")
		fsys := fstest.MapFS{}
		for p, data := range files {
			fsys[p] = &fstest.MapFile{Data: data}
		}
		m, err := Walk(fsys)
		if err != nil {
			t.Skip("a name is both a file and a folder")
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		p := rapid.SampledFrom(m).Draw(t, "file").Path
		fsys[p] = &fstest.MapFile{Data: append([]byte{1}, fsys[p].Data...)}
		other, err := Walk(fsys)
		if err != nil || other.Digest() == m.Digest() {
			t.Fatalf("%s changed, the name did not: %v", p, err)
		}
	})
}

func TestManifestsThatCannotBeLaidOutAreRefused(t *testing.T) {
	d := Of(nil)
	for name, m := range map[string]Manifest{
		"climbs":          {{Path: "../x", Digest: d}},
		"absolute":        {{Path: "/x", Digest: d}},
		"back-slash":      {{Path: `a\b`, Digest: d}},
		"empty":           {{Path: "", Digest: d}},
		"root":            {{Path: ".", Digest: d}},
		"twice":           {{Path: "a", Digest: d}, {Path: "a", Digest: d}},
		"out of order":    {{Path: "b", Digest: d}, {Path: "a", Digest: d}},
		"file and folder": {{Path: "a", Digest: d}, {Path: "a/b", Digest: d}},
		"no digest":       {{Path: "a"}},
		"negative":        {{Path: "a", Digest: d, Size: -1}},
	} {
		if m.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("sha256:00")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := Parse(s); err == nil && len(d.Hex()) != 64 {
			t.Fatal(d)
		}
	})
}
