// What people look at beside numbers: the images and tables that a run gave its tools to keep.

package tracking

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The most of them that is kept.
const (
	MostMedia     = 64
	mostMediaFile = 8 << 20  // bytes of one
	MostMediaSize = 64 << 20 // bytes of all
)

var shown = []string{".png", ".jpg", ".jpeg", ".gif", ".svg", ".html", ".csv", ".json", ".txt", ".md"}

// Media are the paths of images and tables below fsys that a tool was given: the artifacts of
// MLflow's runs, but for those of a model, W&B's media and DVCLive's plots. What is large is left out.
func Media(fsys fs.FS, skip func(path string) bool) ([]string, error) {
	f, err := listFiles(fsys, skip)
	if err != nil {
		return nil, err
	}
	models := map[string]bool{}
	for _, p := range f.mlmodels {
		models[path.Dir(p)] = true
	}
	var out []string
	all := int64(0)
	for _, p := range f.all {
		if !slices.Contains(shown, strings.ToLower(path.Ext(p))) || !f.given(p) || within(models, p) {
			continue
		}
		st, err := fs.Stat(fsys, p)
		if err != nil || !st.Mode().IsRegular() || st.Size() > mostMediaFile || all+st.Size() > MostMediaSize || len(out) >= MostMedia {
			continue
		}
		all += st.Size()
		out = append(out, p)
	}
	return out, nil
}

func (f *files) given(p string) bool {
	if strings.Contains(p, "/artifacts/") || strings.Contains(p, "/files/media/") {
		return true
	}
	return slices.ContainsFunc(f.dvclive, func(root string) bool {
		rel, below := strings.CutPrefix(p, root+"/plots/")
		return below && !strings.HasPrefix(rel, "metrics/")
	})
}

func within(dirs map[string]bool, p string) bool {
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if dirs[d] {
			return true
		}
	}
	return false
}
