// Naming what lies in a folder, at the speed of the machine: models are large,
// and digest.Walk reads one file after the other.

package artifact

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Walk is digest.Walk over the folder dir, with files hashed side by side, and
// ended by ctx. Symbolic links and special files are Invalid.
func Walk(ctx context.Context, dir string) (digest.Manifest, error) {
	name := filepath.Base(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, opening(err, name)
	}
	defer root.Close()

	var paths []string
	err = fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			paths = append(paths, p)
		}
		return err
	})
	if err != nil {
		return nil, opening(err, name)
	}
	slices.SortFunc(paths, strings.Compare)

	m, faults := make(digest.Manifest, len(paths)), make([]error, len(paths))
	var next atomic.Int64
	var all routine.Set
	for range min(runtime.GOMAXPROCS(0), len(paths)) {
		all.Start(func() {
			for i := next.Add(1) - 1; i < int64(len(paths)); i = next.Add(1) - 1 {
				m[i], faults[i] = hashed(ctx, root, paths[i])
			}
		})
	}
	all.Wait()
	for _, err := range faults {
		if err != nil {
			return nil, fmt.Errorf("read folder %s: %w", name, err)
		}
	}
	if err := m.Check(); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read folder %s: %w", name, err), "rename the file")
	}
	return m, nil
}

func hashed(ctx context.Context, root *os.Root, p string) (digest.File, error) {
	f, err := regular(root, p)
	if err != nil {
		return digest.File{}, err
	}
	defer f.Close()
	d, n, err := Sum(ctx, f)
	if err != nil {
		return digest.File{}, fmt.Errorf("read %s: %w", p, err)
	}
	return digest.File{Path: p, Digest: d, Size: n}, nil
}
