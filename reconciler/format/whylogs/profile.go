// Package whylogs reads the profiles that whylogs 1.x writes (profile.bin): the quantile sketches of
// their columns, and the Kolmogorov-Smirnov test over them as whylogs computes it. It reads bytes of
// strangers: what they say of lengths is held against what is there, and nothing is made larger than
// the file.
//
//	WHY1, then delimited DatasetSegmentHeader and DatasetProfileHeader; then, at the offsets that the
//	header gives for each column, delimited ChunkHeader and ChunkMessage: index of a metric -> component.
package whylogs

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/wire"
)

const (
	magic = "WHY1"
	// MostColumns of a profile are read.
	MostColumns = 10_000
	chunkColumn = 2
	kllMetric   = "distribution/kll"
)

// Column is a column of a profile. One without numbers has an empty sketch.
type Column struct {
	Name   string
	Sketch Sketch
}

// wrong is a profile that cannot be read.
func wrong(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, "the profile: "+format, args...), "write it again with whylogs 1.x: why.log(frame).profile().view().write(PATH)")
}

// Read reads the columns of a profile, by name.
func Read(raw []byte) ([]Column, error) {
	rest, found := bytes.CutPrefix(raw, []byte(magic))
	if !found {
		return nil, wrong("it does not begin with %s", magic)
	}
	_, rest, ok := delimited(rest) // DatasetSegmentHeader
	if !ok {
		return nil, wrong("it ends in its first header")
	}
	head, body, ok := delimited(rest)
	if !ok {
		return nil, wrong("it ends in its header")
	}
	h, ok := readHeader(head)
	switch {
	case !ok:
		return nil, wrong("its header cannot be read")
	case h.length > uint64(len(body)):
		return nil, wrong("it ends before its columns do: %d bytes of %d", len(body), h.length)
	case len(h.offsets) > MostColumns:
		return nil, wrong("it has more than %d columns", MostColumns)
	}
	out := make([]Column, 0, len(h.offsets))
	for _, at := range h.offsets {
		c, err := h.column(at, body)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(out); i++ {
		if out[i].Name == out[i-1].Name {
			return nil, wrong("two columns have one name")
		}
	}
	return out, nil
}

// header is what is needed of DatasetProfileHeader.
type header struct {
	offsets []offsets
	length  uint64
	kll     map[uint64]bool // indexes of the quantile sketch
}

type offsets struct {
	name string
	at   []uint64
}

// delimited cuts a message with its length before it.
func delimited(b []byte) (message, rest []byte, ok bool) {
	n, size := protowire.ConsumeVarint(b)
	if size < 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}

// fields hands on each field of a message; false where it is none.
func fields(b []byte, take func(n protowire.Number, t protowire.Type, value []byte, number uint64) bool) bool {
	return wire.Fields(b, errNotAMessage, func(f wire.Field) error {
		if !take(f.Num, f.Type, f.Data, f.N) {
			return errNotAMessage
		}
		return nil
	}) == nil
}

var errNotAMessage = errors.New("is not a message")

func readHeader(b []byte) (h header, ok bool) {
	h.kll = map[uint64]bool{}
	ok = fields(b, func(n protowire.Number, t protowire.Type, value []byte, number uint64) bool {
		switch {
		case n == 2 && t == protowire.BytesType: // column_offsets
			var o offsets
			good := fields(value, func(n protowire.Number, t protowire.Type, value []byte, _ uint64) bool {
				switch {
				case n == 1 && t == protowire.BytesType:
					o.name = string(value)
				case n == 2 && t == protowire.BytesType:
					return fields(value, func(n protowire.Number, t protowire.Type, packed []byte, number uint64) bool {
						if n == 1 && t == protowire.VarintType {
							o.at = append(o.at, number)
						}
						for n == 1 && t == protowire.BytesType && len(packed) > 0 {
							one, size := protowire.ConsumeVarint(packed)
							if size < 0 {
								return false
							}
							o.at, packed = append(o.at, one), packed[size:]
						}
						return true
					})
				}
				return true
			})
			if len(h.offsets) <= MostColumns {
				h.offsets = append(h.offsets, o)
			}
			return good
		case n == 4 && t == protowire.VarintType:
			h.length = number
		case n == 5 && t == protowire.BytesType: // indexed_metric_paths
			index, name := uint64(0), ""
			good := fields(value, func(n protowire.Number, t protowire.Type, value []byte, number uint64) bool {
				switch {
				case n == 1 && t == protowire.VarintType:
					index = number
				case n == 2 && t == protowire.BytesType:
					name = string(value)
				}
				return true
			})
			if name == kllMetric {
				h.kll[index] = true
			}
			return good
		}
		return true
	})
	return h, ok
}

// column reads the chunks of a column.
func (h header) column(o offsets, body []byte) (c Column, err error) {
	c.Name = o.name
	for _, at := range o.at {
		if at > uint64(len(body)) {
			return c, wrong("a column lies behind its end")
		}
		head, rest, ok := delimited(body[at:])
		if !ok {
			return c, wrong("it ends in a column's header")
		}
		kind, length := uint64(0), uint64(0)
		if !fields(head, func(n protowire.Number, t protowire.Type, _ []byte, number uint64) bool {
			switch {
			case n == 1 && t == protowire.VarintType:
				kind = number
			case n == 3 && t == protowire.VarintType:
				length = number
			}
			return true
		}) || length > uint64(len(rest)) {
			return c, wrong("it ends in a column")
		}
		if kind != chunkColumn {
			continue
		}
		var sketch []byte
		found := 0
		if !fields(rest[:length], func(n protowire.Number, t protowire.Type, value []byte, _ uint64) bool {
			if n != 1 || t != protowire.BytesType {
				return true
			}
			index, component := uint64(0), []byte(nil)
			good := fields(value, func(n protowire.Number, t protowire.Type, value []byte, number uint64) bool {
				switch {
				case n == 1 && t == protowire.VarintType:
					index = number
				case n == 2 && t == protowire.BytesType:
					component = value
				}
				return true
			})
			if !good || !h.kll[index] {
				return good
			}
			return fields(component, func(n protowire.Number, t protowire.Type, value []byte, _ uint64) bool {
				if n != 6 || t != protowire.BytesType { // kll
					return true
				}
				return fields(value, func(n protowire.Number, t protowire.Type, value []byte, _ uint64) bool {
					if n == 1 && t == protowire.BytesType {
						sketch = value
						found++
					}
					return true
				})
			})
		}) {
			return c, wrong("a column cannot be read")
		}
		if found > 1 {
			return c, wrong("a column has two sketches")
		}
		if found == 0 {
			continue
		}
		if c.Sketch, err = readSketch(sketch); err != nil {
			return c, err
		}
	}
	return c, nil
}
