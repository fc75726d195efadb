// Data out of a deployment's log of predictions: the rows of a window, each with what came of
// it, as JSON lines. The same parts, labels and window give the same bytes.

package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// predictionsFile is what a log comes to.
const predictionsFile = "predictions.jsonl"

// logged is the log of a deployment, with labels where they are asked for.
type logged struct {
	o      Options
	spec   schemas.LoggedData
	log    port.Objects
	prefix string
	labels port.Source // nil: none are asked for
	format schemas.Format
}

func openLogged(spec schemas.LoggedData, o Options) (port.Source, error) {
	if o.Log == nil || o.Dataset == nil {
		return nil, fault.New(fault.Internal, "read predictions: nothing says where they are")
	}
	l := &logged{o: o, spec: spec}
	var err error
	from, _ := l.window()
	if l.log, l.prefix, err = o.Log(spec.Deployment, from); err != nil {
		return nil, err
	}
	if spec.Labels != nil {
		if l.labels, l.format, err = o.Dataset(spec.Labels.From); err != nil {
			return nil, fmt.Errorf("open the labels of %s: %w", spec.Deployment, err)
		}
	}
	return l, nil
}

// window is what is read: from the one and before the other.
func (l *logged) window() (from, to time.Time) {
	to, ok := l.spec.End()
	if !ok {
		to = l.o.Env.Now().UTC().Truncate(24 * time.Hour)
	}
	if before := l.spec.Window.Or(0); before > 0 {
		from = to.Add(-before)
	}
	return from, to
}

func (l *logged) query() predictionlog.Query {
	from, to := l.window()
	return predictionlog.Query{Prefix: l.prefix, From: from, To: to, Now: l.o.Env.Now()}
}

// Inspect names the parts of the window and the labels as they are now.
func (l *logged) Inspect(ctx context.Context) (port.Snapshot, error) {
	from, to := l.window()
	var files []port.SourceFile
	var newest time.Time
	for o, err := range l.log.List(ctx, l.prefix) {
		if err != nil {
			return port.Snapshot{}, fmt.Errorf("look at the predictions of %s: %w", l.spec.Deployment, err)
		}
		if !l.query().MayHold(o.Key) {
			continue
		}
		files = append(files, sighted(o.Key, o))
		if o.Modified.After(newest) {
			newest = o.Modified
		}
	}
	if len(files) == 0 {
		return port.Snapshot{}, fault.WithHint(fault.New(fault.Missing, "%s has logged nothing before %s", l.spec.Deployment, to.Format(time.RFC3339)), "wait until it has been asked, or choose another window")
	}
	labels := ""
	if l.labels != nil {
		seen, err := l.labels.Inspect(ctx)
		if err != nil {
			return port.Snapshot{}, fmt.Errorf("look at the labels of %s: %w", l.spec.Deployment, err)
		}
		labels = seen.Token
	}
	spec, err := digest.JSON(l.spec)
	if err != nil {
		return port.Snapshot{}, fault.New(fault.Internal, "look at the predictions of %s: %w", l.spec.Deployment, err)
	}
	token := "predictions:" + string(digest.Of([]byte(strings.Join([]string{string(spec), from.String(), to.String(), listing(files), labels}, "\n"))))
	return l.o.snapshotOf([]port.SourceFile{{Path: predictionsFile, Size: -1, Modified: newest}}, token), nil
}

// Fetch writes the rows that look saw.
func (l *logged) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	now, err := l.Inspect(ctx)
	if err != nil {
		return err
	}
	if now.Token != look.Token {
		return fault.WithHint(fault.New(fault.Conflict, "the predictions of %s, or their labels, have changed since they were looked at", l.spec.Deployment), "run the command again")
	}
	rows, done, err := l.rows(ctx)
	if err != nil {
		return err
	}
	defer done()
	f, err := os.CreateTemp(dir, ".partial-")
	if err != nil {
		return fault.New(fault.Transient, "write the predictions: %w", err)
	}
	defer os.Remove(f.Name()) // renamed away where all went well
	out := bufio.NewWriter(f)
	err = l.write(out, rows, tell)
	if err = errors.Join(err, out.Flush(), f.Close()); err != nil {
		return fmt.Errorf("write the predictions of %s: %w", l.spec.Deployment, err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, predictionsFile)); err != nil {
		return fault.New(fault.Transient, "write the predictions: %w", err)
	}
	return nil
}

// labelled is a log that tells how its labels fit.
type labelled interface{ Coverage() predictions.Coverage }

