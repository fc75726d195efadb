// Models of several files: weights that an ONNX model keeps beside itself, the variables of a SavedModel, and the shards
// of a safetensors model. What a file names is held to the folder that the model is: to
// files that are in it, and to bytes that they have.

package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
)

// Member is one file of a model's folder. All of them are plain files.
type Member struct {
	Path string // relative to the folder, with slashes
	Size int64
	Open func() (Content, error)
}

// Content is a file that was opened.
type Content interface {
	io.ReaderAt
	io.Closer
}

const (
	maxReferences = 1 << 17  // tensors of a model that are kept in other files
	maxIndex      = 16 << 20 // bytes of an index of shards
	maxShards     = 10_000
)

// reference is a part of another file that an ONNX model reads.
type reference struct {
	location    string
	from, until int64 // until is -1 for the end of the file
}

// InspectFolder is Inspect for all files of a model, in their order. Bytes that nobody
// would take for anything are ONNXData, or SavedModelData, where a model of the folder names them as its weights.
func InspectFolder(files []Member) ([]Report, error) {
	reports, scans := make([]Report, len(files)), make([]scan, len(files))
	at := map[string]int{}
	for i, m := range files {
		in, err := m.Open()
		if err != nil {
			return nil, err
		}
		reports[i] = inspect(&scans[i], file{m.Path, in, m.Size})
		if err := in.Close(); err != nil {
			return nil, err
		}
		at[m.Path] = i
	}
	weights := map[int][]reference{}
	for i := range files {
		for _, r := range scans[i].outside {
			to, there := at[path.Join(path.Dir(files[i].Path), r.location)]
			if r.until < 0 && there {
				r.until = files[to].Size
			}
			if !there || to == i || r.from > r.until || r.until > files[to].Size {
				reports[i].Format = ONNXOutside
				break
			}
			weights[to] = append(weights[to], r)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(weights)) {
		if !scans[i].raw || reports[i].Format != Unknown {
			continue // it is what it is
		}
		whole, err := covered(files[i], weights[i])
		if err != nil {
			return nil, err
		}
		if whole {
			reports[i].Format = ONNXData
		}
	}
	if err := savedParts(files, reports, scans, at); err != nil {
		return nil, err
	}
	for i := range files {
		if !scans[i].index {
			continue
		}
		ok, err := holdsShards(files[i], func(name string) bool {
			to, there := at[path.Join(path.Dir(files[i].Path), name)]
			return inside(name) && there && reports[to].Format == Safetensors
		})
		if err != nil {
			return nil, err
		}
		if !ok {
			reports[i].Format = ShardsOutside
		}
	}
	return reports, nil
}

// covered tells whether the parts of a file that are named are all that it holds: beside
// them there are zeros alone, which tools put there to align what follows.
func covered(m Member, parts []reference) (bool, error) {
	slices.SortFunc(parts, func(a, b reference) int { return int(max(-1, min(1, a.from-b.from))) })
	in, err := m.Open()
	if err != nil {
		return false, err
	}
	defer in.Close()
	f, at := file{m.Path, in, m.Size}, int64(0)
	for _, p := range append(parts, reference{from: m.Size, until: m.Size}) {
		if p.from > at && !f.zeros(at, p.from-at) {
			return false, nil
		}
		at = max(at, p.until)
	}
	return true, nil
}

// zeros tells whether n bytes at off are zeros.
func (f file) zeros(off, n int64) bool {
	buf := make([]byte, min(n, 64<<10))
	in := f.part(off, n)
	for n > 0 {
		b := buf[:min(n, int64(len(buf)))]
		if _, err := io.ReadFull(in, b); err != nil || len(bytes.Trim(b, "\x00")) > 0 {
			return false
		}
		n -= int64(len(b))
	}
	return true
}

// holdsShards tells whether an index names, as what holds each tensor, only what is known.
func holdsShards(m Member, known func(name string) bool) (bool, error) {
	if m.Size > maxIndex {
		return false, nil
	}
	in, err := m.Open()
	if err != nil {
		return false, err
	}
	defer in.Close()
	dec := json.NewDecoder(bufio.NewReader(io.NewSectionReader(in, 0, m.Size)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false, nil
	}
	names := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return false, nil
		}
		if key != "weight_map" {
			var skipped json.RawMessage
			if dec.Decode(&skipped) != nil {
				return false, nil
			}
			continue
		}
		if !shardsOf(dec, names) {
			return false, nil
		}
	}
	for name := range names {
		if !known(name) {
			return false, nil
		}
	}
	return len(names) > 0, nil
}

// shardsOf reads one map of tensors to shards.
func shardsOf(dec *json.Decoder, names map[string]bool) bool {
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() {
		if _, err := dec.Token(); err != nil {
			return false
		}
		value, err := dec.Token()
		name, text := value.(string)
		if err != nil || !text || len(names) > maxShards {
			return false
		}
		names[name] = true
	}
	_, err := dec.Token()
	return err == nil
}

// referenceOf is what the entries of one tensor say of where it is kept: each once, and
// numbers as plain digits. Readers take the last of several, or the first.
func referenceOf(entries [][2]string) (r reference, ok bool) {
	r.until = -1
	length := int64(-1)
	seen := map[string]bool{}
	for _, e := range entries {
		key, value := e[0], e[1]
		if seen[key] || !slices.Contains(externalKeys, key) {
			return r, false
		}
		seen[key] = true
		var err error
		switch key {
		case "location":
			r.location = value
		case "offset":
			r.from, err = digits(value)
		case "length":
			length, err = digits(value)
		}
		if err != nil {
			return r, false
		}
	}
	if length >= 0 {
		r.until = r.from + length
	}
	return r, inside(r.location)
}

// digits reads a number of bytes as every reader does.
func digits(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, strconv.ErrSyntax
	}
	return int64(n), nil
}
