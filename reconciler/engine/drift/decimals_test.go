// Decimals are sorted as the numbers that they are.

package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDecimalsAreTheNumbersThatTheyAre(t *testing.T) {
	for name, span := range map[string]int64{"constant": 1, "two": 2, "counted": 1 << 16, "two digits": 1<<16 + 1, "two digits, whole": 1 << 24, "three digits": 1<<24 + 1, "all": 1 << 32} {
		for _, n := range []int{0, 1, manyKeys - 1, manyKeys, 50_000} {
			for _, places := range []int{0, 2, 9} {
				r := rand.New(rand.NewPCG(uint64(n), uint64(span)))
				values, numbers := make([]int32, n), make([]float64, n)
				for i := range values {
					values[i] = int32(math.MinInt32/max(1, int64(places)) + r.Int64N(span))
					if span == 1<<32 {
						values[i] = int32(r.Uint32())
					}
					if i < 2 && n > 2 { // the ends
						values[i] = int32(math.MinInt32/max(1, int64(places)) + int64(i)*(span-1))
					}
					numbers[i] = float64(values[i]) / math.Pow10(places)
				}
				got, want := Decimals(values, places), Numeric(numbers)
				if got.Whole != want.Whole || !slices.Equal(got.Numbers, want.Numbers) {
					t.Errorf("%s: %d with %d places differ", name, n, places)
				}
			}
		}
	}
	if s := Decimals([]int32{300, -100}, 2); !s.Whole || !slices.Equal(s.Numbers, []float64{-1, 3}) {
		t.Errorf("%+v", s)
	}
}

func BenchmarkSortDecimals(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	values := make([]int32, 3_000_000)
	for i := range values {
		values[i] = int32(r.NormFloat64() * 1e6)
	}
	began := processor()
	for b.Loop() {
		Decimals(values, 6)
		r.Shuffle(1000, func(i, j int) { values[i], values[j] = values[j], values[i] })
	}
	b.ReportMetric(float64((processor()-began).Nanoseconds())/float64(b.N)/float64(len(values)), "ns/number")
}
