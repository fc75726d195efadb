// Messages in Protobuf's binary encoding. Numbers are numbers, also those of 64 bits; enums are their
// names, bytes Base64; a field that has no presence is written with its zero. Timestamps, durations
// and wrappers are what they stand for, as the JSON mapping of Protobuf has them
// (https://protobuf.dev/programming-guides/json/).

package message

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// maxValues is how many values a message may hold: an empty one takes two bytes there, and a
// hundred times as many here.
const maxValues = 1 << 20

// Protobuf decodes messages of one type.
type Protobuf struct {
	of protoreflect.MessageDescriptor
}

// NewProtobuf decodes messages of a type.
func NewProtobuf(of protoreflect.MessageDescriptor) *Protobuf { return &Protobuf{of} }

// Append appends the message as JSON.
func (p *Protobuf) Append(out, message []byte) ([]byte, error) {
	left := maxValues
	if err := counted(p.of, message, 0, &left); err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(p.of)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true, RecursionLimit: 2 * maxDepth}).Unmarshal(message, m); err != nil {
		return nil, wrong("it is no %s of Protobuf", p.of.FullName())
	}
	e := protoEncoder{out: out, room: len(out) + MaxText}
	if err := e.message(m, 0); err != nil {
		return nil, err
	}
	return e.out, nil
}

