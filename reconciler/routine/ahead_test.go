package routine

import (
	"errors"
	"iter"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

type record struct{ Commit, Bundle []byte }

func aheadOf(records iter.Seq2[record, error]) iter.Seq2[record, error] {
	return Ahead(records, func(r record) int { return len(r.Commit) + len(r.Bundle) }, func(r record) record { return r })
}

// Records that are read ahead come in their order, with the error that ends them; where somebody stops early, reading has ended too.
func TestRecordsAreReadAheadInOrder(t *testing.T) {
	broken, ended := errors.New("broken"), false
	records := func(yield func(record, error) bool) {
		defer func() { ended = true }()
		for i := range 3 * MostAhead {
			if !yield(record{Commit: []byte{byte(i)}}, nil) {
				return
			}
		}
		yield(record{}, broken)
	}
	var all iter.Seq2[record, error] = aheadOf(records)
	n, last := 0, error(nil)
	for r, err := range all {
		if last = err; err == nil {
			if int(r.Commit[0]) != n {
				t.Fatalf("record %d comes as number %d", r.Commit[0], n)
			}
			n++
		}
	}
	if n != 3*MostAhead || !errors.Is(last, broken) {
		t.Errorf("%d records and %v, want %d and the error", n, last, 3*MostAhead)
	}
	for _, most := range []int{1, MostAhead, 2 * MostAhead} {
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

// What is read ahead is bounded by bytes, too: beside what somebody has, and what finds no room yet, there is at most that.
func TestLargeRecordsAreNotReadFarAhead(t *testing.T) {
	large := make([]byte, MostBytesAhead/2)
	var read atomic.Int64
	n, most := int64(0), int64(0)
	for range aheadOf(func(yield func(record, error) bool) {
		for range 2 * MostAhead {
			read.Add(1)
			if !yield(record{Bundle: large}, nil) {
				return
			}
		}
	}) {
		runtime.Gosched()
		n++
		most = max(most, read.Load()-n)
	}
	if n != 2*MostAhead || most > 2 {
		t.Errorf("%d records, and up to %d were read ahead; want %d and at most 2", n, most, 2*MostAhead)
	}
}

// A record of any size is read: it is alone then.
func TestARecordLargerThanTheRoomIsRead(t *testing.T) {
	n := 0
	for range aheadOf(func(yield func(record, error) bool) {
		for range 3 {
			if !yield(record{Commit: []byte("c"), Bundle: make([]byte, MostBytesAhead+1)}, nil) {
				return
			}
		}
	}) {
		n++
	}
	if n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

// What panics while it is read ahead is an error of the loop: it ends a pass, and not the process.
func TestAPanicWhileReadingAheadEndsTheLoop(t *testing.T) {
	n, last := 0, error(nil)
	for _, err := range aheadOf(func(yield func(record, error) bool) {
		yield(record{Commit: []byte("c")}, nil)
		assign(nil)
	}) {
		n, last = n+1, err
	}
	if n != 2 || last == nil || fault.Of(last) != fault.Internal || !strings.Contains(last.Error(), "nil map, in reconciler/routine.") {
		t.Errorf("%d results, the last %v", n, last)
	}
}

func assign(to map[string]int) { to["a"] = 1 }
