// Pickles, by their opcodes. From protocol 2 on a pickle names its protocol first;
// protocols 0 and 1 have no mark, and a file may be a pickle and something else at
// once. So the opcodes are stepped through as CPython's unpicklers do (its C and its
// Python one), without doing them. Where the two differ, or where a step depends on
// what an object is, the step is taken: a file that one of them would follow as far
// as a call is followed here.

package model

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// hasPickleMark tells whether b begins with the PROTO opcode.
func hasPickleMark(b []byte) bool { return len(b) >= 2 && b[0] == 0x80 && b[1] <= 9 }

// opcode is how an opcode moves the stack (Python's Lib/pickletools.py).
type opcode struct {
	arg  argument
	need int // values that must be on the stack
	pops int
	push int
	mark bool // takes all values down to the last mark first
}

type argument uint8

const (
	none     argument = iota
	integer           // a line that holds a whole number
	float             // a line that holds a number
	quoted            // a line in quotes
	line              // any line
	lines             // two lines: a module and a name
	fixed1            // n bytes
	fixed2            //
	fixed4            //
	fixed8            //
	counted1          // a little-endian length of n bytes, and as many bytes
	counted4          //
	counted8          //
)

var opcodes = [256]*opcode{
	'(': {}, '.': {need: 1}, '0': {}, '1': {mark: true}, '2': {need: 1, push: 1},
	'F': {arg: float, push: 1}, 'I': {arg: integer, push: 1}, 'L': {arg: integer, push: 1}, 'S': {arg: quoted, push: 1},
	'V': {arg: line, push: 1}, 'P': {arg: line, push: 1}, 'g': {arg: line, push: 1}, 'p': {arg: integer, need: 1},
	'J': {arg: fixed4, push: 1}, 'K': {arg: fixed1, push: 1}, 'M': {arg: fixed2, push: 1}, 'G': {arg: fixed8, push: 1},
	'N': {push: 1}, 'Q': {need: 1}, 'R': {need: 2, pops: 2, push: 1}, 'c': {arg: lines, push: 1},
	'T': {arg: counted4, push: 1}, 'U': {arg: counted1, push: 1}, 'X': {arg: counted4, push: 1},
	'B': {arg: counted4, push: 1}, 'C': {arg: counted1, push: 1}, 0x8c: {arg: counted1, push: 1},
	0x8d: {arg: counted8, push: 1}, 0x8e: {arg: counted8, push: 1}, 0x96: {arg: counted8, push: 1},
	0x8a: {arg: counted1, push: 1}, 0x8b: {arg: counted4, push: 1},
	'a': {need: 2, pops: 1}, 'b': {need: 2, pops: 1}, 's': {need: 3, pops: 2},
	'd': {mark: true, push: 1}, 'l': {mark: true, push: 1}, 't': {mark: true, push: 1}, 0x91: {mark: true, push: 1},
	'o': {mark: true, push: 1}, 'i': {arg: lines, mark: true, push: 1},
	'e': {mark: true, need: 1}, 'u': {mark: true, need: 1}, 0x90: {mark: true, need: 1},
	']': {push: 1}, ')': {push: 1}, '}': {push: 1}, 0x8f: {push: 1}, 0x88: {push: 1}, 0x89: {push: 1}, 0x97: {push: 1},
	'h': {arg: fixed1, push: 1}, 'j': {arg: fixed4, push: 1}, 'q': {arg: fixed1, need: 1}, 'r': {arg: fixed4, need: 1},
	0x80: {arg: fixed1}, 0x95: {arg: fixed8}, 0x94: {need: 1}, 0x98: {need: 1},
	0x81: {need: 2, pops: 2, push: 1}, 0x92: {need: 3, pops: 3, push: 1}, 0x93: {need: 2, pops: 2, push: 1},
	0x82: {arg: fixed1, push: 1}, 0x83: {arg: fixed2, push: 1}, 0x84: {arg: fixed4, push: 1},
	0x85: {need: 1, pops: 1, push: 1}, 0x86: {need: 2, pops: 2, push: 1}, 0x87: {need: 3, pops: 3, push: 1},
}

// maxOpcodes is how many opcodes are stepped through before a file that goes on
// being valid is taken for what it looks like.
const maxOpcodes = 1 << 20

// unpickler is the state of stepping through opcodes.
type unpickler struct {
	at    file
	src   *bufio.Reader
	off   int64
	depth int
	marks []int
}