// rows reads the log, with labels where they are asked for.
func (l *logged) rows(ctx context.Context) (table.Reader, func(), error) {
	if l.labels == nil {
		r := predictionlog.Read(ctx, l.log, l.query())
		return r, func() { r.Close() }, nil
	}
	dir, err := os.MkdirTemp("", "vishwa-labels-")
	if err != nil {
		return nil, nil, fault.New(fault.Transient, "read the labels: %w", err)
	}
	defer os.RemoveAll(dir)
	labels, err := l.readLabels(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	r := predictionlog.Join(predictionlog.Read(ctx, l.log, l.query()), labels, l.o.Env.Now())
	return r, func() { r.Close() }, nil
}

func (l *logged) readLabels(ctx context.Context, dir string) (*predictions.Labels, error) {
	seen, err := l.labels.Inspect(ctx)
	if err == nil {
		err = l.labels.Fetch(ctx, seen, dir, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("read the labels of %s: %w", l.spec.Deployment, err)
	}
	of := l.spec.Labels
	labels := predictions.NewLabels(of.Within.Or(0))
	for _, file := range seen.Files {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(file.Path)))
		if err != nil {
			return nil, fault.New(fault.Internal, "read the labels of %s: %w", l.spec.Deployment, err)
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return nil, fault.New(fault.Internal, "read the labels of %s: %w", l.spec.Deployment, err)
		}
		rows, err := table.Open(f, st.Size(), l.format, file.Path)
		if err == nil {
			err = predictionlog.AddLabels(labels, rows, predictionlog.LabelColumns{Key: of.Key, Value: of.Label, At: of.At})
		}
		if err != nil {
			return nil, err
		}
	}
	return labels, nil
}

// write writes the rows that were answered, once each; of a log with labels, those that have one.
func (l *logged) write(out io.Writer, rows table.Reader, tell func(done, total int64)) error {
	seen := map[digest.Digest]bool{}
	var n, done int64
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		r := namedRow{rows.Columns(), row}
		if r.cell(predictions.ColumnPrediction) == nil && r.cell(predictions.ColumnScore) == nil || l.labels != nil && r.cell(predictionlog.ColumnLabel) == nil {
			continue
		}
		if id := digest.Of([]byte(predictions.ID(r.cell(predictions.ColumnID)))); seen[id] {
			continue // a request that was sent again
		} else {
			seen[id] = true
		}
		line, err := r.json()
		if err != nil {
			return fault.New(fault.Internal, "encode a prediction: %w", err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return fault.New(fault.Transient, "write: %w", err)
		}
		n++
		if done += int64(len(line)); tell != nil && n%10_000 == 0 {
			tell(done, -1)
		}
	}
	return l.enough(rows, n)
}

// enough refuses data of which too little has come: what labels there are by then is no sample.
func (l *logged) enough(rows table.Reader, n int64) error {
	if of, ok := rows.(labelled); ok {
		if c := of.Coverage(); c.Share() < l.spec.Labels.MinCoverage {
			return fault.WithHint(fault.New(fault.Missing, "predictions with a label: %d of %d, and a share of %g is asked for", c.Labelled, c.Predictions, l.spec.Labels.MinCoverage),
				"wait until more labels have come, or lower labels.minCoverage")
		}
	}
	if n == 0 {
		return fault.WithHint(fault.New(fault.Missing, "no prediction of the window was answered and labelled"), "wait until labels have come, or choose another window")
	}
	return nil
}

// namedRow is a row with its columns.
type namedRow struct {
	columns []string
	row     *table.Row
}

func (r namedRow) cell(name string) []byte {
	if i := slices.Index(r.columns, name); i >= 0 && i < len(r.row.Cells) {
		return r.row.Cells[i]
	}
	return nil
}

// ours are the columns that come first, under their own names.
var ours = []string{predictions.ColumnTime, predictions.ColumnID, predictions.ColumnModel, predictions.ColumnSampling, predictions.ColumnPrediction, predictions.ColumnScore, predictionlog.ColumnLabel}

// json is the row as an object: what is the log's first, then the features by name. A feature
// that is called as one of those keeps the prefix that tells them apart.
func (r namedRow) json() ([]byte, error) {
	type field struct {
		name string
		at   int
	}
	var fields []field
	for _, name := range ours {
		if i := slices.Index(r.columns, name); i >= 0 {
			fields = append(fields, field{name, i})
		}
	}
	first := len(fields)
	for i, name := range r.columns {
		if bare, ok := strings.CutPrefix(name, predictions.FeaturePrefix); ok {
			if slices.Contains(ours, bare) {
				bare = name
			}
			fields = append(fields, field{bare, i})
		}
	}
	slices.SortFunc(fields[first:], func(a, b field) int { return strings.Compare(a.name, b.name) })
	var out bytes.Buffer
	out.WriteByte('{')
	for _, f := range fields {
		if f.at >= len(r.row.Cells) || r.row.Cells[f.at] == nil {
			continue
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value := r.row.Cells[f.at]
		if number := json.Valid(value) && value[0] != '"' && value[0] != '{' && value[0] != '[' && value[0] != 'n'; r.row.Text[f.at] || !number {
			if value, err = json.Marshal(string(value)); err != nil {
				return nil, err
			}
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
