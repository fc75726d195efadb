// Package sagemaker reads the baseline that SageMaker Model Monitor wrote: statistics.json, with the
// distribution of each column, and constraints.json, with what was asked of it. The rows themselves
// are in neither: rows with the same distributions are made of them. It reads files of strangers,
// and holds no more than they do. The formats are those of the developer guide, "Schema for
// Statistics" and "Schema for Constraints", version 0.
package sagemaker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// What is read of a baseline at most.
const (
	MostColumns = 10_000
	MostRows    = 100_000
	mostCells   = 20_000_000
	mostLevels  = 53      // of a sketch, each of which counts twice as much as the one before
	most        = 1 << 53 // of what is counted
)

// Baseline is what is known of the rows that a model was trained on.
type Baseline struct {
	Items   int64 // rows that were counted
	Columns []Column
	Notes   []string // what of the files is not taken over
}

// Column is one column of a baseline.
type Column struct {
	Name        string
	Type        string // number, integer or string, as a Dataset has them
	Present     int64
	Missing     int64
	Values      []any // the only ones that were allowed; nil is any
	NonNegative bool
	Complete    bool // no value was to be missing

	numbers    []part // in their order
	categories []category
}

// part is so much of a column's weight, evenly from one number to another.
type part struct{ from, to, weight float64 }

type category struct {
	Value string  `json:"value"`
	Count float64 `json:"count"`
}

type statistics struct {
	Version float64 `json:"version"`
	Dataset struct {
		Items float64 `json:"item_count"`
	} `json:"dataset"`
	Features []feature `json:"features"`
}

type feature struct {
	Name    string `json:"name"`
	Type    string `json:"inferred_type"`
	Numbers *struct {
		Common       common `json:"common"`
		Distribution struct {
			KLL struct {
				Buckets []struct {
					From  float64 `json:"lower_bound"`
					To    float64 `json:"upper_bound"`
					Count float64 `json:"count"`
				} `json:"buckets"`
				Sketch struct {
					Data [][]float64 `json:"data"`
				} `json:"sketch"`
			} `json:"kll"`
		} `json:"distribution"`
	} `json:"numerical_statistics"`
	Texts *struct {
		Common       common `json:"common"`
		Distribution struct {
			Categorical struct {
				Buckets []category `json:"buckets"`
			} `json:"categorical"`
		} `json:"distribution"`
	} `json:"string_statistics"`
}

type common struct {
	Present float64 `json:"num_present"`
	Missing float64 `json:"num_missing"`
}

type constraints struct {
	Version  float64 `json:"version"`
	Features []struct {
		Name         string   `json:"name"`
		Completeness *float64 `json:"completeness"`
		Numbers      struct {
			NonNegative bool `json:"is_non_negative"`
		} `json:"num_constraints"`
		Texts struct {
			Domains []string `json:"domains"`
		} `json:"string_constraints"`
	} `json:"features"`
	Monitoring struct {
		Distribution struct {
			Threshold *float64 `json:"comparison_threshold"`
		} `json:"distribution_constraints"`
	} `json:"monitoring_config"`
}

func wrong(file, format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, file+": "+format, args...), "give it as a baselining job of SageMaker Model Monitor wrote it")
}

// Read reads a baseline; bounds is constraints.json, or empty.
func Read(stats, bounds []byte) (Baseline, error) {
	var s statistics
	if err := json.Unmarshal(stats, &s); err != nil {
		return Baseline{}, wrong("statistics", "%w", err)
	}
	switch {
	case s.Version != 0:
		return Baseline{}, wrong("statistics", "version %g is not known", s.Version)
	case len(s.Features) == 0:
		return Baseline{}, wrong("statistics", "there are no features")
	case len(s.Features) > MostColumns:
		return Baseline{}, wrong("statistics", "there are more than %d features", MostColumns)
	}
	b := Baseline{Items: count(s.Dataset.Items)}
	seen := map[string]bool{}
	for _, f := range s.Features {
		if seen[f.Name] || strings.TrimSpace(f.Name) == "" {
			return Baseline{}, wrong("statistics", "feature %q has no name, or the name of another", f.Name)
		}
		seen[f.Name] = true
		c, err := f.column()
		if err != nil {
			return Baseline{}, err
		}
		if c.Present > 0 && len(c.numbers) == 0 && len(c.categories) == 0 {
			b.Notes = append(b.Notes, fmt.Sprintf("column %q has no distribution and is left out", f.Name))
			continue
		}
		if c.Type == "" || c.Present == 0 {
			b.Notes = append(b.Notes, fmt.Sprintf("column %q has no values and is left out", f.Name))
			continue
		}
		b.Items = max(b.Items, c.Present+c.Missing)
		b.Columns = append(b.Columns, c)
	}
	if len(b.Columns) == 0 {
		return Baseline{}, wrong("statistics", "no feature has values")
	}
	if len(bounds) == 0 {
		return b, nil
	}
	return b, b.bound(bounds)
}

