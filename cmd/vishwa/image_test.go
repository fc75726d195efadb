// Stories of images: a registry of this process, whose tags move.

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
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
