// Numbers of a column: held, and moved out of memory when all columns together hold many, so that a
// table of any number of columns takes the memory of one of them. Most columns are of decimals of a few places, as
// prices and shares are: these are held as integers, in half of the room.

package sample

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/format/table"
)

// Spool keeps bytes elsewhere than in memory.
type Spool interface {
	// Append keeps what is in raw, and tells where.
	Append(raw []byte) (at int64, err error)
	// Read fills into with what was kept from at on. Several may read at once.
	Read(at int64, into []byte) error
}

// series is the numbers of a column, in the order in which they came.
type series struct {
	decimals []int32 // those held: each is itself / 10^places
	places   int
	held     []float64 // and from the first on that is no such decimal
	other    bool      // there was one
	moved    []chunk
	n        int

	few []float64 // the different ones, as long as they are few
	any bool      // more than are told apart
}

// chunk is where values are that were moved.
type chunk struct {
	at     int64
	n      int
	places int // noDecimals: they are numbers of any kind
}

const (
	// mostFew is how many different numbers are told apart: a column of so few integers is one of names.
	mostFew    = 10
	noDecimals = -1
)

// units are what a value is multiplied with for so many places more.
var units = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// add adds a number that was written in an unusual way.
func (s *series) add(x float64) {
	s.numbers()
	s.held = append(s.held, x)
	s.n++
	if !s.any {
		s.countFew(x)
	}
}

// decimal adds one that was written as most are.
func (s *series) decimal(d table.Decimal) {
	if d.Places != s.places || int64(int32(d.Digits)) != d.Digits || s.other {
		s.unlike(d)
		return
	}
	s.decimals = append(s.decimals, int32(d.Digits))
	s.n++
	if !s.any {
		s.countFew(d.Number())
	}
}

// unlike adds one that has other places than those held, or does not fit them.
func (s *series) unlike(d table.Decimal) {
	places := max(s.places, d.Places)
	if digits, ok := shifted(d.Digits, places-d.Places); ok && !s.other && s.shift(places) {
		s.decimals = append(s.decimals, digits)
		s.n++
		if !s.any {
			s.countFew(d.Number())
		}
		return
	}
	s.add(d.Number())
}

// shift has the decimals held have so many places, where they fit.
func (s *series) shift(places int) bool {
	by := places - s.places
	if by > 0 {
		for _, v := range s.decimals {
			if _, ok := shifted(int64(v), by); !ok {
				return false
			}
		}
		for i, v := range s.decimals {
			s.decimals[i], _ = shifted(int64(v), by)
		}
	}
	s.places = places
	return true
}

// shifted is digits * 10^by, where it fits.
func shifted(digits int64, by int) (int32, bool) {
	if by >= len(units) || int64(int32(digits)) != digits {
		return 0, false
	}
	digits *= units[by]
	return int32(digits), int64(int32(digits)) == digits
}

// numbers has those held be numbers of any kind, and all that come after them.
func (s *series) numbers() {
	s.other = true
	for _, v := range s.decimals {
		s.held = append(s.held, table.Decimal{Digits: int64(v), Places: s.places}.Number())
	}
	s.decimals = nil
}

// countFew tells the few different ones apart.
func (s *series) countFew(x float64) {
	if slices.Contains(s.few, x) {
		return
	}
	if s.few = append(s.few, x); len(s.few) > mostFew {
		s.few, s.any = nil, true
	}
}

// move has the numbers kept by spool. It returns raw, grown to what was needed.
func (s *series) move(spool Spool, raw []byte) ([]byte, error) {
	c := chunk{n: len(s.decimals) + len(s.held), places: s.places}
	if c.n == 0 {
		return raw, nil
	}
	raw = raw[:0]
	if s.other {
		c.places = noDecimals
		for _, x := range s.held {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
		}
	} else {
		raw = slices.Grow(raw, 4*c.n)[:4*c.n]
		for i, v := range s.decimals {
			binary.LittleEndian.PutUint32(raw[4*i:], uint32(v))
		}
	}
	at, err := spool.Append(raw)
	if err != nil {
		return raw, err
	}
	c.at = at
	s.moved = append(s.moved, c)
	s.decimals, s.held = s.decimals[:0], s.held[:0]
	return raw, nil
}

// sample is the numbers, sorted.
func (s *series) sample(spool Spool) (*drift.Sample, error) {
	if s.other {
		values, err := s.all(spool)
		if err != nil {
			return nil, err
		}
		return drift.Numeric(values), nil
	}
	if len(s.moved) == 0 {
		return drift.Decimals(s.decimals, s.places), nil
	}
	out := make([]int32, 0, s.n)
	for _, c := range s.moved {
		fits := true
		by := s.places - c.places // which only grows
		if err := c.readPieces(spool, 4, func(raw []byte) {
			if by == 0 {
				for ; len(raw) >= 4; raw = raw[4:] {
					out = append(out, int32(binary.LittleEndian.Uint32(raw)))
				}
				return
			}
			for ; len(raw) >= 4; raw = raw[4:] {
				v, ok := shifted(int64(int32(binary.LittleEndian.Uint32(raw))), by)
				out, fits = append(out, v), fits && ok
			}
		}); err != nil {
			return nil, err
		}
		if !fits {
			values, err := s.all(spool)
			if err != nil {
				return nil, err
			}
			return drift.Numeric(values), nil
		}
	}
	return drift.Decimals(append(out, s.decimals...), s.places), nil
}

// all are the numbers. They may be put in another order, and no more.
func (s *series) all(spool Spool) ([]float64, error) {
	if len(s.moved) == 0 && s.other {
		return s.held, nil
	}
	out := make([]float64, 0, s.n)
	for _, c := range s.moved {
		size := 4
		if c.places == noDecimals {
			size = 8
		}
		if err := c.readPieces(spool, size, func(raw []byte) {
			for ; len(raw) >= size; raw = raw[size:] {
				if size == 8 {
					out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
				} else {
					out = append(out, table.Decimal{Digits: int64(int32(binary.LittleEndian.Uint32(raw))), Places: c.places}.Number())
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	for _, v := range s.decimals {
		out = append(out, table.Decimal{Digits: int64(v), Places: s.places}.Number())
	}
	return append(out, s.held...), nil
}

// readPieces hands over the bytes of the chunk, in pieces of whole values of size bytes.
func (c chunk) readPieces(spool Spool, size int, take func(raw []byte)) error {
	raw := make([]byte, min(c.n*size, 64<<10))
	for at, end := c.at, c.at+int64(c.n*size); at < end; {
		part := raw[:min(int64(len(raw)), end-at)]
		if err := spool.Read(at, part); err != nil {
			return err
		}
		take(part)
		at += int64(len(part))
	}
	return nil
}
