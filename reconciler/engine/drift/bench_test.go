// What holding columns costs beside Evidently, and how often it cries wolf.

package drift

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// benchRows is a million in docs/benchmarks.md; VISHWA_BENCH_ROWS= is for a smaller machine.
func benchRows(b *testing.B) int {
	if s := os.Getenv("VISHWA_BENCH_ROWS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 1_000_000
}

// BenchmarkBesideEvidently holds a hundred columns against a hundred, on all processors, and
// Evidently the same values in a data frame; the tenth part of them, as it takes so long.
func BenchmarkBesideEvidently(b *testing.B) {
	const columns, theirs = 100, 10
	rows := benchRows(b)
	make1 := func(seed uint64, shift float64) []float64 {
		r, v := rand.New(rand.NewPCG(seed, 9)), make([]float64, rows)
		for i := range v {
			v[i] = r.NormFloat64() + shift
		}
		return v
	}
	base, moved := make1(1, 0), make1(2, 0.05)
	ref := Numeric(slices.Clone(base))
	b.ResetTimer()
	var ours time.Duration
	for range b.N {
		began := time.Now()
		var all sync.WaitGroup
		next := make(chan int)
		for range runtime.GOMAXPROCS(0) {
			all.Go(func() {
				for range next {
					cur := Numeric(slices.Clone(moved))
					c := Hold("x", Setting{}, ref, cur, func(m Method, threshold float64, n int) Null { return Null{Enough: true} })
					if c.Score == nil {
						b.Error(c.Why)
					}
				}
			})
		}
		for i := range columns {
			next <- i
		}
		close(next)
		all.Wait()
		ours = time.Since(began)
	}
	b.StopTimer()
	b.ReportMetric(ours.Seconds(), "s/100-columns")
	python := filepath.Join(os.Getenv("VISHWA_TOOLS"), "evidently")
	if _, err := os.Stat(python); err != nil {
		b.Logf("Evidently is not there to be measured beside it: make test-evidently installs it")
		return
	}
	dir := b.TempDir()
	for name, v := range map[string][]float64{"ref": base, "cur": moved} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			b.Fatal(err)
		}
		if err := binary.Write(f, binary.LittleEndian, v); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	out, err := exec.Command(python, "testdata/time_evidently.py", dir, fmt.Sprint(theirs)).Output()
	if err != nil {
		b.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(seconds*columns/theirs, "evidently-s/100-columns")
	b.ReportMetric(seconds*columns/theirs/ours.Seconds(), "times-faster")
}

// BenchmarkFalseAlarms is the share of windows that alarm though nothing changed, of fifty
// columns and two hundred windows, and the share in which a shift of one column is found; beside
// each, in how many some column's score is beyond Evidently's default threshold.
func BenchmarkFalseAlarms(b *testing.B) {
	for range b.N {
		for _, n := range []int{50, 100, 200, 500, 1000, 2000, 5000} {
			for _, shift := range []float64{0, 0.1, 0.25, 0.5} {
				s := simulation{columns: 50, windows: 200, reference: 5000, n: n, shift: shift, methods: []string{""}}
				if shift > 0 {
					s.windows, s.columns = 100, 10 // the others of fifty tell what shift 0 does
				}
				got := s.run(rand.New(rand.NewPCG(uint64(n), math.Float64bits(shift))))
				b.Logf("windows of %4d, shift %.2f: drift in %5.1f %%, a verdict in %3.0f %%; by the scores alone %5.1f %%", n, shift, 100*got.drift, 100*got.told, 100*got.scored)
				if shift > 0 {
					continue
				}
				b.ReportMetric(100*got.drift, fmt.Sprintf("%%-of-%d", n))
				if got.drift > 0.05+2.33*math.Sqrt(0.05*0.95/200) {
					b.Errorf("windows of %d: %.1f %% alarm", n, 100*got.drift)
				}
			}
		}
	}
}
