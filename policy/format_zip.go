// Archives: what a zip is depends on what it holds, and it holds what its worst
// member is.

package policy

import (
	"archive/zip"
	"bytes"
	"io"
	"path"
	"strings"
)

const (
	maxMembers = 10_000
	maxNested  = 2 // zips in zips
)

func isZip(r io.ReaderAt, size int64) bool {
	_, err := zip.NewReader(r, size)
	return err == nil
}

// sniffZip looks at every member. A pickle anywhere makes it torch, whatever the
// member is called. A skops file has a schema.json and holds NumPy arrays, sparse
// matrices and JSON.
func sniffZip(r io.ReaderAt, size int64, depth int) string {
	z, err := zip.NewReader(r, size)
	if err != nil || len(z.File) > maxMembers || depth > maxNested {
		return Unknown
	}
	if !startsWithMember(r, z) {
		return Unknown // something stands before the archive: two readers would see two things
	}
	names, unsafe, unknown := map[string]bool{}, "", false
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if names[f.Name] {
			return Unknown // two members of one name: readers differ in which they take
		}
		names[f.Name] = true
		switch kind := sniffMember(f, depth); kind {
		case Pickle, TorchZip, NumPyObject, KerasLambda:
			unsafe = kind
		case NumPy, JSON, Text, CSV, YAML, Empty, XGBoostJSON, XGBoostUBJ, Safetensors, HDF5, Python:
		default:
			unknown = true
		}
		if strings.HasSuffix(f.Name, "/data.pkl") || f.Name == "data.pkl" {
			unsafe = Pickle
		}
	}
	switch {
	case unsafe == Pickle || unsafe == TorchZip:
		return TorchZip
	case unsafe != "":
		return unsafe
	case names["config.json"] && names["metadata.json"]:
		return Keras
	case names["schema.json"] && !unknown:
		return Skops
	case len(names) > 0 && all(names, ".npy"):
		return NumPy
	default:
		return Zip
	}
}

func startsWithMember(r io.ReaderAt, z *zip.Reader) bool {
	head := section(r, 0, 4)
	return bytes.Equal(head, []byte("PK\x03\x04")) || len(z.File) == 0
}

func all(names map[string]bool, ext string) bool {
	for n := range names {
		if path.Ext(n) != ext {
			return false
		}
	}
	return true
}

// sniffMember unpacks as much of a member as is needed to tell its format.
func sniffMember(f *zip.File, depth int) string {
	if f.Flags&1 != 0 {
		return Unknown // encrypted
	}
	body, err := f.Open()
	if err != nil {
		return Unknown
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxSniff))
	if err != nil {
		return Unknown
	}
	whole := uint64(len(b)) == f.UncompressedSize64
	if path.Base(f.Name) == "config.json" && (bytes.Contains(b, []byte(`"Lambda"`)) || bytes.Contains(b, []byte(`"__lambda__"`))) {
		return KerasLambda
	}
	if whole {
		return sniff(f.Name, bytes.NewReader(b), int64(len(b)), depth+1)
	}
	// The rest of a large member is not read: its beginning must tell.
	if hasPickleMark(b) || isPickle(bytes.NewReader(b), int64(len(b))) {
		return Pickle
	}
	if kind := byMagic(b); kind != "" {
		return kind
	}
	if isText(b) {
		return Text
	}
	return Unknown
}
