// Performance of a window: outcomes are joined to rows by their ids, and metrics are realized
// where enough have come; what is estimated stands apart.

package measure

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/schemas"
)

func (s *session) performance(ctx context.Context, e *watch.Evidence, base, now *rows) error {
	ofAnswers := func(g schemas.WindowGate) bool { return g.Metric != "roc_auc" }
	if len(now.cases) > 0 && now.answers == 0 && slices.ContainsFunc(s.spec.Gates, ofAnswers) {
		e.Why = append(e.Why, fmt.Sprintf("no row of the window has an answer in column %s, which spec.predictions.prediction names: nothing is known of metrics of answers", cmp.Or(s.spec.Predictions.Prediction, "prediction")))
	}
	if s.spec.Labels != nil {
		known, err := s.outcomes(ctx, e, now)
		if err != nil {
			return err
		}
		if e.Labels.Enough {
			e.Realized = s.metrics(known, base.scored, watch.Realized)
			watch.Settle(e.Realized, known)
		}
	}
	if s.spec.Estimate == "" || len(e.Realized) > 0 {
		return nil
	}
	if len(base.scored) == 0 {
		e.Why = append(e.Why, "nothing is estimated: the reference has no scores with outcomes")
		return nil
	}
	by := watch.Calibrate(base.scored)
	var all []watch.Case
	for _, id := range slices.Sorted(maps.Keys(now.cases)) {
		if c := now.cases[id].Case; !math.IsNaN(c.Score) {
			all = append(all, c)
		}
	}
	e.Estimated = s.metrics(all, base.scored, func(metric string, cases []watch.Case) float64 { return watch.Estimated(metric, cases, by) })
	return nil
}

// metrics are those that gates name, and those of a classifier where none does.
func (s *session) metrics(cases, reference []watch.Case, of func(string, []watch.Case) float64) (out []watch.Metric) {
	gates := s.spec.Gates
	if len(gates) == 0 {
		gates = []schemas.WindowGate{{Metric: "accuracy"}, {Metric: "roc_auc"}}
	}
	for _, g := range gates {
		cases, reference := watch.Usable(g.Metric, cases), watch.Usable(g.Metric, reference)
		m := watch.Metric{Name: g.Metric, N: len(cases), Min: g.Min, Max: g.Max}
		if len(cases) > 0 {
			v := of(g.Metric, cases)
			n := drift.Number(v)
			m.Value = &n
			m.Broken = g.Min != nil && v < *g.Min || g.Max != nil && v > *g.Max
		}
		if low, high := watch.Band(g.Metric, reference); !math.IsNaN(low) {
			l, h := drift.Number(low), drift.Number(high)
			m.Low, m.High = &l, &h
		}
		out = append(out, m)
	}
	return out
}

// outcomes joins what came true to the window's rows.
func (s *session) outcomes(ctx context.Context, e *watch.Evidence, now *rows) ([]watch.Case, error) {
	l := s.spec.Labels
	cover := watch.Coverage{Duplicates: len(now.twice)}
	e.Labels = &cover
	all, err := s.outcomesOf(ctx, now, &cover)
	if err != nil {
		return nil, err
	}
	var known []watch.Case
	for _, id := range slices.Sorted(maps.Keys(now.cases)) {
		row := now.cases[id]
		if out, there := all.of(id, row.at, s.now); there && !now.twice[id] {
			row.Outcome, row.Labelled = now.classOf(out), true
			row.Missed = now.missed(row.said, out)
			known = append(known, row.Case)
		}
		if row.Labelled || l.Within == "" || row.at.IsZero() || !row.at.Add(l.Within.Or(0)).After(s.now) {
			cover.Rows++
		}
	}
	cover.Duplicates += len(all.changed)
	cover.Lag = all.lag()
	cover.Labelled = len(known)
	if cover.Rows > 0 {
		cover.Share = float64(cover.Labelled) / float64(cover.Rows)
	}
	least := l.MinCoverage
	if least == 0 {
		least = 0.8
	}
	cover.Enough = cover.Labelled > 0 && cover.Share >= least
	if !cover.Enough && cover.Rows > 0 && (l.Within != "" || len(s.spec.Gates) > 0) {
		cover.Least, cover.Overdue = least, l.Within != ""
	}
	return known, nil
}

// outcomesOf reads the outcomes of the window's rows.
func (s *session) outcomesOf(ctx context.Context, now *rows, cover *watch.Coverage) (*outcomes, error) {
	l := s.spec.Labels
	a, err := s.made(l.From)
	if err != nil {
		return nil, err
	}
	out := &outcomes{spec: l, came: map[string]string{}, changed: map[string]bool{}}
	if l.At != "" {
		out.timed = predictions.NewLabels(l.Within.Or(0)).By(s.now)
	}
	var side sample.Side
	lacks := ""
	reader := &rows{session: s}
	if err := reader.each(ctx, l.From, a, func(t table.Reader) error {
		err := side.Read(t, func(string) bool { return false }, func(cell func(string) []byte) (bool, error) {
			stray, err := out.takeOutcome(cell, func(id string) bool { _, there := now.cases[id]; return there })
			if stray {
				cover.Unmatched++
			}
			return false, err
		}, ctx.Err)
		for _, name := range out.columns() {
			if there := t.Columns(); err == nil && len(there) > 0 && !slices.Contains(there, name) {
				lacks = name
			}
		}
		return err
	}); err != nil {
		return nil, err
	}
	if lacks != "" && len(out.came) == 0 && cover.Unmatched == 0 {
		lacking := fault.New(fault.Invalid, "%s has no column %s", l.From, lacks)
		if lacks == l.At {
			return nil, fault.WithHint(lacking, "name its column with the times of outcomes in spec.labels.at, or none")
		}
		return nil, fault.WithHint(lacking, "name its columns of ids and of outcomes in spec.labels.key and spec.labels.label")
	}
	return out, nil
}
