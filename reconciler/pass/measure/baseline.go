// A reference out of the log: the first rows that the served model was asked, kept in the store, so that
// each later window is compared with the same ones.

package measure

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostBaseline bounds the bytes of a baseline.
const mostBaseline = 256 << 20

// reference is the data that windows are compared with. short says what is missing of a baseline that
// has not come yet.
func (s *session) reference(ctx context.Context) (a port.Artifact, short string, err error) {
	if s.spec.Baseline == nil {
		a, err = s.made(s.spec.Reference)
		return a, "", err
	}
	if last := s.facts.Observed[s.ref]; last != nil && last.Watched != nil && last.Watched.Deployment == s.spec.Deployment {
		if b := last.Watched.Baseline; b != nil && b.Model == s.model && b.Rows == s.spec.Baseline.Rows {
			there, err := s.Store.Has(ctx, b.Data)
			if err != nil {
				return a, "", err
			}
			if there {
				s.baseline = b
				return rowsOf(b), "", nil
			}
			s.notes = append(s.notes, "the store has the baseline no more: it is made again of the log")
		}
	}
	b, rows, err := s.firstRows(ctx)
	if err != nil {
		return a, "", err
	}
	if b == nil {
		return a, fmt.Sprintf("the baseline is the first %s that this model is asked, and the log has %d", plural.Of(int64(s.spec.Baseline.Rows), "row"), rows), nil
	}
	s.baseline = b
	return rowsOf(b), "", nil
}

func (s *session) baselineOf() string {
	return fmt.Sprintf("the first %s of the log of %s", plural.Of(int64(s.baseline.Rows), "row"), s.spec.Deployment)
}

// without is what is said of a window that there is nothing to compare with.
func (s *session) without(ctx context.Context, e watch.Evidence, short string) (watch.Evidence, error) {
	e.Reference.From, e.Window.From = "a baseline that is not complete", "the log of "+s.spec.Deployment.String()
	e.Why = append(append(e.Why, short), s.notes...)
	if err := s.gauges(ctx, &e); err != nil {
		return e, err
	}
	e.Judge()
	return e, nil
}

// firstRows keeps the first rows of the log that the served model answered; nil where there are too few,
// with how many there are.
func (s *session) firstRows(ctx context.Context) (b *ledger.Baseline, rows int, err error) {
	at := slices.IndexFunc(s.in.Decls, func(d schemas.Declaration) bool { return d.Ref() == s.spec.Deployment })
	if at < 0 {
		return nil, 0, fault.WithHint(fault.New(fault.Missing, "%s is not declared", s.spec.Deployment), "correct spec.deployment of the monitor; vishwa plan -v lists what is declared")
	}
	t, done, err := s.Log(ctx, s.in.Decls[at], time.Time{}, s.now)
	if err != nil {
		return nil, 0, fault.WithHint(fault.New(fault.Of(err), "%s: %w", s.ref, err), "declare spec.log of %s and deploy it, or name the data that the model was trained on in spec.reference", s.spec.Deployment)
	}
	b = &ledger.Baseline{Model: s.model, Rows: s.spec.Baseline.Rows}
	raw, rows, err := s.linesOf(ctx, t, b)
	if err = joined(err, done); err != nil || rows < b.Rows {
		return nil, rows, err
	}
	b.Data, b.Size, err = s.Store.Put(ctx, bytes.NewReader(raw))
	if err != nil {
		return nil, rows, fmt.Errorf("keep the baseline: %w", err)
	}
	return b, rows, nil
}

// linesOf are the features of the first rows that b's model answered, as JSON lines.
func (s *session) linesOf(ctx context.Context, t table.Reader, b *ledger.Baseline) (_ []byte, rows int, err error) {
	var out bytes.Buffer
	clock := cmp.Or(s.spec.Current.Time, predictions.ColumnTime)
	for rows < b.Rows {
		if rows%4096 == 0 && ctx.Err() != nil {
			return nil, rows, fault.New(fault.Cancelled, "read the baseline: %w", context.Cause(ctx))
		}
		row, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, rows, err
		}
		columns := t.Columns()
		cell := func(name string) []byte {
			if i := slices.Index(columns, name); i >= 0 && i < len(row.Cells) {
				return row.Cells[i]
			}
			return nil
		}
		when, err := timeOf(cell(clock))
		if string(cell(predictions.ColumnModel)) != string(b.Model) || err != nil || when.After(s.now) {
			continue
		}
		if when.After(b.Last) {
			b.Last = when
		}
		table.Line(&out, columns, row, func(name string) bool { return !logOwn(name) })
		out.WriteByte('\n')
		if rows++; out.Len() > mostBaseline {
			return nil, rows, fault.WithHint(fault.New(fault.Invalid, "%s: the first %s have more than %d MiB", s.ref, plural.Of(int64(rows), "row"), mostBaseline>>20), "ask for fewer rows in spec.baseline")
		}
	}
	return out.Bytes(), rows, nil
}

// logOwn tells whether a column of a log is no feature.
func logOwn(name string) bool {
	switch name {
	case predictions.ColumnTime, predictions.ColumnID, predictions.ColumnModel, predictions.ColumnRelease, predictions.ColumnArm, predictions.ColumnStatus,
		predictions.ColumnLatency, predictions.ColumnSampling, predictions.ColumnPath, predictions.ColumnError, predictions.ColumnOther,
		predictions.ColumnRequest, predictions.ColumnResponse, predictions.ColumnEncoding:
		return true
	}
	return strings.HasPrefix(name, predictions.OutputPrefix)
}

// rowsOf is a baseline as data.
func rowsOf(b *ledger.Baseline) port.Artifact {
	return port.Artifact{Name: "baseline.jsonl", Digest: b.Data, Size: b.Size}
}
