// A search makes the same candidates anywhere, no two alike, and no more than are allowed, whatever it says.

package schemas

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func num(v float64) *float64 { return &v }

func TestAGridTriesEachCombination(t *testing.T) {
	s := Search{Grid: map[string][]any{"depth": {3.0, 5.0}, "rate": {0.1, 1e-05}, "booster": {"gbtree"}}}
	got := s.candidates()
	want := []string{"booster-gbtree_depth-3_rate-0.1", "booster-gbtree_depth-3_rate-0.00001", "booster-gbtree_depth-5_rate-0.1", "booster-gbtree_depth-5_rate-0.00001"}
	slices.Sort(want)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if p := got["booster-gbtree_depth-3_rate-0.1"].Params; !reflect.DeepEqual(p, map[string]any{"booster": "gbtree", "depth": 3.0, "rate": 0.1}) {
		t.Errorf("its parameters are %v", p)
	}
	odd := Search{Grid: map[string][]any{"name": {"a b", "A", "a", strings.Repeat("x", 100), map[string]any{"n": 1.0}}}}
	if got := odd.candidates(); len(got) != 5 {
		t.Errorf("odd values come to %q", slices.Sorted(maps.Keys(got)))
	}
}

// TestDrawsAreTheSameForEver: who changes how they are drawn has everybody train again.
func TestDrawsAreTheSameForEver(t *testing.T) {
	s := RandomSearch{Trials: 3, Seed: 7, Space: map[string]Range{"degree": {Min: num(1), Max: num(3), Integer: true}, "rate": {Min: num(0.0001), Max: num(0.1), Scale: "log"}, "solver": {Values: []any{"exact", "gradient"}}, "width": {Min: num(-1), Max: num(1)}}}
	var got []string
	for i, c := range s.candidates() {
		got = append(got, fmt.Sprint(i, c.Params))
	}
	slices.Sort(got)
	want := []string{"trial-0001map[degree:3 rate:0.0077284 solver:gradient width:-0.390062]", "trial-0002map[degree:1 rate:0.088661 solver:gradient width:0.172105]", "trial-0003map[degree:1 rate:0.0310552 solver:gradient width:0.861185]"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestMoreTrialsLeaveThoseBeforeAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(1e-6, 10).Draw(t, "low")
		span := rapid.Float64Range(1e-3, 1e6).Draw(t, "span")
		s := RandomSearch{Seed: rapid.Int64Min(0).Draw(t, "seed"), Trials: rapid.IntRange(1, 60).Draw(t, "trials"), Space: map[string]Range{
			"log": {Min: &low, Max: num(low + span), Scale: "log"}, "linear": {Min: &low, Max: num(low + span)}, "whole": {Min: num(-3), Max: num(5), Integer: true}, "word": {Values: []any{"a", true, 3.0}}}}
		before := s.candidates()
		s.Trials += 20
		after := s.candidates()
		for name, c := range before {
			if !reflect.DeepEqual(after[name], c) {
				t.Fatalf("%s was %v and is %v", name, c, after[name])
			}
			for _, p := range []string{"log", "linear"} {
				if v := c.Params[p].(float64); v < low || v > low+span {
					t.Fatalf("%s is %v, not from %v to %v", p, v, low, low+span)
				}
			}
			if v := c.Params["whole"].(float64); v < -3 || v > 5 || v != float64(int(v)) {
				t.Fatalf("whole is %v", v)
			}
		}
	})
}

func TestEachValueIsAsLikelyAsTheNext(t *testing.T) {
	s := RandomSearch{Trials: 9000, Space: map[string]Range{"n": {Min: num(1), Max: num(3), Integer: true}, "x": {Min: num(0.001), Max: num(1), Scale: "log"}, "id": {Min: num(0), Max: num(1)}}}
	n, low := map[any]int{}, 0
	for _, c := range s.candidates() {
		n[c.Params["n"]]++
		if c.Params["x"].(float64) < 0.01 {
			low++
		}
	}
	for v, times := range n {
		if times < 2800 || times > 3200 {
			t.Errorf("%v was drawn %d times of 9000", v, times)
		}
	}
	if len(n) != 3 || low < 2800 || low > 3200 {
		t.Errorf("%v; the lowest of three powers of ten was drawn %d times", n, low)
	}
}

// TestASearchWithoutEndIsRefusedAtOnce: the number of its combinations is not what it takes.
func TestASearchWithoutEndIsRefusedAtOnce(t *testing.T) {
	wide := map[string][]any{}
	for i := range 60 {
		wide[fmt.Sprintf("p%d", i)] = []any{1.0, 2.0, 3.0}
	}
	many := maps.Clone(wide)
	for i := range 1000 {
		many[fmt.Sprintf("q%d", i)] = []any{1.0, 2.0}
	}
	began := time.Now()
	for name, s := range map[string]Search{"3^60": {Grid: wide}, "many parameters": {Grid: many}, "trials": {Random: &RandomSearch{Trials: 1 << 40, Space: map[string]Range{"x": {Min: num(0), Max: num(1)}}}}} {
		if n := s.count(); n != MaxCandidates+1 {
			t.Errorf("%s counts %d", name, n)
		}
		if n := len(s.candidates()); n > MaxCandidates+1 {
			t.Errorf("%s comes to %d", name, n)
		}
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %s", d)
	}
}
