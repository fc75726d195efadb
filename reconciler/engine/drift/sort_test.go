// Numbers are sorted by their bits as by comparing, whatever they are.

package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

func shapesOfNumbers(n int) map[string][]float64 {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	out := map[string][]float64{}
	for name, one := range map[string]func() float64{
		"normal":              r.NormFloat64,
		"of all sizes":        func() float64 { return math.Float64frombits(r.Uint64() &^ (1 << 62)) },
		"few":                 func() float64 { return float64(r.IntN(7)) - 3 },
		"times of one day":    func() float64 { return 1.7e9 + 86400*r.Float64() },
		"close to each other": func() float64 { return 1 + 1e-12*r.Float64() },
		"one far away":        func() float64 { return []float64{0, 1.7e9 + 86400*r.Float64()}[min(1, r.IntN(n))] },
		"constant":            func() float64 { return 42 },
		"zeros of both signs": func() float64 { return math.Copysign(0, r.Float64()-0.5) },
	} {
		for range n {
			out[name] = append(out[name], one())
		}
	}
	return out
}

func TestNumbersAreSortedByTheirBits(t *testing.T) {
	for _, n := range []int{4096, 100_000} {
		for name, v := range shapesOfNumbers(n) {
			want := slices.Clone(v)
			slices.Sort(want)
			sortFloats(v)
			for i := range v { // zeros of both signs are equal
				if v[i] != want[i] {
					t.Fatalf("%d %s: %v at %d, want %v", n, name, v[i], i, want[i])
				}
			}
		}
	}
}

func BenchmarkSort(b *testing.B) {
	for name, v := range shapesOfNumbers(1_000_000) {
		b.Run(name, func(b *testing.B) {
			w := make([]float64, len(v))
			began := processor()
			for b.Loop() {
				copy(w, v)
				sortFloats(w)
			}
			b.ReportMetric(float64((processor()-began).Nanoseconds())/float64(b.N)/float64(len(v)), "ns/number")
		})
	}
}

// processor is the time that this process has used of one.
func processor() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
