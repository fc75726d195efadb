// The suite of the port, in a registry of this process and in a real one; and what is sent.

package packager

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
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

func TestPackagerInMemory(t *testing.T) { inMemory(t, registrytest.Memory) }

func TestPackagerWhereReferrersAreListed(t *testing.T) { inMemory(t, registrytest.Referring) }

func inMemory(t *testing.T, open func() http.Handler) {
	porttest.Packager(t, func(t *testing.T) porttest.Packaging {
		l := &losing{next: open(), gone: map[string]bool{}}
		between := peers.NewBetween(t, l)
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
	return porttest.Packaging{Packager: OCI(Options{Env: env, Store: kept}), Reader: Reader(env), Store: kept, At: port.Registry{Repository: host + "/team/price"}, Lose: lose, Secrets: []string{"hunter2"}}
}

// TestWhatARegistryLosesIsSentAgain: between its last byte and the manifest that names it, and
// where the registry says that it has all and has not.
func TestWhatARegistryLosesIsSentAgain(t *testing.T) {
	for name, meddle := range map[string]func(*atomic.Int32) func(http.ResponseWriter, *http.Request, http.Handler){
		"before it is named": func(n *atomic.Int32) func(http.ResponseWriter, *http.Request, http.Handler) {
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && n.Add(1) == 1 {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusNotFound)
					_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}`)
					return
				}
				next.ServeHTTP(w, r)
			}
		},
		"after it is named": func(n *atomic.Int32) func(http.ResponseWriter, *http.Request, http.Handler) {
			named := atomic.Bool{}
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				named.CompareAndSwap(false, r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"))
				if r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/") && named.Load() && n.Add(1) == 1 {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				next.ServeHTTP(w, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			var lost, streams atomic.Int32
			way := meddle(&lost)
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodPatch {
					streams.Add(1)
				}
				way(w, r, next)
			})
			p := packaging(t, strings.TrimPrefix(between.URL, "http://"), nil, nil)
			d, n, err := p.Store.Put(t.Context(), strings.NewReader("weights"))
			if err != nil {
				t.Fatal(err)
			}
			files := digest.Manifest{{Path: "model.bin", Digest: d, Size: n}}
			packed, err := p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: port.Artifact{Digest: files.Digest(), Files: files}})
			if err != nil || packed.Digest == "" || streams.Load() != 2 {
				t.Errorf("%+v, %v; sent %d times", packed, err, streams.Load())
			}
		})
	}
}

// TestARegistryThatDoesNotAnswerIsSaidToBeThat: what, where, and that it may pass.
func TestARegistryThatDoesNotAnswerIsSaidToBeThat(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	host := strings.TrimPrefix(between.URL, "http://")
	between.Meddle(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	p := packaging(t, host, nil, nil)
	d, n, err := p.Store.Put(t.Context(), strings.NewReader("weights"))
	if err != nil {
		t.Fatal(err)
	}
	files := digest.Manifest{{Path: "model.bin", Digest: d, Size: n}}
	_, err = p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: port.Artifact{Digest: files.Digest(), Files: files}})
	if fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), host+"/team/price") || !strings.Contains(fault.HintOf(err), "answers") {
		t.Errorf("%v (%v; %s)", err, fault.Of(err), fault.HintOf(err))
	}
}

// TestWhatIsThereIsNotSentAgain: not by whoever has just sent it, nor to another repository of
// the same registry.
func TestWhatIsThereIsNotSentAgain(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) http.Handler{
		"in memory": func(*testing.T) http.Handler { return registrytest.Memory() }, // all of its repositories have all blobs
		"real": func(t *testing.T) http.Handler {
			return peers.Proxy(t, "http://"+registrytest.New(t, "", "").Address)
		},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, open(t))
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
