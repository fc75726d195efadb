// What a value's text is: a number, a date, a truth. It is decided for every
// cell of every row, so the usual spellings are read without the library.

package table

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

type kind uint8

const (
	text kind = iota
	integer
	number
	boolean
	date
	timestamp
	kinds
)

var kindNames = [kinds]string{"string", "integer", "number", "boolean", "date", "timestamp"}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// classify says what the text b is; x is its value, for dates and timestamps in
// seconds since 1970 (UTC).
func classify(b []byte) (k kind, x float64) {
	if len(b) == 0 {
		return text, 0
	}
	c := b[0]
	switch {
	case c >= '0' && c <= '9':
		if len(b) >= 10 && b[4] == '-' {
			if k, t := moment(b); k != text {
				return k, float64(t.Unix()) + float64(t.Nanosecond())/1e9
			}
			return text, 0
		}
	case c == '-' || c == '+' || c == '.':
	case c == 't' || c == 'T' || c == 'f' || c == 'F':
		if s := string(b[:min(len(b), 6)]); strings.EqualFold(s, "true") {
			return boolean, 1
		} else if strings.EqualFold(s, "false") {
			return boolean, 0
		}
		return text, 0
	default:
		return text, 0
	}
	return numeric(b)
}

// numeric reads a number: the usual spellings here, the rest by strconv.
func numeric(b []byte) (kind, float64) {
	d, ok := ReadDecimal(b)
	if !ok {
		return slow(b)
	}
	x := d.Number()
	if x == 0 && b[0] == '-' {
		x = math.Copysign(0, -1)
	}
	if d.Point {
		return number, x
	}
	return integer, x
}

func slow(b []byte) (kind, float64) {
	if len(b) > 400 {
		return text, 0
	}
	for _, c := range b {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return text, 0
		}
	}
	s := string(b)
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) {
		return text, 0
	}
	if strings.ContainsAny(s, ".eE") {
		return number, x
	}
	return integer, x // however many digits it has
}

// moment reads 2006-01-02, alone or with a time behind T or a space.
func moment(b []byte) (kind, time.Time) {
	y, ok1 := digits(b[0:4])
	m, ok2 := digits(b[5:7])
	d, ok3 := digits(b[8:10])
	if !ok1 || !ok2 || !ok3 || b[7] != '-' || m < 1 || m > 12 || d < 1 || d > time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day() {
		return text, time.Time{}
	}
	if len(b) == 10 {
		return date, time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	}
	if len(b) > 48 || b[10] != 'T' && b[10] != ' ' {
		return text, time.Time{}
	}
	of, rest, ok := clock(b[11:])
	if !ok {
		return text, time.Time{}
	}
	east, ok := offset(rest)
	if !ok {
		return text, time.Time{}
	}
	return timestamp, time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Add(of - east)
}

// clock reads 15:04, 15:04:05 or 15:04:05.999999999, and what stands behind it.
func clock(b []byte) (of time.Duration, rest []byte, ok bool) {
	hour, ok1 := two(b, 0)
	minute, ok2 := two(b, 3)
	if !ok1 || !ok2 || b[2] != ':' || hour > 23 || minute > 59 {
		return 0, nil, false
	}
	of, rest = time.Duration(hour)*time.Hour+time.Duration(minute)*time.Minute, b[5:]
	if len(rest) == 0 || rest[0] != ':' {
		return of, rest, true
	}
	second, ok := two(rest, 1)
	if !ok || second > 59 {
		return 0, nil, false
	}
	of, rest = of+time.Duration(second)*time.Second, rest[3:]
	if len(rest) == 0 || rest[0] != '.' && rest[0] != ',' {
		return of, rest, true
	}
	n, part := 1, time.Second
	for ; n < len(rest) && rest[n]-'0' <= 9; n++ {
		part /= 10
		of += time.Duration(rest[n]-'0') * part
	}
	return of, rest[n:], n > 1
}

// offset reads how far east a clock was: nothing, Z, UTC, +05, +0530, +05:30 or +05:53:28 as
// PostgreSQL has it of times before there were zones; a space may stand before it.
func offset(b []byte) (east time.Duration, ok bool) {
	if len(b) > 1 && b[0] == ' ' {
		b = b[1:]
	}
	switch string(b) {
	case "", "Z", "z", "UTC", "GMT":
		return 0, true
	}
	if b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	sign, b := b[0], b[1:]
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if i > 0 && len(b) > 0 && b[0] == ':' {
			b = b[1:]
		} else if i > 0 && len(b) == 0 {
			break
		}
		n, ok := two(b, 0)
		if !ok || n > 59 || i == 0 && n > 23 {
			return 0, false
		}
		east, b = east+time.Duration(n)*unit, b[2:]
	}
	if sign == '-' {
		east = -east
	}
	return east, len(b) == 0
}

// two reads the two digits at i.
func two(b []byte, i int) (int, bool) {
	if len(b) < i+2 {
		return 0, false
	}
	return digits(b[i : i+2])
}

func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// cut shortens what is shown to 80 runes.
func cut(s string) string {
	if len(s) <= 80 {
		return s
	}
	n := 0
	for i := range s {
		if n++; n > 80 {
			return s[:i] + "…"
		}
	}
	return s
}

// clipped is the bytes of b that cut needs, without a rune in halves.
func clipped(b []byte) []byte {
	const enough = 81 * utf8.UTFMax
	if len(b) <= enough {
		return b
	}
	n := enough
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}

// What the text of a value is, for who reads rows and not their profile.
const (
	IsText = iota
	IsInteger
	IsNumber
	IsTime
	IsTruth
)

// Value says what a value's text is; x is its number, or its time in seconds since 1970.
func Value(b []byte) (x float64, is int) {
	k, x := classify(b)
	return x, [kinds]int{text: IsText, integer: IsInteger, number: IsNumber, boolean: IsTruth, date: IsTime, timestamp: IsTime}[k]
}
