// Sides take turns, and what is reported of them is what they took.

package beside

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

func TestSidesTakeTurns(t *testing.T) {
	t.Setenv(pairsVariable, "2")
	var order []string
	side := func(name string, took time.Duration) Side {
		return Side{Name: name, Before: func() { order = append(order, "before "+name) }, Run: func() Cost {
			order = append(order, name)
			return Cost{Wall: took, CPU: took}
		}}
	}
	costs := turns([]Side{side("a", time.Second), side("b", 2*time.Second)}, Server{})
	want := []string{"before a", "a", "before b", "b", "before b", "b", "before a", "a", "before a", "a", "before b", "b"}
	if !slices.Equal(order, want) {
		t.Errorf("they ran as %q", order)
	}
	if len(costs[0]) != 2 || len(costs[1]) != 2 || costs[1][0].CPU != 2*time.Second {
		t.Errorf("they took %v", costs)
	}
}

func TestGrowthIsThatOfTheLastTwoSizes(t *testing.T) {
	var g Growth
	sides := []Side{{Name: "a"}}
	if e := g.exponents(10, sides, [][]Cost{{{CPU: time.Second}}}); len(e) != 0 {
		t.Errorf("one size grows: %v", e)
	}
	if e := g.exponents(100, sides, [][]Cost{{{CPU: 100 * time.Second}}}); math.Abs(e["a"]-2) > 1e-9 {
		t.Errorf("a hundred times the time for ten times the work is an exponent of %v", e["a"])
	}
}

// What a program takes at most is its own, and not that of whoever began it.
func TestPeakIsTheProgramsOwn(t *testing.T) {
	if largest("self") == 0 {
		t.Skip("there is no /proc")
	}
	room := make([]byte, 200<<20)
	for i := range room {
		room[i] = byte(i)
	}
	out, cost := Command{B: t, Env: os.Environ(), Args: []string{"/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done"}}.Run()
	if out != "done\n" || cost.CPU <= 0 || cost.Wall <= 0 {
		t.Errorf("it says %q and took %v", out, cost)
	}
	if cost.Peak > 20<<20 {
		t.Errorf("a shell took %d MiB", cost.Peak>>20)
	}
	if fmt.Sprint(room[7]) != "7" {
		t.Error("memory is lost")
	}
}
