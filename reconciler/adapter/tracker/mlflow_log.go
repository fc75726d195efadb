// What MLflow is told of a run: parameters, the courses of metrics and the data sets, in the largest
// requests that it takes, under names that it knows.

package tracker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// MLflow's own bounds.
const (
	mostBatch      = 1000 // metrics, parameters and tags of a request together
	mostBatchParam = 100
	mostBatchBytes = 900 << 10 // of the 1 MiB that it takes
	mostKey        = 250
	mostParamValue = 6000
	mostTagValue   = 5000
	mostDatasetID  = 36
)

// mmet is a point of a metric.
type mmet struct {
	Key   string `json:"key"`
	Value mfloat `json:"value"`
	Time  int64  `json:"timestamp"`
	Step  int64  `json:"step"`
}

// mfloat is a number as MLflow's REST has it: what JSON has no word for is a text.
type mfloat float64

// How a run ended, in MLflow's words.
const (
	statusFinished = "FINISHED"
	statusKilled   = "KILLED" // a trial that was ended early
)

func (f mfloat) MarshalJSON() ([]byte, error) {
	switch v := float64(f); {
	case math.IsNaN(v):
		return []byte(`"NaN"`), nil
	case math.IsInf(v, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(float64(f))
}

func (f *mfloat) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*f = mfloat(math.NaN())
	case `"Infinity"`:
		*f = mfloat(math.Inf(1))
	case `"-Infinity"`:
		*f = mfloat(math.Inf(-1))
	default:
		return json.Unmarshal(b, (*float64)(f))
	}
	return nil
}

// same tells points apart. NaN is like NaN, and MLflow keeps what is infinite as the largest number.
func (m mmet) same() string {
	v := max(-math.MaxFloat64, min(math.MaxFloat64, float64(m.Value)))
	return fmt.Sprint(m.Key, "\x00", v, "\x00", m.Time, "\x00", m.Step)
}

// fill tells of a run that was created, and of one that was begun before only what is not there.
func (s *session) fill(ctx context.Context, r port.TrackerRun, id string, begun bool) error {
	var more port.TrackerLog
	var err error
	if r.Logged != nil && !s.dry {
		if more, err = r.Logged(ctx); err != nil {
			return err
		}
	}
	metrics, params := points(r, more.Series), parameters(r, more.Params)
	sets, ended := datasets(r.Inputs), ending{}
	if begun {
		if params, metrics, ended, err = s.missing(ctx, id, params, metrics); err != nil {
			return err
		}
		if ended.told {
			sets = nil
		}
	}
	for len(params) > 0 || len(metrics) > 0 {
		p := min(len(params), mostBatchParam)
		for n := 0; n < p; n++ {
			if size(params[:n+1]) > mostBatchBytes {
				p = n
			}
		}
		m := min(len(metrics), mostBatch-p)
		for m > 0 && size(params[:p])+m*(mostKey+100) > mostBatchBytes {
			m /= 2
		}
		body := map[string]any{"run_id": id}
		if p > 0 { // MLflow takes no null for a list
			body["params"] = params[:p]
		}
		if m > 0 {
			body["metrics"] = metrics[:m]
		}
		if err := s.write(ctx, "runs/log-batch", body, nil); err != nil {
			return err
		}
		params, metrics = params[p:], metrics[m:]
	}
	if len(sets) > 0 {
		if err := s.write(ctx, "runs/log-inputs", map[string]any{"run_id": id, "datasets": sets}, nil); err != nil {
			return err
		}
	}
	if ended.finished {
		return s.write(ctx, "runs/set-tag", map[string]string{"run_id": id, "key": tagState, "value": whole}, nil)
	}
	status := statusFinished
	if r.Stopped {
		status = statusKilled
	}
	if err := s.write(ctx, "runs/update", map[string]any{"run_id": id, "status": status, "end_time": r.Finished.UnixMilli(), "run_name": r.Name}, nil); err != nil {
		return err
	}
	return s.write(ctx, "runs/set-tag", map[string]string{"run_id": id, "key": tagState, "value": whole}, nil)
}

func size(params []tag) (n int) {
	for _, p := range params {
		n += 4*len(p.Key) + 4*len(p.Value) + 40 // of which JSON may make more
	}
	return n
}

// parameters are those of a run under MLflow's names.
func parameters(r port.TrackerRun, more map[string]string) []tag {
	all := map[string]string{}
	maps.Copy(all, more)
	maps.Copy(all, r.Params)
	names := unique(slices.Sorted(maps.Keys(all)))
	var out []tag
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, tag{names[name], bounded.Shortened(all[name], mostParamValue)})
	}
	return out
}