// counted refuses messages of too many values, before memory is taken for any.
func counted(of protoreflect.MessageDescriptor, b []byte, depth int, left *int) error {
	if depth > maxDepth {
		return wrong("its values are more than %d deep within one another", maxDepth)
	}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return wrong("it is no %s of Protobuf", of.FullName())
		}
		if *left--; *left < 0 {
			return wrong("it holds more than %d values", maxValues)
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(number, kind, b)
		if n < 0 {
			return wrong("it is no %s of Protobuf", of.FullName())
		}
		field := of.Fields().ByNumber(number)
		if field != nil {
			if err := within(field, kind, b[:n], depth, left); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	return nil
}

// within counts what a field holds.
func within(field protoreflect.FieldDescriptor, kind protowire.Type, b []byte, depth int, left *int) error {
	switch {
	case field.Message() != nil && kind == protowire.BytesType:
		in, _ := protowire.ConsumeBytes(b)
		return counted(field.Message(), in, depth+1, left)
	case field.Message() != nil && kind == protowire.StartGroupType:
		in, _ := protowire.ConsumeGroup(field.Number(), b)
		return counted(field.Message(), in, depth+1, left)
	case field.IsList() && kind == protowire.BytesType && field.Kind() != protoreflect.StringKind && field.Kind() != protoreflect.BytesKind: // packed
		if *left -= len(b); *left < 0 {
			return wrong("it holds more than %d values", maxValues)
		}
	}
	return nil
}

type protoEncoder struct {
	out  []byte
	room int
}

func (e *protoEncoder) message(m protoreflect.Message, depth int) error {
	if depth > maxDepth {
		return wrong("its values are more than %d deep within one another", maxDepth)
	}
	if len(e.out) > e.room {
		return errTooLong
	}
	if done, err := e.known(m, depth); done || err != nil {
		return err
	}
	fields := m.Descriptor().Fields()
	order := make([]protoreflect.FieldDescriptor, fields.Len())
	for i := range order {
		order[i] = fields.Get(i)
	}
	slices.SortFunc(order, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number()) - int(b.Number()) })
	e.out = append(e.out, '{')
	first := true
	for _, f := range order {
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		e.out = append(appendText(e.out, []byte(f.TextName())), ':')
		if err := e.field(f, m.Get(f), depth); err != nil {
			return err
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *protoEncoder) field(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	switch {
	case f.IsList():
		e.out = append(e.out, '[')
		for i := range v.List().Len() {
			if i > 0 {
				e.out = append(e.out, ',')
			}
			if err := e.value(f, v.List().Get(i), depth); err != nil {
				return err
			}
		}
		e.out = append(e.out, ']')
		return nil
	case f.IsMap():
		return e.table(f, v.Map(), depth)
	}
	return e.value(f, v, depth)
}

// table writes a map, in the order of its keys' texts: it is not kept in any.
func (e *protoEncoder) table(f protoreflect.FieldDescriptor, m protoreflect.Map, depth int) error {
	var keys []protoreflect.MapKey
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool { keys = append(keys, k); return true })
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	e.out = append(e.out, '{')
	for i, k := range keys {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.out = append(appendText(e.out, []byte(k.String())), ':')
		if err := e.value(f.MapValue(), m.Get(k), depth); err != nil {
			return err
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *protoEncoder) value(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	if len(e.out) > e.room {
		return errTooLong
	}
	switch f.Kind() {
	case protoreflect.BoolKind:
		e.out = strconv.AppendBool(e.out, v.Bool())
	case protoreflect.EnumKind:
		if named := f.Enum().Values().ByNumber(v.Enum()); named != nil {
			e.out = appendText(e.out, []byte(named.Name()))
		} else {
			e.out = strconv.AppendInt(e.out, int64(v.Enum()), 10)
		}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		e.out = strconv.AppendInt(e.out, v.Int(), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		e.out = strconv.AppendUint(e.out, v.Uint(), 10)
	case protoreflect.FloatKind:
		e.out = appendFloat(e.out, v.Float(), 32)
	case protoreflect.DoubleKind:
		e.out = appendFloat(e.out, v.Float(), 64)
	case protoreflect.StringKind:
		e.out = appendText(e.out, []byte(v.String()))
	case protoreflect.BytesKind:
		e.out = append(base64.StdEncoding.AppendEncode(append(e.out, '"'), v.Bytes()), '"')
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return e.message(v.Message(), depth+1)
	}
	return nil
}

// known writes the messages that stand for a value.
func (e *protoEncoder) known(m protoreflect.Message, depth int) (bool, error) {
	of := m.Descriptor()
	name, ours := strings.CutPrefix(string(of.FullName()), "google.protobuf.")
	if !ours {
		return false, nil
	}
	switch name {
	case "Timestamp", "Duration":
		seconds, nanos := of.Fields().ByName("seconds"), of.Fields().ByName("nanos")
		if seconds == nil || nanos == nil || seconds.Kind() != protoreflect.Int64Kind || nanos.Kind() != protoreflect.Int32Kind {
			return false, nil
		}
		return true, e.time(name, m.Get(seconds).Int(), m.Get(nanos).Int())
	case "DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value", "BoolValue", "StringValue", "BytesValue":
		if f := of.Fields().ByName("value"); f != nil && f.Message() == nil && !f.IsList() {
			return true, e.value(f, m.Get(f), depth)
		}
	}
	return false, nil
}

func (e *protoEncoder) time(name string, seconds, nanos int64) error {
	const longest = 315_576_000_000 // seconds: what both are bounded to
	if seconds < -longest || seconds > longest || nanos <= -1e9 || nanos >= 1e9 {
		return wrong("a %s is of %d seconds and %d nanoseconds", name, seconds, nanos)
	}
	if name == "Timestamp" {
		e.out = appendText(e.out, []byte(time.Unix(seconds, nanos).UTC().Format(time.RFC3339Nano)))
		return nil
	}
	sign := ""
	if seconds < 0 || nanos < 0 {
		sign, seconds, nanos = "-", int64(math.Abs(float64(seconds))), int64(math.Abs(float64(nanos)))
	}
	text := strconv.FormatInt(nanos+1e9, 10)[1:]
	if text = strings.TrimRight(text, "0"); text != "" {
		text = "." + text
	}
	e.out = appendText(e.out, []byte(sign+strconv.FormatInt(seconds, 10)+text+"s"))
	return nil
}
