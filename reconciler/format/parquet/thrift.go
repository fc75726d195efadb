// Thrift's compact protocol, as far as Parquet's own words need it: what a list or a text
// claims to hold costs nothing before it is there.

package parquet

import (
	"encoding/binary"
	"errors"
)

var (
	errShort  = errors.New("what it says of itself ends too early")
	errBroken = errors.New("what it says of itself cannot be read")
)

// The types of fields that Parquet uses.
const (
	isTrue, isFalse, isByte, isShort, isInt, isLong, isDouble, isText, isList, isSet, isMap, isStruct = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
)

// mostNested is how deep structures may lie in each other; Parquet's own end at six.
const mostNested = 32

// thrift reads b. The first error stays, and ends all that goes on.
type thrift struct {
	b     []byte
	at    int
	depth int
	err   error
}

func (t *thrift) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *thrift) byte() byte {
	if t.err != nil || t.at >= len(t.b) {
		t.fail(errShort)
		return 0
	}
	t.at++
	return t.b[t.at-1]
}

func (t *thrift) uvarint() uint64 {
	if t.err != nil {
		return 0
	}
	x, n := binary.Uvarint(t.b[t.at:])
	switch {
	case n == 0:
		t.fail(errShort)
	case n < 0:
		t.fail(errBroken)
	}
	t.at += max(n, 0)
	return x
}

func (t *thrift) varint() int64 {
	x := t.uvarint()
	return int64(x>>1) ^ -int64(x&1)
}

// fields calls f for each field of a structure; f reads or skips it.
func (t *thrift) fields(f func(id int, kind byte)) {
	if t.depth++; t.depth > mostNested {
		t.fail(errBroken)
	}
	defer func() { t.depth-- }()
	for id := 0; t.err == nil; {
		head := t.byte()
		if head == 0 {
			return
		}
		if step := int(head >> 4); step > 0 {
			id += step
		} else {
			id = int(int16(t.varint()))
		}
		f(id, head&15)
	}
}

func (t *thrift) structure(kind byte, f func(id int, kind byte)) {
	if kind != isStruct {
		t.fail(errBroken)
		return
	}
	t.fields(f)
}

// list calls f for each element; f reads or skips it, which takes a byte at least.
func (t *thrift) list(kind byte, f func(kind byte)) {
	if kind != isList && kind != isSet {
		t.fail(errBroken)
		return
	}
	if t.depth++; t.depth > mostNested {
		t.fail(errBroken)
	}
	defer func() { t.depth-- }()
	head := t.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = t.uvarint()
	}
	for ; n > 0 && t.err == nil; n-- {
		f(head & 15)
	}
}

func (t *thrift) number(kind byte) int64 {
	switch kind {
	case isByte:
		return int64(int8(t.byte()))
	case isShort, isInt, isLong:
		return t.varint()
	}
	t.fail(errBroken)
	return 0
}

func (t *thrift) truth(kind byte) bool {
	if kind != isTrue && kind != isFalse {
		t.fail(errBroken)
	}
	return kind == isTrue
}

func (t *thrift) bytes(n uint64) []byte {
	if t.err != nil || n > uint64(len(t.b)-t.at) {
		t.fail(errShort)
		return nil
	}
	t.at += int(n)
	return t.b[t.at-int(n) : t.at]
}

func (t *thrift) text(kind byte) string {
	if kind != isText {
		t.fail(errBroken)
		return ""
	}
	return string(t.bytes(t.uvarint()))
}

// skip passes over a field that nothing needs.
func (t *thrift) skip(kind byte) {
	switch kind {
	case isTrue, isFalse: // the type is the value
	case isByte:
		t.byte()
	case isShort, isInt, isLong:
		t.uvarint()
	case isDouble:
		t.bytes(8)
	case isText:
		t.bytes(t.uvarint())
	case isList, isSet:
		t.list(kind, t.skipElement)
	case isMap:
		t.fail(errBroken) // Parquet has none
	case isStruct:
		t.fields(func(_ int, kind byte) { t.skip(kind) })
	default:
		t.fail(errBroken)
	}
}

func (t *thrift) skipElement(kind byte) {
	if kind == isTrue || kind == isFalse {
		t.byte() // in a list a truth takes a byte
		return
	}
	t.skip(kind)
}
