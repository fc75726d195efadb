// Package beside measures what a program of ours takes beside others that do the same work: by turns in one run, so that what
// else the machine does falls on all of them alike. What it reports are lines of Go's benchmarks, one a side, of which
// cmd/internal/benchmarks writes the tables of docs/benchmarks.md.
package beside

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	scaleVariable = "VISHWA_BENCH_SCALE" // a part of the usual sizes, for a trial
	pairsVariable = "VISHWA_BENCH_PAIRS" // so many, and no more
	fewest, most  = 5, 21
	enough        = 5 * time.Second // more than the fewest pairs are made for so long
)

// Cost is what one run took.
type Cost struct {
	Wall, CPU time.Duration // CPU is user and system, of its children too
	Peak      int64         // the largest resident set of one of its processes, in bytes; 0 where it is unknown
	Server    time.Duration // what the work's server took of the processor meanwhile
}

// Plus is the cost of one run after another.
func (c Cost) Plus(next Cost) Cost {
	return Cost{c.Wall + next.Wall, c.CPU + next.CPU, max(c.Peak, next.Peak), c.Server + next.Server}
}

// Side is one of those that do the work.
type Side struct {
	Name   string // as the table has it
	Before func() // makes what a run needs, and is not counted
	Run    func() Cost
	Goals  map[string]float64 // by unit: at least that for a ratio, at most that for all else
}

// Case is one work that all sides do.
type Case struct {
	Work   string // what it is, as the table has it
	Ours   Side
	Others []Side
	Asks   Server  // that all of them ask
	Growth *Growth // where the same work is measured of several sizes, the smallest first
	Size   int     // its size among these
}

// Growth remembers what smaller works of a kind took.
type Growth struct {
	size int
	took map[string]float64
}

// Size is n, or as much less as the variable of the environment says.
func Size(n int) int {
	scale, err := strconv.ParseFloat(os.Getenv(scaleVariable), 64)
	if err != nil {
		return n
	}
	return max(1, int(math.Round(float64(n)*scale)))
}

// Says prints what a program says that it is, as a line of configuration of the results.
func Says(name, version string) {
	version, _, _ = strings.Cut(strings.TrimSpace(version), "\n")
	fmt.Printf("version-%s: %s\n", strings.ToLower(strings.ReplaceAll(name, " ", "-")), version)
}

// Compare has all sides do the work by turns, every second time in the opposite order, and reports each of them: medians of
// processor and wall time and of the server's, the largest peak, and of the others the median, least and largest of their ratios to ours, pair by pair.
func Compare(b *testing.B, c Case) {
	b.Helper()
	sides := slices.Concat([]Side{c.Ours}, c.Others)
	costs := turns(sides, c.Asks)
	grown := c.Growth.exponents(c.Size, sides, costs)
	for i, s := range sides {
		b.Run(unspaced.Replace(c.Work+"/"+s.Name), func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(len(costs[i])), "pairs")
			report(b, costs[i], costs[0], i > 0)
			if e, ok := grown[s.Name]; ok {
				b.ReportMetric(e, "exponent")
			}
			for unit, goal := range s.Goals {
				b.ReportMetric(goal, unit+"-goal")
			}
		})
	}
}

// unspaced makes a name of words that of a benchmark, from which it is read again.
var unspaced = strings.NewReplacer("_", "__", " ", "_")

// turns is what each run of each side took. The first of all is not kept: it finds caches cold that the others find warm.
func turns(sides []Side, asks Server) [][]Cost {
	costs := make([][]Cost, len(sides))
	wanted, began := pairs(), time.Now()
	for round := 0; ; round++ {
		for at := range sides {
			i := at
			if round%2 == 1 {
				i = len(sides) - 1 - at
			}
			if sides[i].Before != nil {
				sides[i].Before()
			}
			before := asks.spent()
			cost := sides[i].Run()
			cost.Server = asks.spent() - before
			costs[i] = append(costs[i], cost)
		}
		if round == 0 && wanted != 1 {
			clear(costs)
			began = time.Now()
			continue
		}
		n := len(costs[0])
		if n == wanted || wanted == 0 && n >= fewest && (n >= most || time.Since(began) > enough) {
			return costs
		}
	}
}

// pairs is how many are asked for, or 0.
func pairs() int {
	n, _ := strconv.Atoi(os.Getenv(pairsVariable))
	return max(n, 0)
}

func report(b *testing.B, costs, ours []Cost, ratios bool) {
	var peak int64
	for _, c := range costs {
		peak = max(peak, c.Peak)
	}
	if peak > 0 {
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	}
	var served []float64
	for _, c := range costs {
		served = append(served, c.Server.Seconds())
	}
	if slices.Max(served) > 0 {
		b.ReportMetric(middle(served), "server-s")
	}
	for unit, of := range map[string]func(Cost) time.Duration{"wall": func(c Cost) time.Duration { return c.Wall }, "cpu": func(c Cost) time.Duration { return c.CPU }} {
		var took, times []float64
		for i, c := range costs {
			took = append(took, of(c).Seconds())
			times = append(times, of(c).Seconds()/of(ours[i]).Seconds())
		}
		b.ReportMetric(middle(took), unit+"-s")
		if ratios {
			b.ReportMetric(middle(times), unit+"-ratio")
			b.ReportMetric(slices.Min(times), unit+"-ratio-least")
			b.ReportMetric(slices.Max(times), unit+"-ratio-most")
		}
	}
}

// exponents are those that each side's processor time grew with since the last size.
func (g *Growth) exponents(size int, sides []Side, costs [][]Cost) map[string]float64 {
	grown, now := map[string]float64{}, map[string]float64{}
	if g == nil {
		return grown
	}
	for i, s := range sides {
		var took []float64
		for _, c := range costs[i] {
			took = append(took, c.CPU.Seconds())
		}
		now[s.Name] = middle(took)
		if before, ok := g.took[s.Name]; ok && size > g.size {
			grown[s.Name] = math.Log(now[s.Name]/before) / math.Log(float64(size)/float64(g.size))
		}
	}
	g.size, g.took = size, now
	return grown
}

func middle(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}
