// The recipes of the docs in Python do what their page says: the same bytes, whenever they
// are run, of what differs in dates alone.

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/format/archive"
)

// recipes are, by the function that a block defines, the code that runs it: it writes what
// varies to one and two, and what the recipe makes of them to first and second.
var recipes = map[string]string{
	"fixed": `
for name, target, year in (("one", "first", 2001), ("two", "second", 2024)):
    with zipfile.ZipFile(name, "w") as out:
        for member in ("b.npy", "a.npy"):
            out.writestr(zipfile.ZipInfo(member, (year, 2, 3, 4, 5, 6)), member * 1000)
    fixed(name, target)
with zipfile.ZipFile("first") as made:
    assert made.testzip() is None and made.read("a.npy") == b"a.npy" * 1000
`,
	"compressed": `
for name, target, at in (("one", "first", 1), ("two", "second", 2)):
    with open(name, "wb") as raw, gzip.GzipFile("model", "wb", fileobj=raw, mtime=at) as out:
        out.write(b"weights" * 1000)
    compressed(b"weights" * 1000, target)
assert gzip.open("first").read() == b"weights" * 1000
`,
}

func TestTheRecipesWriteTheSameBytes(t *testing.T) {
	t.Parallel()
	var ran []string
	for _, b := range blocksOf(t, "../../docs/guide.md") {
		if b.language != "python" {
			continue
		}
		if strings.Contains(b.text, "skops") { // the example's own tests run it, with skops
			whole, err := os.ReadFile("../../examples/student-intelligence/src/stable_skops.py")
			if err != nil || string(whole) != b.text {
				t.Errorf("%s:%d: it is not the example's stable_skops.py, %v", b.file, b.line, err)
			}
			ran = append(ran, "skops")
			continue
		}
		if strings.Contains(b.text, "import json, os, optuna\n") { // TestOptunaItself runs it, with Optuna
			ran = append(ran, "optuna")
			continue
		}
		_, name, _ := strings.Cut(b.text, "def ")
		name, _, _ = strings.Cut(name, "(")
		ran = append(ran, name)
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "python3", "-c", b.text+recipes[name])
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || recipes[name] == "" {
			t.Errorf("%s:%d: %v\n%s", b.file, b.line, err, out)
			continue
		}
		read := func(file string) []byte {
			t.Helper()
			raw, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		undated := func(file string) string {
			t.Helper()
			raw := read(file)
			d, _, err := archive.Undated(bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				t.Fatal(err)
			}
			return string(d)
		}
		if a := undated("one"); a == "" || a != undated("two") || bytes.Equal(read("one"), read("two")) {
			t.Errorf("%s: what differs in dates alone is not told so", name)
		}
		if !bytes.Equal(read("first"), read("second")) || undated("first") != "" {
			t.Errorf("%s: not the same bytes each time", name)
		}
	}
	if slices.Sort(ran); !slices.Equal(ran, []string{"compressed", "fixed", "optuna", "skops"}) {
		t.Errorf("ran %v", ran)
	}
}
