// What a base has is found as an engine would see it; and an environment is the same whoever installed it.

package imagelayer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// layer is a tar of empty files.
func layer(t *testing.T, names ...string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return &b
}

func TestABaseHasWhatItsLayersLeave(t *testing.T) {
	const on = "/usr/local/bin:/usr/bin:relative"
	for name, c := range map[string]struct {
		layers [][]string
		at     string
		has    []string
	}{
		"the first on its path":         {[][]string{{"usr/bin/python3.11"}, {"./usr/local/bin/python3.11"}}, "/usr/local/bin/python3.11", []string{"3.11"}},
		"other versions":                {[][]string{{"usr/bin/python3.9", "opt/bin/python3.12"}}, "", []string{"3.9", "3.12"}},
		"not on its path":               {[][]string{{"relative/python3.11"}}, "", []string{"3.11"}},
		"a name that climbs":            {[][]string{{"../../usr/bin/python3.11"}}, "/usr/bin/python3.11", []string{"3.11"}},
		"taken away":                    {[][]string{{"usr/bin/python3.11"}, {"usr/bin/.wh.python3.11"}}, "", nil},
		"taken away with its folder":    {[][]string{{"usr/bin/python3.11"}, {"usr/.wh.bin"}}, "", nil},
		"its folder begins anew":        {[][]string{{"usr/bin/python3.11"}, {"usr/.wh..wh..opq"}}, "", nil},
		"its folder begins anew, by it": {[][]string{{"usr/bin/python3.9"}, {"usr/bin/.wh..wh..opq", "usr/bin/python3.11"}}, "/usr/bin/python3.11", []string{"3.11"}},
		"a neighbour is taken away":     {[][]string{{"usr/bin/python3.11"}, {"usr/bin/.wh.python3.1"}}, "/usr/bin/python3.11", []string{"3.11"}},
	} {
		var b Base
		for _, l := range c.layers {
			if err := b.Add(layer(t, l...)); err != nil {
				t.Fatal(err)
			}
		}
		if at := b.Interpreter(on, "3.11"); at != c.at || !slices.Equal(b.Pythons(), c.has) {
			t.Errorf("%s: it has %v, at %q", name, b.Pythons(), at)
		}
	}
	var b Base
	if err := b.Add(strings.NewReader(strings.Repeat("no tar ", 200))); err == nil {
		t.Error("what is no tar was read")
	}
	if err := b.Add(layer(t, "lib/ld-musl-x86_64.so.1")); err != nil || b.Has(Glibc) || !b.Has(Musl) {
		t.Error("its library of C is not known")
	}
}

// made is an environment as an installer leaves it.
func made(by, dir string) fstest.MapFS {
	const in = "lib/python3.11/site-packages/"
	text := func(s string, mode fs.FileMode) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: mode} }
	out := fstest.MapFS{
		in + "tool/__init__.py": text("def run(): pass\n", 0o644), in + "tool/__pycache__/__init__.cpython-311.pyc": text(by, 0o644), in + "tool/native.so": text("elf", 0o755),
		in + "tool-1.dist-info/RECORD": text("tool/__init__.py,sha256=x,1\n../../../bin/tool,sha256="+by+",2\ntool-1.dist-info/INSTALLER,,\n", 0o644), in + "tool-1.dist-info/INSTALLER": text(by, 0o644), in + "tool-1.dist-info/METADATA": text("Name: tool\n", 0o644),
		in + "tool-1.dist-info/WHEEL":            text("Tag: cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\n", 0o644),
		in + "tool-1.dist-info/entry_points.txt": text("[console_scripts]\ntool = tool:run.it\n[other]\nno = tool:run\n", 0o644),
		in + "here-1.dist-info/WHEEL":            text("Tag: cp311-cp311-linux_x86_64\n", 0o644),
		"bin/tool":                               text("#!"+dir+"/bin/python\n# by "+by+"\n", 0o755),
		"bin/long":                               text("#!/bin/sh\n'''exec' \""+dir+"/bin/python3\" \"$0\" \"$@\"\n' '''\nimport tool\n", 0o755),
		"bin/binary":                             text("\x7fELF", 0o755), "bin/activate": text(dir, 0o644), "pyvenv.cfg": text(by, 0o644), "share/tool/data": text("d", 0o600),
	}
	if by == "uv" {
		out[in+"_virtualenv.py"], out[".lock"], out["CACHEDIR.TAG"] = text(dir, 0o644), text("", 0o644), text("", 0o644)
	} else {
		out[in+"pip/__init__.py"], out[in+"pip-24.0.dist-info/METADATA"] = text(by, 0o644), text(by, 0o644)
	}
	return out
}

