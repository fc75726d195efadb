// ONNX, as TensorFlow's SavedModel, is a message without a magic number, and a file may be written to pass for
// either. Both are walked to the end (onnx-ml.proto of onnx 1.23).

package model

import (
	"path"
	"slices"
	"strings"
)

var onnxSchema = map[string]map[uint64]field{
	"model": {1: {kind: varint}, 2: {kind: text}, 3: {kind: text}, 4: {kind: text}, 5: {kind: varint}, 6: {kind: text}, 7: one("graph"), 8: many("opset"),
		14: many("pair"), 20: many("training"), 25: many("function"), 26: many("device")},
	"graph": {1: many("node"), 2: {kind: text}, 5: many("tensor"), 10: {kind: text}, 11: many("value"), 12: many("value"), 13: many("value"),
		14: many("annotation"), 15: many("sparse"), 16: many("pair")},
	"node": {1: texts, 2: texts, 3: {kind: text}, 4: {kind: text}, 5: many("attribute"), 6: {kind: text}, 7: {kind: text}, 8: {kind: text},
		9: many("pair"), 10: many("placement")},
	"attribute": {1: {kind: text}, 2: {kind: narrow}, 3: {kind: varint}, 4: {kind: blob}, 5: one("tensor"), 6: one("graph"), 7: {kind: narrows, many: true},
		8: {kind: numbers, many: true}, 9: {kind: blob, many: true}, 10: many("tensor"), 11: many("graph"), 13: {kind: text}, 14: one("type"), 15: many("type"),
		20: {kind: varint}, 21: {kind: text}, 22: one("sparse"), 23: many("sparse")},
	"tensor": {1: {kind: numbers, many: true}, 2: {kind: varint}, 3: one("segment"), 4: {kind: narrows, many: true}, 5: {kind: numbers, many: true},
		6: {kind: blob, many: true}, 7: {kind: numbers, many: true}, 8: {kind: text}, 9: {kind: blob}, 10: {kind: wides, many: true}, 11: {kind: numbers, many: true},
		12: {kind: text}, 13: many("external"), 14: {kind: varint}, 16: many("pair")},
	"function": {1: {kind: text}, 4: texts, 5: texts, 6: texts, 7: many("node"), 8: {kind: text}, 9: many("opset"), 10: {kind: text}, 11: many("attribute"),
		12: many("value"), 13: {kind: text}, 14: many("pair")},
	"type":     {1: one("tensorType"), 4: one("sequence"), 5: one("map"), 6: {kind: text}, 7: one("opaque"), 8: one("tensorType"), 9: one("sequence")},
	"training": {1: one("graph"), 2: one("graph"), 3: many("pair"), 4: many("pair")}, "sparse": {1: one("tensor"), 2: one("tensor"), 3: {kind: numbers, many: true}},
	"value": {1: {kind: text}, 2: one("type"), 3: {kind: text}, 4: many("pair")}, "opset": {1: {kind: text}, 2: {kind: varint}},
	"pair": {1: {kind: text}, 2: {kind: text}}, "external": {1: {kind: text}, 2: {kind: text}}, "segment": {1: {kind: varint}, 2: {kind: varint}},
	"annotation": {1: {kind: text}, 2: many("pair")}, "tensorType": {1: {kind: varint}, 2: one("shape")}, "sequence": {1: one("type")},
	"map": {1: {kind: varint}, 2: one("type")}, "opaque": {1: {kind: text}, 2: {kind: text}}, "shape": {1: many("dim")},
	"dim": {1: {kind: varint}, 2: {kind: text}, 3: {kind: text}}, "device": {1: {kind: text}, 2: {kind: varint}, 3: texts},
	"placement": {1: {kind: text}, 2: many("sharding"), 3: {kind: varint}}, "sharding": {1: {kind: text}, 2: {kind: numbers, many: true}, 3: many("group"), 4: many("sharded")},
	"group": {1: {kind: varint}, 2: {kind: numbers, many: true}}, "sharded": {1: {kind: varint}, 2: many("simple")},
	"simple": {1: {kind: varint}, 2: {kind: text}, 3: {kind: varint}},
}

var texts = field{kind: text, many: true}

func one(message string) field  { return field{kind: inner, of: message} }
func many(message string) field { return field{kind: inner, of: message, many: true} }

// onnxDomains are the sets of operators that runtimes bring themselves.
var onnxDomains = []string{"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc"}

// onnxCalls are operators of those that call Python or another library by name.
var onnxCalls = []string{"PythonOp", "PythonOpGrad", "ATen", "ATenGrad", "PyOp", "PyCustomOp", "ExternalOp", "EPContext"}

// externalKeys are what may be said of weights in another file: readers set whatever else stands there.
var externalKeys = []string{"location", "offset", "length", "checksum"}

// proto walks f as either; "" is neither.
func (s *scan) proto(f file) string {
	head := f.bytes(0, 1)
	if len(head) == 0 || head[0]&7 != 0 && head[0]&7 != 2 {
		return ""
	}
	o := &onnx{defined: map[string]bool{}, used: map[string]bool{}}
	p := newProto(f, onnxSchema)
	p.visit = o.visit
	if p.message("model", f.size, 0) && o.graphs > 0 && o.opsets > 0 {
		if !o.outside {
			s.outside = o.references
		}
		return o.format()
	}
	return savedModel(f)
}

// onnx gathers what a model asks for beside numbers.
type onnx struct {
	graphs, opsets  int
	defined, used   map[string]bool // operators of other domains: by functions of the model, and by its nodes
	custom, outside bool
	references      []reference // what is kept in other files
	entries         [][2]string // of the tensor that is being read: where it is kept
}

func (o *onnx) visit(message string, texts map[uint64]string) {
	switch message {
	case "graph":
		o.graphs++
	case "opset":
		o.opsets++
	case "function":
		o.add(o.defined, texts[10], texts[1])
	case "node":
		if slices.Contains(onnxCalls, texts[4]) {
			o.custom = true
		}
		if !slices.Contains(onnxDomains, texts[7]) {
			o.add(o.used, texts[7], texts[4])
		}
	case "external":
		if o.entries = append(o.entries, [2]string{texts[1], texts[2]}); len(o.entries) > len(externalKeys) {
			o.entries, o.outside = o.entries[:0], true
		}
	case "tensor":
		if len(o.entries) == 0 {
			return
		}
		r, ok := referenceOf(o.entries)
		o.entries = o.entries[:0]
		if !ok || len(o.references) == maxReferences {
			o.outside = true
			return
		}
		o.references = append(o.references, r)
	}
}

func (o *onnx) add(to map[string]bool, domain, name string) {
	if len(to) > 10_000 || domain == longTerm || name == longTerm {
		o.custom = true
		return
	}
	to[domain+"\n"+name] = true
}

// inside tells whether a path names a file beside the model, on every system.
func inside(location string) bool {
	return location != "" && location != longTerm && !strings.ContainsAny(location, "\\:") && !path.IsAbs(location) &&
		path.Clean(location) == location && location != "." && location != ".." && !strings.HasPrefix(location, "../")
}

func (o *onnx) format() string {
	for name := range o.used {
		if !o.defined[name] {
			o.custom = true
		}
	}
	switch {
	case o.custom:
		return ONNXCustom
	case o.outside:
		return ONNXOutside
	default:
		return ONNX
	}
}
