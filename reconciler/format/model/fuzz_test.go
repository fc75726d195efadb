// A fuzz target for each reader of binary formats: whatever the bytes, it ends, holds
// little memory, and what it takes for whole is whole: not a byte is missing or left over.

package model

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seeded adds the files of testdata with one of the endings, and what is given.
func seeded(f *testing.F, endings []string, more ...[]byte) {
	for _, ending := range endings {
		files, err := filepath.Glob("testdata/*" + ending)
		if err != nil || len(files) == 0 {
			f.Fatalf("testdata has no file *%s: %v", ending, err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	for _, b := range more {
		f.Add(b)
	}
}

func inMemory(b []byte) file {
	return file{path: "m", ReaderAt: bytes.NewReader(b), size: int64(len(b))}
}

// fuzz runs a target: reads tells whether a file of the bytes is whole and safe.
func fuzz(f *testing.F, reads func(file) bool) {
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := false
		bounded(t, len(b), func() { whole = reads(inMemory(b)) })
		if !whole {
			return
		}
		if reads(inMemory(append(bytes.Clone(b), 0xff))) {
			t.Error("it is whole with a byte left over")
		}
		if reads(inMemory(b[:len(b)-1])) {
			t.Error("it is whole without its last byte")
		}
	})
}

func FuzzNumPy(f *testing.F) {
	seeded(f, []string{".npy"}, npyOf("{'descr': [('a', '<i4', (2, 3)), ('b', '|S3')], 'fortran_order': False, 'shape': (1,), }", make([]byte, 27)),
		npyOf("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }", make([]byte, 32)), npyOf("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", []byte(systemCall)))
	fuzz(f, func(in file) bool { return in.size > 6 && sniffNumPy(in) == NumPy })
}

func FuzzSafetensors(f *testing.F) {
	seeded(f, []string{".safetensors"}, tensorsOf([]byte("abcd")), safetensors(`{"__metadata__":{"format":"pt"}}`, 0), safetensors(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}`, 2))
	fuzz(f, func(in file) bool {
		head := in.bytes(0, min(in.size, maxHead))
		return head != nil && isSafetensors(in, head)
	})
}

func FuzzGGUF(f *testing.F) {
	seeded(f, []string{".gguf"}, ggufOf(32, []byte("abcd"), "tokenizer.chat_template", "x"), ggufOf(1, nil), ggufOf(64, make([]byte, 64), "a", "b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := inMemory(b)
		found := ""
		bounded(t, len(b), func() { found = (&scan{}).gguf(in) })
		if found != GGUF {
			return
		}
		if (&scan{}).gguf(inMemory(append(bytes.Clone(b), bytes.Repeat([]byte{0xff}, 1<<16)...))) == GGUF {
			t.Error("it is whole with much left over")
		}
	})
}

func FuzzONNX(f *testing.F) {
	seeded(f, []string{".onnx"}, onnxOf([]byte("abcd")), savedOf("ReadFile"), savedOf("Add"), onnxOf(nil, message(1, message(7, []byte("evil")), message(4, []byte("x")))),
		onnxOf([]byte("abcd"), externalTensor("location", "w.bin", "offset", "0", "length", "8")))
	fuzz(f, func(in file) bool {
		got := (&scan{}).proto(in)
		return got == ONNX || got == SavedModel
	})
}

// FuzzHDF5 holds the search against the format's words: at the first byte, and at 512 by
// powers of two.
func FuzzHDF5(f *testing.F) {
	const mark = "\x89HDF\r\n\x1a\n"
	seeded(f, []string{".h5"}, []byte(strings.Repeat("\x00", 512)+mark), []byte(strings.Repeat("\x00", 1024)+mark), []byte(strings.Repeat("\x00", 1536)+mark))
	f.Fuzz(func(t *testing.T, b []byte) {
		found := false
		bounded(t, len(b), func() { found = isHDF5(inMemory(b)) })
		want := bytes.HasPrefix(b, []byte(mark))
		for at := 512; at < len(b); at *= 2 {
			want = want || bytes.HasPrefix(b[at:], []byte(mark))
		}
		if found != want {
			t.Errorf("found %v, want %v", found, want)
		}
	})
}

func FuzzZip(f *testing.F) {
	seeded(f, []string{".npz", ".keras", ".skops", "torch.json"}, zipOf("a", "b"), zipOf("a/", "", "a/b", "c"), bomb(), zipOf("schema.json", string(zipOf("x", "y"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := inMemory(b)
		found := ""
		// What is packed may be a hundred times as much, of which little is held at once.
		bounded(t, len(b)*8, func() { found = (&scan{}).zip(in, 0) })
		if found != Skops && found != NumPy {
			return
		}
		members, clear := in.directory()
		z, err := zip.NewReader(in, in.size)
		if !clear || err != nil || len(z.File) != len(members) {
			t.Fatalf("%s: Go's reader says %v, and the scan saw %d members", found, err, len(members))
		}
		for i, m := range members {
			if z.File[i].Name != m.name {
				t.Errorf("member %d is %q to Go's reader, and %q to the scan", i, z.File[i].Name, m.name)
			}
		}
		if got := (&scan{}).zip(inMemory(append(bytes.Clone(b), 0)), 0); got != Unknown {
			t.Errorf("with a byte left over it is %s", got)
		}
	})
}
