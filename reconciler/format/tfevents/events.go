// Package tfevents reads TensorBoard's event files: records of TensorFlow's, each with its length and
// two checksums, that hold Event messages of Protocol Buffers, of which scalars, images and hyperparameters are read. It reads
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
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/wire"
)

// MostRecord is how many bytes a record may have: graphs are passed over up to it.
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

// Visitor is told what a file holds, in its order. Each of them may be nil.
type Visitor struct {
	Scalar func(Scalar) error
	// Image is one as it was encoded, as PNG or otherwise; its bytes are there until Image returns.
	Image func(tag string, step int64, encoded []byte) error
	// Param is a hyperparameter, as of add_hparams.
	Param func(name, value string) error
}

// Read tells v what the file holds.
func Read(r io.Reader, v Visitor) error {
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
		if err := event(data, v); err != nil {
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
func event(b []byte, v Visitor) error {
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
		got, err := valueOf(f.Data)
		if err != nil {
			return err
		}
		switch {
		case got.one && v.Scalar != nil:
			s.Tag, s.Value = got.tag, got.number
			return v.Scalar(s)
		case len(got.image) > 0 && v.Image != nil:
			return v.Image(got.tag, s.Step, got.image)
		case got.plugin == "hparams" && v.Param != nil:
			return hparams(got.content, v.Param)
		}
		return nil
	})
}

// value is what a tag has.
type value struct {
	tag     string
	number  float64
	one     bool
	image   []byte
	plugin  string // of TensorBoard, which it is for
	content []byte // for that
}

// valueOf is tag 1, simple_value 2, image 4, tensor 8 as TensorFlow 2 writes all, and metadata 9.
func valueOf(b []byte) (v value, err error) {
	var texts [][]byte
	err = wire.Fields(b, unreadable, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			v.tag = string(f.Data)
		case 2:
			v.number, v.one = float64(math.Float32frombits(uint32(f.N))), true
		case 4:
			return wire.Fields(f.Data, unreadable, func(of wire.Field) error {
				if of.Num == 4 {
					v.image = of.Data
				}
				return nil
			})
		case 8:
			var number float64
			var one bool
			if number, one, texts, err = tensor(f.Data); one {
				v.number, v.one = number, true
			}
		case 9:
			return wire.Fields(f.Data, unreadable, func(of wire.Field) error {
				if of.Num != 1 {
					return nil
				}
				return wire.Fields(of.Data, unreadable, func(plugin wire.Field) error {
					switch plugin.Num {
					case 1:
						v.plugin = string(plugin.Data)
					case 2:
						v.content = plugin.Data
					}
					return nil
				})
			})
		}
		return err
	})
	if v.plugin == "images" && len(texts) == mostTexts { // width, height and the image
		v.image = texts[2]
	}
	return v, err
}

// hparams are session_start_info 3, whose hparams 1 are by their names.
func hparams(b []byte, yield func(name, value string) error) error {
	return wire.Fields(b, unreadable, func(f wire.Field) error {
		if f.Num != 3 {
			return nil
		}
		return wire.Fields(f.Data, unreadable, func(of wire.Field) error {
			if of.Num != 1 {
				return nil
			}
			var name, text string
			known := false
			err := wire.Fields(of.Data, unreadable, func(entry wire.Field) error {
				switch entry.Num {
				case 1:
					name = string(entry.Data)
				case 2:
					return wire.Fields(entry.Data, unreadable, func(is wire.Field) error {
						known = true
						switch is.Num {
						case 2:
							text = strconv.FormatFloat(math.Float64frombits(is.N), 'g', -1, 64)
						case 3:
							text = string(is.Data)
						case 4:
							text = strconv.FormatBool(is.N != 0)
						default:
							known = false
						}
						return nil
					})
				}
				return nil
			})
			if err != nil || !known {
				return err
			}
			return yield(name, text)
		})
	})
}

const (
	dtFloat  = 1
	dtDouble = 2
	dtString = 7

	mostTexts = 3 // of a tensor, that are read
)

// tensor is the one number of dtype 1, tensor_content 4, float_val 5 or double_val 6, or the first texts of string_val 8.
func tensor(b []byte) (value float64, one bool, texts [][]byte, err error) {
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
		case 8:
			if len(texts) < mostTexts {
				texts = append(texts, f.Data)
			}
		}
		return nil
	})
	switch {
	case dtype == dtFloat && len(content) == 4:
		value, n = float64(math.Float32frombits(binary.LittleEndian.Uint32(content))), 1
	case dtype == dtDouble && len(content) == 8:
		value, n = math.Float64frombits(binary.LittleEndian.Uint64(content)), 1
	}
	if dtype != dtString {
		texts = nil
	}
	return value, n == 1 && single && (dtype == dtFloat || dtype == dtDouble), texts, err
}

var unreadable = wrong("a record cannot be read")
