// Bounds: whatever a file is, and however large it says it is, what is held in memory and
// how often its bytes are read stay small.

package model

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const ceiling = 64 << 20

// endless is a file of size bytes: a beginning, and then a pattern over and over, and an end.
type endless struct {
	first, pattern, last []byte
	size                 int64
	read                 int64  // bytes that were asked for
	peak                 uint64 // memory that was held meanwhile
}

func (e *endless) ReadAt(b []byte, off int64) (int, error) {
	if off >= e.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), e.size-off))
	if e.read>>19 != (e.read+int64(n))>>19 {
		e.peak = max(e.peak, inUse())
	}
	e.read += int64(n)
	end := e.size - int64(len(e.last))
	for i := 0; i < n; {
		switch at := off + int64(i); {
		case at < int64(len(e.first)):
			i += copy(b[i:n], e.first[at:])
		case at >= end:
			i += copy(b[i:n], e.last[at-end:])
		default:
			i += copy(b[i:min(n, i+int(end-at))], e.pattern[int(at-int64(len(e.first)))%len(e.pattern):])
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// inUse is how much memory is held.
func inUse() uint64 {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return now.HeapInuse
}

// bounded runs read, which may take so long and so much memory for n bytes.
func bounded(t *testing.T, n int, read func()) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { panic("it does not end") })
	defer late.Stop()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > ceiling+64*uint64(n) {
		t.Errorf("took %d MiB for %d bytes", taken>>20, n)
	}
}

