package gitledger

import (
	"errors"
	"iter"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
)

// Records that are read ahead come in their order, with the error that ends them; where somebody stops early, reading has ended too.
func TestRecordsAreReadAheadInOrder(t *testing.T) {
	broken, ended := errors.New("broken"), false
	records := func(yield func(ledger.Record, error) bool) {
		defer func() { ended = true }()
		for i := range 3 * mostAhead {
			if !yield(ledger.Record{Commit: []byte{byte(i)}}, nil) {
				return
			}
		}
		yield(ledger.Record{}, broken)
	}
	var all iter.Seq2[ledger.Record, error] = ahead(records)
	n, last := 0, error(nil)
	for r, err := range all {
		if last = err; err == nil {
			if int(r.Commit[0]) != n {
				t.Fatalf("record %d comes as number %d", r.Commit[0], n)
			}
			n++
		}
	}
	if n != 3*mostAhead || !errors.Is(last, broken) {
		t.Errorf("%d records and %v, want %d and the error", n, last, 3*mostAhead)
	}
	for _, most := range []int{1, mostAhead, 2 * mostAhead} {
		ended = false
		n := 0
		for range all {
			if n++; n == most {
				break
			}
		}
		if !ended {
			t.Errorf("after %d records somebody still reads", most)
		}
	}
}
