// Checkpoints in a registry: the newest first, without a question for each tag.

package witness

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	place "github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

func TestARegistryHasTheNewestFirst(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	newest(t, strings.TrimPrefix(between.URL, "http://"), between)
}

func TestARealRegistryHasTheNewestFirst(t *testing.T) {
	r := registrytest.New(t, "", "")
	between := peers.NewBetween(t, peers.Proxy(t, "http://"+r.Address))
	newest(t, strings.TrimPrefix(between.URL, "http://"), between)
}

func newest(t *testing.T, address string, between *peers.Between) {
	b, err := place.Open(place.Options{URL: "oci://" + address + "/team/vishwa"})
	if err != nil {
		t.Fatal(err)
	}
	w, s := Bucket(b, "checkpoints", origin), key(t)
	if got, err := w.Newest(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("none yet: %d, %v", len(got), err)
	}
	for _, n := range []int64{1, 998, 999, 1000, 1001, 2, 123456789, 7, 100, 101, 102, 103, 104, 105} {
		for range 2 {
			if err := w.Keep(t.Context(), n, noticed(t, n, s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, k := range []string{"sha256/00/a", "sha256/ff/b", "checkpoints/zz", "a"} {
		if _, err := b.Put(t.Context(), k, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	var asked atomic.Int32
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asked.Add(1)
		next.ServeHTTP(w, r)
	})
	got, err := w.Newest(t.Context())
	if err != nil || len(got) != few {
		t.Fatalf("%d, %v", len(got), err)
	}
	for i, want := range []int64{123456789, 1001, 1000, 999, 998, 105} {
		if n, err := ledger.ParseNotice(got[i]); err != nil || n.Count != want {
			t.Errorf("%d is %d, %v; want %d", i, n.Count, err, want)
		}
	}
	if n := asked.Load(); n > 1+3*few {
		t.Errorf("%d requests for %d checkpoints", n, few)
	}
}
