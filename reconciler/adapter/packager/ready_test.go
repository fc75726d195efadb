// Laws of what is known of a package before anything is sent.

package packager

import (
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// TestAPackagesRegistryIsAskedBeforeAnythingIsPacked: one that is away, that lets nobody in, and that has no such repository yet; and a
// model whose files no image can have.
func TestAPackagesRegistryIsAskedBeforeAnythingIsPacked(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter) bool
		change func(*port.Package)
		kind   fault.Kind
		say    string // "": it is ready
	}{
		"it has no such repository": {},
		"it lets nobody in": {kind: fault.Denied, say: "the registry answers 403", answer: func(w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		}},
		"it takes no such request": {kind: fault.Invalid, say: "the registry answers 400", answer: func(w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}},
		"the model takes files away": {kind: fault.Invalid, say: "an image takes files away", change: func(p *port.Package) {
			p.Model.Files = digest.Manifest{{Path: ".wh.model.bin", Digest: digest.Of(nil)}}
			p.Model.Digest = p.Model.Files.Digest()
		}},
		"the model is not known yet": {change: func(p *port.Package) { p.Model = port.Artifact{} }},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			var layers, writes atomic.Int32
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method != http.MethodGet && r.Method != http.MethodHead {
					writes.Add(1)
				}
				if strings.Contains(r.URL.Path, "/blobs/") {
					layers.Add(1)
				}
				if c.answer == nil || !c.answer(w) {
					next.ServeHTTP(w, r)
				}
			})
			theirs := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
			b := newBuilder(t, nil)
			order := b.order(strings.TrimPrefix(between.URL, "http://")+"/team/price", base(t, theirs+"/library/python", runtime.GOARCH, "etc/base"), "")
			if c.change != nil {
				c.change(&order)
			}
			err := Ready(t.Context(), port.Env{}, []port.Package{order})[0]
			if c.say == "" && err != nil || c.say != "" && (err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.say) || fault.HintOf(err) == "") {
				t.Errorf("%v (%v; %s)", err, fault.Of(err), fault.HintOf(err))
			}
			if layers.Load()+writes.Load() > 0 {
				t.Errorf("%d layers were asked for, and %d requests wrote", layers.Load(), writes.Load())
			}
		})
	}
}

// TestAnEnvironmentThatWasSentIsMadeNowhere: a machine of another architecture packs a new model over it.
func TestAnEnvironmentThatWasSentIsMadeNowhere(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	registry := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
	b := newBuilder(t, nil)
	order := b.order(registry+"/team/price", base(t, registry+"/library/python", other, "usr/bin/python3"), "probe==1.0")
	order.Image.Platform = "linux/" + other
	if err := Ready(t.Context(), port.Env{}, []port.Package{order})[0]; err == nil || fault.Of(err) != fault.Invalid {
		t.Errorf("it was never made, and cannot be here: %v", err)
	}
	p := &packer{}
	over, err := p.base(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range order.Image.Code {
		if f.Path == order.Image.Lock {
			name, err := digest.JSON(environmentContent(f, over))
			if err != nil {
				t.Fatal(err)
			}
			order.Known = append(order.Known, port.PackageLayer{Content: name})
		}
	}
	if err := Ready(t.Context(), port.Env{}, []port.Package{order})[0]; err != nil {
		t.Error(err)
	}
}
