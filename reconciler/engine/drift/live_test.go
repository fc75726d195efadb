// The scores, held against the Evidently that is installed, over generated samples of all kinds.

package drift

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

type liveSide struct {
	Values []string `json:"values,omitempty"`
	File   string   `json:"file,omitempty"`
	Whole  bool     `json:"whole,omitempty"`
}

type liveCase struct {
	name     string
	Type     string   `json:"type"`
	Ref      liveSide `json:"ref"`
	Cur      liveSide `json:"cur"`
	Methods  []string `json:"methods"`
	ref, cur *Sample
}

// draws are ways to draw a number, by name.
var draws = map[string]func(r *rand.Rand, shift float64) float64{
	"normal":    func(r *rand.Rand, s float64) float64 { return r.NormFloat64() + s },
	"lognormal": func(r *rand.Rand, s float64) float64 { return math.Exp(r.NormFloat64() + s) },
	"huge":      func(r *rand.Rand, s float64) float64 { return 1e9 + 1e3*(r.NormFloat64()+s) },
	"tiny":      func(r *rand.Rand, s float64) float64 { return 1e-7 * (r.NormFloat64() + s) },
	"whole":     func(r *rand.Rand, s float64) float64 { return math.Round(10 * (r.NormFloat64() + s)) },
	"count":     func(r *rand.Rand, s float64) float64 { return math.Floor(r.ExpFloat64()*3 + s) },
	"few":       func(r *rand.Rand, s float64) float64 { return float64(min(3, int(4*r.Float64()+s))) },
	"two":       func(r *rand.Rand, s float64) float64 { return float64(min(1, int(2*r.Float64()+s))) },
	"constant":  func(*rand.Rand, float64) float64 { return 7 },
	"holes": func(r *rand.Rand, s float64) float64 {
		switch x := r.Float64(); {
		case x < 0.1:
			return math.NaN()
		case x < 0.15:
			return math.Inf(1)
		case x < 0.2:
			return math.Inf(-1)
		}
		return r.NormFloat64() + s
	},
}

