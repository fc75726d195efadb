// Sending records: to one partition, in order, and until all brokers that are in step have them.

package topic

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitions are the numbers of the partitions that the topic has.
func (t *Topic) Partitions(ctx context.Context) ([]int32, error) {
	within, done := t.during(ctx)
	defer done()
	meta, err := t.describe(within)
	if err != nil {
		return nil, t.failed(within, err)
	}
	return t.choose(meta, nil)
}

// Write sends records to one partition. On an error some of them may be there, and whoever sends all
// again sends those twice. Records that the brokers take from nobody, for their size, are left out
// and counted.
func (t *Topic) Write(ctx context.Context, partition int32, records []Record) (refused int64, err error) {
	within, done := t.during(ctx)
	defer done()
	all := make([]*kgo.Record, len(records))
	for i, r := range records {
		all[i] = &kgo.Record{Partition: partition, Timestamp: r.Time, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			all[i].Headers = append(all[i].Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
		}
	}
	var large []*kgo.Record // they, or the batch that they were in
	for _, sent := range t.client.ProduceSync(within, all...) {
		switch {
		case isAny(sent.Err, kerr.MessageTooLarge):
			large = append(large, sent.Record)
		case sent.Err != nil && err == nil:
			err = sent.Err
		}
	}
	if err != nil {
		return 0, t.failed(within, err)
	}
	for _, r := range large {
		err := t.client.ProduceSync(within, &kgo.Record{Partition: partition, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: r.Headers}).FirstErr()
		switch {
		case isAny(err, kerr.MessageTooLarge):
			refused++
		case err != nil:
			return refused, t.failed(within, err)
		}
	}
	return refused, nil
}