func TestHugeFilesAreReadInLittleMemoryAndAFewTimes(t *testing.T) {
	const size = 10 << 20
	header := func(n uint64, rest string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, n), rest...)
	}
	weight := int(size) - 64
	for name, e := range map[string]*endless{
		"zeros":                         {pattern: []byte{0}},
		"marks of a pickle":             {pattern: []byte("(")},
		"a pickle's short strings":      {pattern: []byte("U\x01a")},
		"a pickle's lists":              {pattern: []byte("(]")},
		"a pickle's lines":              {pattern: []byte("I1\n")},
		"a pickle's line without end":   {first: []byte("V"), pattern: []byte("a")},
		"an open list of JSON":          {pattern: []byte("[")},
		"a string of JSON":              {first: []byte(`{"a":"`), pattern: []byte("a"), last: []byte(`"}`)},
		"a name of JSON":                {first: []byte(`{"`), pattern: []byte("a"), last: []byte(`":1}`)},
		"a string of JSON in escapes":   {first: []byte(`{"a":"`), pattern: []byte(`\u0061`), last: []byte(`"}`)},
		"JSON in a string of JSON":      {first: []byte(`{"a":"[`), pattern: []byte(`1,`), last: []byte(`1]"}`)},
		"many members of JSON":          {first: []byte(`{"a":1`), pattern: []byte(`,"class_name":{}`), last: []byte("}")},
		"numbers of JSON":               {first: []byte(`[1`), pattern: []byte(`,1`), last: []byte("]")},
		"one number of JSON":            {first: []byte(`[1`), pattern: []byte(`1`), last: []byte("]")},
		"a list of YAML":                {pattern: []byte("- ")},
		"open lists of YAML":            {first: []byte("a: "), pattern: []byte("[")},
		"a table":                       {pattern: []byte("a,b\n")},
		"cells of a table":              {pattern: []byte(",")},
		"a quoted cell":                 {first: []byte(`a,"`), pattern: []byte("b")},
		"marks in text":                 {pattern: []byte(" !")},
		"a header of safetensors":       {first: header(8<<20, `{"a":"`), pattern: []byte("a")},
		"metadata of safetensors":       {first: header(8<<20, `{"__metadata__":{"a":"`), pattern: []byte("a")},
		"lists in safetensors":          {first: header(8<<20, `{"a":`), pattern: []byte("[")},
		"more header than is allowed":   {first: header(9<<20, `{"a":"`), pattern: []byte("a")},
		"ends of zips":                  {pattern: []byte(endRecord)},
		"a directory of zip":            {first: []byte("PK\x03\x04"), pattern: []byte("PK\x01\x02" + strings.Repeat("\x00", 42)), last: append([]byte(endRecord), "\x00\x00\x00\x00\x10\x27\x10\x27\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00"...)},
		"GGUF that says much":           {first: []byte("GGUF\x03\x00\x00\x00\xff\xff\x0f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), pattern: []byte{1, 0, 0, 0, 0, 0, 0, 0}},
		"keys of GGUF":                  {first: []byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00\x00\x00"), pattern: []byte("\x01\x00\x00\x00\x00\x00\x00\x00a\x00\x00\x00\x00\x00")},
		"lists in lists of GGUF":        {first: []byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00a"), pattern: []byte("\x09\x00\x00\x00\xff\xff\xff\x00\x00\x00\x00\x00")},
		"UBJ's values":                  {first: []byte("{i\x01a["), pattern: []byte("Z")},
		"UBJ's lists":                   {first: []byte("{i\x01a"), pattern: []byte("[")},
		"UBJ's counted lists":           {first: []byte("{i\x01a[#l\x02\x00\x00\x00"), pattern: []byte("[#U\x00")},
		"ONNX's empty nodes":            {first: slices.Concat(number(1, 8), tag(7, 2), binary.AppendUvarint(nil, uint64(weight)&^1)), pattern: message(1)},
		"ONNX's names":                  {first: slices.Concat(number(1, 8), tag(7, 2), binary.AppendUvarint(nil, uint64(weight))), pattern: message(1, message(7, []byte("evil")), message(4, []byte("x")))},
		"ONNX's graphs in graphs":       {first: number(1, 8), pattern: []byte{0x3a, 0x80, 0x80, 0x80, 0x0f}},
		"a header of NumPy":             {first: []byte("\x93NUMPY\x02\x00\xff\xff\xff\x7f"), pattern: []byte(" ")},
		"a structure of NumPy":          {first: []byte("\x93NUMPY\x02\x00\x00\x80\x00\x00{'descr': ["), pattern: []byte("('a', '<i4'), ")},
		"zlib":                          {first: squeezed("zlib", make([]byte, 1<<20)), pattern: []byte{0}},
		"source behind empty docstring": {pattern: []byte("\"\"\"\"\"\"\n")},
	} {
		e.size = size
		runtime.GC()
		before := inUse()
		got := Inspect("model", e, e.size)
		grew := max(before, e.peak, inUse()) - before
		if grew > ceiling {
			t.Errorf("%s took %d MiB", name, grew>>20)
		}
		if e.read > 12*size {
			t.Errorf("%s was read %d times over", name, e.read/size)
		}
		t.Logf("%-32s %-14s %3d MiB, read %d.%d times", name, got.Format, grew>>20, e.read/size, e.read*10/size%10)
	}
}

// FuzzInspect: whatever the bytes, Inspect ends, names a format that it knows, takes
// little memory, and finds a pickle that stands first.
func FuzzInspect(f *testing.F) {
	files, _ := filepath.Glob("testdata/*")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // testdata/fuzz
		}
		f.Add(b)
	}
	for _, b := range [][]byte{
		[]byte("a: 1\nb: &x [1]\n"), []byte("a,b\n1,2\n"), []byte(`{"class_name":"Lambda","config":{"a":"[1]"}}`), onnxOf([]byte("abcd")), savedOf("ReadFile"),
		ggufOf(32, []byte("abcd"), "tokenizer.chat_template", "x"), tensorsOf([]byte("abcd")), tarOf("a", "b"), squeezed("zlib", []byte("abc")),
		npyOf("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", make([]byte, 4)), []byte("%TAG ! x\n--- !a b\n"),
	} {
		f.Add(b)
	}
	known := append(slices.Clone(safe), Pickle, TorchZip, NumPy, NumPyObject, SkopsForeign, ONNXCustom, ONNXOutside, SavedModel, SavedModelOps, Keras,
		KerasLambda, HDF5, Zip, Tar, RDS, Compressed, YAMLObject, XMLEntities, Python, Executable, LFSPointer, Empty, Unknown)
	f.Fuzz(func(t *testing.T, b []byte) {
		got := ""
		bounded(t, len(b), func() { got = sniffBytes("model", b) })
		if !slices.Contains(known, got) {
			t.Errorf("unknown format %q", got)
		}
		if got := sniffBytes("model", append([]byte(systemCall), b...)); got != Pickle {
			t.Errorf("a pickle with something behind it is %q", got)
		}
		if bytes.HasPrefix(b, []byte("PK")) {
			return
		}
		if got := sniffBytes("model", append(bytes.Clone(b), zipOf("m/data.pkl", systemCall)...)); slices.Contains(safe, got) {
			t.Errorf("an archive with something in front of it is %q", got)
		}
	})
}
