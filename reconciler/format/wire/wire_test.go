package wire

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

var errBad = errors.New("bad")

func TestFieldsOfEveryType(t *testing.T) {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 2, protowire.Fixed64Type), 8)
	b = protowire.AppendFixed32(protowire.AppendTag(b, 3, protowire.Fixed32Type), 9)
	b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), nil)
	var got []Field
	if err := Fields(b, errBad, func(f Field) error { got = append(got, f); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || got[0].N != 7 || got[1].N != 8 || got[2].N != 9 || got[0].Data != nil || got[3].Data == nil {
		t.Errorf("%+v", got)
	}
	for i := 1; i < len(b); i++ { // cut anywhere, it is whole fields or unreadable
		if err := Fields(b[:i], errBad, func(Field) error { return nil }); err != nil && !errors.Is(err, errBad) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
}

// FuzzFields: whatever the bytes, reading ends, and yields no more than stands in them.
func FuzzFields(f *testing.F) {
	f.Add([]byte{0x0a, 1, 'x', 0x08, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		all := 0
		_ = Fields(b, errBad, func(f Field) error { all += 1 + len(f.Data); return nil })
		if all > len(b) {
			t.Fatalf("%d of %d bytes", all, len(b))
		}
	})
}
