// The suite of the port, in a registry of this process and in a real one; and what is sent.

package packager

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// losing is a registry that loses what it is told to, until that is sent again.
type losing struct {
	next http.Handler
	mu   sync.Mutex
	gone map[string]bool // by digest
}

func (l *losing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	of := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	l.mu.Lock()
	if named := r.URL.Query().Get("digest"); named != "" {
		delete(l.gone, named)
	}
	if r.Method == http.MethodPut {
		delete(l.gone, of)
	}
	gone := l.gone[of] && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	l.mu.Unlock()
	if gone {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	l.next.ServeHTTP(w, r)
}

func TestPackagerInMemory(t *testing.T) {
	porttest.Packager(t, func(t *testing.T) porttest.Packaging {
		l := &losing{next: registrytest.Memory(), gone: map[string]bool{}}
		between := porttest.NewBetween(t, l)
		return packaging(t, strings.TrimPrefix(between.URL, "http://"), nil, func(_ *testing.T, d digest.Digest) {
			l.mu.Lock()
			l.gone[string(d)] = true
			l.mu.Unlock()
		})
	})
}

func TestPackagerInARealRegistry(t *testing.T) {
	porttest.Packager(t, func(t *testing.T) porttest.Packaging {
		r := registrytest.New(t, "vera", "hunter2hunter2")
		return packaging(t, r.Address, map[string]string{"VISHWA_OCI_REGISTRY": r.Address, "VISHWA_OCI_USERNAME": "vera", "VISHWA_OCI_PASSWORD": "hunter2hunter2"}, func(t *testing.T, d digest.Digest) {
			r.Stop() // it keeps in memory what it has
			r.Lose(d.Hex())
			r.Start()
		})
	})
}

func packaging(t testing.TB, host string, vars map[string]string, lose func(*testing.T, digest.Digest)) porttest.Packaging {
	t.Helper()
	kept, err := store.Dir(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	env := port.Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	return porttest.Packaging{Packager: OCI(env, kept), Reader: Reader(env), Store: kept, At: port.Registry{Repository: host + "/team/price"}, Lose: lose, Secrets: []string{"hunter2"}}
}

// TestWhatIsThereIsNotSentAgain: not by whoever has just sent it, nor to another repository of
// the same registry.
func TestWhatIsThereIsNotSentAgain(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) http.Handler{
		"in memory": func(*testing.T) http.Handler { return registrytest.Memory() }, // all of its repositories have all blobs
		"real": func(t *testing.T) http.Handler {
			return porttest.Proxy(t, "http://"+registrytest.New(t, "", "").Address)
		},
	} {
		t.Run(name, func(t *testing.T) {
			between := porttest.NewBetween(t, open(t))
			var sent, mounted atomic.Int64
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodPatch || r.Method == http.MethodPut && r.URL.Query().Get("digest") != "" {
					sent.Add(r.ContentLength)
				}
				if r.URL.Query().Get("mount") != "" {
					mounted.Add(1)
				}
				next.ServeHTTP(w, r)
			})
			host := strings.TrimPrefix(between.URL, "http://")
			p := packaging(t, host, nil, nil)
			d, n, err := p.Store.Put(t.Context(), strings.NewReader(strings.Repeat("w", 3<<20)))
			if err != nil {
				t.Fatal(err)
			}
			files := digest.Manifest{{Path: "model.bin", Digest: d, Size: n}}
			pkg := port.Package{At: p.At, Name: "price", Model: port.Artifact{Digest: files.Digest(), Files: files}}
			packed, err := p.Packager.Push(t.Context(), pkg)
			if err != nil || sent.Load() < n || sent.Load() > n+16<<10 {
				t.Fatalf("%d bytes were sent of %d: %v", sent.Load(), n, err)
			}
			for i := range packed.Layers {
				packed.Layers[i].Repository = packed.Repository
			}
			pkg.Known = packed.Layers
			sent.Store(0)
			if again, err := p.Packager.Push(t.Context(), pkg); err != nil || again.Digest != packed.Digest || sent.Load() != 0 {
				t.Errorf("%d bytes were sent again, %v", sent.Load(), err)
			}
			pkg.At.Repository = host + "/other/price"
			other, err := p.Packager.Push(t.Context(), pkg)
			if err != nil || other.Digest != packed.Digest || mounted.Load() != 1 && name == "real" || sent.Load() > 16<<10 {
				t.Errorf("%d bytes were sent, %d blobs taken over: %v", sent.Load(), mounted.Load(), err)
			}
		})
	}
}
