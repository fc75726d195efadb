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

	"github.com/vishwaops/vishwa/reconciler/data/cache"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// never tells of what DVC never takes for data, and of what is not whole.
func never(below string, dir bool) bool {
	switch base := path.Base(below); base {
	case ".git":
		return true
	case ".hg", ".dvc":
		return dir
	default:
		return !dir && cache.IsDraft(base)
	}
}

// tidied is ignore, and removes the drafts that it meets below abs and that nobody
// works on any more.
func tidied(abs string, ignore func(below string, dir bool) bool) func(below string, dir bool) bool {
	return func(below string, dir bool) bool {
		if !dir && cache.Left(path.Base(below)) {
			_ = os.Remove(filepath.Join(abs, filepath.FromSlash(below))) // the next one tries again
		}
		return ignore(below, dir)
	}
}

// ignored tells what below the output at rel is ignored.
func (w *Workspace) ignored(rel string) (func(below string, dir bool) bool, error) {
	var patterns []gitignore.Pattern
	var folder []string
	parts := strings.Split(path.Dir(rel), "/")
	if parts[0] == "." {
		parts = nil
	}
	for i := range len(parts) + 1 {
		folder = parts[:i:i]
		more, err := readIgnore(filepath.Join(append([]string{w.root}, append(folder, ".dvcignore")...)...), folder)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, more...)
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

func readIgnore(file string, domain []string) (out []gitignore.Pattern, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Hint(fault.New(fault.Denied, "read %s: %w", file, err), "make it readable")
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if s := lines.Text(); strings.TrimSpace(s) != "" && !strings.HasPrefix(s, "#") {
			out = append(out, gitignore.ParsePattern(s, domain))
		}
	}
	return out, nil
}
