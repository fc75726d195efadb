// Sniff tells a model file's format by its content. Extensions are never looked
// at: a pickle renamed to model.json is a pickle. What is not surely one of the
// safe formats is "unknown", which no policy allows.

package policy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"unicode"
	"unicode/utf8"
)

// Formats that Sniff tells apart. Those of safe_formats in model.rego are allowed;
// the others run code when they are read, hide what they hold, or are not known.
const (
	Safetensors  = "safetensors"
	ONNX         = "onnx"
	GGUF         = "gguf"
	Skops        = "skops"
	XGBoostJSON  = "xgboost-json"
	XGBoostUBJ   = "xgboost-ubj"
	JSON         = "json"
	YAML         = "yaml"
	Text         = "text"
	CSV          = "csv"
	Pickle       = "pickle"       // any protocol, and a joblib dump
	TorchZip     = "torch"        // a zip that holds a pickle
	NumPy        = "numpy"        // an array of plain numbers
	NumPyObject  = "numpy-object" // an array of pickled objects
	Keras        = "keras"        // a zip with Keras's config.json
	KerasLambda  = "keras-lambda" // which holds Python bytecode
	HDF5         = "hdf5"         // older Keras models
	Zip          = "zip"
	Compressed   = "compressed"  // what is inside cannot be told without running out of bounds
	YAMLObject   = "yaml-object" // YAML that names Python objects to build
	Python       = "python"
	Executable   = "executable"
	Empty        = "empty"
	Unknown      = "unknown"
	maxSniff     = 1 << 20   // bytes looked at where a part is enough
	maxSafetensH = 100 << 20 // the safetensors format's own bound on its header, in bytes
)

// Sniff says the format of the size bytes in r. The path makes nothing safe: it
// only tells source code from other text. What cannot be read is Unknown. It is safe for hostile input: memory is bounded, nothing is unpacked
// to disk, nothing is run.
func Sniff(path string, r io.ReaderAt, size int64) string {
	return sniff(path, r, size, 0)
}

func sniff(path string, r io.ReaderAt, size int64, depth int) string {
	if size <= 0 {
		return Empty
	}
	head := section(r, 0, min(size, maxSniff))
	if head == nil {
		return Unknown
	}
	// What an unpickler or a zip reader would take is that, whatever else it also
	// is: both may read a file that begins as another format does.
	if isPickle(r, size) {
		return Pickle
	}
	if isZip(r, size) {
		return sniffZip(r, size, depth)
	}
	if f := byMagic(head); f != "" {
		return f
	}
	switch {
	case isSafetensors(r, head, size):
		return Safetensors
	case hasPickleMark(head):
		return Pickle
	case head[0] == '{' && isUBJ(r, size):
		return XGBoostUBJ
	case isONNX(r, size):
		return ONNX
	default:
		return sniffText(path, r, size, head)
	}
}

// section reads n bytes at off, or returns nil.
func section(r io.ReaderAt, off, n int64) []byte {
	b := make([]byte, n)
	got, err := r.ReadAt(b, off)
	if int64(got) != n || (err != nil && !errors.Is(err, io.EOF)) {
		return nil
	}
	return b
}

// magics are first bytes that say the format by themselves.
var magics = []struct{ magic, format string }{
	{"\x1f\x8b", Compressed}, {"BZh", Compressed}, {"\xfd7zXZ\x00", Compressed}, {"]\x00\x00", Compressed},
	{"\x04\x22\x4d\x18", Compressed}, {"\x28\xb5\x2f\xfd", Compressed}, {"LZIP", Compressed},
	{"ZF0x", Compressed}, // joblib before 0.10
	{"7z\xbc\xaf\x27\x1c", Compressed}, {"Rar!\x1a\x07", Compressed},
	{"\x89HDF\r\n\x1a\n", HDF5}, {"\x7fELF", Executable}, {"MZ", Executable},
	{"\xcf\xfa\xed\xfe", Executable}, {"\xca\xfe\xba\xbe", Executable}, {"#!", Executable},
}

