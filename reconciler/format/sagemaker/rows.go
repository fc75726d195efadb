// Rows with the distributions of a baseline, and the declarations that hold a deployment against them.

package sagemaker

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Rows is how many rows are written: as many as were counted, and MostRows at most, or fewer of many columns.
func (b Baseline) Rows() int {
	return int(min(max(b.Items, 1), MostRows, mostCells/int64(len(b.Columns))))
}

// WriteRows writes a table as CSV whose columns have the distributions of the baseline, each by
// itself: what columns have to do with each other is not in a baseline. Shuffle puts the n values of
// a column in an order of its own; the same orders give the same bytes.
func (b Baseline) WriteRows(w io.Writer, shuffle func(column string, n int, swap func(i, j int))) error {
	n := b.Rows()
	all := make([][]string, len(b.Columns))
	names := make([]string, len(b.Columns))
	for i, c := range b.Columns {
		if len(b.Columns) == 1 {
			c.Missing = 0 // a line without any value is no row
		}
		names[i], all[i] = c.Name, c.rows(n)
		shuffle(c.Name, n, func(x, y int) { all[i][x], all[i][y] = all[i][y], all[i][x] })
	}
	out := csv.NewWriter(w)
	if err := out.Write(names); err != nil {
		return err
	}
	row := make([]string, len(all))
	for r := range n {
		for i := range all {
			row[i] = all[i][r]
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// rows are n values at even steps of the distribution, and the missing ones, as many as they were.
func (c Column) rows(n int) []string {
	missing := int(math.Round(float64(n) * float64(c.Missing) / float64(c.Present+c.Missing)))
	out := make([]string, 0, n)
	if c.Type == "string" {
		out = c.texts(out, n-missing)
	} else {
		out = c.quantiles(out, n-missing)
	}
	for len(out) < n {
		out = append(out, "")
	}
	return out
}

func (c Column) quantiles(out []string, n int) []string {
	steps(n, len(c.numbers), func(i int) float64 { return c.numbers[i].weight }, func(i int, share float64) {
		p := c.numbers[i]
		v, form := p.from, byte('g')
		if p.to > p.from {
			v = p.from*(1-share) + p.to*share
		}
		if c.Type == "integer" {
			v, form = math.Round(v), 'f'
		}
		out = append(out, strconv.FormatFloat(v, form, -1, 64))
	})
	return out
}

func (c Column) texts(out []string, n int) []string {
	steps(n, len(c.categories), func(i int) float64 { return c.categories[i].Count }, func(i int, _ float64) {
		out = append(out, c.categories[i].Value)
	})
	return out
}

// steps goes over parts by their weights in n even steps, and tells for each in which part it is,
// and how far from its begin (0) to its end (1).
func steps(n, parts int, weight func(i int) float64, each func(i int, share float64)) {
	total := 0.0
	for i := range parts {
		total += weight(i)
	}
	at, before := 0, 0.0
	for k := range n {
		rank := (float64(k) + 0.5) / float64(n) * total
		for at < parts-1 && before+weight(at) <= rank {
			before += weight(at)
			at++
		}
		each(at, min(max((rank-before)/weight(at), 0), 1))
	}
}

// Declare is the Dataset of the rows, which lie at path, and a Monitor that holds deployment against it.
func (b Baseline) Declare(name, path, deployment string) string {
	var t strings.Builder
	fmt.Fprintf(&t, "apiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata:\n  name: %s\n  description: Rows with the distributions of a SageMaker baseline of %d rows, each column by itself.\nspec:\n  source: {path: %s}\n  columns:\n", name, b.Items, quoted(path))
	for _, c := range b.Columns {
		fmt.Fprintf(&t, "    %s: {type: %s", quoted(c.Name), c.Type)
		if c.NonNegative {
			t.WriteString(", min: 0")
		}
		if c.Complete && c.Missing == 0 {
			t.WriteString(", required: true")
		}
		if len(c.Values) > 0 {
			fmt.Fprintf(&t, ", values: %s", quoted(c.Values))
		}
		t.WriteString("}\n")
	}
	fmt.Fprintf(&t, "---\napiVersion: vishwa.dev/v1alpha1\nkind: Monitor\nmetadata: {name: %s}\nspec:\n  deployment: %s\n  reference: dataset/%s\n  current: {window: 1d}\n  columns:\n", name, deployment, name)
	for _, c := range b.Columns {
		is := "number"
		if c.Type == "string" {
			is = "category"
		}
		fmt.Fprintf(&t, "    %s: {type: %s}\n", quoted(c.Name), is)
	}
	return t.String()
}

// quoted is a value in JSON, which is YAML too.
func quoted(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and lists of them are always JSON
	}
	return string(raw)
}
