// Package tfevents reads TensorBoard's event files: records of TensorFlow's, each with its length and
// two checksums, that hold Event messages of Protocol Buffers, of which the scalars are read. It reads
// bytes of strangers: no record is larger than MostRecord, and a file that ends in the middle of one is
// refused, since its last values are missing.
package tfevents

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/wire"
)

// MostRecord is how many bytes a record may have: images and graphs are passed over up to it.
const MostRecord = 64 << 20

// piece is how much is read at once, so that a length alone costs no memory.
const piece = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func masked(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

func wrong(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, "the event file: "+format, args...), "let the run close its SummaryWriter before it ends")
}

// Scalar is a number of a step.
type Scalar struct {
	Tag     string
	Step    int64
	Seconds float64 // since the beginning of 1970
	Value   float64
}

// Read yields the scalars in their order.
func Read(r io.Reader, yield func(Scalar) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var buf []byte
	for {
		var head [12]byte
		n, err := io.ReadFull(in, head[:])
		if n == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return wrong("it ends in the middle of a record")
		}
		size := binary.LittleEndian.Uint64(head[:])
		if masked(head[:8]) != binary.LittleEndian.Uint32(head[8:]) {
			return wrong("the length of a record is damaged")
		}
		if size > MostRecord {
			return wrong("a record has more than %d MiB", MostRecord>>20)
		}
		if buf, err = body(in, buf[:0], int(size)+4); err != nil {
			return err
		}
		data := buf[:size]
		if masked(data) != binary.LittleEndian.Uint32(buf[size:]) {
			return wrong("the checksum of a record is another one: it is damaged")
		}
		if err := event(data, yield); err != nil {
			return err
		}
	}
}

func body(in io.Reader, buf []byte, size int) ([]byte, error) {
	for len(buf) < size {
		from := len(buf)
		buf = append(buf, make([]byte, min(piece, size-from))...)
		if _, err := io.ReadFull(in, buf[from:]); err != nil {
			return nil, wrong("it ends in the middle of a record")
		}
	}
	return buf, nil
}

// event is wall_time 1, step 2, summary 5.
func event(b []byte, yield func(Scalar) error) error {
	var s Scalar
	var summary []byte
	err := wire.Fields(b, unreadable, func(f wire.Field) error {
		switch f.Num {
		case 1:
			s.Seconds = math.Float64frombits(f.N)
		case 2:
			s.Step = int64(f.N)
		case 5:
			summary = f.Data
		}
		return nil
	})
	if err != nil {
		return err
	}
	return wire.Fields(summary, unreadable, func(f wire.Field) error {
		if f.Num != 1 {
			return nil
		}
		tag, value, ok, err := scalar(f.Data)
		if err != nil || !ok {
			return err
		}
		s.Tag, s.Value = tag, value
		return yield(s)
	})
}

// scalar is tag 1, simple_value 2, or tensor 8 of one number as TensorFlow 2 writes it.
func scalar(b []byte) (tag string, value float64, ok bool, err error) {
	err = wire.Fields(b, unreadable, func(f wire.Field) error {
		switch f.Num {
		case 1:
			tag = string(f.Data)
		case 2:
			value, ok = float64(math.Float32frombits(uint32(f.N))), true
		case 8:
			v, one, err := tensor(f.Data)
			if err != nil {
				return err
			}
			if one {
				value, ok = v, true
			}
		}
		return nil
	})
	return tag, value, ok, err
}

const (
	dtFloat  = 1
	dtDouble = 2
)

// tensor is the one number of dtype 1, tensor_content 4, float_val 5 or double_val 6.
func tensor(b []byte) (value float64, one bool, err error) {
	var dtype uint64
	var content []byte
	n, single := 0, true
	err = wire.Fields(b, unreadable, func(f wire.Field) error {
		switch f.Num {
		case 1:
			dtype = f.N
		case 2:
			return wire.Fields(f.Data, unreadable, func(dim wire.Field) error { // a shape without dimensions is one number
				single = single && dim.Num != 2
				return nil
			})
		case 4:
			content = f.Data
		case 5:
			if raw := f.Data; raw != nil { // packed
				n += len(raw) / 4
				if len(raw) >= 4 {
					value = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
				}
				return nil
			}
			value, n = float64(math.Float32frombits(uint32(f.N))), n+1
		case 6:
			if raw := f.Data; raw != nil {
				n += len(raw) / 8
				if len(raw) >= 8 {
					value = math.Float64frombits(binary.LittleEndian.Uint64(raw))
				}
				return nil
			}
			value, n = math.Float64frombits(f.N), n+1
		}
		return nil
	})
	switch {
	case dtype == dtFloat && len(content) == 4:
		value, n = float64(math.Float32frombits(binary.LittleEndian.Uint32(content))), 1
	case dtype == dtDouble && len(content) == 8:
		value, n = math.Float64frombits(binary.LittleEndian.Uint64(content)), 1
	}
	return value, n == 1 && single && (dtype == dtFloat || dtype == dtDouble), err
}

var unreadable = wrong("a record cannot be read")
