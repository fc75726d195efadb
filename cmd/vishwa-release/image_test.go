// An image is the same whenever it is made, holds what the controller calls, and its bill of materials is found by its digest.

package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
	"github.com/vishwaops/vishwa/reconciler/rootfs"
)

// spec is an image with two small programs.
func spec(t *testing.T) imageSpec {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "vishwa"), "a program")
	write(t, filepath.Join(dir, "worker"), "another")
	return imageSpec{arch: runtime.GOARCH, build: build{version: "v1", commit: "c"},
		programs: map[string]string{"/usr/local/bin/vishwa": filepath.Join(dir, "vishwa"), "/usr/local/bin/vishwa-worker": filepath.Join(dir, "worker")}}
}

// contents are the files of an image, by name.
func contents(t *testing.T, image v1.Image) map[string]*tar.Header {
	t.Helper()
	all := map[string]*tar.Header{}
	in := tar.NewReader(mutate.Extract(image))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(h.Name, "/")] = h
	}
}

func TestAnImageIsTheSameWheneverItIsMade(t *testing.T) {
	var digests [2]v1.Hash
	for i := range digests {
		image, packages, err := spec(t).make()
		if err != nil {
			t.Fatal(err)
		}
		l, err := lay(image, []byte(`{"components":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		digests[i] = l.digest
		if i > 0 {
			continue
		}
		files := contents(t, image)
		for _, want := range []string{"usr/bin/git", "usr/lib/git-core/git-remote-https", "usr/bin/ssh", "usr/bin/cat", "usr/bin/dash", "etc/ssl/certs/ca-certificates.crt", "usr/local/bin/vishwa", "vishwa-worker", "tmp"} {
			if files[want] == nil {
				t.Errorf("%s is not in it", want)
			}
		}
		for at, h := range files {
			own := at == imageHome[1:] && h.Uid == imageUser
			if h.Typeflag == tar.TypeReg && h.Mode&0o022 != 0 || h.Uid != 0 && !own {
				t.Errorf("%s has mode %o and belongs to %d", at, h.Mode, h.Uid)
			}
		}
		for _, unwanted := range []string{"usr/bin/perl", "usr/bin/apt", "usr/bin/dpkg", "usr/bin/python3"} {
			if files[unwanted] != nil {
				t.Errorf("%s is in it", unwanted)
			}
		}
		if len(packages) < len(needed) {
			t.Errorf("it is said to be made of %v", packages)
		}
		c, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c.Config.User != "65532:65532" || !c.Created.IsZero() || c.Config.Labels["org.opencontainers.image.revision"] != "c" {
			t.Errorf("its settings are %+v", c.Config)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("made twice, it is %s and %s", digests[0], digests[1])
	}
}

// TestABaseIsTakenAsItIs: by digest alone, for the right processor, and nothing of this machine comes into it.
func TestABaseIsTakenAsItIs(t *testing.T) {
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Config: v1.Config{Env: []string{"PATH=/opt/bin", "HOME=/root"}, User: "0", Cmd: []string{"sh"}}, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	s := spec(t)
	s.base = base
	image, packages, err := s.make()
	if err != nil {
		t.Fatal(err)
	}
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if files := contents(t, image); files["usr/bin/git"] != nil || files["usr/local/bin/vishwa"] == nil || len(packages) > 0 {
		t.Errorf("it holds %v and packages %v", files, packages)
	}
	if got := strings.Join(c.Config.Env, " "); got != "PATH=/opt/bin HOME=/var/lib/vishwa" || c.Config.User != "65532:65532" {
		t.Errorf("its environment is %s, its user %s", got, c.Config.User)
	}
	s.packages = []string{"python3"}
	if _, _, err := s.make(); fault.Of(err) != fault.Invalid {
		t.Errorf("packages over a base: %v", err)
	}
	s.packages, s.arch = nil, "s390x"
	if _, _, err := s.make(); fault.Of(err) != fault.Invalid {
		t.Errorf("a base for another processor: %v", err)
	}
	if _, err := baseImage(t.Context(), "registry.example.com/base:latest", "amd64"); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("a base by a tag: %v", err)
	}
}

// TestABillOfMaterialsGoesWithItsImage: it lists programs' modules and packages, lies beside the image, and a registry finds it by the image's digest.
func TestABillOfMaterialsGoesWithItsImage(t *testing.T) {
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	s := spec(t)
	s.base = base
	image, _, err := s.make()
	if err != nil {
		t.Fatal(err)
	}
	packages := []rootfs.Package{{Name: "git", Version: "1:2.39.5", Arch: "amd64"}}
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.json"), filepath.Join(dir, "two.json")
	write(t, one, `{"bomFormat":"CycloneDX","metadata":{},"components":[{"bom-ref":"a","name":"a"},{"bom-ref":"b","name":"b"}]}`)
	write(t, two, `{"bomFormat":"CycloneDX","metadata":{},"components":[{"bom-ref":"b","name":"b"},{"bom-ref":"c","name":"c"}]}`)
	bill, err := imageBill("v1", "", []string{one, two}, packages)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Components []struct{ Name, Purl string }
	}
	if err := json.Unmarshal(bill, &read); err != nil || len(read.Components) != 3+len(packages) {
		t.Errorf("it lists %d components of 3 and %d packages: %v", len(read.Components), len(packages), err)
	}
	if !strings.Contains(string(bill), "pkg:deb/debian/git@") {
		t.Error("it does not list Git")
	}
	l, err := lay(image, bill)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "image")
	if err := l.write(out); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := index.Image(l.digest); err != nil || contents(t, again)["vishwa-worker"] == nil {
		t.Errorf("what lies in the folder cannot be read as the image: %v", err)
	}
	m, err := index.IndexManifest()
	if err != nil || len(m.Manifests) != 2 || m.Manifests[0].Digest != l.digest {
		t.Errorf("the folder holds %+v: %v", m, err)
	}
	registry := httptest.NewServer(registrytest.Memory())
	defer registry.Close()
	at, err := l.push(t.Context(), strings.TrimPrefix(registry.URL, "http://")+"/team/vishwa")
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewDigest(at)
	if err != nil {
		t.Fatal(err)
	}
	found, err := remote.Referrers(ref)
	if err != nil {
		t.Fatal(err)
	}
	list, err := found.IndexManifest()
	if err != nil || len(list.Manifests) != 1 || list.Manifests[0].ArtifactType != billType {
		t.Errorf("the registry knows of %+v: %v", list, err)
	}
	if _, err := l.push(t.Context(), "not a name"); fault.Of(err) != fault.Invalid {
		t.Errorf("pushed to a name that is none: %v", err)
	}
}

func TestAnImageIsOfACommit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image")
	if _, err := image(t.Context(), imageOrder{out: out, build: build{version: "v1-dirty"}}); fault.Of(err) != fault.Invalid {
		t.Errorf("of a changed work tree: %v", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was written")
	}
}
