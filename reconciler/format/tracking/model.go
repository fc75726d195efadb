// The model that a run logged by MLflow: a folder with a file MLmodel.

package tracking

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Models are the folders of the models that MLflow's runs logged below fsys, the newest first. A
// model of a run that was begun within another one is left out.
func Models(fsys fs.FS, skip func(path string) bool) ([]string, error) {
	f, err := listFiles(fsys, skip)
	if err != nil || len(f.mlmodels) == 0 {
		return nil, err
	}
	runs, err := f.mlruns()
	if err != nil {
		return nil, err
	}
	nested := map[string]bool{}
	for _, run := range runs {
		nested[run.id] = run.nested
	}
	type model struct{ dir, made string }
	var all []model
	for _, p := range f.mlmodels {
		var m struct {
			Run     string `yaml:"run_id"`
			Made    string `yaml:"utc_time_created"`
			Flavors any    `yaml:"flavors"`
		}
		is, err := f.understand(p, &m)
		if err != nil {
			return nil, err
		}
		if !is || m.Flavors == nil {
			return nil, fault.New(fault.Invalid, "%s is none of MLflow's", p)
		}
		if !nested[m.Run] {
			all = append(all, model{path.Dir(p), m.Made})
		}
	}
	slices.SortFunc(all, func(a, b model) int { return cmp.Or(strings.Compare(b.made, a.made), strings.Compare(a.dir, b.dir)) })
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = m.dir
	}
	return out, nil
}
