// NumPy's arrays. Their header is a Python literal, which can spell one thing in many
// ways: an array is plain only where the header is as NumPy writes it.

package model

import (
	"bytes"
	"math/bits"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

const (
	plainType = `[<>|=]?[biufcSUVmM?][0-9]*(?:\[[0-9]*[A-Za-z]+\])?`
	shapeOf   = `\((?:[0-9]+,? ?)*\)`
)

var (
	npyHeader = lazyregexp.New(`^\{'descr': ('` + plainType + `'|\[(?:\('[^'\\]*', '` + plainType + `'(?:, ` + shapeOf + `)?\)(?:, )?)+\]), 'fortran_order': (?:True|False), 'shape': (` + shapeOf + `), \}[ ]*\n?$`)
	npyField  = lazyregexp.New(`', '(` + plainType + `)'(?:, (` + shapeOf + `))?\)`)
	npyObject = lazyregexp.New(`(?i)['"\[(, ][<>|=]?O[0-9]*['"]|object|\\`)
)

// sniffNumPy reads the header of a .npy file and holds its shape against the size.
// Objects ('O', alone or in a structure) are pickled.
func sniffNumPy(f file) string {
	const most = 1 << 16
	head := f.bytes(0, min(f.size, most))
	if len(head) < 12 || head[6] < 1 || head[6] > 3 || head[7] != 0 {
		return Unknown
	}
	n, at := int(le.Uint16(head[8:])), 10
	if head[6] >= 2 {
		n, at = int(le.Uint32(head[8:])), 12
	}
	if n < 0 || n > len(head)-at {
		return Unknown
	}
	header := head[at : at+n]
	m := npyHeader.FindSubmatch(header)
	if m == nil {
		if _, descr, ok := bytes.Cut(header, []byte("descr")); ok && npyObject.Match(descr) {
			return NumPyObject
		}
		return Unknown
	}
	item := uint64(0)
	for _, field := range npyField.FindAllSubmatch([]byte("', "+string(m[1])+")"), -1) {
		item = plus(item, times(itemSize(string(field[1])), product(string(field[2]))))
	}
	if want := plus(uint64(at+n), times(item, product(string(m[2])))); want != uint64(f.size) {
		return Unknown
	}
	return NumPy
}

func itemSize(descr string) uint64 {
	kind := strings.TrimLeft(descr, "<>|=")
	digits, _, _ := strings.Cut(kind[1:], "[")
	n, err := strconv.ParseUint(digits, 10, 40)
	switch {
	case err != nil && digits == "" && kind[0] == '?':
		return 1
	case err != nil:
		return 1<<64 - 1 // no size is this one
	case kind[0] == 'U':
		return n * 4
	default:
		return n
	}
}

// product is how many items a shape has.
func product(shape string) uint64 {
	out := uint64(1)
	for _, dim := range strings.FieldsFunc(shape, func(r rune) bool { return strings.ContainsRune("(), ", r) }) {
		n, err := strconv.ParseUint(dim, 10, 63)
		if err != nil {
			return 1<<64 - 1
		}
		out = times(out, n)
	}
	return out
}

// times and plus stop at the largest number: no file is that large.
func times(a, b uint64) uint64 {
	if high, low := bits.Mul64(a, b); high == 0 {
		return low
	}
	return 1<<64 - 1
}

func plus(a, b uint64) uint64 {
	if sum, carry := bits.Add64(a, b, 0); carry == 0 {
		return sum
	}
	return 1<<64 - 1
}
