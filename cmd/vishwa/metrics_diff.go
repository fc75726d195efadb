// vishwa metrics diff: how the metrics of two revisions differ, by the ledger.

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/templates"
)

// metricDiff is a metric at two revisions, as dvc metrics diff --json has it; one that is not there is
// null.
type metricDiff struct {
	Old  *float64 `json:"old"`
	New  *float64 `json:"new"`
	Diff *float64 `json:"diff,omitempty"`
}

func (a *cli) metricsDiffVerb() *cobra.Command {
	var format string
	var all bool
	cmd := &cobra.Command{
		Use:   "diff REV..REV",
		Short: "Compare the metrics of what two revisions declare, by the ledger",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to, ok := strings.Cut(args[0], "..")
			if !ok || from == "" || strings.HasPrefix(to, ".") {
				return usage(cmd, fmt.Errorf("%q is not two revisions: write them as main~1..main", args[0]))
			}
			if to == "" {
				to = "HEAD"
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			facts, err := s.GitLedger.Facts(cmd.Context())
			if err != nil {
				return err
			}
			old, err := s.metricsAt(cmd.Context(), facts, from)
			if err != nil {
				return err
			}
			now, err := s.metricsAt(cmd.Context(), facts, to)
			if err != nil {
				return err
			}
			out := diffMetrics(old, now, all)
			if format == "json" {
				return a.json(out)
			}
			if len(old) == 0 && len(now) == 0 {
				fmt.Fprintf(a.err, "Of what %s and %s declare, no run is recorded.\n", from, to)
				return nil
			}
			return a.showDiff(out)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().BoolVar(&all, "all", false, "also metrics that are the same")
	return cmd
}

// metricsAt are those of what a revision declares, as far as it was made: by ref, then by name.
func (s *station) metricsAt(ctx context.Context, facts *ledger.Facts, revision string) (map[string]map[string]float64, error) {
	sha, err := s.Repo.Resolve(revision)
	if err != nil {
		return nil, err
	}
	tree, err := s.Repo.Open(ctx, sha)
	if err != nil {
		return nil, err
	}
	in, err := pass.Read(ctx, tree)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]float64{}
	for _, st := range plan.Compute(in.Graph, plan.Observed{Facts: facts}).Steps {
		if e := facts.ByKey[st.Key]; e != nil && e.Ran() && e.Metrics != nil {
			out[st.Ref.String()] = e.Metrics
		}
	}
	return out, nil
}

func diffMetrics(old, now map[string]map[string]float64, all bool) map[string]map[string]metricDiff {
	out := map[string]map[string]metricDiff{}
	add := func(ref, name string) {
		was, had := old[ref][name]
		is, has := now[ref][name]
		d := metricDiff{}
		if had {
			d.Old = &was
		}
		if has {
			d.New = &is
		}
		if had && has {
			if was == is && !all {
				return
			}
			diff := is - was
			d.Diff = &diff
		}
		if out[ref] == nil {
			out[ref] = map[string]metricDiff{}
		}
		out[ref][name] = d
	}
	for _, side := range []map[string]map[string]float64{old, now} {
		for ref, metrics := range side {
			for name := range metrics {
				add(ref, name)
			}
		}
	}
	return out
}

func (a *cli) showDiff(out map[string]map[string]metricDiff) error {
	if len(out) == 0 {
		fmt.Fprintln(a.err, "No metric differs.")
		return nil
	}
	text := func(v *float64, as func(float64) string) string {
		if v == nil {
			return "-"
		}
		return as(*v)
	}
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tMETRIC\tOLD\tNEW\tDIFFERENCE")
	for _, ref := range slices.Sorted(maps.Keys(out)) {
		for _, name := range slices.Sorted(maps.Keys(out[ref])) {
			d := out[ref][name]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", ref, harmless.Line(name), text(d.Old, templates.Number), text(d.New, templates.Number), text(d.Diff, signed))
		}
	}
	return t.Flush()
}
