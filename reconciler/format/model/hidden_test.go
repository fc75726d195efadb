// Hidden code: every format that runs code, put wherever another format leaves room for
// it, and the ways past scanners that were published for picklescan and modelscan.

package model

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

// safe are the formats that policy/model.rego allows.
var safe = []string{Safetensors, ONNX, GGUF, Skops, XGBoostJSON, XGBoostUBJ, JSON, YAML, Text, CSV}

const systemCall = "cos\nsystem\n(S'true'\ntR."

func tag(field, wire int) []byte { return binary.AppendUvarint(nil, uint64(field<<3|wire)) }

func message(field int, content ...[]byte) []byte {
	b := bytes.Join(content, nil)
	return slices.Concat(tag(field, 2), binary.AppendUvarint(nil, uint64(len(b))), b)
}

func number(field int, v uint64) []byte {
	return append(tag(field, 0), binary.AppendUvarint(nil, v)...)
}

// onnxOf is a model of nodes, with content as the bytes of a weight.
func onnxOf(content []byte, nodes ...[]byte) []byte {
	weight := message(5, number(1, uint64(len(content))), number(2, 2), message(8, []byte("w")), message(9, content))
	return slices.Concat(number(1, 8), message(7, slices.Concat(nodes...), message(2, []byte("g")), weight), message(8, number(2, 17)))
}

func ggufOf(align int, content []byte, pairs ...string) []byte {
	u64, u32 := func(b []byte, n int) []byte { return binary.LittleEndian.AppendUint64(b, uint64(n)) }, func(b []byte, n int) []byte { return binary.LittleEndian.AppendUint32(b, uint32(n)) }
	str := func(b []byte, s string) []byte { return append(u64(b, len(s)), s...) }
	b := u64(u64([]byte("GGUF\x03\x00\x00\x00"), 1), 1+len(pairs)/2)
	b = u32(u32(str(b, "general.alignment"), 4), align)
	for i := 0; i < len(pairs); i += 2 {
		b = str(u32(str(b, pairs[i]), 8), pairs[i+1])
	}
	b = u64(u32(u64(u32(str(b, "t"), 1), len(content)), 24), 0)
	b = append(b, make([]byte, (align-len(b)%align)%align)...)
	return append(b, content...)
}

func tensorsOf(content []byte) []byte {
	header := fmt.Sprintf(`{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`, len(content), len(content))
	return append(safetensors(header, 0), content...)
}

func npyOf(header string, content []byte) []byte {
	header += strings.Repeat(" ", 117-len(header)%64) + "\n"
	return slices.Concat([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(header))), []byte(header), content)
}

func squeezed(to string, content []byte) []byte {
	var out bytes.Buffer
	if to == "gzip" {
		w := gzip.NewWriter(&out)
		_, _ = w.Write(content)
		_ = w.Close()
	} else {
		w := zlib.NewWriter(&out)
		_, _ = w.Write(content)
		_ = w.Close()
	}
	return out.Bytes()
}

func tarOf(name, content string) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	_ = w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644})
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return out.Bytes()
}

// dangers are files of formats that run code, and whether their reader finds them
// anywhere in a file, at one of HDF5's places, or at the first byte alone.
func dangers(t *testing.T) map[string]struct {
	content []byte
	found   string
} {
	type danger = struct {
		content []byte
		found   string
	}
	return map[string]danger{
		"pickle":      {[]byte(systemCall), "first"},
		"pickle 4":    {[]byte("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."), "first"},
		"torch":       {zipOf("m/data.pkl", systemCall), "end"},
		"zip":         {zipOf("a", "b"), "end"},
		"keras":       {real(t, "lambda.keras"), "end"},
		"skops":       {real(t, "logistic.skops"), "end"},
		"skops, evil": {real(t, "skops-with-pickle.skops"), "end"},
		"npz":         {real(t, "object.npz"), "end"},
		"npy":         {real(t, "object.npy"), "first"},
		"hdf5":        {real(t, "model.h5"), "blocks"},
		"tar":         {tarOf("pickle", systemCall), "first"},
		"gzip":        {squeezed("gzip", []byte(systemCall)), "first"},
		"zlib":        {squeezed("zlib", []byte(systemCall)), "first"},
		"elf":         {[]byte("\x7fELF\x02\x01\x01"), "first"},
		"rds":         {[]byte("A\n3\n262657\n197888\n5\nUTF-8\n"), "first"},
		"keras json":  {[]byte(`{"class_name":"Functional","config":{"layers":[{"class_name":"Lambda","config":{}}]}}`), "first"},
		"yaml":        {[]byte("a: !!python/object/apply:os.system ['true']\n"), "first"},
		"script":      {[]byte("#!/bin/sh\ntrue\n"), "first"},
		"source":      {[]byte("import os\nos.system('true')\n"), "first"},
	}
}

