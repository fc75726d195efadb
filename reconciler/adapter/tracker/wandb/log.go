// What the log of a run of W&B says: its parameters, and the courses of its metrics as rows, one a step.

package wandb

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	wandblog "github.com/vishwaops/vishwa/reconciler/format/wandb"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// wandbID is the id of a run: the same wherever the ledger is read.
func wandbID(ledger string, key digest.Digest) string {
	return digest.Of([]byte(ledger + "\x00" + string(key))).Hex()[:16]
}

func wandbFolder(r port.TrackerRun, id string) string {
	return "offline-run-" + r.Started.UTC().Format("20060102_150405") + "-" + id
}

// about is what the log says of the run as a whole: what Vishwa knows of it is below the parameter vishwa.
func (w *wandb) about(ledger, id string, r port.TrackerRun, logged map[string]string) wandblog.Run {
	config := map[string]any{}
	for _, from := range []map[string]string{logged, r.Params} {
		for name, v := range from {
			config[name] = typed(v)
		}
	}
	own := map[string]any{"ledger": ledger, "key": r.Key, "entry": r.Entry}
	for name, v := range r.Tags {
		if v != "" {
			own[name] = v
		}
	}
	if len(r.Inputs) > 0 {
		own["inputs"] = r.Inputs
	}
	if theirs, twice := config["vishwa"]; twice {
		own["parameter"] = theirs
	}
	config["vishwa"] = own
	group, _, _ := strings.Cut(r.Name, ":")
	return wandblog.Run{ID: id, Entity: w.spec.Entity, Project: w.spec.ProjectName(), Name: r.Name, Group: group, Job: "train", Notes: r.Tags[port.TagReason], Tags: []string{"vishwa"},
		Remote: r.Tags[port.TagRemote], Commit: r.Tags[port.TagRevision], Started: r.Started, Producer: "vishwa", Config: config}
}

// typed is a parameter as W&B compares it: what is spelled as JSON spells a number or a boolean is one.
func typed(s string) any {
	if s == "true" || s == "false" {
		return s == "true"
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return n
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if raw, err := json.Marshal(f); err == nil && string(raw) == s {
			return json.Number(s)
		}
	}
	return s
}

// course is a metric's, read step by step.
type course struct {
	port.TrackerSeries
	as    string // its name there
	order []int  // of its points, by their steps and times
}

// step is that of the next point.
func (c *course) step() (step int64, left bool) {
	if len(c.order) == 0 {
		return 0, false
	}
	return c.Steps[c.order[0]], true
}

func courses(series []port.TrackerSeries, names map[string]string) (out []*course, lowest int64) {
	for _, s := range series {
		c := &course{s, names[s.Name], make([]int, len(s.Values))}
		for i := range c.order {
			c.order[i] = i
		}
		slices.SortStableFunc(c.order, func(a, b int) int {
			return cmp.Or(cmp.Compare(s.Steps[a], s.Steps[b]), cmp.Compare(s.Times[a], s.Times[b]))
		})
		if first, any := c.step(); any {
			lowest = min(lowest, first)
		}
		out = append(out, c)
	}
	return out, lowest
}

// rows writes the courses and gives what stands at their end. W&B has one value of a metric a step, of several the last, and
// counts steps from 0 on. What counts in the end and is not the end of a course is a row of its own behind them.
func rows(log *wandblog.Writer, r port.TrackerRun, series []port.TrackerSeries) map[string]float64 {
	var all []string
	for _, s := range series {
		all = append(all, s.Name)
	}
	names := wandbNames(append(all, slices.Collect(maps.Keys(r.Metrics))...))
	left, lowest := courses(series, names)
	row, ends, next := map[string]float64{}, map[string]float64{}, int64(0)
	for {
		left = slices.DeleteFunc(left, func(c *course) bool { return len(c.order) == 0 })
		if len(left) == 0 {
			break
		}
		step, at := left[0].Steps[left[0].order[0]], int64(0)
		for _, c := range left {
			step = min(step, c.Steps[c.order[0]])
		}
		clear(row)
		for _, c := range left {
			for s, any := c.step(); any && s == step; s, any = c.step() {
				i := c.order[0]
				row[c.as], at, c.order = c.Values[i], max(at, c.Times[i]), c.order[1:]
			}
		}
		maps.Copy(ends, row)
		when := time.Time{}
		if at > 0 {
			when = time.UnixMilli(at)
		}
		log.Row(step-lowest, when, row)
		next = step - lowest + 1
	}
	clear(row)
	for name, v := range r.Metrics {
		if end, has := ends[names[name]]; !has || end != v {
			row[names[name]] = v
		}
	}
	if len(row) > 0 {
		log.Row(next, r.Finished, row)
		maps.Copy(ends, row)
	}
	return ends
}

// wandbNames are the names of metrics there: those that begin with _ are W&B's own.
func wandbNames(names []string) map[string]string {
	out, taken := map[string]string{}, map[string]bool{}
	for _, name := range names {
		taken[name] = true
	}
	for _, name := range names {
		as := name
		if strings.HasPrefix(name, "_") || name == "" {
			for as = "metric" + name; taken[as]; {
				as += "_"
			}
			taken[as] = true
		}
		if out[name] == "" {
			out[name] = as
		}
	}
	return out
}
