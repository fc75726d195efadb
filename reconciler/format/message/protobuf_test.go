// Messages of Protobuf, held against what its own encoder of JSON says of them.

package message

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestProtobufIsWrittenAsItsOwnJSON(t *testing.T) {
	for name, m := range map[string]proto.Message{
		"a file": &descriptorpb.FileDescriptorProto{
			Name: proto.String("a\"\n\x00é"), Dependency: []string{"b", "c"}, PublicDependency: []int32{1, -2},
			MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M"), Field: []*descriptorpb.FieldDescriptorProto{{Type: descriptorpb.FieldDescriptorProto_TYPE_BOOL.Enum()}}}},
			Options:     &descriptorpb.FileOptions{Deprecated: proto.Bool(true)},
		},
		"an option":    &descriptorpb.UninterpretedOption{StringValue: []byte{0, 255, 3}, DoubleValue: proto.Float64(1.5e30)},
		"a time":       timestamppb.New(timestamppb.Now().AsTime().Truncate(1e9)),
		"a duration":   &durationpb.Duration{Seconds: -3, Nanos: -123_456_789},
		"a wrapper":    wrapperspb.String("x"),
		"a wrapped no": wrapperspb.Bool(false),
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := NewProtobuf(m.ProtoReflect().Descriptor()).Append(nil, b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		theirs, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var a, z any
		if err := json.Unmarshal(ours, &a); err != nil {
			t.Errorf("%s: %s: %v", name, ours, err)
		}
		_ = json.Unmarshal(theirs, &z)
		if !reflect.DeepEqual(filled(a), filled(z)) {
			t.Errorf("%s: %s, and Protobuf says %s", name, ours, theirs)
		}
	}
}

// filled leaves out empty lists: a field that repeats is always written.
func filled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, one := range v {
			if l, ok := one.([]any); ok && len(l) == 0 {
				delete(v, k)
				continue
			}
			v[k] = filled(one)
		}
	case []any:
		for i := range v {
			v[i] = filled(v[i])
		}
	}
	return v
}

func TestMapsAreInOrder(t *testing.T) {
	s := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for _, k := range strings.Split("zyxwvutsrqponmlkjihgfedcba", "") {
		s.Fields[k] = structpb.NewBoolValue(true)
	}
	b, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	p := NewProtobuf(s.ProtoReflect().Descriptor())
	first, err := p.Append(nil, b)
	if err != nil || !strings.Contains(string(first), `"a":{"bool_value":true},"b"`) {
		t.Fatalf("%s: %v", first, err)
	}
	for range 10 {
		if again, _ := p.Append(nil, b); string(again) != string(first) {
			t.Fatal("the same message gives other bytes")
		}
	}
}

func TestProtobufThatClaimsTooMuch(t *testing.T) {
	deep, err := proto.Marshal(nested(100))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"many of nothing": []byte(strings.Repeat("\x22\x00", 2<<20)), // messages of no bytes
		"many packed":     append([]byte("\x52\x80\x80\x80\x01"), make([]byte, 2<<20)...),
		"deep":            deep,
		"cut":             []byte("\x0a\x05a"),
		"no tag":          []byte("\x00"),
		"no text":         []byte("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"),
	} {
		of := NewProtobuf((&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor())
		if name == "deep" {
			of = NewProtobuf((&descriptorpb.DescriptorProto{}).ProtoReflect().Descriptor())
		}
		if out, err := of.Append(nil, b); err == nil || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %.100s: %v of kind %v", name, out, err, fault.Of(err))
		}
	}
}

func nested(n int) *descriptorpb.DescriptorProto {
	if n == 0 {
		return &descriptorpb.DescriptorProto{}
	}
	return &descriptorpb.DescriptorProto{NestedType: []*descriptorpb.DescriptorProto{nested(n - 1)}}
}
