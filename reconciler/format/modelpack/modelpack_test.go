// The same model has the same digest, whoever packs it and when; and what is packed comes
// back, and nothing else does.

package modelpack

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// folder is files by path.
type folder map[string]string

func (f folder) manifest() (m digest.Manifest) {
	for p, text := range f {
		m = append(m, digest.File{Path: p, Digest: digest.Of([]byte(text)), Size: int64(len(text))})
	}
	slices.SortFunc(m, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	return m
}

func (f folder) open(of digest.File) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(f[of.Path])), nil
}

func (f folder) pack(t interface{ Fatal(...any) }) (Documents, [][]byte) {
	layers, err := Layers(f.manifest())
	if err != nil {
		t.Fatal(err)
	}
	var tars [][]byte
	var sent []Sent
	for _, l := range layers {
		var b bytes.Buffer
		if err := l.Write(&b, f.open); err != nil {
			t.Fatal(err)
		}
		if n, err := l.Bytes(); err != nil || n != int64(b.Len()) {
			t.Fatal("its tar has ", b.Len(), " bytes, and it says ", n, err)
		}
		tars = append(tars, b.Bytes())
		sent = append(sent, Sent{digest.Of(b.Bytes()), int64(b.Len())})
	}
	d, err := Assemble(Contents{Name: "price", Model: f.manifest().Digest(), Layers: layers, Sent: sent})
	if err != nil {
		t.Fatal(err)
	}
	return d, tars
}

// TestTheSameModelHasTheSameDigest: as long as this is the digest, what was packed by an
// earlier version is not packed again by this one.
func TestTheSameModelHasTheSameDigest(t *testing.T) {
	f := folder{"model.json": `{"a": 1}`, "sub/weights.bin": strings.Repeat("w", ownSize), "README.md": "read me", "train.py": "pass", "model.bin": "x"}
	const want = "sha256:e701efa11860f00750eec88e656b33dd6d3fdf6ccbe8757343ef9b8fe2403ec4"
	d, tars := f.pack(t)
	if got := string(d.Index.Digest); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	if len(tars) != 5 {
		t.Errorf("%d layers, want one a kind and one of the large file", len(tars))
	}
}

// TestWhatIsPackedComesBack: every file, once, as it was.
func TestWhatIsPackedComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := folder{}
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}(\.(json|py|md|bin))?`), 1, 6, rapid.ID[string]).Draw(t, "names") {
			if !strings.HasPrefix(name, whiteout) {
				f[rapid.SampledFrom([]string{"", "a1/", "b1/c1/", strings.Repeat("long/", 40)}).Draw(t, "folder")+name] = rapid.String().Draw(t, "text")
			}
		}
		d, tars := f.pack(t)
		back := folder{}
		for _, raw := range tars {
			if err := Unpack(bytes.NewReader(raw), int64(len(raw)), func(p string, size int64, in io.Reader) error {
				text, err := io.ReadAll(in)
				if _, twice := back[p]; twice || int64(len(text)) != size {
					return fmt.Errorf("%s: twice, or of another size", p)
				}
				back[p] = string(text)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if back.manifest().Digest() != f.manifest().Digest() {
			t.Fatalf("%v came back as %v", f, back)
		}
		p, err := ReadIndex(d.Index.Raw)
		if err != nil || p.Model != f.manifest().Digest() || p.Name != "price" || len(p.Manifests) != 3 {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, m := range d.Manifests {
			layers, config, err := ReadManifest(m.Raw)
			if err != nil || len(layers) != len(tars) || config.Size == 0 {
				t.Fatal(layers, config, err)
			}
		}
	})
}

// TestNothingElseComesBack: links, devices and paths that lead out.
func TestNothingElseComesBack(t *testing.T) {
	for name, h := range map[string]tar.Header{
		"a link":        {Typeflag: tar.TypeSymlink, Name: "models/a", Linkname: "/etc/passwd"},
		"a hard link":   {Typeflag: tar.TypeLink, Name: "models/a", Linkname: "models/b"},
		"a device":      {Typeflag: tar.TypeChar, Name: "models/a"},
		"out of it":     {Typeflag: tar.TypeReg, Name: "models/../../a"},
		"from the root": {Typeflag: tar.TypeReg, Name: "/models/a"},
		"beside it":     {Typeflag: tar.TypeReg, Name: "etc/a"},
		"the folder":    {Typeflag: tar.TypeReg, Name: "models"},
		"a back-slash":  {Typeflag: tar.TypeReg, Name: `models/a\b`},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := Unpack(&b, 1<<20, func(p string, _ int64, _ io.Reader) error { t.Errorf("%q came out", p); return nil }); err == nil {
				t.Error("it is taken")
			}
		})
	}
}

// TestNamesThatTakeFilesAwayAreRefused: in an image, .wh.a takes a away.
func TestNamesThatTakeFilesAwayAreRefused(t *testing.T) {
	for _, p := range []string{".wh.a", "a/.wh..wh..opq", ".wh.a/b"} {
		if _, err := Layers(folder{p: "x"}.manifest()); err == nil {
			t.Errorf("%s is packed", p)
		}
	}
}

// TestManyFilesHaveFewLayers: an image with more than some 120 cannot be mounted.
func TestManyFilesHaveFewLayers(t *testing.T) {
	var m digest.Manifest
	for i := range 500 {
		m = append(m, digest.File{Path: fmt.Sprintf("shard-%03d.bin", i), Digest: digest.Of(nil), Size: ownSize + int64(i)})
	}
	layers, err := Layers(m)
	if err != nil || len(layers) > mostOwn+4 {
		t.Errorf("%d layers, %v", len(layers), err)
	}
}

func FuzzReadIndex(f *testing.F) {
	d, _ := folder{"a": "b"}.pack(f)
	f.Add(d.Index.Raw)
	f.Add(d.Manifests[0].Raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := ReadIndex(raw); err == nil && (p.Name == "" || p.Manifest.Digest.Validate() != nil) {
			t.Errorf("%+v", p)
		}
		_, _, _ = ReadManifest(raw)
	})
}

func FuzzUnpack(f *testing.F) {
	_, tars := folder{"a/b": "c"}.pack(f)
	f.Add(tars[0])
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = Unpack(bytes.NewReader(raw), int64(len(raw)), func(p string, _ int64, in io.Reader) error {
			if strings.Contains("/"+p+"/", "/../") || strings.HasPrefix(p, "/") {
				t.Errorf("%q", p)
			}
			_, err := io.Copy(io.Discard, in)
			return err
		})
	})
}
