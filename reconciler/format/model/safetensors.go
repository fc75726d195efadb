// Safetensors: a length, a header of JSON, and the tensors that it lists, one after the
// other to the last byte. The rules are those of the format's own reader, and the names
// and types are held to them, so that nothing lies beside what the header says.

package model

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// maxTensorHeader is below the format's own bound of 100 MB, which no model comes near:
// it is room for 80,000 tensors.
const maxTensorHeader = 8 << 20

// elementBits are the sizes of elements.
var elementBits = map[string]uint64{
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}

type tensor struct {
	Dtype   string   `json:"dtype"`
	Shape   []uint64 `json:"shape"`
	Offsets []uint64 `json:"data_offsets"`
}

// fits tells whether the shape fills what the offsets span.
func (t *tensor) fits() bool {
	size, known := elementBits[t.Dtype]
	if !known || t.Shape == nil || len(t.Offsets) != 2 || t.Offsets[1] < t.Offsets[0] {
		return false
	}
	for _, n := range t.Shape {
		size = times(size, n)
	}
	return size%8 == 0 && size/8 == t.Offsets[1]-t.Offsets[0]
}

// isSafetensors walks the header as a stream.
func isSafetensors(f file, head []byte) bool {
	if len(head) < 10 || head[8] != '{' {
		return false
	}
	n := le.Uint64(head)
	if n < 2 || n > maxTensorHeader || int64(n) > f.size-8 || !isAllText(file{ReaderAt: f.part(8, int64(n)), size: int64(n)}) {
		return false
	}
	dec := json.NewDecoder(bufio.NewReader(f.part(8, int64(n))))
	dec.DisallowUnknownFields()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	spans, ok := tensorSpans(dec)
	if !ok {
		return false
	}
	slices.SortFunc(spans, func(a, b [2]uint64) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	at := uint64(0)
	for _, s := range spans {
		if s[0] != at {
			return false
		}
		at = s[1]
	}
	return at == uint64(f.size)-8-n
}

// tensorSpans reads the members of the header, each name once, to its end.
func tensorSpans(dec *json.Decoder) (spans [][2]uint64, ok bool) {
	seen := map[[32]byte]struct{}{}
	for dec.More() {
		key, err := dec.Token()
		name, isString := key.(string)
		if err != nil || !isString {
			return nil, false
		}
		sum := sha256.Sum256([]byte(name))
		if _, twice := seen[sum]; twice {
			return nil, false
		}
		seen[sum] = struct{}{}
		if name == "__metadata__" {
			var words map[string]string
			if dec.Decode(&words) != nil {
				return nil, false
			}
			continue
		}
		var t tensor
		if dec.Decode(&t) != nil || !t.fits() {
			return nil, false
		}
		spans = append(spans, [2]uint64(t.Offsets))
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return nil, false
	}
	_, err := dec.Token()
	return spans, errors.Is(err, io.EOF)
}
