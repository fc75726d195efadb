package routine

import (
	"context"
	"iter"
	"runtime"

	"golang.org/x/sync/semaphore"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// What Ahead reads before somebody asks for it: so many at most, and, where there is more than one, so many bytes.
const (
	MostAhead      = 64
	MostBytesAhead = 16 << 20
)

// Ahead reads records and has do look at each, several at a time on all processors, while what came before is gone through. What do
// makes comes in the order of the records, with the error that ended them or a panic's in its place. Size tells how many bytes a
// record holds. When the loop has ended, nothing is read and nothing is done any more.
func Ahead[A, B any](records iter.Seq2[A, error], size func(A) int, do func(A) B) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		wanted, enough := context.WithCancel(context.Background()) // until the loop ends: its caller's context ends the records
		q := queue[A, B]{room: semaphore.NewWeighted(MostBytesAhead), size: size, inOrder: make(chan *item[A, B], MostAhead), toDo: make(chan *item[A, B], MostAhead)}
		var all Set
		all.Start(func() { q.readAll(wanted, records) })
		for range runtime.GOMAXPROCS(0) {
			all.Start(func() { q.work(wanted, do) })
		}
		defer all.Wait()
		defer enough()
		for i := range q.inOrder {
			<-i.done
			more := yield(i.made, i.err)
			q.room.Release(i.size)
			if !more {
				return
			}
		}
	}
}

// item is a record on its way.
type item[A, B any] struct {
	record A
	size   int64
	made   B
	err    error
	done   chan struct{} // closed when made or err is there
}

// queue is what is on its way, which is in both channels until it is done.
type queue[A, B any] struct {
	room          *semaphore.Weighted
	size          func(A) int
	inOrder, toDo chan *item[A, B]
}

func (q *queue[A, B]) readAll(wanted context.Context, records iter.Seq2[A, error]) {
	defer close(q.inOrder)
	defer close(q.toDo)
	err := fault.Guard(func() error {
		for r, err := range records {
			if !q.push(wanted, &item[A, B]{record: r, err: err, done: make(chan struct{})}) {
				break
			}
		}
		return nil
	})
	if err != nil {
		q.push(wanted, &item[A, B]{err: err, done: make(chan struct{})})
	}
}

func (q *queue[A, B]) push(wanted context.Context, i *item[A, B]) bool {
	i.size = min(int64(q.size(i.record)), MostBytesAhead)
	if q.room.Acquire(wanted, i.size) != nil {
		return false
	}
	select {
	case q.inOrder <- i:
	case <-wanted.Done():
		return false
	}
	if i.err != nil {
		close(i.done)
	} else {
		q.toDo <- i // those who work take it, to its end
	}
	return true
}

func (q *queue[A, B]) work(wanted context.Context, do func(A) B) {
	for i := range q.toDo {
		if wanted.Err() == nil {
			i.err = fault.Guard(func() error { i.made = do(i.record); return nil })
		}
		close(i.done)
	}
}
