// Bases and environments that an image is not built of.

package packager

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/imagelayer"
	"github.com/vishwaops/vishwa/reconciler/format/modelpack"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// TestAnImageThatCannotServeIsRefusedBeforeAnythingIsSent: of another architecture, without the interpreter, without the library of C
// that its packages are compiled for, and from a registry that the controller's file does not name.
func TestAnImageThatCannotServeIsRefusedBeforeAnythingIsSent(t *testing.T) {
	version := python(t)
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	wheels := t.TempDir()
	pure := wheel(t, wheels, "probe", "py3-none-any")
	compiled := wheel(t, wheels, "compiled", "py3-none-manylinux_2_17_"+map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH])
	t.Setenv("PIP_FIND_LINKS", wheels)
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("UV_FIND_LINKS", wheels)
	t.Setenv("UV_NO_INDEX", "1")
	theirs := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
	for name, c := range map[string]struct {
		arch   string
		files  []string
		lock   string
		change func(*port.ServingImage)
		bounds port.Bounds
		kind   fault.Kind
		say    string
		early  bool // it is known without reading a layer
	}{
		"another architecture": {arch: other, files: []string{"etc/base"}, kind: fault.Missing, say: "is for linux/" + other, early: true},
		"no such image":        {arch: runtime.GOARCH, files: []string{"etc/base"}, early: true, change: func(of *port.ServingImage) { of.Base = theirs + "/library/none@" + string(digest.Of(nil)) }, kind: fault.Missing, say: "library/none"},
		"a tag":                {arch: runtime.GOARCH, files: []string{"etc/base"}, early: true, change: func(of *port.ServingImage) { of.Base = theirs + "/library/python:1" }, kind: fault.Invalid, say: "by digest"},
		"no interpreter":       {arch: runtime.GOARCH, files: []string{"usr/bin/python3.2"}, lock: pure, kind: fault.Invalid, say: "no Python " + version},
		"another C":            {arch: runtime.GOARCH, files: []string{"usr/bin/python" + version, "lib/ld-musl-x86_64.so.1"}, lock: compiled, kind: fault.Invalid, say: "glibc"},
		"an older C":           {arch: runtime.GOARCH, files: []string{"usr/bin/python" + version, "lib/ld-linux-x86-64.so.2", "lib/libc-2.5.so"}, lock: compiled, kind: fault.Invalid, say: "compiled for glibc 2.17"},
		"not let":              {arch: runtime.GOARCH, files: []string{"etc/base"}, bounds: nowhere{}, kind: fault.Denied, say: "controller's file", early: true},
		"another machine": {arch: other, files: []string{"usr/bin/python" + version}, lock: pure, early: true, change: func(of *port.ServingImage) { of.Platform = "linux/" + other }, kind: fault.Invalid,
			say: "this machine, where the environment is made, is linux/" + runtime.GOARCH},
		"a file that takes others away": {arch: runtime.GOARCH, files: []string{"etc/base"}, early: true, change: func(of *port.ServingImage) {
			of.Code = append(of.Code, digest.File{Path: "src/.wh.serve.py", Digest: digest.Of(nil)})
		}, kind: fault.Invalid, say: "takes files away"},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			var wrote atomic.Int32
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method != http.MethodGet && r.Method != http.MethodHead {
					wrote.Add(1)
				}
				next.ServeHTTP(w, r)
			})
			b := newBuilder(t, c.bounds)
			order := b.order(strings.TrimPrefix(between.URL, "http://")+"/team/price", base(t, theirs+"/library/python", c.arch, c.files...), c.lock)
			if c.change != nil {
				c.change(order.Image)
			}
			is := func(err error) bool {
				return err != nil && fault.Of(err) == c.kind && strings.Contains(err.Error(), c.say) && fault.HintOf(err) != ""
			}
			if err := Ready(t.Context(), port.Env{Bounds: c.bounds}, []port.Package{order})[0]; c.early != (err != nil) || c.early && !is(err) {
				t.Errorf("before it is packed: %v (%v; %s)", err, fault.Of(err), fault.HintOf(err))
			}
			_, err := b.packager.Push(t.Context(), order)
			if !is(err) || wrote.Load() > 0 {
				t.Errorf("%v (%v; %s), and %d requests wrote", err, fault.Of(err), fault.HintOf(err), wrote.Load())
			}
		})
	}
}

