// Control groups of a node: below them the engine puts those of its containers, and the kernel does not remove them with the processes.

package enginetest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const hierarchies = "/sys/fs/cgroup"

// roots are the node's groups: one in each hierarchy of the first version, or one in the only hierarchy of the second.
func (n *node) roots() ([]string, error) {
	if _, err := os.Stat(filepath.Join(hierarchies, "cgroup.controllers")); err == nil {
		return []string{filepath.Join(hierarchies, n.groups)}, nil
	}
	entries, err := os.ReadDir(hierarchies)
	var out []string
	for _, e := range entries {
		if e.IsDir() { // and not a link to another
			out = append(out, filepath.Join(hierarchies, e.Name(), n.groups))
		}
	}
	return out, err
}

func (n *node) makeGroups() error {
	roots, err := n.roots()
	for _, root := range roots {
		err = errors.Join(err, os.Mkdir(root, 0o755))
		// A new group of processors has none, and takes no process until it has.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			raw, no := os.ReadFile(filepath.Join(filepath.Dir(root), name))
			if no == nil {
				err = errors.Join(err, os.WriteFile(filepath.Join(root, name), raw, 0o644))
			}
		}
	}
	return err
}

// removeGroups removes the groups, the deepest first. The kernel lets go of a group a moment after its last process.
func (n *node) removeGroups() error {
	roots, err := n.roots()
	for _, root := range roots {
		var folders []string
		walked := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				folders = append(folders, path)
			}
			return err
		})
		if !errors.Is(walked, fs.ErrNotExist) {
			err = errors.Join(err, walked)
		}
		slices.Reverse(folders)
		for _, folder := range folders {
			var no error
			for range 100 {
				if no = syscall.Rmdir(folder); no != syscall.EBUSY {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			if no != nil {
				err = errors.Join(err, &fs.PathError{Op: "rmdir", Path: folder, Err: no})
			}
		}
	}
	return err
}
