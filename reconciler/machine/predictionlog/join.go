// Labels beside the log: outcomes read from a table, joined to the rows of a query as one more
// column.

package predictionlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
)

// ColumnLabel is the column that a join adds.
const ColumnLabel = "label"

// LabelColumns name the columns of a table of outcomes.
type LabelColumns struct {
	Key   string // the id of the prediction: "id" where it is empty
	Value string // what came of it: where it is empty, the only other column
	At    string // when it became known; empty: the table does not tell
}

// ReadLabels reads a table of outcomes to its end.
func ReadLabels(rows table.Reader, c LabelColumns, within time.Duration) (*predictions.Labels, error) {
	l := predictions.NewLabels(within)
	return l, AddLabels(l, rows, c)
}

// AddLabels adds the outcomes of one more table.
func AddLabels(l *predictions.Labels, rows table.Reader, c LabelColumns) error {
	c.Key = cmp.Or(c.Key, predictions.ColumnID)
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			if len(rows.Columns()) > 0 {
				_, err = c.places(rows.Columns()) // of no rows the columns must be right as well
				return err
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("read labels: %w", err)
		}
		at, err := c.places(rows.Columns())
		if err != nil {
			return err
		}
		cell := func(i int) ([]byte, bool) {
			if i < 0 || i >= len(row.Cells) {
				return nil, false
			}
			return row.Cells[i], row.Text != nil && row.Text[i]
		}
		id, _ := cell(at[0])
		o := predictions.Outcome{ID: string(id), Value: predictions.ParseValue(cell(at[1]))}
		if when, _ := cell(at[2]); when != nil {
			t, ok := ParseTime(when)
			if !ok {
				return fault.WithHint(fault.New(fault.Invalid, "read labels: row %d: column %s holds no time", row.Number, c.At), "write times as RFC 3339, such as 2026-11-28T12:00:00Z")
			}
			o.At = t
		}
		l.Add(o)
	}
}

// places finds key, value and time among the columns.
func (c LabelColumns) places(columns []string) (at [3]int, err error) {
	if c.Value == "" {
		rest := slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return name == c.Key || name == c.At })
		if len(rest) != 1 {
			return at, fault.WithHint(fault.New(fault.Invalid, "read labels: which column is the label? there are %d besides the key: %s", len(rest), list(rest)), "name the column of the label")
		}
		c.Value = rest[0]
	}
	for i, name := range []string{c.Key, c.Value, c.At} {
		if at[i] = slices.Index(columns, name); at[i] < 0 && name != "" {
			return at, fault.WithHint(fault.New(fault.Invalid, "read labels: there is no column %q among %s", name, list(columns)), "name a column of the labels")
		}
	}
	return at, nil
}

func list(names []string) string {
	const most = 20
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// Joined is a query's rows with their labels, in the column ColumnLabel; rows without one
// have none there.
type Joined struct {
	*Reader
	labels *predictions.Labels
	now    time.Time
	text   []byte
}

// Join reads r with labels. A label of the log's own, of another column's making, is replaced.
func Join(r *Reader, labels *predictions.Labels, now time.Time) *Joined {
	r.column(ColumnLabel)
	return &Joined{Reader: r, labels: labels, now: now}
}

// Next reads the next row.
func (j *Joined) Next() (*table.Row, error) {
	row, err := j.Reader.Next()
	if err != nil {
		return nil, err
	}
	when, _ := ParseTime(j.cell(j.q.Time)) // without a time, every label counts
	at := j.at[ColumnLabel]
	row.Cells[at], row.Text[at] = nil, false
	if !j.Answered() {
		return row, nil
	}
	if v, ok := j.labels.Join(string(j.cell(j.q.ID)), when, j.now); ok {
		j.text = append(j.text[:0], v.String()...)
		row.Cells[at], row.Text[at] = j.text, v.Kind == predictions.Text
	}
	return row, nil
}

// Coverage tells how the labels fit so far.
func (j *Joined) Coverage() predictions.Coverage { return j.labels.Coverage() }
