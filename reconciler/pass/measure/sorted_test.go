// A reference is read and sorted once, and what is found with it later is the same to the last bit.

package measure

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// counted is a store that counts what is read of it.
type counted struct {
	shelf
	reads int
}

func (c *counted) Get(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	c.reads++
	return c.shelf.Get(ctx, d)
}

func TestAReferenceIsReadOnce(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	serves, ref := schemas.Ref{Kind: schemas.KindDeployment, Name: "price"}, schemas.Ref{Kind: schemas.KindMonitor, Name: "homes"}
	row := func(b *strings.Builder, i int, by float64) {
		fmt.Fprintf(b, `{"time":%q,"id":"r%d","area":%.2f,"rooms":%d,"ratio":%v,"street":"s%d","note":"n %d","prediction":%d,"score":%v,"label":%d}`+"\n",
			noon.Add(time.Duration(i)*time.Millisecond).Format(time.RFC3339Nano), i, by+float64(i*7919%1000)/7, i%5, float64(i*31%977)/3, i%9, i, i%2, float64(i%10)/10, i%3%2)
	}
	var train, log strings.Builder
	for i := range 600 {
		row(&train, i, 0)
		row(&log, i, 0.5)
	}
	data := digest.Of([]byte(train.String()))
	store := &counted{shelf: shelf{data: []byte(train.String())}}
	dir := t.TempDir()
	at := recall.Shelf{Dir: filepath.Join(dir, "references"), Seal: filepath.Join(dir, "seal", "key"), Most: 1 << 30, One: 1 << 28, Now: func() time.Time { return noon }}
	var rates sync.Map
	build := ""
	type change func(*schemas.Monitor)
	measure := func(kept recall.Shelf, but change) string {
		t.Helper()
		b := bench(&book{}, noon.Add(time.Hour))
		b.Reconciler.Store, b.References, b.Program = store, kept, build
		b.Known = func(d digest.Digest) (drift.Null, bool) {
			v, ok := rates.Load(d)
			n, _ := v.(drift.Null)
			return n, ok
		}
		b.Keep = func(d digest.Digest, n drift.Null) { rates.Store(d, n) }
		b.Log = func(context.Context, schemas.Declaration, time.Time, time.Time) (table.Reader, func() error, error) {
			r, err := table.Open(strings.NewReader(log.String()), int64(log.Len()), schemas.Format{}, "log.jsonl")
			return r, func() error { return nil }, err
		}
		model := digest.Of([]byte("model"))
		spec := &schemas.Monitor{Deployment: serves, Baseline: &schemas.Baseline{Rows: 600}, Current: schemas.Current{Window: "2h"}, Estimate: "cbpe"}
		if but != nil {
			but(spec)
		}
		s := &session{Bench: b, ref: ref, spec: spec, model: model, now: b.Now(),
			facts: &ledger.Facts{Observed: map[schemas.Ref]*ledger.Entry{ref: {Watched: &ledger.Watched{Deployment: serves, Baseline: &ledger.Baseline{Model: model, Rows: 600, Data: data, Size: int64(train.Len())}}}}},
			in:    &pass.Intent{Decls: []schemas.Declaration{{Kind: string(serves.Kind), Metadata: schemas.Metadata{Name: serves.Name}}}}}
		e, err := s.evidence(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := digest.Canonical(e)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	none := recall.Shelf{}
	reads := func(of func()) int {
		before := store.reads
		of()
		return store.reads - before
	}
	want := measure(none, nil)
	if !strings.Contains(want, `"name":"area"`) || !strings.Contains(want, `"estimated":[{`) {
		t.Fatal(want)
	}
	for i, most := range []int{1, 0, 0} {
		if n := reads(func() {
			if got := measure(at, nil); got != want {
				t.Errorf("measurement %d: %s\nwant %s", i, got, want)
			}
		}); n != most {
			t.Errorf("measurement %d read the reference %d times, want %d", i, n, most)
		}
	}

	// What is asked of it otherwise is another one; how its columns are compared is not.
	half := 0.5
	for name, c := range map[string]struct {
		but  change
		read int
	}{
		"of named columns": {func(m *schemas.Monitor) {
			m.Columns = map[string]schemas.Watching{"area": {}, "rooms": {Type: "category"}}
		}, 1},
		"of another type": {func(m *schemas.Monitor) {
			m.Columns = map[string]schemas.Watching{"area": {}, "rooms": {Type: "number"}}
		}, 1},
		"of a column it lacks": {func(m *schemas.Monitor) { m.Columns = map[string]schemas.Watching{"area": {}, "rooftop": {}} }, 1},
		"by another score":     {func(m *schemas.Monitor) { m.Predictions.Score = "ratio" }, 1},
		"by other hours":       {func(m *schemas.Monitor) { m.Current.Season = &schemas.Season{Every: schemas.EveryDay} }, 1},
		"without scores":       {func(m *schemas.Monitor) { m.Estimate = "" }, 1},
		"by another bound":     {func(m *schemas.Monitor) { m.FDR = &half }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			want := measure(none, c.but)
			for i, most := range []int{c.read, 0} {
				if n := reads(func() {
					if got := measure(at, c.but); got != want {
						t.Errorf("measurement %d: %s\nwant %s", i, got, want)
					}
				}); n != most {
					t.Errorf("measurement %d read the reference %d times, want %d", i, n, most)
				}
			}
		})
	}

	// Another build may read it otherwise, and reads it anew.
	build = "another"
	if n := reads(func() { measure(at, nil) }); n != 1 {
		t.Errorf("another build read the reference %d times, want 1", n)
	}
	build = ""

	// What was damaged, wherever, is read anew, and kept anew.
	files, err := filepath.Glob(filepath.Join(at.Dir, "*"))
	if err != nil || len(files) != 8 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, f := range files {
		whole, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		whole[0] ^= 1
		if err := os.WriteFile(f, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, most := range []int{1, 0} {
		if n := reads(func() {
			if got := measure(at, nil); got != want {
				t.Errorf("after damage, measurement %d: %s\nwant %s", i, got, want)
			}
		}); n != most {
			t.Errorf("after damage, measurement %d read the reference %d times, want %d", i, n, most)
		}
	}
}