func TestAnEnvironmentIsTheSameWhoeverInstalledIt(t *testing.T) {
	var tars [2]bytes.Buffer
	for i, by := range []string{"pip", "uv"} {
		dir := "/home/" + by + "/envs/1"
		packed, err := Environment{Files: made(by, dir), Dir: dir, Arch: "amd64"}.Read()
		if err != nil {
			t.Fatal(err)
		}
		if packed.Glibc != "2.17" || packed.Python != "3.11" || !slices.Equal(packed.Needs, []string{Glibc}) || !slices.Equal(packed.Unsaid, []string{"here-1"}) {
			t.Errorf("by %s: %+v", by, packed)
		}
		l, err := packed.Over("/usr/bin/python3.11")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Write(&tars[i]); err != nil {
			t.Fatal(err)
		}
		if n, err := l.Size(); err != nil || n != int64(tars[i].Len()) {
			t.Errorf("it says that it has %d bytes, and has %d: %v", n, tars[i].Len(), err)
		}
	}
	if !bytes.Equal(tars[0].Bytes(), tars[1].Bytes()) {
		t.Error("by another installer it is another")
	}
	if raw := tars[0].String(); !strings.Contains(raw, "../../../bin/tool,sha256=") || !strings.Contains(raw, "tool/__init__.py,sha256=") || strings.Contains(raw, "INSTALLER") {
		t.Error("it does not list its files")
	}
	if raw := tars[0].String(); strings.Contains(raw, "/home/") || strings.Contains(raw, "pip") || strings.Contains(raw, "'''exec'") {
		t.Error("it tells of whoever installed it")
	}
}

func TestAnEnvironmentLeadsNowhere(t *testing.T) {
	for _, at := range []string{"lib/python3.11/site-packages/evil", "bin/evil", "share/evil"} {
		files := made("pip", "/d")
		files[at] = &fstest.MapFile{Data: []byte("/etc/shadow"), Mode: fs.ModeSymlink | 0o777}
		if _, err := (Environment{Files: files, Dir: "/d", Arch: "amd64"}).Read(); err == nil || !strings.Contains(err.Error(), "no plain file") {
			t.Errorf("%s: %v", at, err)
		}
	}
	for _, at := range []string{"../x", "/x", "a/.wh.b", "a\\b", "."} {
		if _, err := New([]Entry{Bytes(at, false, nil)}); err == nil {
			t.Errorf("%s is an entry of an image", at)
		}
	}
	if _, err := New([]Entry{Bytes("a/b", false, nil), Bytes("a.b", false, nil), Bytes("a", false, nil)}); err == nil {
		t.Error("a file is a folder")
	}
}

// TestABaseWithoutEndIsRefused: what is remembered of its layers is bounded, however little they take when they are compressed.
func TestABaseWithoutEndIsRefused(t *testing.T) {
	many := func(name string) *bytes.Buffer {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for range mostGone + 1 {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		return &b
	}
	var b Base
	if err := b.Add(many("usr/.wh.x")); err == nil || !strings.Contains(err.Error(), "away") || len(b.found) > 0 {
		t.Errorf("%v", err)
	}
	b = Base{}
	for i := 0; ; i++ {
		err := b.Add(layer(t, fmt.Sprintf("%d/bin/python3.11", i)))
		if i <= mostFound && err == nil {
			continue
		}
		if err == nil || i < mostFound {
			t.Errorf("layer %d: %v", i, err)
		}
		break
	}
	b = Base{read: mostBase - 1024}
	if err := b.Add(layer(t, "a", "b", "c")); err == nil || !strings.Contains(err.Error(), "GiB") {
		t.Errorf("%v", err)
	}
}

func TestTheVersionOfABasesLibraryIsRead(t *testing.T) {
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	text := "\x7fELF\x00GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\nCopyright"
	if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "lib/x86_64-linux-gnu/libc.so.6", Size: int64(len(text))}), func() error { _, err := w.Write([]byte(text)); return err }(), w.Close()); err != nil {
		t.Fatal(err)
	}
	var b Base
	if _, older := b.Older("2.99"); older {
		t.Error("one that is not known is old")
	}
	if err := b.Add(&raw); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]bool{"2.36": false, "2.5": false, "2.39": true, "": false} {
		if is, older := b.Older(version); older != want || is != "2.36" {
			t.Errorf("%s is older than %q: %v", is, version, older)
		}
	}
}
