// What MLflow is told of a run: parameters, the courses of metrics and the data sets, in the largest
// requests that it takes, under names that it knows.

package tracker

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// MLflow's own bounds.
const (
	mostBatch      = 1000 // metrics, parameters and tags of a request together
	mostBatchParam = 100
	mostBatchBytes = 900 << 10 // of the 1 MiB that it takes
	mostParamValue = 6000
	mostTagValue   = 5000
	mostDatasetID  = 36
)

// How a run ended, in MLflow's words.
const (
	statusFinished = "FINISHED"
	statusKilled   = "KILLED" // a trial that was ended early
)

// fill tells of a run that was created, and of one that was begun before only what is not there.
func (s *session) fill(ctx context.Context, r port.TrackerRun, more port.TrackerLog, w writing) (err error) {
	colons, err := s.takesColons(ctx, r, more)
	if err != nil {
		return err
	}
	metrics, params := points(r, more.Series, colons), parameters(r, more.Params, colons)
	sets, id := datasets(r.Inputs), w.id
	if w.before {
		told := false
		if params, metrics, told, err = s.missing(ctx, id, params, metrics); err != nil {
			return err
		}
		if told {
			sets = nil
		}
	}
	for len(params) > 0 || len(metrics) > 0 || len(w.sign) > 0 {
		p := min(len(params), mostBatchParam)
		for n := 0; n < p; n++ {
			if size(params[:n+1]) > mostBatchBytes {
				p = n
			}
		}
		m := min(len(metrics), mostBatch-p-len(w.sign))
		for m > 0 && size(params[:p])+m*(mlflowformat.MostName+100) > mostBatchBytes {
			m /= 2
		}
		if err := s.batch(ctx, r.Key, &w, params[:p], metrics[:m]); err != nil {
			return err
		}
		params, metrics = params[p:], metrics[m:]
	}
	if len(sets) > 0 {
		if err := s.write(ctx, "runs/log-inputs", map[string]any{"run_id": id, "datasets": sets}, nil); err != nil {
			return err
		}
	}
	status := statusFinished
	if r.Stopped {
		status = statusKilled
	}
	// Its status says that all of it is there.
	return s.write(ctx, "runs/update", map[string]any{"run_id": id, "status": status, "end_time": r.Finished.UnixMilli(), "run_name": r.Name}, nil)
}

// takesColons tells whether the server knows colons in names, which it is asked only where there is one.
func (s *session) takesColons(ctx context.Context, r port.TrackerRun, more port.TrackerLog) (bool, error) {
	has := slices.ContainsFunc(more.Series, func(c port.TrackerSeries) bool { return strings.Contains(c.Name, ":") })
	for _, names := range []iter.Seq[string]{maps.Keys(r.Params), maps.Keys(r.Metrics), maps.Keys(more.Params)} {
		for name := range names {
			has = has || strings.Contains(name, ":")
		}
	}
	if !has {
		return true, nil
	}
	if s.major == nil {
		major, err := s.Major(ctx)
		if err != nil {
			return false, err
		}
		s.major = &major
	}
	return *s.major >= 3, nil
}

// batchOf is the body of a request that logs.
func batchOf(id string, tags, params []tag, metrics []mlflowformat.Point) ([]byte, error) {
	body := map[string]any{"run_id": id}
	if len(tags) > 0 { // MLflow takes no null for a list
		body["tags"] = tags
	}
	if len(params) > 0 {
		body["params"] = params
	}
	raw, err := json.Marshal(body)
	if err != nil || len(metrics) == 0 {
		return raw, err
	}
	return append(mlflowformat.AppendPoints(append(raw[:len(raw)-1], `,"metrics":`...), metrics), '}'), nil
}

func size(params []tag) (n int) {
	for _, p := range params {
		n += 4*len(p.Key) + 4*len(p.Value) + 40 // of which JSON may make more
	}
	return n
}

// parameters are those of a run under MLflow's names.
func parameters(r port.TrackerRun, more map[string]string, colons bool) []tag {
	all := map[string]string{}
	maps.Copy(all, more)
	maps.Copy(all, r.Params)
	names := mlflowformat.Names(slices.Sorted(maps.Keys(all)), colons)
	var out []tag
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, tag{names[name], bounded.Shortened(all[name], mostParamValue)})
	}
	return out
}

