// Package mlflowread reads what a server of MLflow has: its registered models with their aliases, and its experiments, for declarations
// to be made of. The server is a stranger: what it lists is bounded, and what it answers must be about what was asked.
package mlflowread

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
)

// Wanted is what of a server is read; the zero value is all of it.
type Wanted struct {
	Models, Experiments []string
}

func (w Wanted) all() bool { return len(w.Models) == 0 && len(w.Experiments) == 0 }

// mostListed bounds the models, and the experiments, of one reading, and mostOf what of one of them is read: its aliases,
// or the parameters, metrics and data sets of its run.
const (
	mostListed = 1000
	mostOf     = 1000
)

// Read reads what a server has, and changes nothing.
func Read(ctx context.Context, o mlflowapi.Options, want Wanted) (mlflowformat.Registry, error) {
	o.URLAt, o.TokenAt = "--url", "--token"
	r := &reading{Client: mlflowapi.New(o), runs: map[string]*mlflowformat.Run{}}
	var out mlflowformat.Registry
	names, err := r.models(ctx, want)
	if err != nil {
		return out, err
	}
	for _, m := range names {
		one, err := r.model(ctx, m)
		if err != nil {
			return out, err
		}
		out.Models = append(out.Models, one)
	}
	out.Experiments, err = r.experiments(ctx, want)
	return out, err
}

type reading struct {
	*mlflowapi.Client
	runs map[string]*mlflowformat.Run
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func valueOf(tags []tag, key string) string {
	if i := slices.IndexFunc(tags, func(t tag) bool { return t.Key == key }); i >= 0 {
		return tags[i].Value
	}
	return ""
}

// listedModel is a registered model as MLflow answers it.
type listedModel struct {
	Name    string `json:"name"`
	Tags    []tag  `json:"tags"`
	Aliases []struct {
		Alias   string `json:"alias"`
		Version string `json:"version"`
	} `json:"aliases"`
	Latest []struct {
		Version string `json:"version"`
		Stage   string `json:"current_stage"`
	} `json:"latest_versions"`
}

func (r *reading) models(ctx context.Context, want Wanted) (out []listedModel, err error) {
	for _, name := range want.Models {
		var got struct {
			Model listedModel `json:"registered_model"`
		}
		if err := r.Get(ctx, "registered-models/get", map[string]string{"name": name}, &got); err != nil {
			return nil, named("registered model", name, err)
		}
		if got.Model.Name != name {
			return nil, otherwise("registered model " + name)
		}
		out = append(out, got.Model)
	}
	if !want.all() {
		return out, nil
	}
	seen := map[string]bool{}
	err = mlflowapi.Paged("registered models", func(page string) (string, error) {
		var got struct {
			Models []listedModel `json:"registered_models"`
			Next   string        `json:"next_page_token"`
		}
		if err := r.Get(ctx, "registered-models/search", asking(page), &got); err != nil {
			return "", err
		}
		for _, m := range got.Models {
			if !seen[m.Name] && valueOf(m.Tags, "mlflow.prompt.is_prompt") != "true" {
				seen[m.Name] = true
				out = append(out, m)
			}
		}
		return got.Next, tooMany("registered models", "--model", len(out))
	})
	return out, err
}

// named is what was answered about what people named.
func named(what, name string, err error) error {
	kind := fault.Of(err)
	err = fmt.Errorf("%s %s: %w", what, name, err)
	if kind == fault.Missing {
		return fault.WithHint(err, "name one that the server has, as it writes it there; one that was deleted counts as missing")
	}
	return err
}

func asking(page string) map[string]string {
	out := map[string]string{"max_results": "100"}
	if page != "" {
		out["page_token"] = page
	}
	return out
}

// tooMany refuses what is a list of somebody's that nobody reads through.
func tooMany(what, flag string, n int) error {
	if n <= mostListed {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "MLflow has more than %d %s", mostListed, what), "name those that you mean by %s", flag)
}

func otherwise(what string) error {
	return fault.WithHint(fault.New(fault.Invalid, "MLflow answers about something else than the %s that it was asked for", what), "see what answers at --url")
}

// model reads the newest version of a model, and the run that made it.
func (r *reading) model(ctx context.Context, m listedModel) (mlflowformat.Model, error) {
	out := mlflowformat.Model{Name: m.Name, Aliases: map[string]string{}, Stages: map[string]string{}}
	if len(m.Aliases) > mostOf {
		return out, fault.WithHint(fault.New(fault.Invalid, "a registered model has more than %d aliases", mostOf), "name other models by --model")
	}
	var versions []int
	for _, v := range m.Latest[:min(len(m.Latest), mostOf)] {
		versions = append(versions, versionOf(v.Version))
		if v.Stage == "Production" || v.Stage == "Staging" {
			out.Stages[v.Stage] = v.Version
		}
	}
	for _, a := range m.Aliases {
		out.Aliases[a.Alias] = a.Version
		versions = append(versions, versionOf(a.Version))
	}
	slices.Sort(versions)
	versions = slices.Compact(versions)
	for tries := 0; len(versions) > 0 && versions[len(versions)-1] > 0 && tries < mostTried; tries++ {
		last := len(versions) - 1
		there, err := r.version(ctx, m.Name, strconv.Itoa(versions[last]), &out)
		if err != nil || there {
			return out, err
		}
		versions = versions[:last] // an alias on a version that was deleted: what was newest before counts
	}
	return out, nil
}

// mostTried bounds the versions of a model that are asked for until one is there.
const mostTried = 20