// points are all of a run: a metric that has no course has one point, at its end.
func points(r port.TrackerRun, courses []port.TrackerSeries) (out []mmet) {
	all := map[string]bool{}
	for name := range r.Metrics {
		all[name] = true
	}
	for _, c := range courses {
		all[c.Name] = true
	}
	names := unique(slices.Sorted(maps.Keys(all)))
	end := r.Finished.UnixMilli()
	for _, c := range courses {
		counts, ends := r.Metrics[c.Name]
		for i, v := range c.Values {
			at := c.Times[i]
			if at <= 0 {
				at = end
			}
			out = append(out, mmet{names[c.Name], mfloat(v), at, c.Steps[i]})
		}
		if n := len(c.Values); ends && (n == 0 || c.Values[n-1] != counts) { // what counts is shown last
			step := int64(0)
			if n > 0 {
				step = slices.Max(c.Steps)
			}
			out = append(out, mmet{names[c.Name], mfloat(counts), max(end, slices.Max(append(slices.Clone(c.Times), 0))), step})
		}
		delete(all, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, mmet{names[name], mfloat(r.Metrics[name]), end, 0})
	}
	return out
}

// ending is what was told of a run at its end.
type ending struct{ told, finished bool } // its data sets; that it ended

// missing is what a run that was begun lacks.
func (s *session) missing(ctx context.Context, id string, params []tag, metrics []mmet) ([]tag, []mmet, ending, error) {
	var got struct {
		Run struct {
			runAnswer
			Inputs struct {
				Sets []any `json:"dataset_inputs"`
			} `json:"inputs"`
		} `json:"run"`
	}
	if err := s.get(ctx, "runs/get", map[string]string{"run_id": id}, &got); err != nil {
		return nil, nil, ending{}, err
	}
	has := map[string]bool{}
	for _, p := range got.Run.Data.Params {
		has[p.Key] = true
	}
	params = slices.DeleteFunc(params, func(p tag) bool { return has[p.Key] })
	there, ours := map[string]bool{}, map[string]bool{} // of ours alone: what else it says is not kept
	for _, m := range metrics {
		ours[m.Key], ours[m.same()] = true, true
	}
	for _, m := range got.Run.Data.Mets {
		if !ours[m.Key] {
			continue
		}
		delete(ours, m.Key) // it is asked for once
		err := paged("points of a metric", func(page string) (string, error) {
			var history struct {
				Metrics []mmet `json:"metrics"`
				Next    string `json:"next_page_token"`
			}
			ask := map[string]string{"run_id": id, "metric_key": m.Key, "max_results": "25000"}
			if page != "" {
				ask["page_token"] = page
			}
			err := s.get(ctx, "metrics/get-history", ask, &history)
			for _, p := range history.Metrics {
				p.Key = m.Key
				if ours[p.same()] {
					there[p.same()] = true
				}
			}
			return history.Next, err
		})
		if err != nil {
			return nil, nil, ending{}, err
		}
	}
	return params, slices.DeleteFunc(metrics, func(m mmet) bool { return there[m.same()] }), ending{len(got.Run.Inputs.Sets) > 0, got.Run.Info.Status == statusFinished || got.Run.Info.Status == statusKilled}, nil
}

func datasets(inputs map[string]digest.Digest) (out []any) {
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		d := inputs[name]
		source, err := json.Marshal(map[string]string{"digest": string(d)})
		if err != nil {
			continue
		}
		out = append(out, map[string]any{
			"tags":    []tag{{"mlflow.data.context", "training"}},
			"dataset": map[string]string{"name": bounded.Shortened(name, mostKey), "digest": bounded.Shortened(d.Hex(), mostDatasetID-4), "source_type": "vishwa", "source": string(source)},
		})
	}
	return out
}

// unique are names that MLflow takes, no two alike: what it does not know in a name is an underscore,
// and a name that another one comes to as well has a piece of its digest behind it.
func unique(names []string) map[string]string {
	out, taken := map[string]string{}, map[string]bool{}
	for _, plain := range []bool{true, false} { // names that stay as they are go first
		for _, name := range names {
			as := plainName(name)
			if (as == name) != plain {
				continue
			}
			if taken[as] || as != name && len(name) > mostKey {
				as = strings.TrimRight(bounded.Shortened(as, mostKey-9), "/") + "-" + digest.Of([]byte(name)).Hex()[:8]
			}
			out[name], taken[as] = as, true
		}
	}
	return out
}

// plainName is a name in the letters that MLflow knows, which is no path that leads elsewhere.
func plainName(name string) string {
	as := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-. :/", r) {
			return r
		}
		return '_'
	}, name)
	parts := strings.Split(as, "/")
	for i, p := range parts {
		if p == "" || p == "." || p == ".." {
			parts[i] = strings.Repeat("_", max(1, len(p)))
		}
	}
	as = bounded.Shortened(strings.Join(parts, "/"), mostKey)
	if cut, ends := strings.CutSuffix(as, "/"); ends { // where it was cut
		as = cut + "_"
	}
	return as
}
