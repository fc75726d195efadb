// Numbers of a column: held, and moved out of memory when all columns together hold many, so that a
// table of any number of columns takes the memory of one of them.

package watch

import "slices"

// Spool keeps numbers elsewhere than in memory.
type Spool interface {
	// Append keeps values, and tells where.
	Append(values []float64) (at int64, err error)
	// Read fills into with the values from at on. Several may read at once.
	Read(at int64, into []float64) error
}

// series is the numbers of a column, in the order in which they came.
type series struct {
	held  []float64
	moved []chunk
	n     int

	few map[float64]bool // the different ones, as long as they are few; nil: no value, or more
	any bool             // more than are told apart
}

// chunk is where values are that were moved.
type chunk struct {
	at int64
	n  int
}

// mostFew is how many different numbers are told apart: a column of so few integers is one of names.
const mostFew = 10

func (s *series) add(x float64) {
	s.held = append(s.held, x)
	s.n++
	if s.any {
		return
	}
	if s.few == nil {
		s.few = map[float64]bool{}
	}
	if s.few[x] = true; len(s.few) > mostFew {
		s.few, s.any = nil, true
	}
}

// move has the numbers kept by spool.
func (s *series) move(spool Spool) error {
	if len(s.held) == 0 {
		return nil
	}
	at, err := spool.Append(s.held)
	if err != nil {
		return err
	}
	s.moved = append(s.moved, chunk{at, len(s.held)})
	s.held = s.held[:0]
	return nil
}

// all are the numbers, in a slice that is the caller's where some were moved: it is let go of when the
// column was looked at.
func (s *series) all(spool Spool) ([]float64, error) {
	if len(s.moved) == 0 {
		return s.held, nil
	}
	out := make([]float64, 0, s.n)
	for _, c := range s.moved {
		out = slices.Grow(out, c.n)[:len(out)+c.n]
		if err := spool.Read(c.at, out[len(out)-c.n:]); err != nil {
			return nil, err
		}
	}
	return append(out, s.held...), nil
}