// version reads one, and the run that made it, as the newest of a model.
func (r *reading) version(ctx context.Context, name, version string, out *mlflowformat.Model) (there bool, err error) {
	var got struct {
		Version struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Run     string `json:"run_id"`
		} `json:"model_version"`
	}
	err = r.Get(ctx, "model-versions/get", map[string]string{"name": name, "version": version}, &got)
	if err != nil && fault.Of(err) == fault.Missing {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("version %s: %w", version, err)
	}
	if got.Version.Name != name || got.Version.Version != version {
		return false, otherwise("version of a model")
	}
	out.Newest = version
	if got.Version.Run != "" {
		out.Run, err = r.run(ctx, got.Version.Run)
	}
	return true, err
}

func versionOf(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// readAnswer is a run with what it read.
type readAnswer struct {
	Info struct {
		ID         string `json:"run_id"`
		Experiment string `json:"experiment_id"`
	} `json:"info"`
	Data struct {
		Tags    []tag                `json:"tags"`
		Params  []tag                `json:"params"`
		Metrics []mlflowformat.Point `json:"metrics"`
	} `json:"data"`
	Inputs struct {
		Datasets []struct {
			Dataset struct {
				Name string `json:"name"`
			} `json:"dataset"`
		} `json:"dataset_inputs"`
	} `json:"inputs"`
}

func (r *reading) run(ctx context.Context, id string) (*mlflowformat.Run, error) {
	if known, ok := r.runs[id]; ok {
		return known, nil
	}
	var got struct {
		Run readAnswer `json:"run"`
	}
	err := r.Get(ctx, "runs/get", map[string]string{"run_id": id}, &got)
	switch {
	case err != nil && fault.Of(err) == fault.Missing:
		r.runs[id] = nil
		return nil, nil
	case err != nil:
		return nil, err
	case got.Run.Info.ID != id:
		return nil, otherwise("run")
	}
	r.runs[id] = runOf(got.Run)
	return r.runs[id], nil
}

func runOf(a readAnswer) *mlflowformat.Run {
	out := &mlflowformat.Run{Experiment: a.Info.Experiment, Source: valueOf(a.Data.Tags, "mlflow.source.name"), Params: map[string]string{}, Metrics: map[string]float64{}}
	for _, p := range a.Data.Params[:min(len(a.Data.Params), mostOf)] {
		out.Params[p.Key] = p.Value
	}
	for _, m := range a.Data.Metrics[:min(len(a.Data.Metrics), mostOf)] {
		if v := float64(m.Value); !math.IsNaN(v) && !mlflowformat.Infinite(v) {
			out.Metrics[m.Key] = v
		}
	}
	sets := map[string]bool{}
	for _, s := range a.Inputs.Datasets[:min(len(a.Inputs.Datasets), mostOf)] {
		sets[s.Dataset.Name] = true
	}
	out.Datasets = slices.Sorted(maps.Keys(sets))
	return out
}

// listedExperiment is an experiment as MLflow answers it.
type listedExperiment struct {
	ID   string `json:"experiment_id"`
	Name string `json:"name"`
}

func (r *reading) experiments(ctx context.Context, want Wanted) (out []mlflowformat.Experiment, err error) {
	var all []listedExperiment
	for _, name := range want.Experiments {
		var got struct {
			Experiment listedExperiment `json:"experiment"`
		}
		if err := r.Get(ctx, "experiments/get-by-name", map[string]string{"experiment_name": name}, &got); err != nil {
			return nil, named("experiment", name, err)
		}
		if got.Experiment.Name != name {
			return nil, otherwise("experiment " + name)
		}
		all = append(all, got.Experiment)
	}
	if want.all() {
		err := mlflowapi.Paged("experiments", func(page string) (string, error) {
			var got struct {
				Experiments []listedExperiment `json:"experiments"`
				Next        string             `json:"next_page_token"`
			}
			body := map[string]any{"max_results": 100, "view_type": "ACTIVE_ONLY", "page_token": page}
			if err := r.Post(ctx, "experiments/search", body, &got); err != nil {
				return "", err
			}
			for _, e := range got.Experiments {
				if !slices.Contains(all, e) {
					all = append(all, e)
				}
			}
			return got.Next, tooMany("experiments", "--experiment", len(all))
		})
		if err != nil {
			return nil, err
		}
	}
	for _, e := range all {
		run, err := r.newest(ctx, e.ID)
		if err != nil {
			return nil, fmt.Errorf("runs of experiment %s: %w", e.ID, err)
		}
		out = append(out, mlflowformat.Experiment{Name: e.Name, Run: run, Named: slices.Contains(want.Experiments, e.Name)})
	}
	return out, nil
}

// newest is the newest run of an experiment that ended well.
func (r *reading) newest(ctx context.Context, experiment string) (*mlflowformat.Run, error) {
	var got struct {
		Runs []readAnswer `json:"runs"`
	}
	body := map[string]any{"experiment_ids": []string{experiment}, "filter": "attributes.status = 'FINISHED'", "max_results": 1, "order_by": []string{"attributes.start_time DESC"}}
	if err := r.Post(ctx, "runs/search", body, &got); err != nil {
		return nil, err
	}
	if len(got.Runs) == 0 {
		return nil, nil
	}
	if got.Runs[0].Info.Experiment != experiment {
		return nil, otherwise("experiment " + strings.ToValidUTF8(experiment[:min(len(experiment), 40)], ""))
	}
	return runOf(got.Runs[0]), nil
}
