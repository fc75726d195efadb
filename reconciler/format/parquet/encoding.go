// The encodings of values and levels: each is read one value after another from the page
// that holds it, so that what a page claims to hold costs no memory.

package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	errPage  = errors.New("a page ends before its values")
	errRuns  = errors.New("a page's runs cannot be read")
	errDelta = errors.New("a page's deltas cannot be read")
)

// decoder reads one value of a page after another: its bytes, valid until the next.
type decoder interface {
	next() ([]byte, error)
}

// bitsAt are width bits from the one at.
func bitsAt(b []byte, at uint64, width uint) (uint64, bool) {
	i, shift := at>>3, uint(at&7)
	if i+9 <= uint64(len(b)) {
		x := binary.LittleEndian.Uint64(b[i:]) >> shift
		if shift+width > 64 {
			x |= uint64(b[i+8]) << (64 - shift)
		}
		return x & (1<<width - 1), true
	}
	if (at+uint64(width)+7)>>3 > uint64(len(b)) {
		return 0, false
	}
	var tail [16]byte
	copy(tail[:], b[min(i, uint64(len(b))):])
	return bitsAt(tail[:], uint64(shift), width)
}

// hybrid reads runs of one number, and numbers of few bits.
type hybrid struct {
	b      []byte
	width  uint
	run    uint64 // left of a run of value
	value  uint32
	packed uint64 // left of numbers in bits
	bits   []byte
	at     uint64
}

func (h *hybrid) next() (uint32, error) {
	for h.run == 0 && h.packed == 0 {
		head, n := binary.Uvarint(h.b)
		if n <= 0 || head > 1<<32 {
			return 0, errRuns
		}
		h.b = h.b[n:]
		if head&1 == 0 {
			size := int(h.width+7) / 8
			if size > len(h.b) {
				return 0, errRuns
			}
			var value [4]byte
			copy(value[:], h.b[:size])
			h.run, h.value, h.b = head>>1, binary.LittleEndian.Uint32(value[:]), h.b[size:]
			continue
		}
		groups := head >> 1
		// The last one's padding may be left out.
		size := min(groups*uint64(h.width), uint64(len(h.b)))
		h.packed, h.bits, h.at, h.b = groups*8, h.b[:size], 0, h.b[size:]
	}
	if h.run > 0 {
		h.run--
		return h.value, nil
	}
	x, ok := bitsAt(h.bits, h.at, h.width)
	if !ok {
		return 0, errRuns
	}
	h.packed, h.at = h.packed-1, h.at+uint64(h.width)
	return uint32(x), nil
}

// fixed are values of one width behind each other.
type fixed struct {
	b     []byte
	width int
}

func (f *fixed) next() ([]byte, error) {
	if len(f.b) < f.width {
		return nil, errPage
	}
	v := f.b[:f.width:f.width]
	f.b = f.b[f.width:]
	return v, nil
}

// texts are values with their length before them.
type texts struct{ b []byte }

func (s *texts) next() ([]byte, error) {
	if len(s.b) < 4 {
		return nil, errPage
	}
	n := uint64(binary.LittleEndian.Uint32(s.b))
	if n > uint64(len(s.b)-4) {
		return nil, errPage
	}
	v := s.b[4 : 4+n : 4+n]
	s.b = s.b[4+n:]
	return v, nil
}

var truths = [2][]byte{{0}, {1}}

// flags are truths in bits.
type flags struct {
	b  []byte
	at uint64
}

func (f *flags) next() ([]byte, error) {
	x, ok := bitsAt(f.b, f.at, 1)
	if !ok {
		return nil, errPage
	}
	f.at++
	return truths[x], nil
}

// runs are truths in runs.
type runs struct{ hybrid }

func (r *runs) next() ([]byte, error) {
	x, err := r.hybrid.next()
	if err != nil {
		return nil, err
	}
	return truths[x&1], nil
}

// split are values whose first bytes stand together, then their second bytes, and so on.
type split struct {
	b        []byte
	n, width int
	at       int
	value    []byte
}

func (s *split) next() ([]byte, error) {
	if s.at == s.n {
		return nil, errPage
	}
	for i := range s.value {
		s.value[i] = s.b[i*s.n+s.at]
	}
	s.at++
	return s.value, nil
}

// dictionary is the values that pages of a column name by number.
type dictionary struct {
	b      []byte
	width  int
	starts []uint32 // of values without a width
}

func newDictionary(b []byte, width int, n int64) (*dictionary, error) {
	d := &dictionary{b: b, width: width}
	if width > 0 {
		if n > int64(len(b)/width) {
			return nil, errPage
		}
		d.b = b[:n*int64(width)]
		return d, nil
	}
	if n > int64(len(b)/4) {
		return nil, errPage
	}
	d.starts = make([]uint32, 0, n)
	all := texts{b}
	for range n {
		d.starts = append(d.starts, uint32(len(b)-len(all.b)))
		if _, err := all.next(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// named are values by their number in the dictionary.
type named struct {
	*dictionary
	numbers hybrid
}

func (d *named) next() ([]byte, error) {
	i, err := d.numbers.next()
	if err != nil {
		return nil, err
	}
	if d.width > 0 {
		if at := int64(i) * int64(d.width); at < int64(len(d.b)) {
			return d.b[at : at+int64(d.width)], nil
		}
	} else if int64(i) < int64(len(d.starts)) {
		s := texts{d.b[d.starts[i]:]}
		return s.next()
	}
	return nil, fmt.Errorf("a page names value %d, which its dictionary has not", i)
}

// decode is the decoder of the values in b.
func (c *column) decode(encoding int64, b []byte) (decoder, error) {
	width := c.width()
	switch {
	case encoding == 0 && c.Type == Boolean:
		return &flags{b: b}, nil
	case encoding == 0 && c.Type == ByteArray:
		return &texts{b}, nil
	case encoding == 0:
		return &fixed{b, width}, nil
	case encoding == 3 && c.Type == Boolean:
		t := texts{b}
		b, err := t.next()
		return &runs{hybrid{b: b, width: 1}}, err
	case encoding == 2 || encoding == 8:
		if c.dictionary == nil {
			return nil, errors.New("a page names values of a dictionary that is not there")
		}
		if len(b) == 0 {
			return &named{c.dictionary, hybrid{}}, nil // of a page without values
		}
		if b[0] > 32 {
			return nil, errRuns
		}
		return &named{c.dictionary, hybrid{b: b[1:], width: uint(b[0])}}, nil
	case encoding == 5 && (c.Type == Int32 || c.Type == Int64):
		d, err := newDelta(b)
		return &deltas{delta: d, width: width}, err
	case encoding == 6 && c.Type == ByteArray:
		return newLengths(b)
	case encoding == 7 && (c.Type == ByteArray || c.Type == Fixed):
		return newPrefixes(b, width)
	case encoding == 9 && c.Type != Boolean && c.Type != Int96 && c.Type != ByteArray:
		return &split{b: b, n: len(b) / width, width: width, value: make([]byte, width)}, nil
	}
	return nil, fmt.Errorf("its values are in encoding %d, which is unknown for their type", encoding)
}
