// The laws of models of several files: what a model keeps beside itself is part of it, as
// far as the folder and its bytes reach; whoever names more is refused.

package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

type inFolder struct{ *bytes.Reader }

func (inFolder) Close() error { return nil }

// folder is what InspectFolder says of files, by path.
func folder(t *testing.T, files map[string][]byte) map[string]string {
	t.Helper()
	var members []Member
	for name, content := range files {
		members = append(members, Member{Path: name, Size: int64(len(content)), Open: func() (Content, error) { return inFolder{bytes.NewReader(content)}, nil }})
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Path, b.Path) })
	reports, err := InspectFolder(members)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i, r := range reports {
		out[members[i].Path] = r.Format
	}
	return out
}

// weights are so many numbers as a training leaves them.
func weights(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []byte
	for range n {
		out = binary.LittleEndian.AppendUint32(out, uint32(0x3c000000+r.IntN(1<<24))|uint32(r.IntN(2))<<31)
	}
	return out
}

func outsideOf(pairs ...string) []byte { return onnxOf([]byte("abcd"), externalTensor(pairs...)) }

func TestWeightsBesideAnONNXModelAreItsOwn(t *testing.T) {
	data := weights(1, 64) // 256 bytes
	padded := slices.Concat(data[:100], make([]byte, 28), data[128:])
	hidden := slices.Concat(data[:100], []byte{1}, make([]byte, 27), data[128:])
	archive := zipOf("m/data.pkl", systemCall)
	for name, c := range map[string]struct {
		files        map[string][]byte
		model, other string // of m.onnx and of w.bin
	}{
		"the whole file":            {map[string][]byte{"m.onnx": outsideOf("location", "w.bin"), "w.bin": data}, ONNX, ONNXData},
		"by offset and length":      {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "0", "length", "256"), "w.bin": data}, ONNX, ONNXData},
		"in parts":                  {map[string][]byte{"m.onnx": onnxOf(nil, externalTensor("location", "w.bin", "length", "100"), externalTensor("location", "w.bin", "offset", "128", "length", "128", "checksum", "ab")), "w.bin": padded}, ONNX, ONNXData},
		"between two models":        {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "length", "100"), "n.onnx": outsideOf("location", "w.bin", "offset", "100"), "w.bin": data}, ONNX, ONNXData},
		"with bytes that none name": {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "0", "length", "252"), "w.bin": data}, ONNX, Unknown},
		"with bytes between":        {map[string][]byte{"m.onnx": onnxOf(nil, externalTensor("location", "w.bin", "length", "100"), externalTensor("location", "w.bin", "offset", "128")), "w.bin": hidden}, ONNX, Unknown},
		"more than there is":        {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "4", "length", "256"), "w.bin": data}, ONNXOutside, Unknown},
		"from behind its end":       {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "257"), "w.bin": data}, ONNXOutside, Unknown},
		"a sum that is none":        {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "4611686018427387903", "length", "4611686018427387903"), "w.bin": data}, ONNXOutside, Unknown},
		"below zero":                {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "-1"), "w.bin": data}, ONNXOutside, Unknown},
		"no number":                 {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "0x0"), "w.bin": data}, ONNXOutside, Unknown},
		"a name twice":              {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "location", "w.bin"), "w.bin": data}, ONNXOutside, Unknown},
		"another key":               {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "basepath", "/etc"), "w.bin": data}, ONNXOutside, Unknown},
		"no name":                   {map[string][]byte{"m.onnx": outsideOf("offset", "0"), "w.bin": data}, ONNXOutside, Unknown},
		"a file that is not there":  {map[string][]byte{"m.onnx": outsideOf("location", "v.bin"), "w.bin": data}, ONNXOutside, Unknown},
		"another letter case":       {map[string][]byte{"m.onnx": outsideOf("location", "W.bin"), "w.bin": data}, ONNXOutside, Unknown},
		"from above":                {map[string][]byte{"m.onnx": outsideOf("location", "../w.bin"), "w.bin": data}, ONNXOutside, Unknown},
		"by a way round":            {map[string][]byte{"m.onnx": outsideOf("location", "a/../w.bin"), "w.bin": data}, ONNXOutside, Unknown},
		"an absolute path":          {map[string][]byte{"m.onnx": outsideOf("location", "/w.bin"), "w.bin": data}, ONNXOutside, Unknown},
		"of Windows":                {map[string][]byte{"m.onnx": outsideOf("location", "a\\w.bin"), "w.bin": data}, ONNXOutside, Unknown},
		"itself":                    {map[string][]byte{"m.onnx": outsideOf("location", "m.onnx"), "w.bin": data}, ONNXOutside, Unknown},
		"a pickle":                  {map[string][]byte{"m.onnx": outsideOf("location", "w.bin"), "w.bin": []byte(systemCall)}, ONNX, Pickle},
		"a pickle behind weights":   {map[string][]byte{"m.onnx": outsideOf("location", "w.bin"), "w.bin": slices.Concat(data, archive)}, ONNX, TorchZip},
		"an archive not clear":      {map[string][]byte{"m.onnx": outsideOf("location", "w.bin"), "w.bin": slices.Concat(zipOf("a", string(data)), []byte{0})}, ONNX, Unknown},
		"a model of another format": {map[string][]byte{"m.onnx": outsideOf("location", "w.bin", "offset", "16"), "w.bin": tensorsOf([]byte("abcdabcd"))}, ONNX, Safetensors},
		"without a model":           {map[string][]byte{"m.onnx": onnxOf([]byte("abcd")), "w.bin": data}, ONNX, Unknown},
		"of an operator's graph":    {map[string][]byte{"m.onnx": outsideOf("location", "w.bin"), "w.bin": data, "n.onnx": onnxOf(nil, message(1, message(4, []byte("PyOp"))), externalTensor("location", "w.bin"))}, ONNX, ONNXData},
	} {
		t.Run(name, func(t *testing.T) {
			got := folder(t, c.files)
			if got["m.onnx"] != c.model || got["w.bin"] != c.other {
				t.Errorf("got %v, want %s and %s", got, c.model, c.other)
			}
		})
	}
	below := folder(t, map[string][]byte{"sub/m.onnx": outsideOf("location", "w/w.bin"), "sub/w/w.bin": data, "w/w.bin": data})
	if below["sub/w/w.bin"] != ONNXData || below["w/w.bin"] != Unknown {
		t.Errorf("a model names files from its own folder on: %v", below)
	}
	if got := folder(t, map[string][]byte{"a.zip": zipOf("m.onnx", string(outsideOf("location", "w.bin"))), "w.bin": data}); slices.Contains(safe, got["a.zip"]) || got["w.bin"] != Unknown {
		t.Errorf("in an archive: %v", got)
	}
}

