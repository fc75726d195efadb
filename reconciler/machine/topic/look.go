// Where the partitions of a topic stand.

package topic

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Span is what is read of a partition: the offsets from From up to, and without, To.
type Span struct {
	Partition int32
	From, To  int64
}

// State is where a topic stands. Whatever lies before the end of a span is decided: all
// transactions below it are over.
type State struct {
	ID     string // of the topic: another one under the same name has another; "" where brokers tell none
	Spans  []Span // by partition
	Newest time.Time
}

// Window narrows what is looked at; its zero value is all of a topic.
type Window struct {
	Partitions  []int32
	From, Until time.Time // of the records' own times
}

// Offsets that a broker is asked for by these in place of a time.
const (
	earliest = -2
	latest   = -1
	newest   = -3
)

// Look asks where the partitions stand.
func (t *Topic) Look(ctx context.Context, w Window) (State, error) {
	within, done := t.during(ctx)
	defer done()
	meta, err := t.describe(within)
	if err != nil {
		return State{}, t.failed(within, err)
	}
	wanted, err := t.choose(meta, w.Partitions)
	if err != nil {
		return State{}, err
	}
	s := State{ID: idOf(meta.TopicID)}
	from, _, err := t.offsets(within, wanted, earliest)
	if err != nil {
		return State{}, t.failed(within, err)
	}
	to, _, err := t.offsets(within, wanted, latest)
	if err != nil {
		return State{}, t.failed(within, err)
	}
	if err := t.narrow(within, w.From, wanted, to, func(p int32, o int64) { from[p] = max(from[p], o) }); err != nil {
		return State{}, err
	}
	if err := t.narrow(within, w.Until, wanted, to, func(p int32, o int64) { to[p] = min(to[p], o) }); err != nil {
		return State{}, err
	}
	for _, p := range wanted {
		s.Spans = append(s.Spans, Span{p, min(from[p], to[p]), to[p]})
	}
	// Only newer brokers tell the newest time; whoever does not, tells none.
	if _, times, err := t.offsets(within, wanted, newest); err == nil {
		for _, at := range times {
			if at > 0 && time.UnixMilli(at).After(s.Newest) {
				s.Newest = time.UnixMilli(at).UTC()
			}
		}
	}
	return s, nil
}

// narrow tells where the records of a time or later begin, which may be at the end.
func (t *Topic) narrow(ctx context.Context, at time.Time, partitions []int32, ends map[int32]int64, tell func(p int32, o int64)) error {
	if at.IsZero() {
		return nil
	}
	first, _, err := t.offsets(ctx, partitions, at.UnixMilli())
	if err != nil {
		return t.failed(ctx, err)
	}
	for p, o := range first {
		if o < 0 { // no record is that new
			o = ends[p]
		}
		tell(p, o)
	}
	return nil
}

func idOf(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// describe asks who leads the partitions.
func (t *Topic) describe(ctx context.Context) (*kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	of := kmsg.NewMetadataRequestTopic()
	of.Topic = kmsg.StringPtr(t.name)
	req.Topics = append(req.Topics, of)
	res, err := req.RequestWith(ctx, t.client)
	if err != nil {
		return nil, err
	}
	if len(res.Topics) != 1 {
		return nil, fault.WithHint(fault.New(fault.Transient, "the brokers answered for %d topics and were asked for one", len(res.Topics)), "see that spec.source.kafka.brokers names brokers of Kafka and no proxy that answers for them")
	}
	if err := kerr.ErrorForCode(res.Topics[0].ErrorCode); err != nil {
		return nil, err
	}
	return &res.Topics[0], nil
}

// choose are the partitions that are wanted, in order.
func (t *Topic) choose(meta *kmsg.MetadataResponseTopic, wanted []int32) ([]int32, error) {
	var all []int32
	for _, p := range meta.Partitions {
		all = append(all, p.Partition)
	}
	slices.SortFunc(all, cmp.Compare)
	if len(wanted) == 0 {
		return all, nil
	}
	for _, p := range wanted {
		if !slices.Contains(all, p) {
			return nil, fault.WithHint(fault.New(fault.Missing, "topic %s has no partition %d", t.name, p), "it has %d; name those that are there", len(all))
		}
	}
	wanted = slices.Clone(wanted)
	slices.Sort(wanted)
	return slices.Compact(wanted), nil
}

// offsets asks the leaders for the first offset whose record is of a time or later, or for one of
// the named ones. Records of open transactions are not there yet.
func (t *Topic) offsets(ctx context.Context, partitions []int32, at int64) (offsets map[int32]int64, times map[int32]int64, err error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = 1
	req.ReplicaID = -1
	of := kmsg.NewListOffsetsRequestTopic()
	of.Topic = t.name
	for _, p := range partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p, at
		of.Partitions = append(of.Partitions, one)
	}
	req.Topics = append(req.Topics, of)
	offsets, times = map[int32]int64{}, map[int32]int64{}
	for _, shard := range t.client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, nil, shard.Err
		}
		for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, nil, err
				}
				offsets[p.Partition], times[p.Partition] = p.Offset, p.Timestamp
			}
		}
	}
	for _, p := range partitions {
		if _, ok := offsets[p]; !ok {
			return nil, nil, fault.WithHint(fault.New(fault.Transient, "the brokers did not say how far partition %d goes", p), "see that each partition of the topic has a leader: kafka-topics.sh --describe")
		}
	}
	return offsets, times, nil
}
