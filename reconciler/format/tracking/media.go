// What people look at beside numbers: the images and tables that a run gave its tools to keep.

package tracking

import (
	"fmt"
	"io/fs"
	"maps"
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

var shown = []string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".html", ".csv", ".tsv", ".json", ".parquet", ".txt", ".md"}

// Media are the paths of images and tables below fsys that a tool was given: the artifacts of
// MLflow's runs, but for those of a model, W&B's media and DVCLive's plots. What is large, or one too many, is left out, and counted.
func Media(fsys fs.FS, skip func(path string) bool) (out []string, left int, err error) {
	f, err := listFiles(fsys, skip)
	if err != nil {
		return nil, 0, err
	}
	models := map[string]bool{}
	for _, p := range f.mlmodels {
		models[path.Dir(p)] = true
	}
	all := int64(0)
	for _, p := range f.all {
		if !slices.Contains(shown, strings.ToLower(path.Ext(p))) || !f.given(p) || within(models, p) {
			continue
		}
		st, err := fs.Stat(fsys, p)
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		if st.Size() > mostMediaFile || all+st.Size() > MostMediaSize || len(out) >= MostMedia {
			left++
			continue
		}
		all += st.Size()
		out = append(out, p)
	}
	return out, left, nil
}

// LeftOut notes that images and tables were left out.
func (d *Document) LeftOut(n int) {
	if n > 0 && len(d.Notes) < mostNotes {
		d.Notes = append(d.Notes, fmt.Sprintf("images and tables left out: %d; kept are %d, of at most %d MiB each and %d MiB together", n, MostMedia, mostMediaFile>>20, MostMediaSize>>20))
	}
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

// Picture is an image of TensorBoard: that of the highest step of its tag.
type Picture struct {
	Name string // a path, such as tensorboard/train/digits-9.png
	Data []byte
}

type picture struct {
	step int64
	data []byte
}

const mostPictures = 32 << 20 // bytes of all, which are held

// picture takes one that a log holds.
func (r *recorder) picture(tag string, step int64, data []byte) {
	if was, known := r.pictures[tag]; !wellNamed(tag) || known && was.step > step {
		return
	}
	r.replacePicture(tag, picture{step, data})
}

// replacePicture keeps p for tag. If it cannot be kept, what was kept before stays.
func (r *recorder) replacePicture(tag string, p picture) {
	was, known := r.pictures[tag]
	r.shown -= len(was.data)
	delete(r.pictures, tag)
	if !r.keepPicture(tag, p) && known {
		r.keepPicture(tag, was)
	}
}

// keepPicture keeps one, if it is an image and there is room.
func (r *recorder) keepPicture(tag string, p picture) bool {
	if endingOf(p.data) == "" {
		return false
	}
	if len(p.data) > mostMediaFile || len(r.pictures) >= MostMedia || r.shown+len(p.data) > mostPictures {
		r.note("images of TensorBoard left out: kept are those of %d tags, of at most %d MiB each and %d MiB together", MostMedia, mostMediaFile>>20, mostPictures>>20)
		return false
	}
	if r.pictures == nil {
		r.pictures = map[string]picture{}
	}
	r.pictures[tag] = picture{p.step, slices.Clone(p.data)}
	r.shown += len(p.data)
	return true
}

// endingOf is how files of such an image are called; "": it is none that is kept.
func endingOf(data []byte) string {
	for begins, ending := range map[string]string{"\x89PNG\r\n\x1a\n": ".png", "\xff\xd8\xff": ".jpg", "GIF8": ".gif"} {
		if strings.HasPrefix(string(data[:min(len(data), 8)]), begins) {
			return ending
		}
	}
	return ""
}

// named are the pictures, by names that lead nowhere else.
func (r *recorder) named() (out []Picture) {
	taken := map[string]bool{}
	for _, tag := range slices.Sorted(maps.Keys(r.pictures)) {
		p := r.pictures[tag]
		name := fmt.Sprintf("tensorboard%s-%d%s", path.Clean("/"+tag), p.step, endingOf(p.data))
		if !taken[name] {
			taken[name] = true
			out = append(out, Picture{name, p.data})
		}
	}
	return out
}
