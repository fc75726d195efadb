// Package message reads what is sent one message at a time, in Avro and in Protobuf, and writes
// each as JSON: one line, the same bytes for the same message and schema. A message comes from
// whoever may write to a topic: what one may cost is bounded, whatever it says of itself.
package message

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	// MaxText is how many bytes of JSON a message may come to: as many as a row may have.
	MaxText = 64 << 20
	// maxDepth is how deep values may be within one another.
	maxDepth = 64
	// maxSchema is how many bytes a schema may have, and maxTypes how many types it may be of.
	maxSchema = 1 << 20
	maxTypes  = 10_000
)

func wrong(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, format, args...), "see with which schema the message was written")
}

var errTooLong = wrong("the message comes to more than %d MiB of JSON", MaxText>>20)

const hexDigits = "0123456789abcdef"

// appendText appends s as JSON has it. What is not UTF-8 becomes the replacement character.
func appendText(out []byte, s []byte) []byte {
	out = append(out, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRune(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			out = append(append(out, s[from:i]...), "\ufffd"...)
			i++
			from = i
			continue
		}
		out = append(out, s[from:i]...)
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(out, s[from:]...), '"')
}

// appendFloat appends f as JSON has it; what JSON has no number for is a text, as Protobuf writes it.
func appendFloat(out []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(out, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(out, `"-Infinity"`...)
	}
	form := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(out, f, form, -1, bits)
}
