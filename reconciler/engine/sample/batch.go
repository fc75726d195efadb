// Rows on their way to their columns: some hundred are copied, and then each column takes its own of them, a
// few columns at a time and several at once where the side may. A table of a thousand columns would otherwise
// go through all of them for each row.

package sample

import (
	"encoding/binary"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/table"
)

const (
	batchRows  = 256
	batchBytes = 512 << 10 // of cells, from where on no more rows are added
	mostCell   = 512       // of a cell that are copied: a longer one is a text, whatever else it has
	together   = 16        // columns that are gone through row by row
)

// batch is the cells of some rows, of the columns that are kept.
type batch struct {
	of    []*column
	rows  int
	bytes []byte
	cells []cellEnd // by row and then by column
}

// cellEnd is where a cell ends among the bytes, times 4, and of which kind it is.
type cellEnd uint32

const (
	cellNone cellEnd = iota
	cellPlain
	cellText
)

// filling is a batch that rows are copied into while columns take those of the one before it.
type filling struct {
	side *Side
	batch
	taken batch      // that columns take
	done  chan error // of taken; nil: none is under way
}

// add copies a row's cells.
func (f *filling) add(of []*column, row *table.Row) error {
	b := &f.batch
	if b.rows == 0 {
		b.bytes, b.cells, b.of = b.bytes[:0], b.cells[:0], b.of[:0]
		for _, c := range of {
			if c != nil {
				b.of = append(b.of, c)
			}
		}
	}
	bytes, cells := b.bytes, slices.Grow(b.cells, len(b.of))
	for i, c := range of {
		if c == nil {
			continue
		}
		kind := cellNone
		if i < len(row.Cells) && row.Cells[i] != nil {
			kind = cellPlain
			if row.Text != nil && row.Text[i] {
				kind = cellText
			}
			cell := row.Cells[i]
			bytes = appendShort(bytes, cell[:min(len(cell), mostCell)])
		}
		cells = append(cells, cellEnd(len(bytes)<<2)|kind)
	}
	b.bytes, b.cells = bytes, cells
	if b.rows++; b.rows < batchRows && len(b.bytes) < batchBytes {
		return nil
	}
	return f.begin()
}

// begin has the rows added that were copied, when those before them are; more may be copied meanwhile.
func (f *filling) begin() error {
	if f.side.Each == nil {
		return f.hand(&f.batch)
	}
	if err := f.wait(); err != nil {
		return err
	}
	f.batch, f.taken = f.taken, f.batch
	f.done = make(chan error, 1)
	done := f.done
	fault.Go(func() { done <- f.hand(&f.taken) }, func(err error) { done <- err })
	return nil
}

func (f *filling) wait() error {
	if f.done == nil {
		return nil
	}
	err := <-f.done
	f.done = nil
	return err
}

// appendShort appends a cell. Most have some eight to sixteen bytes, which are copied as two words: a call for each would cost more
// than the copy.
func appendShort(to, cell []byte) []byte {
	n, at := len(cell), len(to)
	if n < 8 || n > 16 || cap(to)-at < 16 {
		return append(to, cell...)
	}
	words := to[at : at+16]
	binary.LittleEndian.PutUint64(words, binary.LittleEndian.Uint64(cell))
	binary.LittleEndian.PutUint64(words[n-8:], binary.LittleEndian.Uint64(cell[n-8:]))
	return to[:at+n]
}

// end has all rows added that were copied.
func (f *filling) end() error {
	if err := f.wait(); err != nil {
		f.rows = 0
		return err
	}
	return f.hand(&f.batch)
}

// hand has the columns take the cells of b, which is empty then.
func (f *filling) hand(b *batch) error {
	if b.rows == 0 {
		return nil
	}
	kept := make([]int, (len(b.of)+together-1)/together)
	f.side.each(len(kept), func(i int) {
		kept[i] = b.group(i*together, min((i+1)*together, len(b.of)), f.side.Log)
	})
	b.rows = 0
	n := 0
	for _, k := range kept {
		n += k
	}
	return f.side.hold(n)
}

func (s *Side) each(n int, do func(i int)) {
	if s.Each != nil && n > 1 {
		s.Each(n, do)
		return
	}
	for i := range n {
		do(i)
	}
}

// group has the columns from first on, and before last, take their cells.
func (b *batch) group(first, last int, log bool) (kept int) {
	for row := range b.rows {
		at := row*len(b.of) + first
		from := cellEnd(0)
		if at > 0 {
			from = b.cells[at-1] >> 2
		}
		cells := b.cells[at : at+last-first]
		for i, c := range b.of[first:last] {
			to, kind := cells[i]>>2, cells[i]&3
			if kind == cellNone {
				c.nulls++
			} else if c.add(b.bytes[from:to:to], kind == cellText, log) {
				kept++
			}
			from = to
		}
	}
	return kept
}
