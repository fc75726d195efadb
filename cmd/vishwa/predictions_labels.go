// vishwa predictions labels: which outcomes of predictions have come.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) predictionsLabels() *cobra.Command {
	var w window
	var l labelling
	cmd := &cobra.Command{
		Use:   "labels [DEPLOYMENT]",
		Short: "Count the predictions that have a label",
		Long: `Join a file of outcomes (CSV, JSON lines or Parquet) to a deployment's prediction log by
id, and tell how many predictions have a label, how late labels come, and what is odd:
labels without a prediction, and labels that changed. Of several labels of one id the
last before the deadline counts.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.deployment(cmd, args); err != nil {
				return err
			}
			q, err := a.query(cmd, w)
			if err != nil {
				return err
			}
			objects, q, done, err := a.predictionLog(cmd, args, w, q)
			if err != nil {
				return err
			}
			defer done()
			report, c, err := a.coverage(cmd.Context(), objects, q, l)
			if err != nil {
				return err
			}
			if w.format == "json" {
				return a.json(struct {
					predictions.Coverage
					Share float64              `json:"share"`
					Log   predictionlog.Report `json:"log"`
				}{c, c.Share(), report})
			}
			a.sayCoverage(c)
			a.sayReport(report, false)
			return nil
		},
	}
	cmd.Flags().StringVar(&l.from, "from", "", "the `FILE` of outcomes")
	cmd.Flags().StringVar(&l.columns.Key, "key", "id", "the `COLUMN` with the id of the prediction")
	cmd.Flags().StringVar(&l.columns.Value, "label", "", "the `COLUMN` with what came of it; the only other one without it")
	cmd.Flags().StringVar(&l.columns.At, "at", "", "the `COLUMN` with the time at which it became known")
	cmd.Flags().Var(&l.within, "within", "a label counts that comes within this time of its prediction")
	_ = cmd.MarkFlagRequired("from") // the flag is there
	w.flags(cmd, "", "predictions")
	return cmd
}

// coverage joins labels to a log, and tells how that went.
func (a *cli) coverage(ctx context.Context, objects port.Objects, q predictionlog.Query, l labelling) (predictionlog.Report, predictions.Coverage, error) {
	var none predictions.Coverage
	f, err := os.Open(l.from)
	if err != nil {
		return predictionlog.Report{}, none, fault.WithHint(fault.New(fault.Missing, "open the labels: %w", err), "name a file of outcomes")
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return predictionlog.Report{}, none, err
	}
	rows, err := table.Open(f, st.Size(), schemas.Format{}, filepath.Base(l.from))
	if err != nil {
		return predictionlog.Report{}, none, err
	}
	labels, err := predictionlog.ReadLabels(rows, l.columns, time.Duration(l.within))
	if err != nil {
		return predictionlog.Report{}, none, err
	}
	j := predictionlog.Join(predictionlog.Read(ctx, objects, q), labels, a.now())
	defer j.Close()
	for {
		if _, err := j.Next(); errors.Is(err, io.EOF) {
			return j.Report(), j.Coverage(), nil
		} else if err != nil {
			return j.Report(), none, err
		}
	}
}

func (a *cli) sayCoverage(c predictions.Coverage) {
	fmt.Fprintf(a.out, "Predictions with a label: %d of %d (%.1f %%).\n", c.Labelled, c.Predictions, 100*c.Share())
	if c.Pending > 0 {
		fmt.Fprintf(a.out, "%d may still get one.\n", c.Pending)
	}
	if c.LagTail > 0 {
		fmt.Fprintf(a.out, "Half of the labels came within %s, nine of ten within %s.\n", c.LagMedian.Round(time.Second), c.LagTail.Round(time.Second))
	}
	a.counts(a.out, []count{{"Ids with a label and no prediction", c.Orphans}, {"Predictions whose labels differ (the last before the deadline counts)", c.Changed},
		{"Labels that say again what was known", c.Repeated}, {"Labels that came too late, and do not count", c.Late}, {"Labels older than their prediction, which do not count", c.Early},
		{"Labels without an id or a value", c.Nameless}, {"Predictions with an id that came before", c.Twice}})
}

// count is a line of a report.
type count struct {
	what string
	n    int64
}

// counts prints those that are not zero.
func (a *cli) counts(to io.Writer, all []count) {
	for _, c := range all {
		if c.n > 0 {
			fmt.Fprintf(to, "%s: %d.\n", c.what, c.n)
		}
	}
}
