// Stories of images: a registry of this process, whose tags move.

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// TestImagesArePinned: a tag becomes a digest in the declaration, and nothing else changes.
func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	between := peers.NewBetween(t, locked(registrytest.Memory()))
	address := strings.TrimPrefix(between.URL, "http://")
	pushImage(t, address+"/base:1", "amd64")
	pushImage(t, address+"/multi:1", "amd64", "arm64")
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/image.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", address)
			env.Setenv("VISHWA_OCI_REGISTRY", address)
			env.Setenv("VISHWA_OCI_USERNAME", registryUser)
			env.Setenv("VISHWA_OCI_PASSWORD", registryPassword)
			env.Defer(func() { leaks(t, env.WorkDir, registryPassword) })
			at := filepath.Join(env.WorkDir, "p/vishwa/x.yaml")
			text, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			if err := os.WriteFile(at, []byte(strings.Replace(string(text), "OCI", address, 1)), 0o600); err != nil {
				return err
			}
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"move": func(ts *testscript.TestScript, _ bool, args []string) { pushImage(t, address+"/"+args[0], "amd64") },
		},
	})
}

func TestImagesThatMovedAreProposed(t *testing.T) {
	t.Parallel()
	between := peers.NewBetween(t, locked(registrytest.Memory()))
	address := strings.TrimPrefix(between.URL, "http://")
	pushImage(t, address+"/base:1", "amd64")
	keys, cmds := quickKeys(t), forgeCommands()
	cmds["move"] = func(ts *testscript.TestScript, _ bool, args []string) { pushImage(t, address+"/"+args[0], "amd64") }
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/moved.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", address)
			env.Setenv("VISHWA_OCI_REGISTRY", address)
			env.Setenv("VISHWA_OCI_USERNAME", registryUser)
			env.Setenv("VISHWA_OCI_PASSWORD", registryPassword)
			env.Defer(func() { leaks(t, env.WorkDir, registryPassword) })
			return errors.Join(settle(t, env, keys), begin(t, env))
		},
		Cmds: cmds,
	})
}

// pushImage has a new image of one machine, or of several, at a tag.
func pushImage(t *testing.T, at string, architectures ...string) {
	t.Helper()
	fine := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	tag, err := name.NewTag(at, name.Insecure)
	fine(err)
	as := remote.WithAuth(&authn.Basic{Username: registryUser, Password: registryPassword})
	var index v1.ImageIndex = empty.Index
	for _, a := range architectures {
		img, err := random.Image(64, 1)
		fine(err)
		config, err := img.ConfigFile()
		fine(err)
		config.OS, config.Architecture = "linux", a
		img, err = mutate.ConfigFile(img, config)
		fine(err)
		if len(architectures) == 1 {
			fine(remote.Write(tag, img, as))
			return
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: a}}})
	}
	fine(remote.WriteIndex(tag, index, as))
}

// pushPython has an image of this machine's kind with a file where its Python would be: no program of it is begun.
func pushPython(t *testing.T, at string) {
	t.Helper()
	version, err := exec.Command("python3", "-c", `import sys; print("%d.%d" % sys.version_info[:2])`).Output()
	if err != nil {
		t.Fatal("python3 is needed: apt-get install python3 python3-venv: ", err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err = errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "usr/bin/python" + strings.TrimSpace(string(version)), Mode: 0o755}), w.Close())
	layer, lerr := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
	if err := errors.Join(err, lerr); err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Config.Env = "linux", runtime.GOARCH, []string{"PATH=/usr/bin"}
	img, err = mutate.ConfigFile(img, config)
	tag, terr := name.NewTag(at, name.Insecure)
	if err := errors.Join(err, terr); err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
}
