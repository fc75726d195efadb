// Batches of records as brokers keep and send them, as far as they are read before they are
// inflated: where they begin and end, and whose transaction they are of
// (https://kafka.apache.org/documentation/#recordbatch).

package topic

import (
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// broken is what to do about records that do not hold together.
const broken = "read the topic with Kafka's own tools (kafka-console-consumer.sh): where they fail too, the broker's log is damaged"

// batch is one that has come whole.
type batch struct {
	first, last   int64 // offsets, those that compaction removed with them
	producer      int64
	transactional bool
	bytes         []byte
}

const (
	lengthEnd     = 12 // what length counts comes behind
	magicAt       = 16
	attributesAt  = 21
	deltaAt       = 23
	producerAt    = 43
	countAt       = 57
	headEnd       = 61 // of a batch as of Kafka 0.11
	transactional = 0x10

	maxRecords = 1 << 20 // of a batch: memory is taken for as many as it says
)

// batches parts an answer. The last may be cut off, and then comes again.
func batches(in []byte) ([]batch, error) {
	var out []batch
	for len(in) > magicAt {
		n := int64(int32(binary.BigEndian.Uint32(in[8:]))) + lengthEnd
		if n <= magicAt {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "a batch of records says that it has %d bytes", n), broken)
		}
		if n > int64(len(in)) {
			break
		}
		b := batch{first: int64(binary.BigEndian.Uint64(in)), producer: -1, bytes: in[:n:n]}
		b.last = b.first // of what came before Kafka 0.11, whose offset is its last
		if in[magicAt] >= 2 {
			if n < headEnd {
				return nil, fault.WithHint(fault.New(fault.Corrupt, "a batch of records ends within its head"), broken)
			}
			b.last += int64(int32(binary.BigEndian.Uint32(in[deltaAt:])))
			b.producer = int64(binary.BigEndian.Uint64(in[producerAt:]))
			b.transactional = binary.BigEndian.Uint16(in[attributesAt:])&transactional != 0
			if b.last < b.first {
				return nil, fault.WithHint(fault.New(fault.Corrupt, "a batch of records ends before it begins"), broken)
			}
			if n := binary.BigEndian.Uint32(in[countAt:]); n > maxRecords {
				return nil, fault.WithHint(fault.New(fault.Invalid, "a batch from offset %d says that it has %d records, and at most %d are read", b.first, n, maxRecords), "have its producer make smaller batches")
			}
		}
		out, in = append(out, b), in[n:]
	}
	return out, nil
}

// answerOf is one batch as an answer of its own.
func answerOf(partition int32, b []byte) kmsg.FetchResponseTopicPartition {
	res := kmsg.NewFetchResponseTopicPartition()
	res.Partition, res.RecordBatches = partition, b
	return res
}

// aborted are the first offsets of transactions that came to nothing, by producer, in order.
type aborted map[int64][]int64

func newAborted(all []kmsg.FetchResponseTopicPartitionAbortedTransaction) aborted {
	a := aborted{}
	for _, t := range all {
		a[t.ProducerID] = append(a[t.ProducerID], t.FirstOffset)
	}
	for _, firsts := range a {
		slices.Sort(firsts)
	}
	return a
}

// covers tells whether a batch is of such a transaction.
func (a aborted) covers(b batch) bool {
	firsts := a[b.producer]
	return b.transactional && len(firsts) > 0 && b.first >= firsts[0]
}

// ends heeds the record that ends a transaction, which says in its key how.
func (a aborted) ends(b batch, key []byte) {
	if abort := len(key) >= 4 && key[2] == 0 && key[3] == 0; abort && len(a[b.producer]) > 0 && b.first >= a[b.producer][0] {
		a[b.producer] = a[b.producer][1:]
	}
}
