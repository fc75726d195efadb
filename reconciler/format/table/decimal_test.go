// Decimals are read as strconv reads numbers.

package table

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestDecimalsAreReadAsTheLibraryReadsThem(t *testing.T) {
	texts := []string{"", "-", "+", ".", "-.", "5.", "+.5", "1..2", "1.2.3", "12345678.", ".12345678", "1234567.8.", "--1", "-+1", "1-", "0x1", "1e5", "1_0", "1,5",
		"999999999999999", "9999999999999999", "0000000000000001", "-0", "-0.0", "00000000.1234567", "12345678/", "1234567:", "/2345678", "1234\x00678", "123\xb1", "0.1234567890123456", " 1", "1 "}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := []byte(strconv.FormatFloat(r.NormFloat64()*math.Pow10(r.IntN(9)), 'f', r.IntN(12), 64))
		texts = append(texts, string(b))
		b[r.IntN(len(b))] = "0123456789.-+e /:"[r.IntN(17)]
		texts = append(texts, string(b))
	}
	read := 0
	for _, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		d, ok := ReadDecimal([]byte(text))
		switch digits := strings.Trim(text, "+-."); {
		case ok && (err != nil || d.Number() != want || d.Point != strings.Contains(text, ".")):
			t.Errorf("%q is %+v; the library: %v, %v", text, d, want, err)
		case !ok && err == nil && len(digits) < 15 && !strings.ContainsAny(text, "eExX_"):
			t.Errorf("%q is not read", text)
		}
		if ok {
			read++
		}
		x, is := Value([]byte(text))
		if number := is == IsInteger || is == IsNumber; number && (x != want || math.Signbit(x) != math.Signbit(want)) {
			t.Errorf("Value of %q is %v, want %v", text, x, want)
		}
	}
	if read < 20_000 {
		t.Errorf("%d of %d are decimals", read, len(texts))
	}
}

func BenchmarkDecimal(b *testing.B) {
	var texts [][]byte
	r := rand.New(rand.NewPCG(3, 4))
	for range 4096 {
		texts = append(texts, fmt.Appendf(nil, "%.6f", r.NormFloat64()))
	}
	for i := 0; b.Loop(); i++ {
		if _, ok := ReadDecimal(texts[i%len(texts)]); !ok {
			b.Fatal(string(texts[i%len(texts)]))
		}
	}
}