func numbersOf(t *testing.T, dir, draw string, n int, shift float64, r *rand.Rand) (liveSide, *Sample) {
	v := make([]float64, n)
	for i := range v {
		v[i] = draws[draw](r, shift)
	}
	v[0] = 7 // never empty
	side := liveSide{Whole: draw == "whole" || draw == "count" || draw == "few" || draw == "two"}
	if n > 20000 {
		side.File = filepath.Join(dir, strconv.Itoa(r.IntN(1<<30)))
		f, err := os.Create(side.File)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := binary.Write(f, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	} else {
		for _, x := range v {
			side.Values = append(side.Values, strconv.FormatFloat(x, 'g', -1, 64))
		}
	}
	s := Numeric(v)
	s.Whole = side.Whole
	return side, s
}

func namesOf(n, kinds int, unseen bool, r *rand.Rand) (liveSide, *Sample) {
	counts, side := map[string]int{}, liveSide{}
	for range n {
		k := int(float64(kinds) * r.Float64() * r.Float64())
		name := fmt.Sprintf("kind %d", k)
		if unseen && r.Float64() < 0.1 {
			name = "never before"
		}
		counts[name]++
		side.Values = append(side.Values, name)
	}
	return side, Categories(counts)
}

func liveCases(t *testing.T, dir string) (all []liveCase) {
	r := rand.New(rand.NewPCG(15, 7))
	numeric := []string{}
	named := []string{}
	for _, m := range methods {
		if m.numbers {
			numeric = append(numeric, m.Name)
		}
		if m.names {
			named = append(named, m.Name)
		}
	}
	sizes := [][2]int{{1, 1}, {2, 3}, {5, 5}, {8, 40}, {15, 17}, {20, 20}, {21, 24}, {100, 100}, {100, 90}, {999, 1000}, {1001, 500}, {5000, 4000}}
	for _, draw := range slices.Sorted(mapKeys(draws)) {
		for i, n := range sizes {
			c := liveCase{name: fmt.Sprintf("%s %v", draw, n), Type: "num", Methods: numeric}
			c.Ref, c.ref = numbersOf(t, dir, draw, n[0], 0, r)
			c.Cur, c.cur = numbersOf(t, dir, draw, n[1], float64(i%3)*0.3, r)
			all = append(all, c)
		}
	}
	for _, n := range [][2]int{{10000, 9999}, {900, 10500}, {200000, 1000000}} {
		c := liveCase{name: fmt.Sprintf("large %v", n), Type: "num", Methods: numeric}
		c.Ref, c.ref = numbersOf(t, dir, "normal", n[0], 0, r)
		c.Cur, c.cur = numbersOf(t, dir, "normal", n[1], 0.01, r)
		all = append(all, c)
	}
	for _, kinds := range []int{1, 2, 3, 12, 300} {
		for i, n := range [][2]int{{1, 1}, {10, 12}, {50, 50}, {500, 500}, {1500, 1200}, {20000, 20000}} {
			c := liveCase{name: fmt.Sprintf("%d names %v", kinds, n), Type: "cat", Methods: named}
			c.Ref, c.ref = namesOf(n[0], kinds, false, r)
			c.Cur, c.cur = namesOf(n[1], kinds, i%2 == 1, r)
			all = append(all, c)
		}
	}
	return all
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

type liveAnswer struct {
	Score   string `json:"score"`
	Drifted bool   `json:"drifted"`
	Error   string `json:"error"`
	Method  string `json:"method"`
}

// TestRealEvidentlyScoresTheSame needs the package itself, which make test-real installs.
func TestRealEvidentlyScoresTheSame(t *testing.T) {
	if os.Getenv("VISHWA_REAL") == "" {
		t.Skip("make test-evidently, or make test-real, runs this")
	}
	cases := liveCases(t, t.TempDir())
	cmd := exec.Command(filepath.Join(os.Getenv("VISHWA_TOOLS"), "evidently"), "testdata/score_evidently.py")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; make test-evidently installs it", err)
	}
	go func() {
		enc := json.NewEncoder(in)
		for _, c := range cases {
			if enc.Encode(c) != nil {
				break
			}
		}
		in.Close()
	}()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	held := 0
	for _, c := range cases {
		if !lines.Scan() {
			t.Fatalf("%s: no answer: %v", c.name, lines.Err())
		}
		var said map[string]liveAnswer
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatal(err)
		}
		if got := Default(c.ref, c.cur).Name; got != said["default"].Method {
			t.Errorf("%s: the default is %s, and Evidently's %s", c.name, got, said["default"].Method)
		}
		for _, name := range c.Methods {
			held++
			holdLive(t, c, name, said[name])
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d scores of %d cases", held, len(cases))
}

func holdLive(t *testing.T, c liveCase, name string, want liveAnswer) {
	m, _ := ByName(name)
	got, err := m.Score(c.ref, c.cur)
	small := name == "cramer_von_mises" && max(c.ref.N(), c.cur.N()) <= 20
	switch {
	case name == "es" && c.ref.Distinct() <= 4: // its covariances have no inverse: what Evidently says is the noise of rounding
		return
	case small && err == nil && strings.Contains(want.Error, "Cannot cast ufunc"): // it fails at numpy 2
		return
	}
	if err != nil || want.Error != "" {
		if err == nil && !math.IsNaN(got) || want.Error == "" && want.Score != "nan" {
			t.Errorf("%s: %s: %v %v, and Evidently says %+v", c.name, name, got, err, want)
		}
		return
	}
	score, err := strconv.ParseFloat(want.Score, 64)
	if err != nil {
		t.Fatal(err)
	}
	if floor := noise[name]; !near(got, score, floor) && !(small && near(got, score, 2e-3)) { // of 16 bits there
		t.Errorf("%s: %s is %.17g, and Evidently's %.17g (%.2g apart)", c.name, name, got, score, math.Abs(got/score-1))
	} else if m.Drifted(got, m.Threshold) != want.Drifted {
		t.Errorf("%s: %s %v: Evidently says drifted: %v", c.name, name, got, want.Drifted)
	}
}
