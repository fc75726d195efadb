// Package model tells what a model file is by its content, and what in it runs
// code. A name makes nothing safe: a pickle that is called model.json is a pickle.
//
// Two questions are put to a file, in this order. Which reader would take it for
// something that runs code, wherever in the file that reader looks? Then: is it,
// from the first byte to the last, one of the formats that hold only numbers and
// text? What is neither is Unknown, which no policy allows.
//
// Any file may be hostile. Memory stays below 64 MiB and time is linear in the
// size, whatever the bytes are; nothing is unpacked to disk and nothing is run.
package model

import (
	"errors"
	"io"
	"slices"
)

// Formats that Inspect tells apart. Those of safe_formats in policy/model.rego may be
// released; the others run code when they are read, hide what they hold, or are not known.
const (
	Safetensors    = "safetensors"
	ONNX           = "onnx"
	GGUF           = "gguf"
	Skops          = "skops"
	XGBoostJSON    = "xgboost-json"
	XGBoostUBJ     = "xgboost-ubj"
	JSON           = "json"
	YAML           = "yaml"
	Text           = "text"
	CSV            = "csv"
	Pickle         = "pickle"           // any protocol, and a joblib dump
	TorchZip       = "torch"            // a zip that holds a pickle
	NumPy          = "numpy"            // an array of plain numbers
	NumPyObject    = "numpy-object"     // an array of pickled objects
	SkopsForeign   = "skops-foreign"    // names types or functions that are not the libraries' own
	ONNXCustom     = "onnx-custom"      // needs operators that a library of somebody's brings
	ONNXOutside    = "onnx-outside"     // reads weights from outside its folder, or such as are not there
	ONNXData       = "onnx-data"        // weights of an ONNX model of the same folder, and nothing else
	ShardsOutside  = "shards-outside"   // an index that names other files than safetensors of its folder
	SavedModel     = "saved-model"      // TensorFlow's
	SavedModelOps  = "saved-model-io"   // which may read or write files, call Python, or what is not known
	SavedModelData = "saved-model-data" // the variables of a SavedModel of the same folder, and nothing else
	Keras          = "keras"            // Keras's layers, by name
	KerasLambda    = "keras-lambda"     // which hold Python bytecode, or name code of other modules
	HDF5           = "hdf5"             // older Keras models
	Zip            = "zip"
	Tar            = "tar"
	RDS            = "rds"          // R's objects
	Compressed     = "compressed"   // what is inside is not looked at
	YAMLObject     = "yaml-object"  // YAML that names objects to build
	JSONObject     = "json-object"  // JSON that does (jsonpickle)
	XMLEntities    = "xml-entities" // XML that has its reader fetch other files, or grow without end
	Python         = "python"
	Executable     = "executable"
	LFSPointer     = "lfs-pointer" // stands for a file that is not here
	Empty          = "empty"
	Unknown        = "unknown"
)

// What a file of a safe format may carry, and that a reader may run.
const (
	ChatTemplate = "chat-template" // a program in a template language, which a chat server runs
	RemoteCode   = "remote-code"   // names Python code that a loader may fetch and import
	CallByName   = "call-by-name"  // names functions or classes that a loader (Hydra and its like) imports and calls
)

// Version changes with what Inspect finds: evidence names the one that found it.
const Version = "7"

const (
	maxHead  = 1 << 20 // bytes looked at where a part is enough
	maxDepth = 2       // archives in archives
)

// Report is what was found in one file.
type Report struct {
	Format  string
	Carries []string // sorted
}

// Inspect says what the size bytes in r are. The path only tells source code from other
// text: importing goes by name. What cannot be read is Unknown.
func Inspect(path string, r io.ReaderAt, size int64) Report {
	return inspect(&scan{}, file{path, r, size})
}

func inspect(s *scan, f file) Report {
	format := s.format(f, 0)
	slices.Sort(s.carries)
	return Report{Format: format, Carries: slices.Compact(s.carries)}
}

// scan gathers what is carried, over a file and all that it holds.
type scan struct {
	carries []string
	outside []reference // of an ONNX model: what it reads of other files
	raw     bool        // the file is bytes that no reader takes for anything
	index   bool        // the file is JSON that names shards
}

func (s *scan) carry(what string) {
	if !slices.Contains(s.carries, what) {
		s.carries = append(s.carries, what)
	}
}

// file is bytes that are looked at: a file, or a member of an archive.
type file struct {
	path string
	io.ReaderAt
	size int64
}

// part is the n bytes at off as a stream.
func (f file) part(off, n int64) *io.SectionReader { return io.NewSectionReader(f, off, n) }

// bytes reads n bytes at off, or returns nil.
func (f file) bytes(off, n int64) []byte {
	if off < 0 || n < 0 || off > f.size-n {
		return nil
	}
	b := make([]byte, n)
	got, err := f.ReadAt(b, off)
	if int64(got) != n || (err != nil && !errors.Is(err, io.EOF)) {
		return nil
	}
	return b
}

func (s *scan) format(f file, depth int) string {
	if f.size <= 0 {
		return Empty
	}
	head := f.bytes(0, min(f.size, maxHead))
	if head == nil {
		return Unknown
	}
	if taken := s.takenBy(f, head, depth); taken != "" {
		return taken
	}
	switch {
	case isSafetensors(f, head):
		return Safetensors
	case hasPickleMark(head):
		return Pickle
	case head[0] == '{' && isUBJ(f):
		return XGBoostUBJ
	}
	if found := s.proto(f); found != "" {
		if depth > 0 && len(s.outside) > 0 {
			s.outside = nil
			return ONNXOutside // beside a member of an archive there is nothing
		}
		return found
	}
	found := s.text(f, head)
	s.raw, s.index = s.raw && depth == 0, s.index && depth == 0 // members are no files of the folder
	return found
}

// takenBy asks the readers that run code, or that show something else than what
// stands first, whether they would take f. They come before every safe format, as
// each of them may read a file that begins, or goes on, as another.
func (s *scan) takenBy(f file, head []byte, depth int) string {
	pickled, archive := isPickle(f), ""
	if asksZip(f, head) {
		archive = s.zip(f, depth)
	}
	if pickled && (archive == Skops || !hasPrefix(head, "PK")) {
		return Pickle // PK, and a line of an archive, is an opcode and its argument too
	}
	if archive != "" {
		return archive
	}
	for _, c := range []struct {
		takes  bool
		format string
	}{{isHDF5(f), HDF5}, {isTar(head), Tar}, {isRDS(head), RDS}, {isZlib(f, head), Compressed}, {isLZMA(head), Compressed}, {isLFSPointer(head), LFSPointer}} {
		if c.takes {
			return c.format
		}
	}
	if format := byMagic(head); format != "" {
		return format
	}
	switch {
	case hasPrefix(head, "\x93NUMPY"):
		return sniffNumPy(f)
	case hasPrefix(head, "GGUF"):
		return s.gguf(f)
	default:
		return ""
	}
}
