// Messages in Avro's binary encoding. A union is the value that it holds; bytes are Base64, dates and
// times as RFC 3339 has them, decimals texts, as they would lose digits as numbers.

package message

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// maxDecimal is how many bytes, and digits behind the point, a decimal may have.
const maxDecimal = 1024

// Append appends the message as JSON.
func (a *Avro) Append(out, message []byte) ([]byte, error) {
	d := avroDecoder{in: message, out: out, room: len(out) + a.most}
	if err := d.value(a.root, 0); err != nil {
		return nil, err
	}
	if len(d.in) > 0 {
		return nil, wrong("%d bytes follow the message", len(d.in))
	}
	return d.out, nil
}

type avroDecoder struct {
	in, out []byte
	room    int // how long out may become
}

func (d *avroDecoder) value(t *avroType, depth int) error {
	if depth > maxDepth {
		return wrong("its values are more than %d deep within one another", maxDepth)
	}
	if len(d.out) > d.room {
		return errTooLong
	}
	switch t.kind {
	case avroNull:
		d.out = append(d.out, "null"...)
	case avroBoolean:
		b, err := d.takeBytes(1)
		if err != nil {
			return err
		}
		if b[0] > 1 {
			return wrong("a boolean is %d", b[0])
		}
		d.out = strconv.AppendBool(d.out, b[0] == 1)
	case avroInt, avroLong:
		return d.integer(t)
	case avroFloat:
		b, err := d.takeBytes(4)
		if err != nil {
			return err
		}
		d.out = appendFloat(d.out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 32)
	case avroDouble:
		b, err := d.takeBytes(8)
		if err != nil {
			return err
		}
		d.out = appendFloat(d.out, math.Float64frombits(binary.LittleEndian.Uint64(b)), 64)
	case avroBytes, avroFixed, avroString:
		return d.bytes(t)
	case avroEnum:
		n, err := d.long()
		if err != nil {
			return err
		}
		if n < 0 || n >= int64(len(t.symbols)) {
			return wrong("an enum of %d symbols is %d", len(t.symbols), n)
		}
		d.out = append(d.out, t.symbols[n]...)
	case avroUnion:
		n, err := d.long()
		if err != nil {
			return err
		}
		if n < 0 || n >= int64(len(t.of)) {
			return wrong("a union of %d types is of number %d", len(t.of), n)
		}
		return d.value(t.of[n], depth+1)
	case avroRecord:
		return d.record(t, depth)
	case avroArray, avroMap:
		return d.blocks(t, depth)
	}
	return nil
}

func (d *avroDecoder) record(t *avroType, depth int) error {
	d.out = append(d.out, '{')
	for i, f := range t.fields {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		d.out = append(d.out, f.key...)
		if err := d.value(f.typ, depth+1); err != nil {
			return err
		}
	}
	d.out = append(d.out, '}')
	return nil
}

// blocks reads the values of an array or a map, which come in counted blocks until one is empty.
// Values that take no bytes still make JSON, whose length is bounded.
func (d *avroDecoder) blocks(t *avroType, depth int) error {
	open, end := byte('['), byte(']')
	if t.kind == avroMap {
		open, end = '{', '}'
	}
	d.out = append(d.out, open)
	for first := true; ; {
		n, err := d.long()
		if err != nil {
			return err
		}
		if n < 0 { // its size in bytes follows, for those who pass over it
			if _, err := d.long(); err != nil {
				return err
			}
			if n == math.MinInt64 {
				return wrong("a block says that it has too many values")
			}
			n = -n
		}
		if n == 0 {
			break
		}
		for range n {
			if !first {
				d.out = append(d.out, ',')
			}
			first = false
			if t.kind == avroMap {
				key, err := d.counted()
				if err != nil {
					return err
				}
				d.out = append(appendText(d.out, key), ':')
			}
			if err := d.value(t.of[0], depth+1); err != nil {
				return err
			}
		}
	}
	d.out = append(d.out, end)
	return nil
}

func (d *avroDecoder) takeBytes(n int) ([]byte, error) {
	if n > len(d.in) {
		return nil, wrong("the message ends within a value")
	}
	b := d.in[:n]
	d.in = d.in[n:]
	return b, nil
}

func (d *avroDecoder) long() (int64, error) {
	v, n := binary.Varint(d.in)
	if n <= 0 {
		return 0, wrong("the message ends within a number, or it is too long")
	}
	d.in = d.in[n:]
	return v, nil
}

// counted takes bytes whose number comes before them.
func (d *avroDecoder) counted() ([]byte, error) {
	n, err := d.long()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(d.in)) {
		return nil, wrong("a value says that it has %d bytes, and %d are left", n, len(d.in))
	}
	return d.takeBytes(int(n))
}

func (d *avroDecoder) integer(t *avroType) error {
	n, err := d.long()
	if err != nil {
		return err
	}
	if t.kind == avroInt && n != int64(int32(n)) {
		return wrong("an int is %d", n)
	}
	const clock = "15:04:05.999999999"
	text := ""
	switch t.logical {
	case "":
		d.out = strconv.AppendInt(d.out, n, 10)
		return nil
	case "date":
		text = time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
	case "time-millis":
		text = time.UnixMilli(n).UTC().Format(clock)
	case "time-micros":
		text = time.UnixMicro(n).UTC().Format(clock)
	default:
		text = moment(t.logical, n)
	}
	d.out = appendText(d.out, []byte(text))
	return nil
}

// moment is a time of day and date; a local one has no zone.
func moment(logical string, n int64) string {
	layout := time.RFC3339Nano
	if strings.HasPrefix(logical, "local-") {
		layout = "2006-01-02T15:04:05.999999999"
	}
	at := time.Unix(n/1e9, n%1e9)
	switch {
	case strings.HasSuffix(logical, "millis"):
		at = time.UnixMilli(n)
	case strings.HasSuffix(logical, "micros"):
		at = time.UnixMicro(n)
	}
	return at.UTC().Format(layout)
}

func (d *avroDecoder) bytes(t *avroType) error {
	var b []byte
	var err error
	if t.kind == avroFixed {
		b, err = d.takeBytes(t.size)
	} else {
		b, err = d.counted()
	}
	if err != nil {
		return err
	}
	if len(d.out)+len(b) > d.room {
		return errTooLong
	}
	switch {
	case t.kind == avroString:
		d.out = appendText(d.out, b)
	case t.logical == "uuid":
		h := hex.EncodeToString(b)
		d.out = appendText(d.out, []byte(h[:8]+"-"+h[8:12]+"-"+h[12:16]+"-"+h[16:20]+"-"+h[20:]))
	case t.logical == "decimal":
		if len(b) > maxDecimal {
			return wrong("a decimal has %d bytes", len(b))
		}
		d.out = appendText(d.out, []byte(decimal(b, t.scale)))
	default:
		d.out = append(base64.StdEncoding.AppendEncode(append(d.out, '"'), b), '"')
	}
	return nil
}

// decimal is a number in two's complement, highest byte first, with so many digits behind its point.
func decimal(b []byte, scale int) string {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	digits, sign := new(big.Int).Abs(n).String(), ""
	if n.Sign() < 0 {
		sign = "-"
	}
	if scale == 0 {
		return sign + digits
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