// points are all of a run: a metric that has no course has one point, at its end.
func points(r port.TrackerRun, courses []port.TrackerSeries, colons bool) (out []mlflowformat.Point) {
	all, n := map[string]bool{}, len(r.Metrics)
	for name := range r.Metrics {
		all[name] = true
	}
	for _, c := range courses {
		all[c.Name] = true
		n += len(c.Values)
	}
	names := mlflowformat.Names(slices.Sorted(maps.Keys(all)), colons)
	out = make([]mlflowformat.Point, 0, n)
	add := func(name string, v float64, at, step int64) {
		out = append(out, mlflowformat.Point{Key: names[name], Value: mlflowformat.Number(v), Time: at, Step: step})
	}
	end := r.Finished.UnixMilli()
	for _, c := range courses {
		counts, ends := r.Metrics[c.Name]
		for i, v := range c.Values {
			at := c.Times[i]
			if at <= 0 {
				at = end
			}
			add(c.Name, v, at, c.Steps[i])
		}
		if n := len(c.Values); ends && (n == 0 || c.Values[n-1] != counts) { // what counts is shown last
			step := int64(0)
			if n > 0 {
				step = slices.Max(c.Steps)
			}
			add(c.Name, counts, max(end, slices.Max(append(slices.Clone(c.Times), 0))), step)
		}
		delete(all, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		add(name, r.Metrics[name], end, 0)
	}
	return out
}

// missing is what a run that was begun lacks, and whether its data sets were told.
func (s *session) missing(ctx context.Context, id string, params []tag, metrics []mlflowformat.Point) ([]tag, []mlflowformat.Point, bool, error) {
	var got struct {
		Run struct {
			runAnswer
			Inputs struct {
				Sets []any `json:"dataset_inputs"`
			} `json:"inputs"`
		} `json:"run"`
	}
	if err := s.Get(ctx, "runs/get", map[string]string{"run_id": id}, &got); err != nil {
		return nil, nil, false, err
	}
	has := map[string]bool{}
	for _, p := range got.Run.Data.Params {
		has[p.Key] = true
	}
	params = slices.DeleteFunc(params, func(p tag) bool { return has[p.Key] })
	there, ours := map[string]bool{}, map[string]bool{} // of ours alone: what else it says is not kept
	for _, m := range metrics {
		ours[m.Key], ours[m.Same()] = true, true
	}
	for _, m := range got.Run.Data.Mets {
		if !ours[m.Key] {
			continue
		}
		delete(ours, m.Key) // it is asked for once
		err := mlflowapi.Paged("points of a metric", func(page string) (string, error) {
			var history struct {
				Metrics []mlflowformat.Point `json:"metrics"`
				Next    string               `json:"next_page_token"`
			}
			ask := map[string]string{"run_id": id, "metric_key": m.Key, "max_results": "25000"}
			if page != "" {
				ask["page_token"] = page
			}
			err := s.Get(ctx, "metrics/get-history", ask, &history)
			for _, p := range history.Metrics {
				p.Key = m.Key
				if ours[p.Same()] {
					there[p.Same()] = true
				}
			}
			return history.Next, err
		})
		if err != nil {
			return nil, nil, false, err
		}
	}
	return params, slices.DeleteFunc(metrics, func(m mlflowformat.Point) bool { return there[m.Same()] }), len(got.Run.Inputs.Sets) > 0, nil
}

// dataset is a data set as MLflow has it.
type dataset struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Type   string `json:"source_type"`
	Source string `json:"source"`
}

func datasetOf(name string, d digest.Digest) dataset {
	source, _ := json.Marshal(map[string]string{"digest": string(d)}) // a text never fails
	return dataset{bounded.Shortened(name, mlflowformat.MostName), bounded.Shortened(d.Hex(), mostDatasetID-4), "vishwa", string(source)}
}

func datasets(inputs map[string]digest.Digest) (out []any) {
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		out = append(out, map[string]any{"tags": []tag{{"mlflow.data.context", "training"}}, "dataset": datasetOf(name, inputs[name])})
	}
	return out
}