// TestABaseWhoseBytesAreOthersIsNotBuiltOver: the registry says that they are those of the digest.
func TestABaseWhoseBytesAreOthersIsNotBuiltOver(t *testing.T) {
	theirs := peers.NewBetween(t, registrytest.Memory())
	host := strings.TrimPrefix(theirs.URL, "http://")
	over := base(t, host+"/library/python", runtime.GOARCH, "etc/base")
	var blobs atomic.Int32
	theirs.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && blobs.Add(1) > 1 { // the first is its configuration
			w = &flipping{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
	b := newBuilder(t, nil)
	packed, err := b.packager.Push(t.Context(), b.order(strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")+"/team/price", over, ""))
	if fault.Of(err) != fault.Corrupt || packed.Digest != "" {
		t.Errorf("%+v, %v", packed, err)
	}
}

// flipping changes what passes.
type flipping struct{ http.ResponseWriter }

func (f *flipping) Write(p []byte) (int, error) {
	q := bytes.Clone(p)
	q[len(q)-1] ^= 1
	return f.ResponseWriter.Write(q)
}

// nowhere lets nothing be used.
type nowhere struct{ port.Bounds }

// TestALayerOfABaseStandsForNoOther: one that is, byte by byte, the name of what is packed into a model's layer is not taken for that layer.
func TestALayerOfABaseStandsForNoOther(t *testing.T) {
	host := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
	b := newBuilder(t, nil)
	order := b.order(host+"/team/price", "", "")
	order.Image = nil
	layers, err := modelpack.Layers(order.Model.Files)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if !strings.HasPrefix(string(l.Content()), "sha256:") {
			t.Fatal(l.Content())
		}
		// As a base would have it recorded, that named its layers by their digests.
		order.Known = append(order.Known, port.PackageLayer{Content: l.Content(), Digest: l.Content(), Size: 1, Repository: host + "/other"})
	}
	v := &serving{of: &port.ServingImage{Base: host + "/base@" + string(digest.Of(nil))}}
	v.base.Layers = []ocispec.Descriptor{{Digest: godigest.Digest(layers[0].Content()), Size: 1}}
	v.base.Image.RootFS.DiffIDs = []godigest.Digest{godigest.Digest(layers[0].Content())}
	v.has = &imagelayer.Base{}
	s := &sending{pkg: order, known: map[digest.Digest][]port.PackageLayer{}}
	parts, err := s.baseParts(t.Context(), v)
	if err != nil || len(parts) != 1 || parts[0].content == layers[0].Content() || parts[0].content == parts[0].digest {
		t.Errorf("a base's layer is named %+v, %v", parts, err)
	}
}

// TestABaseThatLiesOfItsLayersIsNotBuiltOver: no engine would run what names them so.
func TestABaseThatLiesOfItsLayersIsNotBuiltOver(t *testing.T) {
	host := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
	over := base(t, host+"/library/python", runtime.GOARCH, "etc/base")
	ref, err := name.NewDigest(strings.Replace(over, ":1@", "@", 1))
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.RootFS.DiffIDs[0] = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(host + "/library/python:2")
	sum, derr := image.Digest()
	if err := errors.Join(err, derr, remote.Write(tag, image)); err != nil {
		t.Fatal(err)
	}
	b := newBuilder(t, nil)
	packed, err := b.packager.Push(t.Context(), b.order(host+"/team/price", host+"/library/python@"+sum.String(), ""))
	if fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), "no engine would run it") || packed.Digest != "" {
		t.Errorf("%+v, %v", packed, err)
	}
}

// TestWhatARunDidToAnEnvironmentIsInNoImage: runs of the same lock share one, and an image has its own.
func TestWhatARunDidToAnEnvironmentIsInNoImage(t *testing.T) {
	version := python(t)
	wheels := t.TempDir()
	lock := wheel(t, wheels, "probe", "py3-none-any")
	for _, name := range []string{"PIP_FIND_LINKS", "UV_FIND_LINKS"} {
		t.Setenv(name, wheels)
	}
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("UV_NO_INDEX", "1")
	host := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
	b := newBuilder(t, nil)
	shared, err := b.envs.Prepare(t.Context(), []byte(lock), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(filepath.Dir(shared.Bin), "lib", "python"+version, "site-packages", "probe.py")
	if err := errors.Join(os.Chmod(module, 0o644), os.WriteFile(module, []byte("evil = True\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	packed, err := b.packager.Push(t.Context(), b.order(host+"/team/price", base(t, host+"/library/python", runtime.GOARCH, "usr/bin/python"+version), lock))
	if err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	if _, texts, _ := contents(t, packed); strings.Contains(texts["vishwa/env/lib/python"+version+"/site-packages/probe.py"], "evil") {
		t.Error("the image has what a run wrote")
	}
	if left, err := os.ReadDir(filepath.Join(b.envs.Dir, "images")); err != nil || len(left) != 1 || left[0].Name() != "turn" {
		t.Errorf("left are %v, %v", left, err)
	}
}
