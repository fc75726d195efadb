// Targets: which outputs a command is about, and which files of them.

package data

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// Output is one thing that the repository keeps in its cache.
type Output struct {
	File  string   `json:"file"` // the .dvc file or dvc.lock, from the root
	Path  string   `json:"path"` // of the data, from the root
	Out   dvc.Out  `json:"-"`
	Stage string   `json:"stage,omitempty"` // of dvc.lock
	From  *dvc.Dep `json:"-"`               // the other repository that it was imported from

	// only are the files and folders below Path that are meant; none is all.
	only []string
}

// exec tells whether the output is a program; of the files of a folder nobody says so.
func (o Output) exec() bool { return o.Out.Exec && !o.Out.OID.IsDir() }

// Outputs lists what the repository keeps, by path: all of it, or what targets name,
// which are .dvc files, data, files and folders inside of data, folders above it, and
// stages of dvc.lock.
func (w *Workspace) Outputs(ctx context.Context, targets []string) ([]Output, error) {
	if len(targets) == 0 {
		return OutputsOf(ctx, os.DirFS(w.root))
	}
	// What is not meant may be broken.
	broken := map[string]error{}
	all, err := outputsOf(ctx, os.DirFS(w.root), func(file string, err error) { broken[file] = err })
	if err != nil {
		return nil, err
	}
	some, missing, err := w.limited(all, targets)
	if err != nil {
		return nil, err
	}
	for _, file := range slices.Sorted(maps.Keys(broken)) {
		if missing != "" || w.covers(targets, file) {
			return nil, broken[file]
		}
	}
	if missing != "" {
		return nil, w.unknown(missing, all)
	}
	return some, nil
}

// covers tells whether a target means what a file points to, as far as its name says.
func (w *Workspace) covers(targets []string, file string) bool {
	return slices.ContainsFunc(targets, func(t string) bool {
		rel, err := w.rel(t)
		return err == nil && (rel == "." || rel == file || rel+".dvc" == file || above(rel, file) || above(strings.TrimSuffix(file, ".dvc"), rel))
	})
}

// limited is what targets name of all, and the first of them that names nothing.
func (w *Workspace) limited(all []Output, targets []string) (out []Output, missing string, err error) {
	if len(targets) == 0 {
		return all, "", nil
	}
	some := map[string]Output{}
	for _, t := range targets {
		rel, err := w.rel(t)
		if err != nil {
			return nil, "", err
		}
		if !name(some, all, rel) && missing == "" {
			missing = t
		}
	}
	for _, o := range some {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b Output) int { return strings.Compare(a.Path, b.Path) })
	return out, missing, nil
}

// name adds to some what rel names of all, and tells whether that is anything.
func name(some map[string]Output, all []Output, rel string) (found bool) {
	for _, o := range all {
		had, twice := some[o.Path]
		below, inside := strings.CutPrefix(rel, o.Path+"/")
		switch {
		case o.File == rel, o.Path == rel, rel == ".", above(rel, o.Path), above(rel, o.File), o.Stage != "" && stage(o) == rel:
			some[o.Path] = o // the whole, whatever was named of it
		case !inside || !o.Out.OID.IsDir():
			continue
		case twice && len(had.only) == 0: // the whole is named already
		default:
			o.only = append(had.only, below)
			some[o.Path] = o
		}
		found = true
	}
	return found
}

func above(folder, path string) bool { return strings.HasPrefix(path, folder+"/") }

// stage is the name of the stage that makes o, from the root: folder/name.
func stage(o Output) string { return strings.TrimSuffix(o.File, "dvc.lock") + o.Stage }

func (w *Workspace) unknown(target string, all []Output) error {
	names := make([]string, 0, len(all))
	for _, o := range all {
		if len(names) == 20 {
			names = append(names, "…: vishwa data list tells all")
			break
		}
		names = append(names, o.Path)
	}
	from := ""
	if rel, err := w.rel(target); err == nil && rel != path.Clean(filepath.ToSlash(target)) {
		from = fmt.Sprintf(" (%s, from its root)", rel)
	}
	err := fault.New(fault.Missing, "%s%s is not data of this repository", target, from)
	if len(names) == 0 {
		return fault.WithHint(err, "the repository keeps no data yet; files and folders are added with vishwa data add PATH")
	}
	return fault.WithHint(err, "name one of: %s", strings.Join(names, ", "))
}

// means tells whether the file at path below o is meant.
func (o Output) means(path string) bool {
	if len(o.only) == 0 {
		return true
	}
	for _, p := range o.only {
		if path == p || above(p, path) {
			return true
		}
	}
	return false
}

// meant is what is meant of t, the manifest of o. What is named and is nowhere in it is Missing.
func (o Output) meant(t dvc.Tree) (dvc.Tree, error) {
	if len(o.only) == 0 {
		return t, nil
	}
	var out dvc.Tree
	for _, f := range t {
		if o.means(f.Path) {
			out = append(out, f)
		}
	}
	for _, p := range o.only {
		if !slices.ContainsFunc(out, func(f dvc.File) bool { return f.Path == p || above(p, f.Path) }) {
			return nil, fault.WithHint(fault.New(fault.Missing, "%s/%s is in no version of %s that %s names", o.Path, p, o.Path, o.File), "correct the path, or name %s as a whole", o.Path)
		}
	}
	return out, nil
}
