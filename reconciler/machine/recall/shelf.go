// What took long to find is kept on a shelf, under the name of all that it comes from.

package recall

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
)

const (
	// unused is after how long what nobody asked for is removed: what data held outlives the data by no more.
	unused = 30 * 24 * time.Hour
	// undone is after how long what was begun and not put up is taken for that of a process that was killed, where no lock tells.
	undone = 24 * time.Hour

	began   = "new-" // how the files of drafts begin
	shelved = "kept parts 1\n"
	footing = 8 + len(shelved) // the size of the sealed index, and what the file is, end it
)

// Shelf keeps parts one after the other, and an index over them, which is sealed. The parts are not: the index has to have a
// digest of each. What is asked for least goes first. A shelf serves several processes at once; the zero Shelf keeps nothing.
type Shelf struct {
	Dir  string
	Seal string // the file of the key that seals it
	// Most is how many bytes all of it may have, and One what is kept under one name.
	Most, One int64
	Now       func() time.Time
}

// Found is what is kept under a name.
type Found struct {
	Index []byte
	file  *os.File
}

// Draft is what is to be kept under a name.
type Draft struct {
	shelf Shelf
	name  digest.Digest
	file  *os.File

	mu sync.Mutex
	n  int64
}

func (s Shelf) path(name digest.Digest) string { return filepath.Join(s.Dir, name.Hex()) }

// purpose says of an index which it is: that of another name does not open.
func (s Shelf) purpose(name digest.Digest) string { return "kept parts " + name.Hex() }

// Open is what is kept under a name; nil: nothing that was put up here.
func (s Shelf) Open(name digest.Digest) *Found {
	if s.Dir == "" {
		return nil
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil
	}
	index, err := s.index(f, name)
	if err != nil {
		f.Close()
		s.Drop(name)
		return nil
	}
	now := s.Now()
	_ = os.Chtimes(s.path(name), now, now) // it was asked for
	return &Found{index, f}
}

func (s Shelf) index(f *os.File, name digest.Digest) ([]byte, error) {
	damaged := fault.New(fault.Corrupt, "what is kept under %s is damaged", name.Short())
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() < int64(footing) || st.Size() > s.One {
		return nil, errors.Join(damaged, err)
	}
	foot := make([]byte, footing)
	if _, err := f.ReadAt(foot, st.Size()-int64(footing)); err != nil || string(foot[8:]) != shelved {
		return nil, errors.Join(damaged, err)
	}
	n := binary.LittleEndian.Uint64(foot)
	if n > uint64(st.Size()-int64(footing)) {
		return nil, damaged
	}
	raw := make([]byte, n)
	if _, err := f.ReadAt(raw, st.Size()-int64(footing)-int64(n)); err != nil {
		return nil, errors.Join(damaged, err)
	}
	key, err := seal.Load(s.Seal)
	if err != nil {
		return nil, err
	}
	return key.Open(s.purpose(name), raw)
}

// Drop keeps nothing under the name any more.
func (s Shelf) Drop(name digest.Digest) { _ = os.Remove(s.path(name)) }

// Read fills into with what stands from at on; several may read at once.
func (f *Found) Read(at int64, into []byte) error {
	if _, err := f.file.ReadAt(into, at); err != nil {
		return fault.New(fault.Corrupt, "read what is kept: %w", err)
	}
	return nil
}

// Close ends the reading.
func (f *Found) Close() error { return f.file.Close() }

// New begins what is to be kept under a name. It is Done with, or put up.
func (s Shelf) New(name digest.Digest) (*Draft, error) {
	if s.Dir == "" {
		return nil, fault.New(fault.Invalid, "there is no shelf")
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fault.New(fault.Transient, "keep what was found: %w", err)
	}
	f, err := os.CreateTemp(s.Dir, began)
	if err != nil {
		return nil, fault.New(fault.Transient, "keep what was found: %w", err)
	}
	_ = sandbox.Hold(f) // until this process has done with it, however it ends
	return &Draft{shelf: s, name: name, file: f}, nil
}

// Append keeps a part, and tells where; several may append at once.
func (d *Draft) Append(raw []byte) (int64, error) {
	d.mu.Lock()
	at := d.n
	d.n += int64(len(raw))
	full := d.n > d.shelf.One
	d.mu.Unlock()
	if full {
		return 0, fault.New(fault.Invalid, "more than %d MiB are not kept", d.shelf.One>>20)
	}
	if _, err := d.file.WriteAt(raw, at); err != nil {
		return 0, fault.New(fault.Transient, "keep what was found: %w", err)
	}
	return at, nil
}

// Put puts up what was appended, with its index, whole or not at all. It can be found again, and need not be on the disk.
func (d *Draft) Put(index []byte) error {
	key, err := seal.Load(d.shelf.Seal)
	if err != nil {
		return err
	}
	raw := key.Wrap(d.shelf.purpose(d.name), index)
	raw = append(binary.LittleEndian.AppendUint64(raw, uint64(len(raw))), shelved...)
	if _, err := d.Append(raw); err != nil {
		return err
	}
	now := d.shelf.Now()
	_ = os.Chtimes(d.file.Name(), now, now)
	if err := os.Rename(d.file.Name(), d.shelf.path(d.name)); err != nil {
		return fault.New(fault.Transient, "keep what was found: %w", err)
	}
	return nil
}

// Done ends the draft; what was not put up is gone.
func (d *Draft) Done() error {
	_ = os.Remove(d.file.Name())
	return d.file.Close()
}

// Tidy removes what was not asked for in a long time, what a killed process left, and then what was asked for longest ago, until there is
// room for so many bytes that are to come, and for all that is being written. It tells whether there is.
func (s Shelf) Tidy(coming int64) bool {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	now, all := s.Now(), coming
	var kept []fs.FileInfo
	for _, e := range entries {
		st, err := e.Info()
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		path, old := filepath.Join(s.Dir, st.Name()), now.Sub(st.ModTime())
		switch draft := strings.HasPrefix(st.Name(), began); {
		case draft && abandoned(path, old), !draft && old > unused:
			_ = os.Remove(path)
		case draft:
			all += s.One
		default:
			kept = append(kept, st)
		}
	}
	if all > s.Most {
		return false
	}
	for _, st := range kept {
		all += st.Size()
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, st := range kept {
		if all <= s.Most {
			break
		}
		_ = os.Remove(filepath.Join(s.Dir, st.Name()))
		all -= st.Size()
	}
	return true
}

// abandoned tells whether nobody writes a draft any more.
func abandoned(path string, old time.Duration) bool {
	held, err := sandbox.Held(path)
	return err == nil && !held || err != nil && old > undone
}
