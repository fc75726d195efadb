// .dvcignore: which files no command sees, by Git's rules, from the root of the
// repository down to the output.

package data

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"github.com/vishwaops/vishwa/reconciler/fault"
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
	patterns, err := w.patterns(rel)
	if err != nil || !gitignore.NewMatcher(patterns).Match(strings.Split(rel, "/"), st.IsDir()) {
		return "", err
	}
	for at := path.Dir(rel); ; at = path.Dir(at) {
		own, err := readIgnore(w.abs(path.Join(at, ".dvcignore")), splitPath(at))
		if err != nil || at == "." || gitignore.NewMatcher(own).Match(strings.Split(rel, "/"), st.IsDir()) {
			return path.Join(at, ".dvcignore"), err
		}
	}
}

func splitPath(p string) []string {
	if p == "." {
		return nil
	}
	return strings.Split(p, "/")
}

// ignored tells what below the output at rel is ignored.
func (w *Workspace) ignored(rel string) (func(below string, dir bool) bool, error) {
	patterns, err := w.patterns(rel)
	if err != nil {
		return nil, err
	}
	if len(patterns) == 0 {
		return never, nil
	}
	m := gitignore.NewMatcher(patterns)
	base := strings.Split(rel, "/")
	return func(below string, dir bool) bool {
		return never(below, dir) || m.Match(append(base[:len(base):len(base)], strings.Split(below, "/")...), dir)
	}, nil
}

// patterns are those of every .dvcignore from the root to the folder of rel.
func (w *Workspace) patterns(rel string) (patterns []gitignore.Pattern, err error) {
	parts := splitPath(path.Dir(rel))
	for i := range len(parts) + 1 {
		folder := parts[:i:i]
		more, err := readIgnore(filepath.Join(append([]string{w.root}, append(folder, ".dvcignore")...)...), folder)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, more...)
	}
	return patterns, nil
}

func readIgnore(file string, domain []string) (out []gitignore.Pattern, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "read %s: %w", file, err), "make it readable")
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if s := lines.Text(); strings.TrimSpace(s) != "" && !strings.HasPrefix(s, "#") {
			out = append(out, gitignore.ParsePattern(s, domain))
		}
	}
	return out, nil
}
