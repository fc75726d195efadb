// The encodings by differences: of numbers, of lengths, and of beginnings in common.

package parquet

import (
	"encoding/binary"
)

// longestValue is the most bytes of one value that is put together from others.
const longestValue = 64 << 20

// delta reads numbers of which each is told as the difference from the one before, in
// blocks of parts with as many bits as the part needs.
type delta struct {
	b      []byte // what comes behind the part
	per    uint64 // numbers of a part
	parts  uint64 // of a block
	total  uint64
	read   uint64
	last   int64
	least  int64  // difference of the block
	widths []byte // of the parts of the block that are left
	left   uint64 // of the part
	width  uint
	bits   []byte
	at     uint64
}

func newDelta(b []byte) (*delta, error) {
	d := &delta{}
	var head [3]uint64
	for i := range head {
		x, n := binary.Uvarint(b)
		if n <= 0 || x > 1<<31 {
			return nil, errDelta
		}
		head[i], b = x, b[n:]
	}
	first, n := binary.Varint(b)
	if n <= 0 || head[0] == 0 || head[1] == 0 || head[0]%head[1] != 0 || head[0]/head[1]%8 != 0 {
		return nil, errDelta
	}
	d.per, d.parts, d.total, d.last, d.b = head[0]/head[1], head[1], head[2], first, b[n:]
	return d, nil
}

func (d *delta) next() (int64, error) {
	switch d.read++; {
	case d.read > d.total:
		return 0, errPage
	case d.read == 1:
		return d.last, nil
	}
	if d.left == 0 {
		if err := d.part(); err != nil {
			return 0, err
		}
	}
	x, ok := bitsAt(d.bits, d.at, d.width)
	if !ok {
		return 0, errPage
	}
	d.left, d.at = d.left-1, d.at+uint64(d.width)
	d.last += int64(x) + d.least
	return d.last, nil
}

// part goes to the next part.
func (d *delta) part() error {
	if len(d.widths) == 0 {
		least, n := binary.Varint(d.b)
		if n <= 0 || uint64(len(d.b)-n) < d.parts {
			return errDelta
		}
		d.least, d.widths, d.b = least, d.b[n:n+int(d.parts)], d.b[n+int(d.parts):]
	}
	d.width, d.widths = uint(d.widths[0]), d.widths[1:]
	if d.width > 64 {
		return errDelta
	}
	size := min(d.per/8*uint64(d.width), uint64(len(d.b)))
	d.bits, d.at, d.left, d.b = d.b[:size], 0, d.per, d.b[size:]
	return nil
}

// rest is what stands behind all numbers.
func (d delta) rest() ([]byte, error) {
	for left := int64(d.total) - 1; left > 0; left -= int64(d.per) {
		if err := d.part(); err != nil {
			return nil, err
		}
	}
	return d.b, nil
}

// deltas are numbers as values.
type deltas struct {
	*delta
	width int
	value [8]byte
}

func (d *deltas) next() ([]byte, error) {
	x, err := d.delta.next()
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint64(d.value[:], uint64(x))
	return d.value[:d.width], nil
}

// lengths are values behind the lengths of all.
type lengths struct {
	of *delta
	b  []byte
}

func newLengths(b []byte) (*lengths, error) {
	d, err := newDelta(b)
	if err != nil {
		return nil, err
	}
	b, err = d.rest()
	return &lengths{d, b}, err
}

func (l *lengths) next() ([]byte, error) {
	n, err := l.of.next()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(l.b)) {
		return nil, errPage
	}
	v := l.b[:n:n]
	l.b = l.b[n:]
	return v, nil
}

// prefixes are values that begin as the one before them.
type prefixes struct {
	of    *delta
	rest  *lengths
	value []byte
	width int // 0 where values differ in it
}

func newPrefixes(b []byte, width int) (*prefixes, error) {
	d, err := newDelta(b)
	if err != nil {
		return nil, err
	}
	if b, err = d.rest(); err != nil {
		return nil, err
	}
	rest, err := newLengths(b)
	return &prefixes{of: d, rest: rest, value: []byte{}, width: width}, err
}

func (p *prefixes) next() ([]byte, error) {
	n, err := p.of.next()
	if err != nil {
		return nil, err
	}
	rest, err := p.rest.next()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(p.value)) || n+int64(len(rest)) > longestValue {
		return nil, errPage
	}
	if p.value = append(p.value[:n], rest...); p.width > 0 && len(p.value) != p.width {
		return nil, errPage
	}
	return p.value, nil
}
