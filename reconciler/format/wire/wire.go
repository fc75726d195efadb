// Package wire reads the fields of a message in protocol buffers' encoding, whose schema its caller
// knows: https://protobuf.dev/programming-guides/encoding. It reads bytes of strangers and keeps none.
package wire

import "google.golang.org/protobuf/encoding/protowire"

// Field is one field of a message.
type Field struct {
	Num  protowire.Number
	Type protowire.Type
	N    uint64 // of a varint, or the bits of a fixed 32 or 64
	Data []byte // of what has a length, never nil; nil for all else
}

// Fields yields each field of b, in its order, until yield returns an error, which it returns. Where
// the bytes are not a message it returns unreadable; the fields before were yielded.
func Fields(b []byte, unreadable error, yield func(Field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return unreadable
		}
		b = b[n:]
		f := Field{Num: num, Type: typ}
		switch typ {
		case protowire.VarintType:
			f.N, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.N, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.N = uint64(v)
		case protowire.BytesType:
			if f.Data, n = protowire.ConsumeBytes(b); f.Data == nil {
				f.Data = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return unreadable
		}
		b = b[n:]
		if err := yield(f); err != nil {
			return err
		}
	}
	return nil
}
