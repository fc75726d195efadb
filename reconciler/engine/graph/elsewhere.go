// Outputs whose dvc.lock stands in no folder above them: wdir, and paths that lead out of
// the folder of their dvc.yaml, place them anywhere in the repository.

package graph

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Bounds on looking for them. A tree that has more says so where it would matter.
const (
	maxWalked = 200_000 // files and folders that are looked at
	maxLocks  = 1000    // dvc.lock files
)

// others are the outputs of all dvc.lock files of a tree, by their places.
type others struct {
	at     map[string][]output
	broken error // the first file that could not be read
	cut    bool  // there is more than was looked at
}

type output struct {
	file string
	out  dvc.Out
}

// elsewhere finds p among the outputs of all dvc.lock files. Two that name one path are
// refused, as by DVC.
func (s *survey) elsewhere(p string) (*port.DataPointer, error) {
	if s.other == nil {
		s.other = s.lookElsewhere()
	}
	switch found := s.other.at[p]; {
	case len(found) == 1:
		return point(found[0].file, &dvc.Pointer{}, found[0].out)
	case len(found) > 1:
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s and %s both have %s", found[0].file, found[1].file, p), "let one stage alone make it")
	case s.other.broken != nil:
		return nil, fmt.Errorf("no %s.dvc and no dvc.lock has %s, as far as they can be read: %w", p, p, s.other.broken)
	case s.other.cut:
		return nil, fault.WithHint(fault.New(fault.Missing, "no %s.dvc and no dvc.lock above it has %s; of the others, only %d files and folders were looked at", p, p, maxWalked),
			"move the dvc.yaml into a folder above the data, or add the data: vishwa data add %s", p)
	}
	return nil, fault.WithHint(fault.New(fault.Missing, "no %s.dvc and no dvc.lock has %s", p, p), "add the data with vishwa data add %s, or correct the path", p)
}

// lookElsewhere reads every dvc.lock of the tree, but not within data.
func (s *survey) lookElsewhere() *others {
	o := &others{at: map[string][]output{}}
	walked, locks := 0, 0
	_ = fs.WalkDir(s.tree, ".", func(at string, e fs.DirEntry, err error) error {
		if walked++; walked > maxWalked || locks >= maxLocks {
			o.cut = true
			return fs.SkipAll
		}
		switch {
		case err != nil:
			o.fails(at, err)
		case e.IsDir():
			if name := e.Name(); at != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || s.keeps(at)) {
				return fs.SkipDir
			}
		case e.Name() == "dvc.lock":
			locks++
			s.outputs(o, at)
		}
		return nil
	})
	return o
}

// keeps tells whether a folder is data, or a DVC repository of its own.
func (s *survey) keeps(dir string) bool {
	for _, name := range []string{dir + ".dvc", path.Join(dir, ".dvc")} {
		if _, err := fs.Stat(s.tree, name); err == nil {
			return true
		}
	}
	return false
}

func (o *others) fails(at string, err error) {
	if o.broken == nil && !errors.Is(err, fs.ErrNotExist) {
		o.broken = fmt.Errorf("%s: %w", at, err)
	}
}

// outputs adds those of one dvc.lock.
func (s *survey) outputs(o *others, file string) {
	lock, err := s.lock(file)
	if err != nil {
		o.fails(file, err)
	}
	if lock == nil {
		return
	}
	for _, stage := range lock.Stages {
		for _, out := range stage.Outs {
			at, err := (&dvc.Pointer{}).Place(file, out)
			if err == nil && !slices.ContainsFunc(o.at[at], func(x output) bool { return x.file == file }) {
				o.at[at] = append(o.at[at], output{file, out})
			}
		}
	}
}