func byMagic(head []byte) string {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			if m.format == Executable && isText(head) && m.magic == "MZ" {
				continue // prose may begin so
			}
			return m.format
		}
	}
	switch {
	case isZlib(head):
		return Compressed
	case bytes.HasPrefix(head, []byte("GGUF")) && len(head) >= 24:
		if v := binary.LittleEndian.Uint32(head[4:]); v >= 1 && v <= 16 {
			return GGUF
		}
		return Unknown
	case bytes.HasPrefix(head, []byte("\x93NUMPY")):
		return sniffNumPy(head)
	default:
		return ""
	}
}

// isZlib checks a zlib stream's two bytes: deflate, a window of its bounds, and the check bits.
func isZlib(b []byte) bool {
	return len(b) >= 8 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && (uint16(b[0])<<8|uint16(b[1]))%31 == 0 && !isText(b)
}

// sniffNumPy reads the header of a .npy file: a Python literal that names the
// type of the elements. Objects ('O', alone or in a structure) are pickled.
func sniffNumPy(head []byte) string {
	if len(head) < 12 {
		return Unknown
	}
	n, at := int(binary.LittleEndian.Uint16(head[8:])), 10
	if head[6] >= 2 {
		n, at = int(binary.LittleEndian.Uint32(head[8:])), 12
	}
	if n < 0 || n > len(head)-at {
		return Unknown
	}
	header := head[at : at+n]
	_, descr, ok := bytes.Cut(header, []byte("'descr'"))
	if !ok {
		return Unknown
	}
	for _, quote := range []string{"'", `"`} {
		for _, order := range []string{"", "|", "<", ">", "="} {
			if bytes.Contains(descr, []byte(quote+order+"O")) {
				return NumPyObject
			}
		}
	}
	return NumPy
}

// isSafetensors checks the header: its length, that it is one JSON object of
// tensors, that the tensors lie one after the other and fill the file.
func isSafetensors(r io.ReaderAt, head []byte, size int64) bool {
	if len(head) < 10 || head[8] != '{' {
		return false
	}
	n := binary.LittleEndian.Uint64(head)
	if n < 2 || n > maxSafetensH || int64(n) > size-8 {
		return false
	}
	text := section(r, 8, int64(n))
	header := map[string]json.RawMessage{}
	if text == nil || json.Unmarshal(text, &header) != nil {
		return false
	}
	spans := map[int64]int64{}
	var total int64
	for name, raw := range header {
		if name == "__metadata__" {
			if json.Unmarshal(raw, &map[string]string{}) != nil {
				return false
			}
			continue
		}
		var tensor struct {
			Dtype   string  `json:"dtype"`
			Shape   []int64 `json:"shape"`
			Offsets []int64 `json:"data_offsets"`
		}
		if json.Unmarshal(raw, &tensor) != nil || tensor.Dtype == "" || len(tensor.Offsets) != 2 {
			return false
		}
		from, to := tensor.Offsets[0], tensor.Offsets[1]
		if from < 0 || to < from {
			return false
		}
		if to > from {
			if _, overlap := spans[from]; overlap {
				return false
			}
			spans[from] = to
			total += to - from
		}
	}
	at := int64(0)
	for range len(spans) { // contiguous: each begins where the one before ended
		to, ok := spans[at]
		if !ok {
			return false
		}
		at = to
	}
	return at == total && at == size-8-int64(n)
}

// isText tells whether b, perhaps cut in the middle of a character, is UTF-8 text
// without control characters.
func isText(b []byte) bool {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n <= 1 {
			return len(b) < utf8.UTFMax && !utf8.FullRune(b)
		}
		if c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\ufeff' && unicode.IsControl(c) {
			return false
		}
		b = b[n:]
	}
	return true
}
