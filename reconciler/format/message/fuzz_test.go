// Whatever a schema and a message say, reading them ends, in bounded memory, with JSON or a refusal.

package message

import (
	"encoding/json"
	"errors"
	"runtime"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// ceiling is how much may be taken for one message, in all: of what is written, twice that for
// growing, and the values of one message.
const ceiling = 512 << 20

// within runs one reading, and fails where it takes too much or says what is no JSON.
func withinCeiling(t *testing.T, read func() ([]byte, error)) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := read()
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > ceiling {
		t.Fatalf("%d bytes were taken", taken)
	}
	if known := (*fault.Error)(nil); err != nil && (!errors.As(err, &known) || fault.Of(err) != fault.Invalid) {
		t.Fatalf("%v is %v", err, fault.Of(err))
	}
	if err == nil && !json.Valid(out) {
		t.Fatalf("%.200q is no JSON", out)
	}
}

func FuzzAvro(f *testing.F) {
	f.Add([]byte(`{"type":"record","name":"A","fields":[{"name":"a","type":["null","string"]},{"name":"b","type":{"type":"map","values":"double"}}]}`), []byte("\x02\x04hi\x00"))
	f.Add([]byte(`{"type":"array","items":"null"}`), []byte("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(`{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}`), []byte("\x04\xff\x01"))
	f.Add([]byte(`{"type":"fixed","name":"u","size":16,"logicalType":"uuid"}`), []byte("0123456789abcdef"))
	f.Add([]byte(`{"type":"int","logicalType":"date"}`), []byte("\x02"))
	f.Fuzz(func(t *testing.T, schema, message []byte) {
		if len(schema)+len(message) > 64<<10 {
			return
		}
		withinCeiling(t, func() ([]byte, error) {
			a, err := ParseAvro(schema)
			if err != nil {
				return nil, err
			}
			a.most = 1 << 20
			return a.Append(nil, message)
		})
	})
}

func FuzzProtobuf(f *testing.F) {
	f.Add([]byte("\n\x03a.b"))
	f.Add([]byte("\n\x08\n\x01a\x12\x03\x1a\x01b"))
	types := []*Protobuf{
		NewProtobuf((&structpb.Struct{}).ProtoReflect().Descriptor()), // maps, and itself
		NewProtobuf((&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor()),
		NewProtobuf((&descriptorpb.SourceCodeInfo{}).ProtoReflect().Descriptor()), // packed
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, p := range types {
			withinCeiling(t, func() ([]byte, error) { return p.Append(nil, message) })
		}
	})
}
