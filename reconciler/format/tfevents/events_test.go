// What TensorBoard's writers wrote is what is read, and no bytes bring the reader to a fall.

package tfevents

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func sample(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/events.out.tfevents.1") // of tensorboardX 2.6
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func read(raw []byte) (out map[string][]Scalar, err error) {
	out = map[string][]Scalar{}
	err = Read(bytes.NewReader(raw), Visitor{Scalar: func(s Scalar) error { out[s.Tag] = append(out[s.Tag], s); return nil }})
	return out, err
}

func TestScalarsAreRead(t *testing.T) {
	all, err := read(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	acc, loss := all["acc"], all["loss/train"]
	if len(all) != 2 || len(acc) != 4 || len(loss) != 4 || acc[3].Step != 3 || acc[3].Value != float64(float32(0.8)) || loss[1].Value != 0.5 || loss[1].Seconds < 1e9 {
		t.Errorf("got %+v", all)
	}
}

// written lays an event out as a record.
func written(event []byte) []byte {
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
	head = binary.LittleEndian.AppendUint32(head, masked(head))
	return binary.LittleEndian.AppendUint32(append(head, event...), masked(event))
}

func message(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

// TestTensorsOfOneNumberAreScalars: so TensorFlow 2 and PyTorch's new style write them.
func TestTensorsOfOneNumberAreScalars(t *testing.T) {
	dtype := func(n uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), n)
	}
	packed := binary.LittleEndian.AppendUint32(nil, math.Float32bits(0.25))
	for name, c := range map[string]struct {
		tensor []byte
		want   []float64
	}{
		"content":        {append(dtype(dtFloat), message(4, packed)...), []float64{0.25}},
		"packed":         {append(dtype(dtFloat), message(5, packed)...), []float64{0.25}},
		"double content": {append(dtype(dtDouble), message(4, binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1)))...), []float64{0.1}},
		"two numbers":    {append(dtype(dtFloat), message(4, append(packed, packed...))...), nil},
		"a vector":       {bytes.Join([][]byte{dtype(dtFloat), message(2, message(2, dtype(1))), message(4, packed)}, nil), nil},
		"texts":          {append(dtype(7), message(8, []byte("x"))...), nil},
	} {
		value := append(message(1, []byte("epoch_loss")), message(8, c.tensor)...)
		all, err := read(written(message(5, message(1, value))))
		var got []float64
		for _, s := range all["epoch_loss"] {
			got = append(got, s.Value)
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, c.want)
		}
	}
}

// TestImagesAndHyperparametersAreRead, as PyTorch's writer has them, and TensorFlow 2.
func TestImagesAndHyperparametersAreRead(t *testing.T) {
	plugin := func(name string, content []byte) []byte {
		return message(9, message(1, append(message(1, []byte(name)), message(2, content)...)))
	}
	summary := func(parts ...[]byte) []byte { return message(1, bytes.Join(parts, nil)) }
	step := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 7)
	texts := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), dtString)
	for _, text := range []string{"8", "8", "of TensorFlow", "another"} {
		texts = append(texts, message(8, []byte(text))...)
	}
	entry := func(name string, value []byte) []byte {
		return message(1, append(message(1, []byte(name)), message(2, value)...))
	}
	params := message(3, bytes.Join([][]byte{
		entry("lr", protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), math.Float64bits(0.1))),
		entry("opt", message(3, []byte("sgd"))),
		entry("on", protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), 1)),
		entry("none", protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)),
	}, nil))
	file := written(append(step, message(5, bytes.Join([][]byte{
		summary(message(1, []byte("a")), message(4, message(4, []byte("of PyTorch")))),
		summary(message(1, []byte("b")), message(8, texts), plugin("images", nil)),
		summary(message(1, []byte("note")), message(8, texts), plugin("text", nil)),
		summary(message(1, []byte("_hparams_/session_start_info")), plugin("hparams", params)),
	}, nil))...))
	got := map[string]string{}
	err := Read(bytes.NewReader(file), Visitor{
		Image: func(tag string, step int64, encoded []byte) error {
			got[tag] = fmt.Sprint(string(encoded), " ", step)
			return nil
		},
		Param: func(name, value string) error { got[name] = value; return nil },
	})
	if want := map[string]string{"a": "of PyTorch 7", "b": "of TensorFlow 7", "lr": "0.1", "opt": "sgd", "on": "true"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

func TestAFileThatIsCutOrDamagedIsRefused(t *testing.T) {
	raw := sample(t)
	whole := map[int]bool{} // where a record ends, the file may
	for at := 0; at < len(raw); {
		at += 16 + int(binary.LittleEndian.Uint64(raw[at:]))
		whole[at] = true
	}
	for n := 1; n < len(raw); n++ {
		if _, err := read(raw[:n]); (fault.Of(err) == fault.Invalid) == whole[n] {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(raw), err)
		}
	}
	for at := range raw {
		bad := bytes.Clone(raw)
		bad[at] ^= 0x40
		if _, err := read(bad); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	huge := binary.LittleEndian.AppendUint64(nil, 1<<40)
	if _, err := read(binary.LittleEndian.AppendUint32(huge, masked(huge))); err == nil {
		t.Error("a record of a terabyte was begun")
	}
}

func FuzzEvents(f *testing.F) {
	f.Add(sample(f), []byte(nil))
	f.Add([]byte(nil), message(5, message(1, message(8, message(4, []byte{1, 2, 3, 4})))))
	f.Fuzz(func(t *testing.T, raw, event []byte) {
		for _, file := range [][]byte{raw, written(event)} {
			n := 0
			count := func(string, string) error { n++; return nil }
			err := Read(bytes.NewReader(file), Visitor{Scalar: func(Scalar) error { n++; return nil }, Param: count, Image: func(tag string, _ int64, _ []byte) error { return count(tag, "") }})
			if err != nil && fault.Of(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			if n > len(file) {
				t.Errorf("%d values of %d bytes", n, len(file))
			}
		}
	})
}
