// Asking for batches, one answer after the other, through changes of leaders and brokers that are
// away for a while.

package topic

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// fetched is one answer.
type fetched struct {
	batches []batch
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	err     error
}

// fetching asks for one range.
type fetching struct {
	t      *Topic
	r      Reading
	id     [16]byte
	next   int64
	leader int32
	known  bool // the leader is
	out    chan fetched
}

// run sends what comes until the range is over, or something ends it.
func (f *fetching) run(ctx context.Context) {
	defer close(f.out)
	for f.next < f.r.Span.To {
		var got fetched
		err := fault.Guard(func() (err error) { got, err = f.patiently(ctx); return err })
		if err != nil {
			got = fetched{err: err}
		}
		select {
		case f.out <- got:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
	// What was read was of the topic that was meant, if that is still there: ids are never used again.
	if err := fault.Guard(func() error { return f.lead(ctx) }); err != nil {
		select {
		case f.out <- fetched{err: err}:
		case <-ctx.Done():
		}
	}
}

// patiently asks until batches have come, or the brokers have been away for too long.
func (f *fetching) patiently(ctx context.Context) (fetched, error) {
	var waited time.Duration
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		got, again, err := f.once(ctx)
		switch {
		case err == nil && len(got.batches) > 0, err != nil && (!again || waited >= f.t.patience):
			return got, err
		case waited >= f.t.patience:
			return got, fault.WithHint(fault.New(fault.Transient, "partition %d of %s gives nothing from offset %d on", f.r.Span.Partition, f.t.name, f.next), "see whether its leader is up")
		}
		waited += pause
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return got, f.t.failed(ctx, ctx.Err())
		}
	}
}

// once asks once. again tells that an error may pass.
func (f *fetching) once(ctx context.Context) (got fetched, again bool, err error) {
	if !f.known {
		if err := f.lead(ctx); err != nil {
			return got, fault.Of(err) == fault.Transient, err
		}
	}
	res, err := f.t.client.Broker(int(f.leader)).Request(ctx, f.request())
	if err != nil {
		f.known = false
		err = f.t.failed(ctx, err)
		return got, fault.Of(err) == fault.Transient, err
	}
	p, err := f.part(ctx, res.(*kmsg.FetchResponse))
	if err != nil {
		f.known = false
		return got, fault.Of(err) == fault.Transient, err
	}
	if p.HighWatermark < f.next {
		return got, false, fault.WithHint(fault.New(fault.Conflict, "partition %d of %s ends at offset %d, and went further before: its cluster has lost records", f.r.Span.Partition, f.t.name, p.HighWatermark), "run the command again: it looks at the source anew")
	}
	got.aborted = p.AbortedTransactions
	if got.batches, err = batches(p.RecordBatches); err != nil {
		return got, false, err
	}
	if n := len(got.batches); n > 0 {
		f.next = max(f.next, got.batches[n-1].last+1)
	}
	return got, false, nil
}

// lead asks who leads the partition of the topic that is meant.
func (f *fetching) lead(ctx context.Context) error {
	meta, err := f.t.describe(ctx)
	if err != nil {
		return f.t.failed(ctx, err)
	}
	if f.r.ID != "" && idOf(meta.TopicID) != f.r.ID {
		return fault.WithHint(fault.New(fault.Conflict, "topic %s was deleted and created again since it was looked at", f.t.name), "refresh the dataset: it pins what the new topic holds")
	}
	for _, p := range meta.Partitions {
		if p.Partition != f.r.Span.Partition {
			continue
		}
		if p.Leader < 0 {
			return fault.WithHint(fault.New(fault.Transient, "partition %d of %s has no leader now", p.Partition, f.t.name), "see whether its brokers are up")
		}
		f.leader, f.id, f.known = p.Leader, meta.TopicID, true
		return nil
	}
	return fault.WithHint(fault.New(fault.Missing, "topic %s has no partition %d", f.t.name, f.r.Span.Partition), "refresh the dataset")
}

func (f *fetching) request() *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 500, 1, asked
	req.IsolationLevel = 1
	of := kmsg.NewFetchRequestTopic()
	of.Topic, of.TopicID = f.t.name, f.id
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = f.r.Span.Partition, f.next, asked
	of.Partitions = append(of.Partitions, p)
	req.Topics = append(req.Topics, of)
	return req
}

// part is what an answer says of the partition.
func (f *fetching) part(ctx context.Context, res *kmsg.FetchResponse) (*kmsg.FetchResponseTopicPartition, error) {
	err := kerr.ErrorForCode(res.ErrorCode)
	if err == nil && (len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1) {
		err = kerr.UnknownServerError
	}
	if err == nil {
		if err = kerr.ErrorForCode(res.Topics[0].Partitions[0].ErrorCode); err == nil {
			return &res.Topics[0].Partitions[0], nil
		}
	}
	of, name := f.r.Span.Partition, f.t.name
	switch {
	case isAny(err, kerr.OffsetOutOfRange):
		return nil, f.left(ctx)
	case isAny(err, kerr.TopicAuthorizationFailed):
		return nil, f.t.failed(ctx, err)
	case isAny(err, kerr.CorruptMessage):
		return nil, fault.WithHint(fault.New(fault.Corrupt, "partition %d of %s from offset %d: the broker says that its records are damaged", of, name, f.next), "repair the cluster")
	}
	return nil, fault.WithHint(fault.New(fault.Transient, "read partition %d of %s: %w", of, name, err), "see whether its brokers are up")
}

// left says what there is of a range whose beginning has gone.
func (f *fetching) left(ctx context.Context) error {
	span := f.r.Span
	all, _, err := f.t.offsets(ctx, []int32{span.Partition}, earliest)
	if err != nil {
		return f.t.failed(ctx, err)
	}
	begins := all[span.Partition]
	if begins <= f.next {
		return fault.WithHint(fault.New(fault.Conflict, "partition %d of %s has no offset %d any more: its cluster has lost records", span.Partition, f.t.name, f.next), "run the command again: it looks at the source anew")
	}
	is := "nothing of them is left"
	if begins < span.To {
		is = fmt.Sprintf("%d of them are left", span.To-begins)
	}
	return fault.WithHint(fault.New(fault.Missing, "partition %d of %s begins at offset %d by now, and offsets %d to %d are asked for: %s", span.Partition, f.t.name, begins, span.From, span.To-1, is),
		"refresh the dataset: it pins what is there; and have the topic keep its records for longer")
}
