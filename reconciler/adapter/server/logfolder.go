// A log's folder that a declaration names: it is bounded as a store's is. What runs and served
// processes are shown is no place for what people asked, and what Vishwa keeps for itself, of
// this repository or another, is nobody's log.

package server

import (
	"path/filepath"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// logFolder is the folder of name's log below dir; own is Config.Dir, and apart is how what is
// served is kept apart from this machine.
func logFolder(own, dir, name string, apart wall.Policy) (string, error) {
	at := filepath.Join(dir, name)
	for _, p := range []string{at, behindLinks(at)} {
		for _, shown := range slices.Concat(apart.Read, apart.Write) {
			if wall.Within(p, shown) || wall.Within(p, behindLinks(shown)) {
				return "", refusedFolder(dir, "runs are shown "+shown)
			}
		}
		if wall.System(p) {
			return "", refusedFolder(dir, "it is a folder of the system")
		}
		for _, kept := range keptFolders(own, apart.Hidden) {
			if wall.Within(p, kept) || wall.Within(kept, p) || wall.Within(p, behindLinks(kept)) || wall.Within(behindLinks(kept), p) {
				return "", refusedFolder(dir, "files that are not predictions are kept there")
			}
		}
	}
	return at, nil
}

func refusedFolder(dir, why string) error {
	return fault.WithHint(fault.New(fault.Denied, "predictions cannot be kept in %s: %s", dir, why),
		"name another folder in spec.log.dir, such as /var/lib/predictions, or leave it out")
}

// keptFolders are the folders of Vishwa's own: the state of all repositories, and what is hidden
// from runs; but not what is around them, as a home is.
func keptFolders(own string, hidden []string) []string {
	state := filepath.Dir(filepath.Dir(filepath.Clean(own)))
	out := []string{state}
	for _, h := range hidden {
		if h = filepath.Clean(h); !wall.Within(state, h) {
			out = append(out, h)
		}
	}
	return out
}

// behindLinks is path behind all symbolic links, as far as it is there.
func behindLinks(path string) string {
	for at, below := path, ""; ; at = filepath.Dir(at) {
		if r, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(r, below)
		}
		if at == filepath.Dir(at) {
			return path
		}
		below = filepath.Join(filepath.Base(at), below)
	}
}