// column is a feature with its distribution; one without a type has neither numbers nor texts.
func (f feature) column() (Column, error) {
	c := Column{Name: f.Name}
	switch {
	case f.Numbers != nil:
		c.Type = "number"
		if f.Type == "Integral" {
			c.Type = "integer"
		}
		c.Present, c.Missing = count(f.Numbers.Common.Present), count(f.Numbers.Common.Missing)
		return c, c.sketch(f)
	case f.Texts != nil:
		c.Type = "string"
		c.Present, c.Missing = count(f.Texts.Common.Present), count(f.Texts.Common.Missing)
		for _, k := range f.Texts.Distribution.Categorical.Buckets {
			if k.Count > most {
				return c, wrong("statistics", "a bucket of %q counts more than %d values", f.Name, int64(most))
			}
			if k.Count > 0 {
				c.categories = append(c.categories, k)
			}
		}
		slices.SortStableFunc(c.categories, func(a, b category) int { return strings.Compare(a.Value, b.Value) })
	}
	return c, nil
}

// sketch takes the values of the quantile sketch, or, where it is left out, the buckets made of it.
func (c *Column) sketch(f feature) error {
	kll := f.Numbers.Distribution.KLL
	if len(kll.Sketch.Data) > mostLevels {
		return wrong("statistics", "the sketch of %q has more than %d levels", f.Name, mostLevels)
	}
	for level, values := range kll.Sketch.Data {
		for _, v := range values {
			c.numbers = append(c.numbers, part{v, v, math.Ldexp(1, level)})
		}
	}
	if c.numbers == nil {
		for _, k := range kll.Buckets {
			if k.Count > most {
				return wrong("statistics", "a bucket of %q counts more than %d values", f.Name, int64(most))
			}
			if k.Count > 0 && k.From <= k.To {
				c.numbers = append(c.numbers, part{k.From, k.To, k.Count})
			}
		}
	}
	slices.SortStableFunc(c.numbers, func(a, b part) int { return cmp.Compare(a.from, b.from) })
	return nil
}

// bound takes over what was asked of the columns.
func (b *Baseline) bound(raw []byte) error {
	var s constraints
	if err := json.Unmarshal(raw, &s); err != nil {
		return wrong("constraints", "%w", err)
	}
	if s.Version != 0 {
		return wrong("constraints", "version %g is not known", s.Version)
	}
	for _, f := range s.Features {
		i := slices.IndexFunc(b.Columns, func(c Column) bool { return c.Name == f.Name })
		if i < 0 {
			b.Notes = append(b.Notes, fmt.Sprintf("the constraints of column %q are left out: it is not in the statistics", f.Name))
			continue
		}
		c := &b.Columns[i]
		c.NonNegative = f.Numbers.NonNegative && c.Type != "string" && c.numbers[0].from >= 0
		c.Complete = f.Completeness != nil && *f.Completeness == 1
		if f.Completeness != nil && *f.Completeness > 0 && *f.Completeness < 1 {
			b.Notes = append(b.Notes, fmt.Sprintf("completeness %g of column %q is left out: a column is required, or it is not", *f.Completeness, f.Name))
		}
		if c.Type == "string" {
			for _, v := range f.Texts.Domains {
				c.Values = append(c.Values, v)
			}
			if c.Values != nil && slices.ContainsFunc(c.categories, func(k category) bool { return !slices.Contains(f.Texts.Domains, k.Value) }) {
				c.Values = nil
				b.Notes = append(b.Notes, fmt.Sprintf("the domains of column %q are left out: the statistics have values that are not among them", f.Name))
			}
		}
	}
	if t := s.Monitoring.Distribution.Threshold; t != nil {
		b.Notes = append(b.Notes, fmt.Sprintf("comparison_threshold %g is left out: scores here have thresholds of their own (spec.columns.NAME.threshold)", *t))
	}
	return nil
}

// count is a number of things; what is none is 0.
func count(x float64) int64 {
	if !(x > 0) {
		return 0
	}
	return int64(min(x, most))
}
