// The scores, held: those of Evidently 0.7.21 for samples that are listed in full, and tails of
// scipy's distributions.

package drift

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

type goldenCase struct {
	Name, Type string
	Ref, Cur   []any
	Expect     map[string]struct {
		Method  string
		Score   *float64
		Drifted bool
		Error   string
	}
}

// sampleOf is a list of a golden file; null is no value.
func sampleOf(t testing.TB, typ string, list []any) *Sample {
	t.Helper()
	if typ == "num" {
		var v []float64
		for _, x := range list {
			if f, ok := x.(float64); ok {
				v = append(v, f)
			} else {
				v = append(v, math.NaN())
			}
		}
		return Numeric(v)
	}
	counts := map[string]int{}
	for _, x := range list {
		switch x := x.(type) {
		case string:
			counts[x]++
		case float64:
			counts[strconv.FormatFloat(x, 'g', -1, 64)]++
		}
	}
	return Categories(counts)
}

// near tells whether got is want to a relative 1e-9. Where the peer takes a small p-value as 1
// less a chance, or the root of what is nearly nothing, its own last digits are noise: floor says
// below what.
func near(got, want, floor float64) bool {
	if math.IsNaN(want) || math.IsNaN(got) {
		return math.IsNaN(want) == math.IsNaN(got)
	}
	return math.Abs(got-want) <= max(1e-9*math.Abs(want), floor)
}

// floors are absolute, by method.
var noise = map[string]float64{
	"z": 4e-16, "cramer_von_mises": 1e-14, "ks": 1e-14, "kl_div": 1e-15, "hellinger": 1e-7, "jensenshannon": 3e-8,
}

func TestScoresAreThoseOfEvidently(t *testing.T) {
	raw, err := os.ReadFile("testdata/evidently.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []goldenCase }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range file.Cases {
		ref, cur := sampleOf(t, c.Type, c.Ref), sampleOf(t, c.Type, c.Cur)
		ref.Whole, cur.Whole = false, false // numpy 1 had made these
		for name, want := range c.Expect {
			if name == "default" {
				if m := Default(ref, cur); m.Name != want.Method {
					t.Errorf("%s: the default is %s, want %s", c.Name, m.Name, want.Method)
				}
				continue
			}
			m, ok := ByName(name)
			if !ok {
				t.Errorf("there is no %s", name)
				continue
			}
			seen[name]++
			got, err := m.Score(ref, cur)
			if (err != nil) != (want.Error != "") {
				t.Errorf("%s: %s: %v, want %q", c.Name, name, err, want.Error)
			}
			if err != nil || want.Error != "" {
				continue
			}
			score := math.NaN()
			if want.Score != nil {
				score = *want.Score
			}
			if !near(got, score, noise[name]) {
				t.Errorf("%s: %s is %.17g, want %.17g (%.2g apart)", c.Name, name, got, score, math.Abs(got/score-1))
			}
			if m.Drifted(got, m.Threshold) != want.Drifted {
				t.Errorf("%s: %s %v: drifted is %v", c.Name, name, got, !want.Drifted)
			}
		}
	}
	for _, name := range Names() {
		if seen[name] == 0 && name != "fisher_exact" { // which wants samples of equal size
			t.Errorf("no case of %s", name)
		}
	}
}

func TestTailsAreThoseOfScipy(t *testing.T) {
	raw, err := os.ReadFile("testdata/tails.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		KS     [][3]float64 `json:"kstwo_sf"`
		Chi    [][3]float64 `json:"chi2_sf"`
		Normal [][2]float64 `json:"norm_sf_two_sided"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, r := range file.KS {
		if got := kolmogorovTail(int(r[0]), r[1]); !near(got, r[2], 1e-14) {
			t.Errorf("kolmogorov(%v, %v) is %.17g, want %.17g", r[0], r[1], got, r[2])
		}
	}
	for _, r := range file.Chi {
		if got := chiSquareTail(r[1], r[0]); !near(got, r[2], 0) {
			t.Errorf("chi-square(%v, %v) is %.17g, want %.17g", r[0], r[1], got, r[2])
		}
	}
	for _, r := range file.Normal {
		if got := normalTails(r[0]); !near(got, r[1], 4e-16) {
			t.Errorf("normal(%v) is %.17g, want %.17g", r[0], got, r[1])
		}
	}
}
