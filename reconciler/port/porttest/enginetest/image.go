// Images of the tests, and the registry from which engines pull them: a digest means to them what it means in the world.

package enginetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
	"github.com/vishwaops/vishwa/reconciler/rootfs"
)

// Image is what an image is made of: files laid over another image.
type Image struct {
	Base       v1.Image          // nothing where nil
	Programs   map[string]string // files of this machine that anybody may run, by their place in the image
	Files      map[string]string // texts, by their place
	Entrypoint []string
	Cmd        []string
	Env        []string
	User       string
}

var images struct {
	registry string // host:port
	python   v1.Image
	digest   string
}

// Python is an image with Debian's python3, a shell and the libraries that wheels of numeric packages want: its reference by
// digest. It names no user, and has no package manager.
func Python(t testing.TB) string {
	t.Helper()
	PythonImage(t)
	return images.digest
}

// PythonWithPip is such an image with Debian's pip, which installs into virtual environments.
func PythonWithPip(t testing.TB, env ...string) string {
	t.Helper()
	base := PythonImage(t)
	files, _, err := rootfs.Debian(rootfs.Contents{Packages: []string{"python3-pip"}})
	if err != nil {
		t.Fatal(err)
	}
	image, err := (Image{Cmd: []string{"python3"}, Env: env}).over(base, files)
	if err != nil {
		t.Fatal(err)
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	ref, err := push("vishwa/pip", image)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// PythonImage is the same image, to lay others over.
func PythonImage(t testing.TB) v1.Image {
	t.Helper()
	begun(t, "the image of Python", func() error {
		files, _, err := rootfs.Debian(rootfs.Contents{Packages: []string{"python3", "dash", "coreutils", "ca-certificates", "libstdc++6", "libgomp1"}})
		if err != nil {
			return err
		}
		if images.python, err = (Image{Cmd: []string{"python3"}}).over(empty.Image, files); err != nil {
			return err
		}
		images.digest, err = push("vishwa/python", images.python)
		return err
	})
	return images.python
}

// Push makes an image and gives its reference by digest, in a registry that every engine of this process may pull from.
func Push(t testing.TB, repository string, i Image) string {
	t.Helper()
	real(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	ref, err := i.push(repository)
	if err != nil {
		t.Fatalf("make the image %s: %v", repository, err)
	}
	return ref
}

func (i Image) push(repository string) (string, error) {
	image, err := i.build()
	if err != nil {
		return "", err
	}
	return push(repository, image)
}

// build lays the image's files over its base.
func (i Image) build() (v1.Image, error) {
	base := i.Base
	if base == nil {
		base = empty.Image
	}
	var buf bytes.Buffer
	a := tar.NewWriter(&buf)
	made := map[string]bool{".": true}
	add := func(name string, mode int64, data []byte) error {
		name = path.Clean(name)[1:]
		var above []string
		for dir := path.Dir(name); !made[dir]; dir = path.Dir(dir) {
			above, made[dir] = append(above, dir), true
		}
		for _, dir := range slices.Backward(above) {
			if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
				return err
			}
		}
		return rootfs.AddBytes(a, name, mode, data)
	}
	for _, at := range slices.Sorted(maps.Keys(i.Programs)) {
		data, err := os.ReadFile(i.Programs[at])
		if err != nil {
			return nil, err
		}
		if err := add(at, 0o755, data); err != nil {
			return nil, err
		}
	}
	for _, at := range slices.Sorted(maps.Keys(i.Files)) {
		if err := add(at, 0o644, []byte(i.Files[at])); err != nil {
			return nil, err
		}
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	return i.over(base, buf.Bytes())
}

// over adds one layer and the image's settings to a base.
func (i Image) over(base v1.Image, files []byte) (v1.Image, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithCompressionLevel(gzip.BestSpeed), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	out, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return nil, err
	}
	file, err := out.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	if len(file.Config.Env) == 0 {
		file.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	file.Config.Env = append(file.Config.Env, i.Env...)
	if i.Entrypoint != nil || i.Cmd != nil {
		file.Config.Entrypoint, file.Config.Cmd = i.Entrypoint, i.Cmd
	}
	if i.User != "" {
		file.Config.User = i.User
	}
	return mutate.ConfigFile(out, file)
}

// Registry is the host and port of the registry that engines may pull from, for a test that pushes by itself, as to a tag that moves.
func Registry(t testing.TB) string {
	t.Helper()
	begun(t, "the registry", serveImages)
	return images.registry
}

// serveImages begins the registry of this process where there is none.
func serveImages() error {
	if images.registry != "" {
		return nil
	}
	// Engines speak plain HTTP with this machine alone, and the engines of the tests are on it.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: registrytest.Memory()}
	go func() { _ = server.Serve(l) }() // until it is closed
	atEnd(server.Close)
	images.registry = l.Addr().String()
	return nil
}

// push puts an image into the registry and gives its reference by digest.
func push(repository string, image v1.Image) (string, error) {
	if err := serveImages(); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	at := fmt.Sprintf("%s/%s@%s", images.registry, repository, digest)
	ref, err := name.NewDigest(at)
	if err != nil {
		return "", err
	}
	return at, remote.Write(ref, image)
}
