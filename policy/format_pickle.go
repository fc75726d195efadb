// Pickles, by their opcodes. From protocol 2 on a pickle names its protocol first;
// protocols 0 and 1 have no mark, and a file may be a pickle and something else at
// once. So the opcodes are stepped through as an unpickler does, without doing them.

package policy

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
	line              // to the end of the line
	lines             // two lines
	fixed1            // n bytes
	fixed2            //
	fixed4            //
	fixed8            //
	counted1          // a little-endian length of n bytes, and as many bytes
	counted4          //
	counted8          //
)

var opcodes = map[byte]opcode{
	'(': {}, '.': {need: 1}, '0': {need: 1, pops: 1}, '1': {mark: true}, '2': {need: 1, push: 1},
	'F': {arg: line, push: 1}, 'I': {arg: line, push: 1}, 'L': {arg: line, push: 1}, 'S': {arg: line, push: 1},
	'V': {arg: line, push: 1}, 'P': {arg: line, push: 1}, 'g': {arg: line, push: 1}, 'p': {arg: line, need: 1},
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
const maxOpcodes = 4 << 20

// unpickler is the state of stepping through opcodes.
type unpickler struct {
	at    io.ReaderAt
	src   *bufio.Reader
	off   int64
	size  int64
	depth int
	marks []int
}

// isPickle tells whether an unpickler would take what r holds: as far as STOP, or
// as far as building something that it imported. An unpickler reads no further, so
// that what follows is not looked at.
func isPickle(r io.ReaderAt, size int64) bool {
	u := &unpickler{at: r, size: size}
	u.seek(0)
	imports := false
	for range maxOpcodes {
		op, err := u.src.ReadByte()
		if err != nil {
			return false
		}
		u.off++
		effect, known := opcodes[op]
		if !known || !u.argument(op, effect.arg) || !u.move(op, effect) {
			return false
		}
		switch op {
		case '.':
			return true
		case 'c', 'i', 0x93, 0x82, 0x83, 0x84:
			imports = true
		}
		switch op {
		case 'R', 'b', 'o', 'i', 0x81, 0x92:
			if imports {
				return true
			}
		}
	}
	return true
}

// move does what an opcode does to the depth of the stack; false is an underflow.
func (u *unpickler) move(op byte, e opcode) bool {
	if op == '(' {
		u.marks = append(u.marks, u.depth)
		return true
	}
	if e.mark {
		if len(u.marks) == 0 {
			return false
		}
		u.depth = u.marks[len(u.marks)-1]
		u.marks = u.marks[:len(u.marks)-1]
	}
	if u.depth < e.need {
		return false
	}
	u.depth += e.push - e.pops
	return true
}

// argument passes over an opcode's argument; false is one that no unpickler takes.
func (u *unpickler) argument(op byte, a argument) bool {
	switch a {
	case line:
		text, ok := u.line()
		return ok && plausible(op, text)
	case lines:
		module, ok := u.line()
		if !ok || !isName(module) {
			return false
		}
		name, ok := u.line()
		return ok && isName(name)
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
	return n <= uint64(u.size) && u.skip(int64(n))
}

// line reads to the end of the line; one that is longer than maxSniff is passed
// over as far as its end, and only its beginning is returned.
func (u *unpickler) line() ([]byte, bool) {
	var text []byte
	for {
		part, err := u.src.ReadSlice('\n')
		u.off += int64(len(part))
		if len(text) < maxSniff {
			text = append(text, part...)
		}
		if err == nil {
			return bytes.TrimRight(text, "\r\n"), true
		}
		if err != bufio.ErrBufferFull {
			return nil, false
		}
	}
}

func (u *unpickler) skip(n int64) bool {
	if n > u.size-u.off {
		return false
	}
	if n <= int64(u.src.Buffered()) {
		u.off += n
		_, err := u.src.Discard(int(n))
		return err == nil
	}
	u.seek(u.off + n)
	return true
}

func (u *unpickler) seek(off int64) {
	u.off = off
	u.src = bufio.NewReaderSize(io.NewSectionReader(u.at, off, u.size-off), 4096)
}

// plausible holds text arguments to their syntax, so that prose is not taken for opcodes.
func plausible(op byte, text []byte) bool {
	switch op {
	case 'I', 'L', 'p', 'g', 'F':
		return len(text) > 0 && len(bytes.Trim(text, "0123456789+-.eELinfa_ ")) == 0
	case 'S':
		text = bytes.TrimSpace(text)
		return len(text) >= 2 && (text[0] == '\'' || text[0] == '"') && text[len(text)-1] == text[0]
	default:
		return true
	}
}

// isName tells whether b can be a module's or an attribute's name.
func isName(b []byte) bool {
	return len(b) > 0 && len(b) <= 1024 && !bytes.ContainsAny(b, " \t\"'()[]{},;=:/\\")
}
