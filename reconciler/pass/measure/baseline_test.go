// The first rows that a model is asked are its baseline, for as long as it is served, and no other's.

package measure

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// shelf is a store in memory.
type shelf map[digest.Digest][]byte

func (s shelf) Has(_ context.Context, d digest.Digest) (bool, error) { return s[d] != nil, nil }

func (s shelf) Get(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
	if s[d] == nil {
		return nil, fault.New(fault.Missing, "%s is not there", d)
	}
	return io.NopCloser(bytes.NewReader(s[d])), nil
}

func (s shelf) Put(_ context.Context, r io.Reader) (digest.Digest, int64, error) {
	raw, err := io.ReadAll(r)
	d := digest.Of(raw)
	s[d] = raw
	return d, int64(len(raw)), err
}

func TestABaselineIsOfTheServedModelAlone(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	ref := schemas.Ref{Kind: schemas.KindMonitor, Name: "homes"}
	serves := schemas.Ref{Kind: schemas.KindDeployment, Name: "price"}
	old, served := digest.Of([]byte("old")), digest.Of([]byte("served"))
	var log strings.Builder
	ask := func(model digest.Digest, at time.Duration, size any) {
		fmt.Fprintf(&log, `{"time":%q,"id":"x","model":%q,"status":200,"size":%v,"note":"a<b","output.raw":1,"prediction":7}`+"\n", noon.Add(at).Format(time.RFC3339), model, size)
	}
	store, all := shelf{}, &book{newest: map[schemas.Ref]*ledger.Entry{}}
	measure := func(model digest.Digest, rows int) (*session, string, error) {
		b := bench(all, noon.Add(time.Hour))
		b.Reconciler.Store = store
		b.Log = func(context.Context, schemas.Declaration, time.Time, time.Time) (table.Reader, func() error, error) {
			text := log.String()
			r, err := table.Open(strings.NewReader(text), int64(len(text)), schemas.Format{}, "log.jsonl")
			return r, func() error { return nil }, err
		}
		facts, _ := all.Facts(t.Context())
		s := &session{Bench: b, ref: ref, spec: &schemas.Monitor{Deployment: serves, Baseline: &schemas.Baseline{Rows: rows}}, facts: facts, model: model, now: b.Now(),
			in: &pass.Intent{Decls: []schemas.Declaration{{Kind: string(serves.Kind), Metadata: schemas.Metadata{Name: serves.Name}}}}}
		_, short, err := s.reference(t.Context())
		if err == nil && short == "" { // as Record would
			all.newest[ref] = &ledger.Entry{Watched: &ledger.Watched{Deployment: serves, Baseline: s.baseline}}
		}
		return s, short, err
	}
	ask(old, 0, 1)
	ask(served, time.Minute, 2)
	if _, short, err := measure(served, 2); err != nil || !strings.Contains(short, "first 2 rows that this model is asked, and the log has 1") {
		t.Fatalf("%q, %v", short, err)
	}
	ask(served, 2*time.Hour, 99) // of a clock that is ahead
	ask(served, 2*time.Minute, "3.5")
	ask(served, 3*time.Minute, 4)
	s, short, err := measure(served, 2)
	if err != nil || short != "" {
		t.Fatal(short, err)
	}
	const want = `{"note":"a<b","prediction":7,"size":2}` + "\n" + `{"note":"a<b","prediction":7,"size":3.5}` + "\n"
	if got := string(store[s.baseline.Data]); got != want || !s.baseline.Last.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("%s\nwant %s: %+v", got, want, s.baseline)
	}
	first := *s.baseline
	log.Reset() // what it was read of is removed, as logs are
	if s, _, err = measure(served, 2); err != nil || *s.baseline != first {
		t.Errorf("%+v, %v: want %+v", s.baseline, err, first)
	}
	if _, short, err := measure(served, 3); err != nil || short == "" {
		t.Errorf("a baseline of another size is taken for this: %v", err)
	}
	if _, short, err := measure(old, 2); err != nil || short == "" {
		t.Errorf("the baseline of another model is taken for this one's: %v", err)
	}
	ask(served, 4*time.Minute, 5)
	ask(served, 5*time.Minute, 6)
	clear(store)
	if s, _, err = measure(served, 2); err != nil || s.baseline.Data == first.Data || len(s.notes) != 1 || !strings.Contains(s.notes[0], "made again") {
		t.Errorf("a baseline that is lost: %+v %q, %v", s.baseline, s.notes, err)
	}
}