// hosts put content into a file of a safe format, where it leaves room.
func hosts() map[string]func(content []byte) []byte {
	at := func(off int, b []byte, host func([]byte) []byte) []byte { // so that content begins at off
		for room := max(0, off-bytes.Index(host(b), b)-64); ; room++ {
			if out := host(append(make([]byte, room), b...)); bytes.Index(out, b) >= off {
				return out
			}
		}
	}
	onnx := func(c []byte) []byte { return onnxOf(c) }
	gguf := func(c []byte) []byte { return ggufOf(32, c) }
	out := map[string]func([]byte) []byte{
		"nothing": func(c []byte) []byte { return c }, "safetensors": tensorsOf, "onnx weight": onnx, "gguf tensor": gguf,
		"onnx text":   func(c []byte) []byte { return onnxOf(nil, message(10, c)) },
		"gguf text":   func(c []byte) []byte { return ggufOf(32, nil, "general.name", string(c)) },
		"json string": func(c []byte) []byte { return fmt.Appendf(nil, "{\"a\":%q}", c) },
		"skops member": func(c []byte) []byte {
			return zipOf("schema.json", `{"__class__":"bytes","__module__":"builtins","__loader__":"BytesNode","file":"a.bin"}`, "a.bin", string(c))
		},
		"numpy": func(c []byte) []byte {
			return npyOf(fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }", len(c)), c)
		},
		"text":  func(c []byte) []byte { return append([]byte("A model card.\n"), c...) },
		"table": func(c []byte) []byte { return append([]byte("a,b\n1,2\n"), c...) },
	}
	for _, off := range []int{512, 1024, 4096} {
		out[fmt.Sprintf("safetensors at %d", off)] = func(c []byte) []byte { return at(off, c, tensorsOf) }
		out[fmt.Sprintf("onnx at %d", off)] = func(c []byte) []byte { return at(off, c, onnx) }
		out[fmt.Sprintf("gguf at %d", off)] = func(c []byte) []byte { return at(off, c, gguf) }
	}
	return out
}

// TestNoTwoFormatsAtOnce: each pair of a format that runs code and one that does not,
// one in the other, before it and behind it. Where the first one's reader would find
// it, the file is not safe.
func TestNoTwoFormatsAtOnce(t *testing.T) {
	pairs := map[string]bool{}
	for inner, d := range dangers(t) {
		for outer, host := range hosts() {
			for where, made := range map[string][]byte{
				"in": host(d.content), "before": append(bytes.Clone(d.content), host([]byte("abcd"))...), "behind": append(host([]byte("abcd")), d.content...),
				"in, with more behind": host(append(bytes.Clone(d.content), strings.Repeat(" ", 100)...)),
			} {
				format := sniffBytes("model", made)
				at := bytes.Index(made, d.content)
				found := d.found == "end" && at >= 0 || at == 0 || d.found == "blocks" && at >= 512 && at&(at-1) == 0
				if found {
					pairs[inner] = true
				}
				if found && slices.Contains(safe, format) && !(inner == "skops" && at == 0 && where == "in" && outer == "nothing") {
					t.Errorf("%s %s %s, at %d, is %s", inner, where, outer, at, format)
				}
			}
		}
		if !pairs[inner] {
			t.Errorf("no reader of %s finds it anywhere: the test is not good enough", inner)
		}
	}
}

// TestHostsAreSafeAlone: the test above would see nothing if they were not.
func TestHostsAreSafeAlone(t *testing.T) {
	for name, host := range hosts() {
		if format := sniffBytes("model", host([]byte("abcd"))); !slices.Contains(safe, format) && name != "numpy" {
			t.Errorf("%s is %s", name, format)
		}
	}
}

// TestOfEveryTwoSafeFormatsOneCannotFollowTheOther: what holds more than one is none.
func TestOfEveryTwoSafeFormatsOneCannotFollowTheOther(t *testing.T) {
	binaries := map[string][]byte{
		"safetensors": tensorsOf([]byte("abcd")), "onnx": onnxOf([]byte("abcd")), "gguf": ggufOf(32, []byte("abcd")), "ubj": real(t, "model-xgb.ubj"), "skops": real(t, "logistic.skops"),
	}
	for a, first := range binaries {
		for b, second := range binaries {
			if format := sniffBytes("model", append(bytes.Clone(first), second...)); slices.Contains(safe, format) {
				t.Errorf("%s and then %s is %s", a, b, format)
			}
		}
	}
}

