// Machines that share a ledger and no store: whatever they lose and in whatever order they
// act, once each has acted nothing is left to do on any.

package pass

import (
	"bytes"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
)

// machines are n houses with one ledger; their runs come to other bytes each time.
func machines(n int, work fstest.MapFS) (houses []*Reconciler, towns []*town) {
	var made atomic.Int64
	for i := range n {
		h, w := newHouse(work)
		w.noise = func() string { return fmt.Sprint(made.Add(1)) }
		h.Machine = string(rune('a' + i))
		if i > 0 {
			h.Ledger = towns[0]
		}
		houses, towns = append(houses, h), append(towns, w)
	}
	return houses, towns
}

func quiet(t *testing.T, houses []*Reconciler) {
	t.Helper()
	for _, h := range houses {
		w, err := h.Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Plan(t.Context(), w, ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Work() {
			t.Fatalf("on %s %s is to %s: %s", h.Machine, s.Ref, s.Do, s.Why)
		}
	}
}

// between are the things that happen before the machines act again.
var between = map[string]func(round int, work fstest.MapFS, towns []*town) fstest.MapFS{
	"what is served changes": func(round int, _ fstest.MapFS, _ []*town) fstest.MapFS {
		return tree(with("s.py", fmt.Sprint("# ", round)))
	},
	"what is trained changes": func(round int, _ fstest.MapFS, _ []*town) fstest.MapFS {
		return tree(with("e.py", fmt.Sprint("# ", round)))
	},
	"a store is lost": func(round int, work fstest.MapFS, towns []*town) fstest.MapFS {
		clear(towns[round%len(towns)].bytes)
		return work
	},
	"nothing is served": func(round int, work fstest.MapFS, towns []*town) fstest.MapFS {
		clear(towns[round%len(towns)].served)
		return work
	},
}

func TestNoMachineUndoesWhatAnotherDid(t *testing.T) {
	n := 0
	for _, first := range sorted(between) {
		for _, then := range sorted(between) {
			n++
			t.Run(first+", then "+then, func(t *testing.T) {
				work := tree()
				houses, towns := machines(2+n%2, work)
				for round, what := range []string{"", first, then} {
					if what != "" {
						work = between[what](n+round, work, towns)
					}
					for i, h := range houses {
						h.commit(towns[i], fmt.Sprintf("%040d", round+1), work)
					}
					for i := range houses { // in another order each time
						apply(t, houses[(i+n+round)%len(houses)])
					}
					quiet(t, houses)
				}
			})
		}
	}
}

// TestTheFirstCountsWhereBothAre: what came to be shared, or was brought along, is one for all.
func TestTheFirstCountsWhereBothAre(t *testing.T) {
	houses, towns := machines(2, tree())
	apply(t, houses[0])
	apply(t, houses[1])
	first := towns[0].facts.Latest[ref("transform/t")]
	if others := towns[0].facts.Others[first.Key]; len(others) != 1 || !others[0].Duplicate || others[0].Machine != "b" {
		t.Fatalf("others: %+v", others)
	}
	counts := func(h *Reconciler) *ledger.Entry {
		t.Helper()
		w, err := h.Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return w.Facts.ByKey[first.Key]
	}
	if counts(houses[0]) != first || counts(houses[1]) == first {
		t.Error("a machine goes by what it does not have")
	}
	maps.Copy(towns[1].bytes, towns[0].bytes)
	if counts(houses[1]) != first {
		t.Error("both are to be had, and the first does not count")
	}
}

// TestBringingBackWhatOthersReplacedIsARelease: a machine does not bring back, as if it were
// nothing, what another machine released something else after.
func TestBringingBackWhatOthersReplacedIsARelease(t *testing.T) {
	houses, towns := machines(2, tree())
	apply(t, houses[0])
	apply(t, houses[1])
	clear(towns[0].served)
	w, err := houses[0].Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := houses[0].Plan(t.Context(), w, ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if work := p.Work(); len(work) != 1 || work[0].Ref != ref("deployment/s") || work[0].Restores {
		t.Errorf("%+v", work)
	}
	clear(towns[1].served) // whose release is the newest
	if w, err = houses[1].Preview(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err = houses[1].Plan(t.Context(), w, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if work := p.Work(); len(work) != 1 || !work[0].Restores {
		t.Errorf("%+v", work)
	}
}

// TestWhatEveryMachineServesIsEndedOnEach.
func TestWhatEveryMachineServesIsEndedOnEach(t *testing.T) {
	houses, towns := machines(2, tree())
	without := tree(func(f fstest.MapFS) {
		text := f["vishwa.yaml"].Data
		f["vishwa.yaml"].Data = text[:bytes.LastIndex(text, []byte("---\n"))]
	})
	for i, h := range houses {
		apply(t, h)
		h.commit(towns[i], two, without)
	}
	for i, h := range houses {
		if apply(t, h); len(towns[i].served) > 0 {
			t.Errorf("%s still serves", h.Machine)
		}
	}
	quiet(t, houses)
}
