// Rows on their way to their columns: some hundred are copied, and then each column takes its own of them, a
// few columns at a time and several at once where the side may. A table of a thousand columns would otherwise
// go through all of them for each row.

package watch

import (
	"encoding/binary"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/format/table"
)

const (
	batchRows  = 256
	batchBytes = 512 << 10 // of cells, from where on no more rows are added
	together   = 16        // columns that are gone through row by row
)

// batch is the cells of some rows, of the columns that are kept.
type batch struct {
	of    []*column
	rows  int
	bytes []byte
	ends  []uint32 // of each cell among bytes, by row and then by column
	kinds []cellKind
}

type cellKind uint8

const (
	cellNone cellKind = iota
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
		b.bytes, b.ends, b.kinds, b.of = b.bytes[:0], b.ends[:0], b.kinds[:0], b.of[:0]
		for _, c := range of {
			if c != nil {
				b.of = append(b.of, c)
			}
		}
	}
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
			b.bytes = appendShort(b.bytes, row.Cells[i])
		}
		b.ends, b.kinds = append(b.ends, uint32(len(b.bytes))), append(b.kinds, kind)
	}
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
	go func() { f.done <- f.hand(&f.taken) }()
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
	n := len(cell)
	if n < 8 || n > 16 {
		return append(to, cell...)
	}
	to = slices.Grow(to, n)[:len(to)+n]
	end := to[len(to)-n:]
	binary.LittleEndian.PutUint64(end, binary.LittleEndian.Uint64(cell))
	binary.LittleEndian.PutUint64(end[n-8:], binary.LittleEndian.Uint64(cell[n-8:]))
	return to
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
		from := uint32(0)
		if at > 0 {
			from = b.ends[at-1]
		}
		for _, c := range b.of[first:last] {
			to := b.ends[at]
			if kind := b.kinds[at]; kind == cellNone {
				c.nulls++
			} else if c.add(b.bytes[from:to:to], kind == cellText, log) {
				kept++
			}
			from = to
			at++
		}
	}
	return kept
}
