// Decimal numbers from their digits, eight at a time. Most cells of most tables are such numbers.

package table

import (
	"encoding/binary"
	"math/bits"
)

// Decimal is a number as it was written: Digits / 10^Places.
type Decimal struct {
	Digits int64
	Places int
	// Point says that it was written with a decimal point.
	Point bool
}

// Number is the number nearest to it: of up to 15 digits and 22 places a division is exact to the last bit
// (Clinger 1990).
func (d Decimal) Number() float64 { return float64(d.Digits) / powers[d.Places] }

const (
	zeros  = 0x3030303030303030 // "00000000"
	points = 0x2e2e2e2e2e2e2e2e // "........"
	ones   = 0x0101010101010101
	tops   = 0x8080808080808080
)

// ReadDecimal reads the usual ones: digits with at most one point among them, 16 bytes at most behind a sign.
// Others, as 1e5, are not ok; Value reads them.
func ReadDecimal(b []byte) (d Decimal, ok bool) {
	if len(b) == 0 {
		return d, false
	}
	minus := b[0] == '-'
	if minus || b[0] == '+' {
		b = b[1:]
	}
	// The text stands at the end of high and low, its first byte least, and zeros before it.
	high, low := uint64(zeros), uint64(0)
	switch n := uint(len(b)); {
	case n == 0 || n > 16:
		return d, false
	case n >= 8:
		lead := 8 * (16 - n) // bits of both words that are of the same bytes
		high = binary.LittleEndian.Uint64(b)<<lead | zeros&(1<<lead-1)
		low = binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		lead := 8 * (8 - n)
		low = uint64(binary.LittleEndian.Uint32(b))<<lead | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32 | zeros&(1<<lead-1)
	default:
		low = zeros
		for _, c := range b {
			low = low>>8 | uint64(c)<<56
		}
	}
	if at := firstPoint(low); at < 8 {
		d.Point, d.Places = true, 7-at
		low, high = without(low, at)|high>>56, high<<8|'0'
	} else if at := firstPoint(high); at < 8 {
		d.Point, d.Places = true, 15-at
		high = without(high, at) | '0'
	}
	if !digitsAll(low) || !digitsAll(high) || d.Point && len(b) == 1 {
		return d, false
	}
	d.Digits = int64(eight(low))
	if high != zeros {
		d.Digits += int64(eight(high)) * 100_000_000
		if d.Digits >= 1_000_000_000_000_000 {
			return d, false
		}
	}
	if minus {
		d.Digits = -d.Digits
	}
	return d, true
}

// firstPoint is at which byte of w there is a point first; 8: at none.
func firstPoint(w uint64) int {
	x := w ^ points
	return bits.TrailingZeros64((x-ones)&^x&tops) / 8
}

// without is w without the byte at; what stands before it moves up.
func without(w uint64, at int) uint64 {
	before := uint64(1)<<(8*at) - 1
	return w&^before&^(0xff<<(8*at)) | w&before<<8
}

// digitsAll tells whether all eight bytes are digits.
func digitsAll(w uint64) bool {
	const halves = 0xf0f0f0f0f0f0f0f0
	return w&halves == zeros && (w+0x0606060606060606)&halves == zeros
}

// eight is the number of eight digits, the first of which is least.
func eight(w uint64) uint64 {
	w = (w & 0x0f0f0f0f0f0f0f0f) * (1 + 10<<8) >> 8
	w = (w & 0x00ff00ff00ff00ff) * (1 + 100<<16) >> 16
	return (w & 0x0000ffff0000ffff) * (1 + 10000<<32) >> 32
}
