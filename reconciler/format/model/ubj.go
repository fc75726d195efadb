// UBJ, which XGBoost writes, has no magic number: it is walked through to its last byte,
// so that nothing else can hide in or behind it.

package model

import (
	"bufio"
	"encoding/binary"
	"io"
)

// isUBJ walks a Universal Binary JSON object, as XGBoost writes it: it fills the
// file and has a learner.
func isUBJ(f file) bool {
	u := &ubj{src: bufio.NewReaderSize(f.part(0, f.size), 64<<10), left: f.size}
	kind, ok := u.kind()
	if !ok || kind != '{' || !u.object(0) {
		return false
	}
	return u.left == 0 && u.learner
}

type ubj struct {
	src     *bufio.Reader
	left    int64
	learner bool
}

// widthOf is the size of a value of fixed size, in bytes.
func widthOf(kind byte) (n int64, fixed bool) {
	switch kind {
	case 'Z', 'N', 'T', 'F':
		return 0, true
	case 'i', 'U', 'C':
		return 1, true
	case 'I':
		return 2, true
	case 'l', 'd':
		return 4, true
	case 'L', 'D':
		return 8, true
	default:
		return 0, false
	}
}

func (u *ubj) kind() (byte, bool) {
	b, err := u.src.ReadByte()
	u.left--
	return b, err == nil
}

func (u *ubj) skip(n int64) bool {
	if n < 0 || n > u.left {
		return false
	}
	u.left -= n
	if n <= int64(u.src.Buffered()) {
		_, err := u.src.Discard(int(n))
		return err == nil
	}
	_, err := io.CopyN(io.Discard, u.src, n)
	return err == nil
}

// length reads a length with its type before it.
func (u *ubj) length() (int64, bool) {
	kind, ok := u.kind()
	if !ok {
		return 0, false
	}
	return u.integer(kind)
}

func (u *ubj) integer(kind byte) (int64, bool) {
	width, _ := widthOf(kind)
	switch kind {
	case 'i', 'U', 'I', 'l', 'L':
	default:
		return 0, false
	}
	var b [8]byte
	if width > u.left {
		return 0, false
	}
	u.left -= width
	if _, err := io.ReadFull(u.src, b[:width]); err != nil {
		return 0, false
	}
	n := int64(binary.BigEndian.Uint64(b[:]) >> (8 * (8 - width)))
	return n, n >= 0 && n <= u.left
}

// object walks pairs as far as the closing brace.
func (u *ubj) object(depth int) bool {
	for {
		kind, ok := u.kind()
		if !ok || depth > 64 {
			return false
		}
		if kind == '}' {
			return true
		}
		n, ok := u.integer(kind)
		if !ok || n > 4096 {
			return false
		}
		key := make([]byte, n)
		u.left -= n
		if _, err := io.ReadFull(u.src, key); err != nil {
			return false
		}
		kind, ok = u.kind()
		if !ok || !u.value(kind, depth+1) {
			return false
		}
		if depth == 0 && string(key) == "learner" && kind == '{' {
			u.learner = true
		}
	}
}

func (u *ubj) value(kind byte, depth int) bool {
	if w, fixed := widthOf(kind); fixed {
		return u.skip(w)
	}
	switch kind {
	case 'S', 'H':
		n, ok := u.length()
		return ok && u.skip(n)
	case '{':
		return u.object(depth)
	case '[':
		return u.array(depth)
	default:
		return false
	}
}

// array walks values as far as the closing bracket, or, where type and count
// stand first, that many bytes.
func (u *ubj) array(depth int) bool {
	if depth > 64 {
		return false
	}
	kind, ok := u.kind()
	if !ok {
		return false
	}
	switch kind {
	case '$':
		element, ok1 := u.kind()
		hash, ok2 := u.kind()
		n, ok3 := u.length()
		width, fixed := widthOf(element)
		return ok1 && ok2 && ok3 && hash == '#' && fixed && (width == 0 || n <= u.left/width) && u.skip(n*width)
	case '#':
		n, ok := u.length()
		for ; ok && n > 0; n-- {
			kind, ok = u.kind()
			ok = ok && u.value(kind, depth+1)
		}
		return ok
	}
	for ; kind != ']'; kind, ok = u.kind() {
		if !ok || !u.value(kind, depth+1) {
			return false
		}
	}
	return ok
}