// edited is a zip whose directory or members were changed.
func edited(z []byte, edit func(b []byte, directory, end int)) []byte {
	b := bytes.Clone(z)
	end := bytes.LastIndex(b, []byte(endRecord))
	edit(b, int(binary.LittleEndian.Uint32(b[end+16:])), end)
	return b
}

// TestZipsThatReadersSeeDifferently: GHSA-7q5r-7gvp-wc82 (another name in the member's header), GHSA-w8jq-xcqf-f792
// (flags), GHSA-jgw4-cr84-mqxg (a wrong check sum), and others of their kind.
func TestZipsThatReadersSeeDifferently(t *testing.T) {
	good := zipOf("schema.json", `{"__class__":"list","__module__":"builtins","__loader__":"ListNode","content":[]}`)
	if got := sniffBytes("m", good); got != Skops {
		t.Fatalf("the file that is changed is %s", got)
	}
	stored := func(name, content string) []byte {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		m, _ := w.CreateRaw(&zip.FileHeader{Name: name, CRC32: crc32.ChecksumIEEE([]byte(content)), CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content))})
		_, _ = m.Write([]byte(content))
		_ = w.Close()
		return out.Bytes()
	}
	for name, made := range map[string][]byte{
		"another name in the header":     edited(good, func(b []byte, _, _ int) { b[30] = 'S' }),
		"encrypted, says the directory":  edited(good, func(b []byte, d, _ int) { b[d+8] |= 1 }),
		"encrypted, says the header":     edited(good, func(b []byte, _, _ int) { b[6] |= 1 }),
		"wrong check sum":                edited(good, func(b []byte, d, _ int) { b[d+16] ^= 1 }),
		"another method in the header":   edited(good, func(b []byte, _, _ int) { b[8] = 0 }),
		"another length":                 edited(good, func(b []byte, d, _ int) { b[d+24]++ }),
		"unknown method":                 edited(good, func(b []byte, d, _ int) { b[8], b[d+10] = 12, 12 }),
		"more members than there are":    edited(good, func(b []byte, _, e int) { b[e+8], b[e+10] = 2, 2 }),
		"fewer members than there are":   edited(good, func(b []byte, _, e int) { b[e+8], b[e+10] = 0, 0 }),
		"another place of the directory": edited(good, func(b []byte, _, e int) { b[e+16]-- }),
		"a comment":                      append(edited(good, func(b []byte, _, e int) { b[e+20] = 4 }), "abcd"...),
		"something behind":               append(bytes.Clone(good), 0),
		"a second end record behind":     append(bytes.Clone(good), append([]byte(endRecord), make([]byte, 18)...)...),
		"something before":               append([]byte("PK\x03\x04 "), good...),
		"two zips":                       append(bytes.Clone(good), good...),
		"a member twice":                 zipOf("schema.json", "{}", "schema.json", "{}"),
		"a member twice, by case":        zipOf("schema.json", "{}", "Schema.json", "{}"),
		"a path out of the folder":       zipOf("schema.json", "{}", "../a.npy", ""),
		"an absolute path":               zipOf("schema.json", "{}", "/a.npy", ""),
		"a backslash":                    zipOf("schema.json", "{}", `a\data.PKL`, systemCall),
		"stored, with a gap":             slices.Concat(stored("schema.json", "{}")[:43], []byte("x"), stored("schema.json", "{}")[43:]),
		"an end record alone":            append([]byte(endRecord), make([]byte, 18)...),
		"an end record cut short":        append([]byte("A card.\n"), endRecord+"\x00\x00"...),
		"far too much":                   bomb(),
	} {
		if got := sniffBytes("model.skops", made); slices.Contains(safe, got) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// bomb is a zip that unpacks to a thousand times its size, and to more than is unpacked.
func bomb() []byte { return zipOf("schema.json", strings.Repeat(" ", 80<<20)) }

// externalTensor is a tensor among the weights of a graph that is kept in another file.
func externalTensor(pairs ...string) []byte {
	parts := [][]byte{number(1, 2), number(2, 1), message(8, []byte("w"))}
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, message(13, message(1, []byte(pairs[i])), message(2, []byte(pairs[i+1]))))
	}
	return message(5, append(parts, number(14, 1))...)
}
