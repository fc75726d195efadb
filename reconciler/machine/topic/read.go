// The records between two offsets of a partition. One goroutine asks for the next batches while
// the last are looked through; what is held at once is bounded by the size of a request and of
// one batch that is inflated.

package topic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Record is what a producer sent. Its bytes are the reader's for the time of the call.
type Record struct {
	Partition  int32
	Offset     int64
	Time       time.Time
	Key, Value []byte // nil: none
	Headers    []Header
}

// Header is what a producer said of a record beside its value.
type Header struct{ Name, Value string }

// Reading is one range of a topic.
type Reading struct {
	ID   string // of the topic that the range is of; "" for whichever has the name
	Span Span
	// Compacted lets records be missing that compaction removed.
	Compacted bool
}

// Read tells each record of a range that a committed transaction, or none, sent. Records that are
// no longer there are Missing, and another topic under the same name is Conflict.
func (t *Topic) Read(ctx context.Context, r Reading, each func(Record) error) error {
	if r.Span.From >= r.Span.To {
		return nil
	}
	within, done := t.during(ctx)
	defer done()
	inflate, err := newInflater()
	if err != nil {
		return err
	}
	defer inflate.Close()
	f := &fetching{t: t, r: r, next: r.Span.From, out: make(chan fetched, 1)}
	fault.Go(func() { f.run(within) }, func(error) {}) // what decodes is guarded
	defer func() {                                     // the goroutine is over before its context's owner goes on
		done()
		for range f.out {
		}
	}()
	look := &looking{span: r.Span, at: r.Span.From, each: each, inflate: inflate, topic: t.name}
	for got := range f.out {
		if got.err != nil {
			return got.err
		}
		if err := look.through(within, got); err != nil {
			return err
		}
	}
	if err := within.Err(); err != nil {
		return t.failed(within, err)
	}
	look.missed += r.Span.To - min(look.at, r.Span.To)
	if look.missed > 0 && !r.Compacted {
		all := r.Span.To - r.Span.From
		return fault.WithHint(fault.New(fault.Missing, "partition %d of %s has %d of the %d offsets from %d to %d: compaction has removed the others", r.Span.Partition, t.name, all-look.missed, all, r.Span.From, r.Span.To-1),
			"declare compacted: true to take what is left, or read a topic whose cleanup.policy is delete")
	}
	return nil
}

// looking goes through what was fetched of one range.
type looking struct {
	topic   string
	span    Span
	at      int64 // the offset that comes next
	missed  int64 // offsets that nothing has any more
	each    func(Record) error
	inflate *inflater
}

// through goes through one answer.
func (l *looking) through(ctx context.Context, got fetched) error {
	aborted := newAborted(got.aborted)
	for _, b := range got.batches {
		if ctx.Err() != nil {
			return fault.New(fault.Cancelled, "read %s: %w", l.topic, context.Cause(ctx))
		}
		if b.last < l.at { // before what was asked for
			continue
		}
		if err := l.batch(b, aborted); err != nil {
			return err
		}
		if b.last >= l.span.To-1 {
			return nil
		}
	}
	return nil
}

// batch tells the records of one batch, and counts what is missing before them.
func (l *looking) batch(b batch, aborted aborted) error {
	records, err := b.records(l.topic, l.span.Partition, l.at, l.inflate)
	if err != nil {
		return err
	}
	lost := aborted.covers(b)
	for _, r := range records {
		if r.Offset >= l.span.To {
			break
		}
		if r.Offset < l.at {
			continue
		}
		l.missed += r.Offset - l.at
		l.at = r.Offset + 1
		if r.Attrs.IsControl() {
			aborted.ends(b, r.Key)
			continue
		}
		if lost {
			continue
		}
		told := Record{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UTC(), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			told.Headers = append(told.Headers, Header{h.Key, string(h.Value)})
		}
		if err := l.each(told); err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", r.Partition, r.Offset, err)
		}
	}
	if end := min(b.last+1, l.span.To); end > l.at {
		l.missed += end - l.at
		l.at = end
	}
	return nil
}

// records are those of one batch, control records with them.
func (b batch) records(topic string, partition int32, from int64, inflate *inflater) ([]*kgo.Record, error) {
	res := answerOf(partition, b.bytes)
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: topic, Partition: partition, Offset: from, KeepControlRecords: true}, &res, inflate, nil)
	if got.Err != nil {
		if errors.Is(got.Err, errTooLarge) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "partition %d of %s, from offset %d: %w", partition, topic, b.first, errTooLarge), "%s", fault.HintOf(errTooLarge))
		}
		return nil, fault.WithHint(fault.New(fault.Corrupt, "partition %d of %s, from offset %d: %w", partition, topic, b.first, got.Err), broken)
	}
	return got.Records, nil
}
