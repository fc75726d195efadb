// What W&B 0.31 wrote is what is read, however it is cut and damaged, and no bytes bring the reader
// to a fall.

package wandb

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// kept is what a log told.
type kept struct {
	Config  map[string]string
	History map[string][]float64
	Steps   map[string][]int64
	Summary map[string]float64
}

func read(r io.Reader) (kept, error) {
	k := kept{map[string]string{}, map[string][]float64{}, map[string][]int64{}, map[string]float64{}}
	err := Read(r, Visitor{
		Config: func(name, value string) error { k.Config[name] = value; return nil },
		History: func(name string, step int64, _, value float64) error {
			k.History[name], k.Steps[name] = append(k.History[name], value), append(k.Steps[name], step)
			return nil
		},
		Summary: func(name string, value float64) error { k.Summary[name] = value; return nil },
	})
	return k, err
}

func sample(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/run.wandb")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestALogOfWandbIsRead(t *testing.T) {
	k, err := read(bytes.NewReader(sample(t)))
	if err != nil {
		t.Fatal(err)
	}
	if want := (map[string]string{"depth": "3", "nested.lr": "0.1"}); !reflect.DeepEqual(k.Config, want) {
		t.Errorf("config %v, want %v", k.Config, want)
	}
	if want := []float64{1, 1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5}; !reflect.DeepEqual(k.History["loss"], want) || len(k.History["val/f1"]) != 5 || len(k.History) != 3 {
		t.Errorf("history %v", k.History)
	}
	if want := []int64{0, 1, 2, 3, 4}; !reflect.DeepEqual(k.Steps["auc"], want) {
		t.Errorf("steps %v", k.Steps)
	}
	if k.Summary["best"] != 0.82 {
		t.Errorf("summary %v", k.Summary)
	}
}

// TestALogThatIsCutOrDamagedIsRefused: its last values may be missing, so none of it counts.
func TestALogThatIsCutOrDamagedIsRefused(t *testing.T) {
	raw := sample(t)
	for n := range len(raw) {
		if _, err := read(bytes.NewReader(raw[:n])); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(raw), err)
		}
	}
	for _, at := range []int{0, 5, 6, 8, len(raw) / 2, len(raw) - 1} {
		bad := bytes.Clone(raw)
		bad[at] ^= 1
		if _, err := read(bytes.NewReader(bad)); fault.Of(err) != fault.Invalid {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
}

// TestRecordsComeOutAsTheyWentIn: whatever their lengths, over as many blocks as they need.
func TestRecordsComeOutAsTheyWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in [][]byte
		for _, n := range rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 60), rapid.IntRange(block-40, block+40), rapid.IntRange(0, 4*block)), 1, 8).Draw(t, "lengths") {
			in = append(in, bytes.Repeat([]byte{byte(n)}, n))
		}
		var file bytes.Buffer
		w := newBlocks(&file)
		for _, r := range in {
			w.record(r)
		}
		var out [][]byte
		if err := records(&file, func(b []byte) error { out = append(out, bytes.Clone(b)); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(out) != len(in) {
			t.Fatalf("%d records, want %d", len(out), len(in))
		}
		for i := range in {
			if !bytes.Equal(in[i], out[i]) {
				t.Fatalf("record %d has %d bytes, want %d", i, len(out[i]), len(in[i]))
			}
		}
	})
}

// TestWhatIsWrittenIsRead: whatever the names and the numbers are.
func TestWhatIsWrittenIsRead(t *testing.T) {
	names := rapid.StringMatching(`[a-zé%/. ]{1,40}`)
	numbers := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Inf(1), math.Inf(-1), 1e300, -1e-300}))
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.MapOfN(names, numbers, 1, 5), 1, 20).Draw(t, "rows")
		params := rapid.MapOfN(names, rapid.StringMatching(`[a-z"\\]{0,9}`), 0, 5).Draw(t, "params")
		began := time.Unix(1e9, 0)
		config, want := map[string]any{}, kept{map[string]string{}, map[string][]float64{}, map[string][]int64{}, map[string]float64{}}
		for name, v := range params {
			config[name], want.Config[name] = v, v
		}
		var file bytes.Buffer
		w := NewWriter(&file, Run{ID: "a1", Project: "p", Name: "n", Started: began, Config: config})
		for i, row := range rows {
			w.Row(int64(2*i), began.Add(time.Minute), row)
			for name, v := range row {
				want.History[name], want.Steps[name], want.Summary[name] = append(want.History[name], v), append(want.Steps[name], int64(2*i)), v
			}
		}
		if err := w.End(began.Add(time.Hour), want.Summary); err != nil {
			t.Fatal(err)
		}
		if got, err := read(&file); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n%v\nwant %v", err, got, want)
		}
	})
}

