// .dvcignore: which files no command sees, by DVC's rules, from the root of the
// repository down to the output.

package data

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// never tells of what DVC never takes for data, and of what is not whole.
func never(below string, dir bool) bool {
	switch base := path.Base(below); base {
	case ".git":
		return true
	case ".hg", ".dvc":
		return dir
	default:
		return !dir && dvccache.IsDraft(base)
	}
}

// tidied is ignore, and removes the drafts that it meets below abs and that nobody
// works on any more.
func tidied(abs string, ignore func(below string, dir bool) bool) func(below string, dir bool) bool {
	return func(below string, dir bool) bool {
		if !dir && dvccache.Left(path.Base(below)) {
			_ = os.Remove(filepath.Join(abs, filepath.FromSlash(below))) // the next one tries again
		}
		return ignore(below, dir)
	}
}

// ignoredBy is the .dvcignore that leaves the output at rel out itself; "" is none.
func (w *Workspace) ignoredBy(rel string) (string, error) {
	st, err := os.Stat(w.abs(rel))
	if err != nil {
		return "", nil // that it is not there is told where it is looked at
	}
	g, err := w.patterns(rel)
	if err != nil || !g.Match(rel, st.IsDir()) {
		return "", err
	}
	for at := path.Dir(rel); ; at = path.Dir(at) {
		own := &dvc.Ignore{}
		if err := w.readIgnore(own, at); err != nil || at == "." || own.Match(rel, st.IsDir()) {
			return path.Join(at, ".dvcignore"), err
		}
	}
}

// ignored tells what below the output at rel is ignored.
func (w *Workspace) ignored(rel string) (func(below string, dir bool) bool, error) {
	g, err := w.patterns(rel)
	if err != nil {
		return nil, err
	}
	if g.Empty() {
		return never, nil
	}
	if g.Match(rel, true) {
		return func(string, bool) bool { return true }, nil
	}
	return func(below string, dir bool) bool { // of a folder that is not ignored: nobody looks into others
		return never(below, dir) || g.One(rel+"/"+below, dir)
	}, nil
}

// patterns are those of every .dvcignore from the root to the folder of rel.
func (w *Workspace) patterns(rel string) (*dvc.Ignore, error) {
	g := &dvc.Ignore{}
	for i, c := range rel {
		if i > 0 && c != '/' {
			continue
		}
		folder := "."
		if i > 0 {
			folder = rel[:i]
		}
		if i > 0 && g.Match(folder+"/.dvcignore", false) {
			continue // one that is ignored says nothing
		}
		if err := w.readIgnore(g, folder); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// readIgnore adds the .dvcignore of a folder.
func (w *Workspace) readIgnore(g *dvc.Ignore, folder string) error {
	b, err := readSmall(os.DirFS(w.root), path.Join(folder, ".dvcignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return g.Add(folder, b)
}
