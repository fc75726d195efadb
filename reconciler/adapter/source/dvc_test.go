// What DVC keeps is found as DVC finds it, and believed no further than its names.

package source

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func dvcSource(t *testing.T, src schemas.DVC, tree fs.FS, b port.Objects) port.Source {
	t.Helper()
	s, err := Open(schemas.DataSource{DVC: &src}, Options{
		Tree:   tree,
		Clone:  func(_ context.Context, _, rev string) (fs.FS, string, error) { return tree, "commit-of-" + rev, nil },
		Remote: func(context.Context, *dvc.Config, string) (port.Objects, error) { return b, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// remember puts files into a remote, and tells the name of the directory they make.
func remember(t *testing.T, b port.Bucket, key func(dvc.OID) string, files map[string]string) dvc.OID {
	t.Helper()
	var tree dvc.Tree
	for name, data := range files {
		oid := dvc.OID(tag([]byte(data)))
		put(t, b, "", key(oid), []byte(data))
		tree = append(tree, dvc.File{Path: name, OID: oid})
	}
	tree.Sort()
	put(t, b, "", key(tree.OID()), tree.Bytes())
	return tree.OID()
}

func pointerTo(oid dvc.OID, p string) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "outs:\n- md5: %s\n  hash: md5\n  path: %s\n", oid, p)}
}

// got fetches what src has.
func got(t *testing.T, src port.Source) (map[string]string, port.Snapshot) {
	t.Helper()
	look, err := src.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := src.Fetch(t.Context(), look, dir, nil); err != nil {
		t.Fatal(err)
	}
	return laid(t, dir), look
}

func laid(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		name, _ := filepath.Rel(dir, p)
		out[filepath.ToSlash(name)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("fetched %q, want %q", got, want)
	}
}

func TestWhatDVCTracksIsFound(t *testing.T) {
	files := map[string]string{"a.csv": "1", "b/c.csv": "22", "b/d.csv": "", "same.csv": "1"}
	below := map[string]string{"c.csv": "22", "d.csv": ""}
	for name, key := range map[string]func(dvc.OID) string{"DVC 3": dvc.OID.Key, "DVC 2": dvc.OID.LegacyKey} {
		t.Run(name, func(t *testing.T) {
			b, _ := folder(t)
			oid := remember(t, b, key, files)
			single := dvc.OID(tag([]byte("22")))
			lock := fmt.Appendf(nil, "schema: '2.0'\nstages:\n  prepare:\n    cmd: x\n    outs:\n    - path: out\n      hash: md5\n      md5: %s\n    - path: one.csv\n      hash: md5\n      md5: %s\n", oid, single)
			tree := fstest.MapFS{
				"data/raw.dvc":   pointerTo(oid, "raw"),
				"one.csv.dvc":    pointerTo(single, "one.csv"),
				"flow/dvc.lock":  {Data: lock},
				"flow/deep/keep": {},
			}
			for path, want := range map[string]map[string]string{
				"data/raw":         files,
				"data/raw/":        files,
				"data/raw/b":       below,
				"data/raw/b/c.csv": {"c.csv": "22"},
				"one.csv":          {"one.csv": "22"},
				"flow/out":         files,
				"flow/out/b":       below,
				"flow/one.csv":     {"one.csv": "22"},
			} {
				have, _ := got(t, dvcSource(t, schemas.DVC{Path: path}, tree, b))
				same(t, have, want)
			}
			for path, want := range map[string]fault.Kind{
				"data/none": fault.Missing, "data/raw/none": fault.Missing, "one.csv/x": fault.Missing, "flow/none": fault.Missing, "data/raw/b/c.csv/x": fault.Missing,
			} {
				_, err := dvcSource(t, schemas.DVC{Path: path}, tree, b).Inspect(t.Context())
				if fault.Of(err) != want || err == nil {
					t.Errorf("%s: got %v of kind %v, want %v", path, err, fault.Of(err), want)
				}
			}
		})
	}
}

func TestAnotherRepositoryTellsItsCommit(t *testing.T) {
	b, _ := folder(t)
	tree := fstest.MapFS{"raw.dvc": pointerTo(remember(t, b, dvc.OID.Key, map[string]string{"a": "1"}), "raw")}
	_, main := got(t, dvcSource(t, schemas.DVC{Path: "raw", Repo: "https://example.org/x", Revision: "main"}, tree, b))
	_, v2 := got(t, dvcSource(t, schemas.DVC{Path: "raw", Repo: "https://example.org/x", Revision: "v2"}, tree, b))
	if main.Files[0].Version != "commit-of-main" || v2.Files[0].Version != "commit-of-v2" {
		t.Errorf("the commits are %q and %q", main.Files[0].Version, v2.Files[0].Version)
	}
	if main.Token != v2.Token {
		t.Errorf("another commit with the same data has another token: %q, %q", main.Token, v2.Token)
	}
}

func TestAllThatTheRemoteLacksIsNamed(t *testing.T) {
	b, dir := folder(t)
	oid := remember(t, b, dvc.OID.Key, map[string]string{"a": "1", "b": "2", "c": "3"})
	put(t, b, dir, dvc.OID(tag([]byte("1"))).Key(), nil)
	put(t, b, dir, dvc.OID(tag([]byte("3"))).Key(), nil)
	src := dvcSource(t, schemas.DVC{Path: "raw"}, fstest.MapFS{"raw.dvc": pointerTo(oid, "raw")}, b)
	look, err := src.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	err = src.Fetch(t.Context(), look, into, nil)
	wantKind(t, err, fault.Missing)
	if err != nil && (!strings.Contains(err.Error(), `"a", "c"`) || strings.Contains(err.Error(), `"b"`) || fault.HintOf(err) == "") {
		t.Errorf("not just what is missing is named: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(into, "b")); err == nil {
		t.Error("half of the directory stands there")
	}
}

func TestARemoteThatLiesIsCorrupt(t *testing.T) {
	files := map[string]string{"a": "1", "b": "2"}
	for name, c := range map[string]struct {
		spoil func(oid dvc.OID) (key, data string)
		look  bool
	}{
		"a file":                 {func(dvc.OID) (string, string) { return dvc.OID(tag([]byte("1"))).Key(), "x" }, false},
		"the manifest":           {func(d dvc.OID) (string, string) { return d.Key(), `[]` }, true},
		"a manifest that climbs": {func(d dvc.OID) (string, string) { return d.Key(), `[{"md5": "` + tag(nil) + `", "relpath": "../x"}]` }, true},
	} {
		b, _ := folder(t)
		oid := remember(t, b, dvc.OID.Key, files)
		key, data := c.spoil(oid)
		put(t, b, "", key, []byte(data))
		src := dvcSource(t, schemas.DVC{Path: "raw"}, fstest.MapFS{"raw.dvc": pointerTo(oid, "raw")}, b)
		look, err := src.Inspect(t.Context())
		into := t.TempDir()
		if !c.look && err == nil {
			err = src.Fetch(t.Context(), look, into, nil)
		}
		if fault.Of(err) != fault.Corrupt || err == nil {
			t.Errorf("%s: got %v of kind %v, want %v", name, err, fault.Of(err), fault.Corrupt)
		}
		if have := laid(t, into); len(have) > 0 && have["b"] != "" {
			t.Errorf("%s: half of the directory stands there", name)
		}
	}
}

func TestAManifestThatClimbsIsRefusedByItsRightName(t *testing.T) {
	b, _ := folder(t)
	bad := []byte(`[{"md5": "` + tag([]byte("x")) + `", "relpath": "../../x"}]`)
	oid := dvc.OID(tag(bad) + ".dir")
	put(t, b, "", oid.Key(), bad)
	_, err := dvcSource(t, schemas.DVC{Path: "raw"}, fstest.MapFS{"raw.dvc": pointerTo(oid, "raw")}, b).Inspect(t.Context())
	wantKind(t, err, fault.Invalid)
	if err != nil && !strings.Contains(err.Error(), "../../x") {
		t.Errorf("the name is not told: %v", err)
	}
}

func TestPointersThatSayNothingUsefulAreRefused(t *testing.T) {
	b, _ := folder(t)
	for text, want := range map[string]fault.Kind{
		"outs:\n- path: raw\n": fault.Missing,
		"outs:\n- path: raw\n  md5: " + tag(nil) + "\n  cache: false\n":      fault.Invalid,
		"outs:\n- path: /etc/passwd\n  md5: " + tag(nil) + "\n":              fault.Invalid,
		"outs:\n- path: ../../raw\n  md5: " + tag(nil) + "\n":                fault.Invalid,
		"outs:\n- path: raw\n  md5: xyz\n":                                   fault.Invalid,
		"outs:\n- path: raw\n  unknown: 1\n":                                 fault.Invalid,
		"outs:\n- path: raw\n  hash: md5\n  md5: " + tag([]byte("x")) + "\n": fault.Missing,
		"": fault.Invalid,
	} {
		_, err := dvcSource(t, schemas.DVC{Path: "raw"}, fstest.MapFS{"raw.dvc": {Data: []byte(text)}}, b).Inspect(t.Context())
		if fault.Of(err) != want || err == nil {
			t.Errorf("%q: got %v of kind %v, want %v", text, err, fault.Of(err), want)
		}
	}
}

func TestTextThatDVC2NamedIsTaken(t *testing.T) {
	b, _ := folder(t)
	oid := dvc.OID(tag([]byte("a,b\n1,2\n"))) // without its carriage returns
	put(t, b, "", oid.LegacyKey(), []byte("a,b\r\n1,2\r\n"))
	for name, c := range map[string]struct {
		hash string
		want fault.Kind
	}{"DVC 2": {"", fault.Internal}, "DVC 3": {"  hash: md5\n", fault.Corrupt}} {
		text := fmt.Appendf(nil, "outs:\n- md5: %s\n%s  path: raw.csv\n", oid, c.hash)
		src := dvcSource(t, schemas.DVC{Path: "raw.csv"}, fstest.MapFS{"raw.csv.dvc": {Data: text}}, b)
		look, err := src.Inspect(t.Context())
		if err == nil {
			err = src.Fetch(t.Context(), look, t.TempDir(), nil)
		}
		if fault.Of(err) != c.want || err != nil && c.want == fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
}
