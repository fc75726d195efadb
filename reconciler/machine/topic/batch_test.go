// Batches as brokers keep them, whole, with holes, cut and damaged: what they say of themselves is
// believed as far as their bytes go.

package topic

import (
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func rootsOf(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// batchOf is a batch from first to last in which compaction left some offsets.
func batchOf(first, last int64, offsets ...int64) []byte {
	var records []byte
	for _, o := range offsets {
		r := kmsg.Record{OffsetDelta: int32(o - first), Key: []byte("k"), Value: fmt.Append(nil, "v", o)}
		b := r.AppendTo(nil)
		r.Length = int32(len(b) - 1) // of one byte, as it is small
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		FirstOffset: first, Magic: 2, LastOffsetDelta: int32(last - first), FirstTimestamp: 1e12, MaxTimestamp: 1e12,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(len(offsets)), Records: records,
	}
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-lengthEnd))
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

func TestTheLastBatchOfAnAnswerMayBeCut(t *testing.T) {
	one, two := batchOf(0, 1, 0, 1), batchOf(2, 9, 2, 5)
	in := append(append([]byte{}, one...), two...)
	for n := range len(in) + 1 {
		got, err := batches(in[:n])
		want := 0
		if n >= len(one) {
			want++
		}
		if n == len(in) {
			want++
		}
		if err != nil || len(got) != want {
			t.Fatalf("of %d bytes came %d batches, want %d: %v", n, len(got), want, err)
		}
	}
}

// FuzzBatches: whatever an answer holds, it is read in bounded memory, or refused.
func FuzzBatches(f *testing.F) {
	f.Add(batchOf(0, 4, 0, 1, 4))
	f.Add(append(batchOf(0, 1, 0, 1), batchOf(2, 2, 2)...))
	old := make([]byte, 40)
	binary.BigEndian.PutUint32(old[8:], 28)
	f.Add(old)
	f.Fuzz(func(t *testing.T, in []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		all, err := batches(in)
		if err != nil {
			if fault.Of(err) != fault.Corrupt && fault.Of(err) != fault.Invalid {
				t.Fatalf("%v is %v", err, fault.Of(err))
			}
			return
		}
		inflate, err := newInflater()
		if err != nil {
			t.Fatal(err)
		}
		defer inflate.Close()
		look := &looking{span: Span{0, 0, 1 << 40}, each: func(Record) error { return nil }, inflate: inflate}
		if err := look.through(t.Context(), fetched{batches: all}); err != nil && fault.Of(err) != fault.Corrupt && fault.Of(err) != fault.Invalid {
			t.Fatalf("%v is %v", err, fault.Of(err))
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16*maxBatch {
			t.Fatalf("%d bytes were taken for %d", grown, len(in))
		}
	})
}
