// What a run measured of the model that it made. MLflow shows a model by its own metrics, each with the data set that it is of, and those of its run say
// nothing of which model they are about.

package tracker

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// score is a point of a run's metric that is also one of a model's.
type score struct {
	mlflowformat.Point
	Model  string `json:"model_id"`
	Set    string `json:"dataset_name,omitempty"`
	Digest string `json:"dataset_digest,omitempty"`
}

// score tells of a model what its run came to. The points are those that the run has: MLflow keeps each once.
func (s *session) score(ctx context.Context, run, id string, v port.TrackerVersion) error {
	i := slices.IndexFunc(s.p.Runs, func(r port.TrackerRun) bool { return r.Key == v.Run })
	if i < 0 || len(s.p.Runs[i].Metrics) == 0 {
		return nil
	}
	r := s.p.Runs[i]
	var more port.TrackerLog
	if r.Logged != nil && !s.dry {
		var err error
		if more, err = r.Logged(ctx); err != nil {
			return err
		}
	}
	colons, err := s.takesColons(ctx, r, more)
	if err != nil {
		return err
	}
	for scores := range slices.Chunk(scoresOf(r, points(r, more.Series, colons), id), mostBatch/2) {
		if err := s.write(ctx, "runs/log-batch", map[string]any{"run_id": run, "metrics": scores}, nil); err != nil {
			return err
		}
	}
	return nil
}

// scoresOf are the last points of each metric. One that is no number is left out: MLflow would say of the model that it is 0.
func scoresOf(r port.TrackerRun, all []mlflowformat.Point, id string) (out []score) {
	last := map[string]mlflowformat.Point{}
	for _, p := range all {
		if was, is := last[p.Key]; !is || cmp.Or(cmp.Compare(p.Step, was.Step), cmp.Compare(p.Time, was.Time)) >= 0 {
			last[p.Key] = p
		}
	}
	sets := map[string]dataset{}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		sets[name] = datasetOf(name, r.Inputs[name])
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if v := float64(last[name].Value); math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		set := sets[measuredOn(name, r.Inputs)]
		out = append(out, score{Point: last[name], Model: id, Set: set.Name, Digest: set.Digest})
	}
	return out
}

// measuredOn is the input that a metric is of by its name, as test.rmse and test_rmse are of the input test; "": it says none.
func measuredOn(metric string, inputs map[string]digest.Digest) (longest string) {
	for name := range inputs {
		if rest, is := strings.CutPrefix(metric, name); is && rest != "" && strings.ContainsAny(rest[:1], "._/-: ") && len(name) > len(longest) {
			longest = name
		}
	}
	return longest
}
