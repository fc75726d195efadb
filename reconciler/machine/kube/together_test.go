// A look at a cluster keeps what it needs, however much others have put there.

package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
)

// Labels are anybody's to set: a namespace full of objects that have ours takes no memory without end, and each of ours is still found.
func TestALookKeepsNoMoreThanItMay(t *testing.T) {
	for name, c := range map[string]struct {
		each  int // objects of a page
		bytes int // of an object
		pages int64
		most  int64 // pages that are asked for
		keeps bool
	}{
		"a few":                {20, 100, 3, 3, true},
		"many":                 {500, 10, 1 << 40, mostGathered/500 + 1, false},
		"few that are large":   {8, 1 << 20, 1 << 40, mostGatheredBytes/(8<<20) + 1, false},
		"one page without end": {80, 1 << 20, 1 << 40, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var lists, gets atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if of := path.Base(r.URL.Path); of != Services.Name {
					gets.Add(1)
					fmt.Fprintf(w, `{"metadata": {"name": %q}}`, of)
					return
				}
				n, more := lists.Add(1), "more"
				if n == c.pages {
					more = ""
				}
				fmt.Fprintf(w, `{"metadata": {"resourceVersion": "7", "continue": %q}, "items": [`, more)
				for i := range c.each {
					if i > 0 {
						fmt.Fprint(w, ",")
					}
					fmt.Fprintf(w, `{"metadata": {"name": "n-%d-%d", "labels": {"owner": "us"}, "annotations": {"x": %q}}}`, n, i, strings.Repeat("x", c.bytes))
				}
				fmt.Fprint(w, "]}")
			}))
			t.Cleanup(s.Close)
			look := open(t, kubeconfig(t, s.URL, "", "")).Together("owner=us")
			for i := range 20 {
				var found struct{ Metadata struct{ Name string } }
				want := fmt.Sprintf("n-1-%d", i)
				if err := look.Get(t.Context(), Services, want, &found); err != nil || found.Metadata.Name != want {
					t.Fatalf("%s: %+v, %v", want, found, err)
				}
			}
			if n := lists.Load(); n > c.most {
				t.Errorf("%d pages were asked for", n)
			}
			if want := map[bool]int64{true: alone, false: 20}[c.keeps]; gets.Load() != want {
				t.Errorf("%d were asked for by their names, and not %d", gets.Load(), want)
			}
			kept := 0
			for _, raw := range look.together.kinds[Services].byName {
				kept += len(raw)
			}
			if (kept > 0) != c.keeps || kept > mostGatheredBytes || look.together.bytes.Load() != int64(kept) {
				t.Errorf("%d bytes are kept", kept)
			}
		})
	}
}

// What all kinds of a look keep counts together.
func TestKindsOfALookShareItsRoom(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		one, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": "n", "labels": map[string]string{"owner": "us"}, "annotations": map[string]string{"x": strings.Repeat("x", 40<<20)}}})
		if err == nil {
			_, err = fmt.Fprintf(w, `{"metadata": {"resourceVersion": "7"}, "items": [%s]}`, one)
		}
		if err != nil {
			t.Log(err)
		}
	}))
	t.Cleanup(s.Close)
	look := open(t, kubeconfig(t, s.URL, "", "")).Together("owner=us")
	has := 0
	for _, r := range []Resource{Services, Pods, Secrets} {
		look.together.kinds[r] = &gathered{asked: alone}
		if g, ok := look.gather(t.Context(), r); ok {
			has += len(g.items)
		}
	}
	if has != 1 {
		t.Errorf("%d objects of 40 MiB are kept", has)
	}
}
