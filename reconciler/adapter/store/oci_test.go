// A store in a registry keeps the port's promises, whatever the registry hands out.

package store

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// inRegistry is the store of one machine in the repository name of a registry.
func inRegistry(t *testing.T, address, name string) (port.Store, dir) {
	t.Helper()
	b, err := registry.Open(registry.Options{URL: "oci://" + strings.TrimPrefix(address, "http://") + "/" + name})
	if err != nil {
		t.Fatal(err)
	}
	near := open(t, filepath.Join(t.TempDir(), "near"))
	return On(b, near), near.(dir)
}

func TestAStoreInARegistryKeepsThePromises(t *testing.T) {
	wrong := map[string]bool{} // blobs that the registry hands out with a bit changed
	between := peers.NewBetween(t, registrytest.Memory())
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if _, name, is := strings.Cut(r.URL.Path, "/blobs/"); is && r.Method == http.MethodGet && wrong[name] {
			w = &spoiling{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
	n := 0
	porttest.Store(t, func(t *testing.T) (port.Store, func(digest.Digest)) {
		n++
		s, near := inRegistry(t, between.URL, fmt.Sprintf("suite-%d", n))
		return s, func(d digest.Digest) {
			wrong["sha256:"+d.Hex()] = true
			if err := os.Remove(near.file(d)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

type spoiling struct{ http.ResponseWriter }

func (s *spoiling) Write(p []byte) (int, error) {
	q := append([]byte(nil), p...)
	q[len(q)/2] ^= 1
	return s.ResponseWriter.Write(q)
}

func TestAStoreInARealRegistryKeepsThePromises(t *testing.T) {
	r := registrytest.New(t, "", "")
	n := 0
	porttest.Store(t, func(t *testing.T) (port.Store, func(digest.Digest)) {
		n++
		s, near := inRegistry(t, r.Address, fmt.Sprintf("suite-%d", n))
		return s, func(d digest.Digest) {
			path := filepath.Join(r.Folder, "docker/registry/v2/blobs/sha256", d.Hex()[:2], d.Hex(), "data")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(near.file(d)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
