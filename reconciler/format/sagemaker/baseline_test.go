// A baseline gives rows with its distributions, and what it cannot say is told.

package sagemaker

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const stats = `{"version": 0, "dataset": {"item_count": 1000}, "features": [
  {"name": "area", "inferred_type": "Fractional", "numerical_statistics": {"common": {"num_present": 900, "num_missing": 100}, "mean": 2.5, "sum": 2250, "std_dev": 1, "min": 1, "max": 4,
    "distribution": {"kll": {"buckets": [{"lower_bound": 1, "upper_bound": 4, "count": 900}], "sketch": {"parameters": {"c": 0.64, "k": 2048}, "data": [[1.5, 4], [2], [3]]}}}}},
  {"name": "rooms", "inferred_type": "Integral", "numerical_statistics": {"common": {"num_present": 1000, "num_missing": 0},
    "distribution": {"kll": {"buckets": [{"lower_bound": 0, "upper_bound": 10, "count": 750}, {"lower_bound": 10, "upper_bound": 20, "count": 250}]}}}},
  {"name": "kind, or so", "inferred_type": "String", "string_statistics": {"common": {"num_present": 1000, "num_missing": 0}, "distinct_count": 2,
    "distribution": {"categorical": {"buckets": [{"value": "flat", "count": 200}, {"value": "a \"house\"", "count": 800}]}}}},
  {"name": "nothing", "inferred_type": "Unknown"}]}`

const asked = `{"version": 0, "features": [
  {"name": "area", "inferred_type": "Fractional", "completeness": 0.9, "num_constraints": {"is_non_negative": true}},
  {"name": "rooms", "inferred_type": "Integral", "completeness": 1.0, "num_constraints": {"is_non_negative": true}},
  {"name": "kind, or so", "inferred_type": "String", "completeness": 1.0, "string_constraints": {"domains": ["flat", "a \"house\""]}},
  {"name": "gone", "inferred_type": "String"}],
  "monitoring_config": {"distribution_constraints": {"perform_comparison": "Enabled", "comparison_threshold": 0.1, "comparison_method": "Robust"}}}`

func table(t *testing.T, b Baseline) map[string][]string {
	t.Helper()
	var out bytes.Buffer
	if err := b.WriteRows(&out, func(_ string, n int, swap func(i, j int)) { rand.New(rand.NewPCG(1, 2)).Shuffle(n, swap) }); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]string{}
	for _, row := range all[1:] {
		for i, name := range all[0] {
			columns[name] = append(columns[name], row[i])
		}
	}
	return columns
}

func counts(values []string) string {
	n := map[string]int{}
	for _, v := range values {
		n[v]++
	}
	var out []string
	for v, c := range n {
		out = append(out, fmt.Sprintf("%s:%d", v, c))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestRowsHaveTheDistributionsOfTheBaseline(t *testing.T) {
	b, err := Read([]byte(stats), []byte(asked))
	if err != nil {
		t.Fatal(err)
	}
	rows := table(t, b)
	// A value of the sketch's second level stands for two, one of the third for four: 1, 1, 2, 4 of 8.
	if got, want := counts(rows["area"]), "1.5:112 2:225 3:450 4:113 :100"; got != want {
		t.Errorf("area is %s, want %s", got, want)
	}
	if got, want := counts(rows["kind, or so"]), `a "house":800 flat:200`; got != want {
		t.Errorf("kind is %s, want %s", got, want)
	}
	below, sum := 0, 0.0
	for _, v := range rows["rooms"] {
		x, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		sum += float64(x)
		if x < 10 {
			below++
		}
	}
	if mean := sum / 1000; math.Abs(mean-7.5) > 0.1 || below < 700 || below > 750 {
		t.Errorf("rooms have mean %g, and %d are below 10", mean, below)
	}
	if len(rows) != 3 || slices.IsSorted(rows["rooms"]) {
		t.Errorf("columns %d, sorted %v", len(rows), slices.IsSorted(rows["rooms"]))
	}
	for _, want := range []string{`"nothing" has no values`, `completeness 0.9 of column "area"`, `"gone" are left out`, "comparison_threshold 0.1"} {
		if !slices.ContainsFunc(b.Notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note says %s: %q", want, b.Notes)
		}
	}
}

func TestABaselineThatIsNoneIsRefused(t *testing.T) {
	for name, c := range map[string][2]string{
		"no JSON":           {"rows,1", ""},
		"another version":   {`{"version": 1, "features": [{"name": "a"}]}`, ""},
		"constraints first": {asked, ""},
		"no features":       {`{"features": []}`, ""},
		"twice":             {`{"features": [{"name": "a"}, {"name": "a"}]}`, ""},
		"nameless":          {`{"features": [{"name": " "}]}`, ""},
		"endless levels":    {`{"features": [{"name": "a", "numerical_statistics": {"common": {"num_present": 1}, "distribution": {"kll": {"sketch": {"data": [` + strings.Repeat("[],", 60) + `[1]]}}}}}]}`, ""},
		"endless count":     {`{"features": [{"name": "a", "numerical_statistics": {"common": {"num_present": 1}, "distribution": {"kll": {"buckets": [{"lower_bound": 0, "upper_bound": 1, "count": 1e300}]}}}}]}`, ""},
		"bad constraints":   {stats, "{"},
		"their version":     {stats, `{"version": 2}`},
	} {
		if b, err := Read([]byte(c[0]), []byte(c[1])); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(stats), []byte(asked))
	f.Fuzz(func(t *testing.T, s, c []byte) {
		b, err := Read(s, c)
		if err != nil {
			return
		}
		b.Items = min(b.Items, 100)
		rows := table(t, b)
		for _, column := range b.Columns {
			for _, v := range rows[column.Name] {
				if x, err := strconv.ParseFloat(v, 64); column.Type != "string" && v != "" && (err != nil || math.IsInf(x, 0) || math.IsNaN(x)) {
					t.Fatalf("%s has %q", column.Name, v)
				}
			}
		}
	})
}
