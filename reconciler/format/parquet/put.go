// Thrift's compact protocol the other way: what a written file says of itself.

package parquet

import "encoding/binary"

// put appends structures. A structure is begun, its fields are given in the order of their
// numbers, and it is ended.
type put struct {
	b    []byte
	last []int // the number of the field before, of each structure that is open
}

func (p *put) begin() { p.last = append(p.last, 0) }

func (p *put) end() {
	p.b = append(p.b, 0)
	p.last = p.last[:len(p.last)-1]
}

func (p *put) field(id int, kind byte) {
	at := &p.last[len(p.last)-1]
	p.b = append(p.b, byte(id-*at)<<4|kind) // no structure of Parquet's has a gap of 16
	*at = id
}

func (p *put) varint(x int64) { p.b = binary.AppendVarint(p.b, x) }

func (p *put) int(id int, x int64) {
	p.field(id, isInt)
	p.varint(x)
}

func (p *put) long(id int, x int64) {
	p.field(id, isLong)
	p.varint(x)
}

func (p *put) raw(s string) {
	p.b = binary.AppendUvarint(p.b, uint64(len(s)))
	p.b = append(p.b, s...)
}

func (p *put) text(id int, s string) {
	p.field(id, isText)
	p.raw(s)
}

func (p *put) truth(id int, v bool) {
	if v {
		p.field(id, isTrue)
		return
	}
	p.field(id, isFalse)
}

func (p *put) list(id int, kind byte, n int) {
	p.field(id, isList)
	if n < 15 {
		p.b = append(p.b, byte(n)<<4|kind)
		return
	}
	p.b = append(p.b, 0xf0|kind)
	p.b = binary.AppendUvarint(p.b, uint64(n))
}

// nest is a field that is a structure; what is in it is given by do.
func (p *put) nest(id int, do func()) {
	p.field(id, isStruct)
	p.begin()
	do()
	p.end()
}
