// How far data has come is told as it comes, of all that there is.

package data

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// sink keeps nothing.
type sink struct{ port.Store }

func (sink) Put(_ context.Context, r io.Reader) (digest.Digest, int64, error) {
	d, n, err := digest.Reader(r)
	return d, n, err
}

func TestWhatComesIsToldOfAllThereIs(t *testing.T) {
	root, rem, home := t.TempDir(), t.TempDir(), t.TempDir()
	if err := Init(root); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"a": 3 << 20, "d/x": 1 << 20, "d/y": 5} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)
		if err := os.WriteFile(filepath.Join(root, name), bytes.Repeat([]byte(name), size)[:size], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var told []Progress
	tell := func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, p)
	}
	env := port.Env{Now: time.Now, Lookup: func(n string) (string, bool) { return home, n == "HOME" }}
	open := func() *Workspace {
		t.Helper()
		w, err := Open(root, Options{Env: env, Tell: tell})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := open()
	if err := w.Edit(false, func(c *dvc.Config) error {
		c.Set(dvc.RemoteSection("s"), "url", rem)
		c.Set("core", "remote", "s")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	added, err := w.Add(t.Context(), []string{filepath.Join(root, "a"), filepath.Join(root, "d")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Push(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	const all = 4<<20 + 5
	fetch := func(lack int64) {
		t.Helper()
		told = nil
		if _, err := open().Fetch(t.Context(), "", nil); err != nil {
			t.Fatal(err)
		}
		ahead, most := int64(0), int64(0)
		for _, p := range told {
			if p.Ahead {
				ahead += p.Bytes
			} else if most = max(most, p.Bytes); p.Of != all || p.Bytes > p.Of {
				t.Errorf("told %+v", p)
			}
		}
		if ahead != lack || lack > 0 && most != all {
			t.Errorf("ahead %d, at the end %d; want %d and %d", ahead, most, lack, int64(all))
		}
	}
	if err := os.RemoveAll(filepath.Join(root, ".dvc/cache")); err != nil {
		t.Fatal(err)
	}
	fetch(all)
	fetch(0) // all of it is there
	if err := os.RemoveAll(filepath.Join(root, ".dvc/cache", filepath.FromSlash(added[0].OID.Key()))); err != nil {
		t.Fatal(err)
	}
	fetch(3 << 20) // of which the rest is there

	told = nil
	d := Fetcher{Store: sink{}, Env: env, Dir: root, Heard: tell}
	if _, err := d.FetchData(t.Context(), os.DirFS(root), port.DataPointer{File: "d.dvc", Path: "d", Name: string(added[1].OID), Size: 1<<20 + 5}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if last := told[len(told)-1]; last.What != "fetching d" || last.Bytes != last.Of || last.Bytes != 1<<20+5 {
		t.Errorf("at the end %+v", last)
	}
}