// Weights are numbers, which are taken for nothing else.
func TestWeightsAreNotTakenForSomethingElse(t *testing.T) {
	wrong := 0
	for seed := range uint64(2000) {
		data := weights(seed, 256)
		if got := folder(t, map[string][]byte{"m.onnx": outsideOf("location", "w.bin"), "w.bin": data})["w.bin"]; got != ONNXData {
			wrong++
			t.Logf("%x: %s", data[:8], got)
		}
	}
	if wrong > 10 {
		t.Errorf("%d of 2000 files of weights are taken for something else", wrong)
	}
}

func TestAnIndexNamesShardsOfItsFolder(t *testing.T) {
	index := func(maps ...string) []byte {
		return []byte(`{"metadata":{"total_size":8},` + strings.Join(maps, ",") + `}`)
	}
	shard := tensorsOf([]byte("abcd"))
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"two":                 {map[string][]byte{"i": index(`"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}`), "m-1.safetensors": shard, "m-2.safetensors": shard}, JSON},
		"one missing":         {map[string][]byte{"i": index(`"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}`), "m-1.safetensors": shard}, ShardsOutside},
		"outside":             {map[string][]byte{"i": index(`"weight_map":{"a":"../m-1.safetensors"}`), "m-1.safetensors": shard}, ShardsOutside},
		"absolute":            {map[string][]byte{"i": index(`"weight_map":{"a":"/m-1.safetensors"}`), "m-1.safetensors": shard}, ShardsOutside},
		"a pickle":            {map[string][]byte{"i": index(`"weight_map":{"a":"m.bin"}`), "m.bin": []byte(systemCall)}, ShardsOutside},
		"twice":               {map[string][]byte{"i": index(`"weight_map":{"a":"m-1.safetensors"}`, `"weight_map":{"a":"../x"}`), "m-1.safetensors": shard}, ShardsOutside},
		"in other letters":    {map[string][]byte{"i": index(`"weight\u005fmap":{"a":"../x"}`)}, ShardsOutside},
		"no names":            {map[string][]byte{"i": index(`"weight_map":{"a":1}`)}, ShardsOutside},
		"no map":              {map[string][]byte{"i": index(`"weight_map":["m-1.safetensors"]`)}, ShardsOutside},
		"as Python reads":     {map[string][]byte{"i": index(`"x":NaN`, `"weight_map":{"a":"../x"}`)}, ShardsOutside},
		"elsewhere in a file": {map[string][]byte{"i": []byte(`{"a":{"weight_map":{"a":"b"}}}`)}, JSON},
	} {
		if got := folder(t, c.files)["i"]; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Models that are split are whole, file by file, and nobody hides in the crowd.
func TestASplitModelIsWholeFileByFile(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string][]byte
		want  map[string]string
	}{
		"GGUF": {map[string][]byte{"m-00001-of-00002.gguf": ggufOf(32, []byte("abcd"), "split.name", "m"), "m-00002-of-00002.gguf": ggufOf(32, []byte("efgh"))},
			map[string]string{"m-00001-of-00002.gguf": GGUF, "m-00002-of-00002.gguf": GGUF}},
		"GGUF with another": {map[string][]byte{"m-00001-of-00002.gguf": ggufOf(32, []byte("abcd")), "m-00002-of-00002.gguf": append([]byte("GGUF"), systemCall...)},
			map[string]string{"m-00001-of-00002.gguf": GGUF, "m-00002-of-00002.gguf": Unknown}},
		"SavedModel": {map[string][]byte{"saved_model.pb": savedOf("Add"), "variables/variables.data-00000-of-00001": weights(3, 64)},
			map[string]string{"saved_model.pb": SavedModel, "variables/variables.data-00000-of-00001": Unknown}},
		"SavedModel that reads files": {map[string][]byte{"saved_model.pb": savedOf("ReadFile")}, map[string]string{"saved_model.pb": SavedModelOps}},
		"Keras's weights":             {map[string][]byte{"m.weights.h5": real(t, "model.h5"), "config.json": []byte(`{"class_name":"Sequential","config":{}}`)}, map[string]string{"m.weights.h5": HDF5, "config.json": Keras}},
	} {
		got := folder(t, c.files)
		for file, want := range c.want {
			if got[file] != want {
				t.Errorf("%s: %s is %s, want %s", name, file, got[file], want)
			}
		}
	}
}

func TestReferencesOfAStrangersModelCostLittle(t *testing.T) {
	tensor := externalTensor("location", "w.bin", "offset", "0", "length", "4")
	for _, n := range []int{maxReferences, maxReferences + 1} {
		files := map[string][]byte{"m.onnx": onnxOf(nil, bytes.Repeat(tensor, n)), "w.bin": {1, 2, 3, 0x80}}
		bounded(t, len(files["m.onnx"]), func() {
			got := folder(t, files)
			if want := map[bool]string{true: ONNX, false: ONNXOutside}[n == maxReferences]; got["m.onnx"] != want {
				t.Errorf("%d references: %v", n, got)
			}
		})
	}
	many := bytes.NewBufferString(`{"weight_map":{`)
	for i := range 3 * maxShards {
		fmt.Fprintf(many, `"t%d":"s%d.safetensors",`, i, i)
	}
	io.WriteString(many, `"a":"b"}}`)
	bounded(t, many.Len(), func() {
		if got := folder(t, map[string][]byte{"i": many.Bytes()})["i"]; got != ShardsOutside {
			t.Error(got)
		}
	})
}