func TestValuesOfEachTypeAreRead(t *testing.T) {
	field := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	number := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	}
	double := protowire.AppendFixed64(protowire.AppendTag(nil, 6, protowire.Fixed64Type), math.Float64bits(-0.25))
	for name, c := range map[string]struct {
		item []byte
		want map[string]float64
	}{
		"integer":         {append(field(2, []byte("n")), number(5, protowire.EncodeZigZag(-7))...), map[string]float64{"n": -7}},
		"double":          {append(field(2, []byte("n")), double...), map[string]float64{"n": -0.25}},
		"old JSON":        {append(field(1, []byte("n")), field(16, []byte("1e-3"))...), map[string]float64{"n": 0.001}},
		"nested name":     {slicesOf(field(2, []byte("a")), field(2, []byte("b")), field(8, []byte("2"))), map[string]float64{"a.b": 2}},
		"nested JSON":     {append(field(1, []byte("a")), field(16, []byte(`{"b": {"c": 3}, "d": "x"}`))...), map[string]float64{"a.b.c": 3}},
		"two of one name": {append(field(1, []byte("a")), field(16, []byte(`{"b.c": 4, "b": {"c": 3}, "b.d": 1, "e": 2}`))...), map[string]float64{"a.b.c": 4, "a.b.d": 1, "a.e": 2}},
		"an image":        {append(field(1, []byte("a")), field(16, []byte(`{"_type": "image-file", "size": 3}`))...), map[string]float64{}},
		"infinite":        {append(field(1, []byte("a")), field(16, []byte(`-Infinity`))...), map[string]float64{"a": math.Inf(-1)}},
		"a text":          {append(field(1, []byte("a")), field(7, []byte(`5`))...), map[string]float64{}},
		"own":             {append(field(1, []byte("_wandb")), field(16, []byte(`{"runtime": 3}`))...), map[string]float64{}},
	} {
		var file bytes.Buffer
		w := newBlocks(&file)
		w.record(field(recordSummary, field(1, c.item)))
		w.record(field(recordExit, nil))
		k, err := read(&file)
		if err != nil || !reflect.DeepEqual(k.Summary, c.want) {
			t.Errorf("%s: got %v, %v; want %v", name, k.Summary, err, c.want)
		}
	}
}

// TestWhatIsOfAnImageIsNoMetric: newer logs have each of its sizes as an item of its own, in the history and in the summary.
func TestWhatIsOfAnImageIsNoMetric(t *testing.T) {
	field := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	value := func(value []byte, key ...string) (out []byte) {
		for _, k := range key {
			out = append(out, field(2, []byte(k))...)
		}
		return field(1, append(out, value...))
	}
	integer := func(v int64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.VarintType), protowire.EncodeZigZag(v))
	}
	image := slicesOf(value(integer(8), "val/img", "height"), value(field(7, []byte("image-file")), "val/img", "_type"), value(integer(69), "val/img", "size"), value(integer(3), "val", "n"), value(integer(2), "loss"))
	var file bytes.Buffer
	w := newBlocks(&file)
	w.record(field(recordHistory, image))
	w.record(field(recordSummary, image))
	w.record(field(recordSummary, value(integer(70), "val/img", "size"))) // what changed of it
	w.record(field(recordConfig, field(1, append(field(1, []byte("layers")), field(16, []byte("[1, 2]"))...))))
	w.record(field(recordExit, nil))
	k, err := read(&file)
	if want := (map[string]float64{"val.n": 3, "loss": 2}); err != nil || !reflect.DeepEqual(k.Summary, want) || len(k.History) != 2 || k.History["loss"][0] != 2 || k.Config["layers"] != "[1,2]" {
		t.Errorf("%+v, %v", k, err)
	}
}

func slicesOf(all ...[]byte) []byte { return bytes.Join(all, nil) }

// TestALengthAloneCostsNoMemory: a record that never ends is refused at its limit.
func TestALengthAloneCostsNoMemory(t *testing.T) {
	pieces := func() io.Reader {
		var file bytes.Buffer
		w := newBlocks(&file)
		w.record(bytes.Repeat([]byte{1}, MostRecord+1))
		return &file
	}
	if _, err := read(pieces()); err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("got %v", err)
	}
}

// A record of a few MiB must not cost more than it has: each of these took minutes.
func TestARecordCostsNoMoreThanItHas(t *testing.T) {
	item := func(parts ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), slicesOf(parts...))
	}
	of := func(num protowire.Number, text string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), text)
	}
	var many strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&many, `,"%d":1`, i)
	}
	for name, b := range map[string][]byte{
		"a key over and over":          item(bytes.Repeat(of(1, "k"), 1<<20), of(6, "1")),
		"many below a long name":       item(of(1, strings.Repeat("k", 8<<20)), of(16, "{"+many.String()[1:]+"}")),
		"a value that is a large text": item(of(1, "k"), of(16, "["+strings.Repeat("{},", mostJSON/3)+"{}]")),
	} {
		var out bytes.Buffer
		w := newBlocks(&out)
		w.record(protowire.AppendBytes(protowire.AppendTag(nil, recordHistory, protowire.BytesType), b))
		w.record(protowire.AppendBytes(protowire.AppendTag(nil, recordExit, protowire.BytesType), nil))
		var before, after runtime.MemStats // the bytes that were allocated tell what was done, on any machine
		runtime.ReadMemStats(&before)
		k, err := read(&out)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; err != nil || len(k.History) > 1 || got > 1<<29 {
			t.Errorf("%s: %d metrics, %d MiB, %v", name, len(k.History), got>>20, err)
		}
	}
}

func FuzzLog(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := read(bytes.NewReader(raw))
		if err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
		if n := len(fmt.Sprint(k)); n > 64*len(raw)+256 {
			t.Errorf("%d bytes out of %d", n, len(raw))
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	w := newBlocks(&file)
	item := func(name string, v float64) []byte {
		it := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), name)
		it = protowire.AppendFixed64(protowire.AppendTag(it, 6, protowire.Fixed64Type), math.Float64bits(v))
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), it)
	}
	for i := 0; file.Len() < 100<<20; i++ {
		rec := slicesOf(item("loss", 1/float64(i+1)), item("acc", float64(i)), item("_step", float64(i)), item("_timestamp", 1e9+float64(i)))
		w.record(protowire.AppendBytes(protowire.AppendTag(nil, recordHistory, protowire.BytesType), rec))
	}
	w.record(protowire.AppendBytes(protowire.AppendTag(nil, recordExit, protowire.BytesType), nil))
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		n := 0
		err := Read(bytes.NewReader(file.Bytes()), Visitor{History: func(string, int64, float64, float64) error { n++; return nil }})
		if err != nil || n == 0 {
			b.Fatal(err)
		}
	}
}
