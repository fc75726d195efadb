// Objects wherever Git would find them: in the clone, in the clones that it borrows from
// (git clone --reference, --shared), and, where the clone holds a part (--filter), at the
// remote that promised the rest.

package gitstore

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
)

// Store is a clone's objects and refs.
type Store struct {
	*filesystem.Storage
	beside []*filesystem.Storage // of other clones, which are only read
	own    *gitremote.Clone      // nil: a mirror, which has all that it will have
	lazy   bool                  // what is not here may be had from a remote
}

var _ storer.EncodedObjectStorer = (*Store)(nil)

// LargeObject is the size, in bytes, above which a file is not held in memory.
const LargeObject = 16 << 20

// deepest is how far clones borrow from clones that borrow, as in Git.
const deepest = 5

// Open is the objects and refs of the place; objects that were read are kept in c.
func (p Place) Open(c cache.Object) *Store { return p.open(c, 0) }

// open keeps as many packs open, for one goroutine at a time, until the store is closed: 0 opens them anew for each object.
func (p Place) open(c cache.Object, packs int) *Store {
	var disk billy.Filesystem = osfs.New(p.Git)
	if p.Common != p.Git {
		disk = dotgit.NewRepositoryFilesystem(disk, osfs.New(p.Common))
	}
	// go-git would look for borrowed objects in a way of its own: nothing is there.
	s := &Store{Storage: filesystem.NewStorageWithOptions(disk, c, filesystem.Options{LargeObjectThreshold: LargeObject, AlternatesFS: memfs.New(), MaxOpenDescriptors: packs}), own: p.Own}
	if p.Own != nil {
		s.borrow(filepath.Join(p.Common, "objects"), c, deepest)
		if set, err := p.Own.Settings(context.Background()); err == nil {
			s.lazy = set.Promised()
		}
	}
	return s
}

// borrow adds the folders of objects that one names (gitrepository-layout(5)).
func (s *Store) borrow(objects string, c cache.Object, depth int) {
	f, err := os.Open(filepath.Join(objects, "info", "alternates"))
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		at := lines.Text()
		if at == "" || at[0] == '#' || depth == 0 {
			continue
		}
		if !filepath.IsAbs(at) {
			at = filepath.Join(objects, at)
		}
		if info, err := os.Stat(at); err != nil || !info.IsDir() || filepath.Base(at) != "objects" {
			continue
		}
		s.beside = append(s.beside, filesystem.NewStorageWithOptions(osfs.New(filepath.Dir(at)), c,
			filesystem.Options{LargeObjectThreshold: LargeObject, AlternatesFS: memfs.New()}))
		s.borrow(at, c, depth-1)
	}
}

// EncodedObject is the object, from wherever it is to be had.
func (s *Store) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	return found(s, h, func(from *filesystem.Storage) (plumbing.EncodedObject, error) { return from.EncodedObject(t, h) })
}

// EncodedObjectSize is the object's size, in bytes.
func (s *Store) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	return found(s, h, func(from *filesystem.Storage) (int64, error) { return from.EncodedObjectSize(h) })
}

// HasEncodedObject is nil where the object is on this machine.
func (s *Store) HasEncodedObject(h plumbing.Hash) error {
	_, err := s.here(h, func(from *filesystem.Storage) (any, error) { return nil, from.HasEncodedObject(h) })
	return err
}

// Reindex looks anew for packs, the borrowed ones included.
func (s *Store) Reindex() {
	s.Storage.Reindex()
	for _, b := range s.beside {
		b.Reindex()
	}
}

func (s *Store) here(h plumbing.Hash, look func(*filesystem.Storage) (any, error)) (any, error) {
	v, err := look(s.Storage)
	for i := 0; i < len(s.beside) && errors.Is(err, plumbing.ErrObjectNotFound); i++ {
		v, err = look(s.beside[i])
	}
	return v, err
}

func found[T any](s *Store, h plumbing.Hash, look func(*filesystem.Storage) (T, error)) (T, error) {
	any := func(from *filesystem.Storage) (any, error) { return look(from) }
	v, err := s.here(h, any)
	if s.lazy && errors.Is(err, plumbing.ErrObjectNotFound) {
		s.Reindex()
		if v, err = s.here(h, any); errors.Is(err, plumbing.ErrObjectNotFound) && s.backfill(h) == nil {
			s.Reindex()
			v, err = s.here(h, any)
		}
	}
	out, _ := v.(T)
	return out, err
}

// backfill has Git bring an object that the clone was made without.
func (s *Store) backfill(h plumbing.Hash) error {
	_, err := s.own.Ask(context.Background(), nil, "cat-file", "-t", h.String())
	return err
}

// Partial tells whether the clone may lack objects that its refs lead to.
func (s *Store) Partial() bool {
	if s.own == nil {
		return false
	}
	ends, err := s.Shallow()
	return s.lazy || err == nil && len(ends) > 0
}

// Missing is the error of an object that is nowhere to be had.
func (s *Store) Missing(what string, h plumbing.Hash) error {
	err := fault.WithHint(fault.New(fault.Missing, "%s %s is not in the repository", what, h), "fetch what is missing: git fetch; git fsck tells what else the clone lacks")
	if s.own == nil {
		return err
	}
	if ends, bad := s.Shallow(); bad == nil && len(ends) > 0 {
		return fault.WithHint(err, "this clone lacks older commits; fetch them: git fetch --unshallow")
	}
	if s.lazy {
		return fault.WithHint(err, "this clone was made with --filter, and its remote does not give what it lacks; fetch it: git fetch --refetch --no-filter")
	}
	return err
}

// Damaged is the error of an object or a ref of Git that cannot be read, or is not what it is named.
func Damaged(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Corrupt, format, args...), "git fsck tells what else is damaged; a new clone of the remote has it whole")
}
