// The files of an output in the work tree, with how they stand: one look at each
// file and nothing read.

package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// patience is how long a writer of an output waits for another.
const patience = 10 * time.Minute

// found is a file of an output.
type found struct {
	path  string // below the output; "" where the output is a file
	exec  bool
	link  bool // a symbolic link to a file
	stamp dvccache.Stamp
}

// findFiles finds the files of the output at abs, in no order: folders side by side, links
// followed as DVC does. What is neither a file nor a folder is Invalid.
func findFiles(ctx context.Context, abs string, ignore func(rel string, dir bool) bool, jobs int) ([]found, error) {
	return looked(ctx, abs, &looking{ignore: ignore}, jobs)
}

// lookPast is look for what stands there already: a link that leads nowhere, as those to
// objects that are gone, is no file.
func lookPast(ctx context.Context, abs string, ignore func(rel string, dir bool) bool, jobs int) ([]found, error) {
	return looked(ctx, abs, &looking{ignore: ignore, past: true}, jobs)
}

func looked(ctx context.Context, abs string, l *looking, jobs int) ([]found, error) {
	st, err := os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not there", abs), "check it out: vishwa data checkout; or correct the path")
	}
	if err != nil {
		return nil, fault.New(fault.Denied, "look at %s: %w", abs, err)
	}
	if !st.IsDir() {
		f, err := one(unix.AT_FDCWD, abs, "")
		if err != nil {
			return nil, err
		}
		return []found{f}, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.end = cancel
	g := &routine.Group{}
	g.SetLimit(jobs)
	l.folder(ctx, g, abs, "")
	_ = g.Wait()
	var known *fault.Error
	switch err := context.Cause(ctx); {
	case err == nil:
		return slices.Concat(l.files...), nil
	case errors.As(err, &known):
		return nil, err
	default:
		return nil, fault.New(fault.Cancelled, "look at %s: %w", abs, err)
	}
}

// inOrder sorts by path.
func inOrder(files []found) {
	slices.SortFunc(files, func(a, b found) int { return strings.Compare(a.path, b.path) })
}

type looking struct {
	ignore func(rel string, dir bool) bool
	past   bool                    // links that lead nowhere
	end    context.CancelCauseFunc // with the first thing that goes wrong
	mu     sync.Mutex
	files  [][]found // of each folder
}

// folder looks into one folder. Its folders are other jobs where a job is free.
func (l *looking) folder(ctx context.Context, g *routine.Group, abs, rel string) {
	look := func() error {
		if ctx.Err() != nil {
			return nil
		}
		dir, err := os.Open(abs)
		if err != nil {
			return fault.WithHint(fault.New(fault.Denied, "look at %s: %w", abs, err), "make it readable")
		}
		defer dir.Close()
		names, err := dir.ReadDir(-1)
		if err != nil {
			return fault.New(fault.Denied, "look at %s: %w", abs, err)
		}
		here := make([]found, 0, len(names))
		for _, e := range names {
			at := e.Name()
			if rel != "" {
				at = rel + "/" + at
			}
			isDir := e.IsDir()
			if e.Type()&fs.ModeSymlink != 0 {
				st, err := os.Stat(filepath.Join(abs, e.Name()))
				if errors.Is(err, fs.ErrNotExist) && l.past {
					continue
				}
				if err != nil {
					return fault.WithHint(fault.New(fault.Invalid, "%s is a link that leads nowhere: %w", filepath.Join(abs, e.Name()), err), "fix it or remove it")
				}
				isDir = st.IsDir()
			}
			if l.ignore != nil && l.ignore(at, isDir) {
				continue
			}
			if isDir {
				l.folder(ctx, g, filepath.Join(abs, e.Name()), at)
				continue
			}
			f, err := one(int(dir.Fd()), e.Name(), at)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it went while we looked
			}
			if err != nil {
				return fmt.Errorf("%s: %w", filepath.Join(abs, e.Name()), err)
			}
			f.link = e.Type()&fs.ModeSymlink != 0
			here = append(here, f)
		}
		l.mu.Lock()
		l.files = append(l.files, here)
		l.mu.Unlock()
		return nil
	}
	work := func() error {
		if err := fault.Guard(look); err != nil {
			l.end(err)
		}
		return nil
	}
	if !g.TryStart(work) {
		_ = work() // which waits for no job: all of them may be here
	}
}

func one(dir int, name, rel string) (found, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, 0); err != nil {
		return found{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return found{}, fault.WithHint(fault.New(fault.Invalid, "%s is neither a file nor a folder", name), "remove it, or list it in .dvcignore")
	}
	return found{path: rel, exec: st.Mode&0o100 != 0, stamp: dvccache.StampOf(&st)}, nil
}
