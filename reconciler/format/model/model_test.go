// Formats, told by content: on files that the real libraries wrote, on the same
// files under other names, and on files made to deceive.

package model

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sniffBytes(name string, b []byte) string {
	return Inspect(name, bytes.NewReader(b), int64(len(b))).Format
}

// TestFormatIsToldByContent: testdata/formats was written by pickle, joblib, NumPy,
// skops, safetensors, onnx, xgboost, gguf and h5py; many names there lie.
func TestFormatIsToldByContent(t *testing.T) {
	want := map[string]string{
		"joblib.csv": Pickle, "joblib-array.txt": Pickle, "torch.json": TorchZip, "skops-with-pickle.skops": TorchZip,
		"plain.npy": NumPy, "object.npy": NumPyObject, "plain.npz": NumPy, "object.npz": NumPyObject,
		"logistic.skops": Skops, "boosting.skops": Skops, "tensors.safetensors": Safetensors, "relu.onnx": ONNX, "model.h5": HDF5,
		"lambda.keras": KerasLambda, "dense.keras": Keras, "model-xgb.json": XGBoostJSON, "model-xgb.ubj": XGBoostUBJ, "tiny.gguf": GGUF,
	}
	for p := range 6 {
		want[fmt.Sprintf("pickle-%d.json", p)] = Pickle
		want[fmt.Sprintf("pickle-dict-%d.safetensors", p)] = Pickle
	}
	for _, c := range []string{"zlib", "gzip", "bz2", "xz", "lzma", "lz4"} {
		want["joblib-"+c+".json"] = Compressed
	}
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %d expectations, %v", len(files), len(want), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		for _, as := range []string{name, "model.safetensors", "model.json"} {
			if got := sniffBytes(as, b); got != want[name] {
				t.Errorf("%s as %s is %q, want %q", name, as, got, want[name])
			}
		}
	}
}

func safetensors(header string, body int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, body)...)
}

func zipOf(members ...string) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(members); i += 2 {
		w, _ := z.Create(members[i])
		_, _ = w.Write([]byte(members[i+1]))
	}
	_ = z.Close()
	return out.Bytes()
}

func TestFormatCannotBeDisguised(t *testing.T) {
	const evil = "cos\nsystem\n(S'true'\ntR."
	one := `{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
	polyglot := append([]byte("GGUF\x03\x00\x00\x00"+strings.Repeat("\x00", 16)), zipOf("data.pkl", evil)...)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"nothing":                        {nil, Empty},
		"protocol 0 call":                {[]byte(evil), Pickle},
		"pickle, then JSON":              {[]byte(evil + `{"learner":{},"version":[1]}`), Pickle},
		"pickle behind a long string":    {append(append([]byte("X\x00\x00\x20\x00"), make([]byte, 2<<20)...), "0"+evil...), Pickle},
		"pickle that begins as GGUF":     {[]byte("GGUF\x03\x00\x00\x00\x00" + evil), Pickle},
		"zip behind GGUF":                {polyglot, TorchZip},
		"zip in a zip":                   {zipOf("schema.json", "{}", "inner", string(zipOf("a", evil))), TorchZip},
		"object array in skops":          {zipOf("schema.json", "{}", "a.npy", "\x93NUMPY\x01\x00\x10\x00{'descr': '|O'  }"), NumPyObject},
		"program in skops":               {zipOf("schema.json", "{}", "a", "\x7fELF\x00\x00"), Zip},
		"safetensors":                    {safetensors(one, 4), Safetensors},
		"safetensors, padded header":     {safetensors(one+"   ", 4), Safetensors},
		"safetensors, empty":             {safetensors("{}", 0), Safetensors},
		"safetensors, beyond the file":   {safetensors(one, 3), Unknown},
		"safetensors, something behind":  {safetensors(one, 5), Unknown},
		"safetensors, a gap":             {safetensors(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), Unknown},
		"safetensors, overlap":           {safetensors(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), Unknown},
		"safetensors, huge header":       {append([]byte{0, 0, 0, 0, 1, 0, 0, 0}, one...), Unknown},
		"safetensors, header not object": {safetensors(`{"a":1}`, 0), Unknown},
		"UBJ with something behind":      {append(real(t, "model-xgb.ubj"), 0), Unknown},
		"ONNX with something behind":     {append(real(t, "relu.onnx"), 0), Unknown},
		"ONNX cut short":                 {real(t, "relu.onnx")[:40], Unknown},
		"JSON":                           {[]byte(`{"a":[1,2,{"learner":1}]}`), JSON},
		"JSON list with a byte mark":     {[]byte("\xef\xbb\xbf[1,2]\n"), JSON},
		"two JSON values":                {[]byte(`{"a":1}{"b":2}`), Text},
		"JSON, then binary":              {[]byte("{\"a\":1}\x00\x01"), Unknown},
		"text":                           {[]byte("A model card.\nTrained on students.\n"), Text},
		"text that begins with opcodes":  {[]byte("city\nparis\nrome\nNote.\n"), Text},
		"numbers":                        {[]byte("I1\nI2\nhello\n"), Text},
		"table":                          {[]byte("a,b\n1,2\n3,4\n"), CSV},
		"YAML":                           {[]byte("a: 1\nb: [x]\n"), YAML},
		"YAML that builds objects":       {[]byte("a: !!python/object/apply:os.system ['true']\n"), YAMLObject},
		"source":                         {[]byte("# model\n\"\"\"Docs.\"\"\"\nimport os\nos.system('true')\n"), Python},
		"script":                         {[]byte("#!/bin/sh\ntrue\n"), Executable},
		"latin 1":                        {[]byte("caf\xe9, t\xe9l\xe9\n"), Unknown},
		"binary after a page of text":    {append(bytes.Repeat([]byte("text \n"), 300_000), 0x80, 0x04), Unknown},
		"zlib":                           {[]byte("\x78\x9c\x00\x00\xff\xff\x00\x00"), Compressed},
		"broken zip":                     {[]byte("PK\x03\x04 and then nothing at all"), Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sniffBytes("model.json", c.content); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
	if got := sniffBytes("modeling.py", []byte("x = 1\n")); got != Python {
		t.Errorf("a module is %q: importing goes by name", got)
	}
}

func real(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