// isPickle tells whether an unpickler would take what f holds: as far as STOP, or as
// far as doing something with what it imported. It reads no further, so that what
// follows is not looked at.
func isPickle(f file) bool {
	u := &unpickler{at: f, src: bufio.NewReaderSize(f.part(0, f.size), 4096)}
	imports := false
	for range maxOpcodes {
		op, err := u.src.ReadByte()
		if err != nil {
			return false
		}
		u.off++
		effect := opcodes[op]
		if effect == nil || !u.argument(effect.arg) || !u.move(op, effect) {
			return false
		}
		switch op {
		case '.':
			return true
		case 'c', 'i', 0x93, 0x82, 0x83, 0x84:
			imports = true
		}
		switch op {
		case 'R', 'b', 'o', 'i', 0x81, 0x92, // calls
			'a', 's', 'e', 'u', 0x90: // calls of a method of what was imported
			if imports {
				return true
			}
		}
	}
	return true
}

// move does what an opcode does to the depth of the stack; false is an underflow.
func (u *unpickler) move(op byte, e *opcode) bool {
	last := len(u.marks) - 1
	switch {
	case op == '(':
		u.marks = append(u.marks, u.depth)
		return true
	case op == '0': // takes a mark where that is on top
		if last >= 0 && u.marks[last] == u.depth {
			u.marks = u.marks[:last]
			return true
		}
		u.depth--
		return u.depth >= 0
	case e.mark:
		if last < 0 {
			return false
		}
		u.depth = u.marks[last]
		u.marks = u.marks[:last]
	}
	if u.depth < e.need {
		return false
	}
	u.depth += e.push - e.pops
	return true
}

// argument passes over an opcode's argument; false is one that no unpickler takes.
func (u *unpickler) argument(a argument) bool {
	switch a {
	case integer, float, quoted, line:
		return u.line(a)
	case lines:
		if !u.line(line) { // two of them
			return false
		}
		return u.line(line)
	case fixed1, fixed2, fixed4, fixed8:
		return u.skip(1 << (a - fixed1))
	case counted1:
		return u.counted(1)
	case counted4:
		return u.counted(4)
	case counted8:
		return u.counted(8)
	default:
		return true
	}
}

func (u *unpickler) counted(width int) bool {
	var b [8]byte
	if _, err := io.ReadFull(u.src, b[:width]); err != nil {
		return false
	}
	u.off += int64(width)
	n := binary.LittleEndian.Uint64(b[:])
	return n <= uint64(u.at.size) && u.skip(int64(n))
}

// line passes over a line that ends, of any length, and says whether it can be
// what is asked for. No line that CPython takes is refused.
func (u *unpickler) line(a argument) bool {
	check := lineCheck{kind: a}
	for {
		part, err := u.src.ReadSlice('\n')
		u.off += int64(len(part))
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		} else if err != bufio.ErrBufferFull {
			return false
		}
		if !check.takePart(part) {
			return false
		}
		if ended {
			return check.holds()
		}
	}
}

// lineCheck holds a line, which comes in parts, to the syntax of its opcode.
type lineCheck struct {
	kind        argument
	digit, cut  bool // cut: C reads a number as far as a zero byte
	first, last byte // that are no white space
	many        bool // there are two such at least
}

const white = " \t\n\v\f\r"

func (c *lineCheck) takePart(part []byte) bool {
	if c.kind == line || c.cut {
		return true
	}
	if i := bytes.IndexByte(part, 0); i >= 0 && c.kind != quoted {
		part, c.cut = part[:i], true
	}
	allowed := "0123456789abcdefABCDEFxXoOlL_+-" + white // in any base, and a long's L
	if c.kind == float {
		allowed = "0123456789eE._+-infatyINFATY" + white
	}
	for _, b := range part {
		if c.kind != quoted && bytes.IndexByte([]byte(allowed), b) < 0 {
			return false
		}
		if bytes.IndexByte([]byte(white), b) >= 0 {
			continue
		}
		c.digit = c.digit || b >= '0' && b <= '9' || c.kind == float && bytes.IndexByte([]byte("nN"), b) >= 0
		c.many = c.first != 0
		if c.first == 0 {
			c.first = b
		}
		c.last = b
	}
	return true
}

func (c *lineCheck) holds() bool {
	switch c.kind {
	case line:
		return true
	case quoted:
		return c.many && c.first == c.last && (c.first == '\'' || c.first == '"')
	default:
		return c.digit || c.cut
	}
}

func (u *unpickler) skip(n int64) bool {
	if n > u.at.size-u.off {
		return false
	}
	u.off += n
	if n <= int64(u.src.Buffered()) {
		_, err := u.src.Discard(int(n))
		return err == nil
	}
	u.src.Reset(u.at.part(u.off, u.at.size-u.off))
	return true
}
