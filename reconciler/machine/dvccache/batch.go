// A batch takes in many objects for the price of two waits for the disk: their bytes
// are written under names that nobody looks for, made durable together, and only
// then named. kill -9 leaves nothing that looks whole.

package dvccache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Batch is not yet named content. Its methods but Keep and Drop may be called side by side.
type Batch struct {
	c     *Cache
	mu    sync.Mutex
	taken map[[16]byte]temporary // by MD5
	dirs  map[dvc.OID]temporary
	begun sync.Once
	work  *os.File // says to others that what is under way is not left behind; nil before there is any
	err   error
}

// temporary is the number that the name of a file is made of.
type temporary uint64

// Batch begins one.
func (c *Cache) Batch() *Batch {
	return &Batch{c: c, taken: map[[16]byte]temporary{}, dirs: map[dvc.OID]temporary{}}
}

// begin is called before anything is written.
func (b *Batch) begin() error {
	b.begun.Do(func() { b.work, b.err = b.c.begin() })
	return b.err
}

// Take takes in what r yields, as Insert does; it is named by Keep.
func (b *Batch) Take(ctx context.Context, r io.Reader, want dvc.OID) (Sum, error) {
	tmp, n, err := b.temp()
	if err != nil {
		return Sum{}, err
	}
	sum, err := copyHashed(tmp, ended.Reader(ctx, r, "read"))
	if close := tmp.Close(); err == nil {
		err = close
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return Sum{}, artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
	}
	return b.admit(n, sum, want)
}

// Other says that content is not what it should be. Its kind is Corrupt.
type Other struct{ Want, Got dvc.OID }

func (o *Other) Error() string { return fmt.Sprintf("%s came as %s", o.Want, o.Got) }

// admit notes a file that is all there, if it is what it should be.
func (b *Batch) admit(n temporary, sum Sum, want dvc.OID) (Sum, error) {
	oid, right := sum.OID, true
	var err error
	if want != "" {
		oid = want
		right, err = b.c.named(want, b.name(n), sum)
	}
	if err == nil && !right {
		err = fault.WithHint(fault.New(fault.Corrupt, "%w", &Other{want, sum.OID}), "the place that it came from holds other bytes under that name: remove it there, and push it anew from where it was added")
	}
	if err != nil || !b.note(oid, n) {
		_ = os.Remove(b.name(n))
	}
	if err != nil {
		return Sum{}, artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
	}
	return sum, nil
}

// TakeBytes takes in bytes whose sums are known.
func (b *Batch) TakeBytes(p []byte, sum Sum) error {
	if b.had(sum.OID) || b.c.Has(sum.OID) {
		return nil
	}
	if err := b.begin(); err != nil {
		return err
	}
	for {
		n := b.next()
		tmp := b.name(n)
		_, err := writeSmall(tmp, p, b.mode())
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
		}
		if !b.note(sum.OID, n) {
			_ = os.Remove(tmp)
		}
		return nil
	}
}

// mode is an object's.
func (b *Batch) mode() fs.FileMode {
	if b.c.shared {
		return 0o664
	}
	return 0o444
}

// next is a name that nothing has yet, but what a killed process left.
func (b *Batch) next() temporary { return temporary(b.c.pending.Add(1)) }

func (b *Batch) name(n temporary) string {
	return b.c.desk(uint64(n)) + "/" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(uint64(n), 36)
}

// temp is a new file with the mode of an object.
func (b *Batch) temp() (*os.File, temporary, error) {
	if err := b.begin(); err != nil {
		return nil, 0, err
	}
	for {
		n := b.next()
		f, err := os.OpenFile(b.name(n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, b.mode())
		if !errors.Is(err, fs.ErrExist) {
			return f, n, err
		}
	}
}

// key is a name as it is held; a directory's has none.
func key(oid dvc.OID) (k [16]byte, ok bool) {
	n, err := hex.Decode(k[:], []byte(oid))
	return k, err == nil && n == len(k)
}

func (b *Batch) had(oid dvc.OID) (had bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := key(oid); ok {
		_, had = b.taken[k]
	} else {
		_, had = b.dirs[oid]
	}
	return had
}

func (b *Batch) note(oid dvc.OID, n temporary) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	had := false
	if k, ok := key(oid); ok {
		if _, had = b.taken[k]; !had {
			b.taken[k] = n
		}
	} else if _, had = b.dirs[oid]; !had {
		b.dirs[oid] = n
	}
	return !had
}

// Keep names what was taken, when the disk has it.
func (b *Batch) Keep() error {
	if len(b.taken)+len(b.dirs) == 0 {
		return nil
	}
	if err := b.sync(); err != nil {
		return artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
	}
	if err := b.place(); err != nil {
		return artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
	}
	clear(b.taken)
	clear(b.dirs)
	if err := b.sync(); err != nil {
		return artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
	}
	return nil
}

// place names everything, some fans of the cache side by side: a folder takes in one
// name at a time. Directories come after all files.
func (b *Batch) place() error {
	type object struct {
		md5 [16]byte
		tmp temporary
	}
	var fans [256][]object
	for k, tmp := range b.taken {
		fans[k[0]] = append(fans[k[0]], object{k, tmp})
	}
	var g routine.Group
	g.SetLimit(runtime.NumCPU())
	for _, fan := range fans {
		g.Start(func() error {
			for _, o := range fan {
				if err := b.c.place(b.name(o.tmp), dvc.OID(hex.EncodeToString(o.md5[:]))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for oid, tmp := range b.dirs {
		if err := b.c.place(b.name(tmp), oid); err != nil {
			return err
		}
	}
	return nil
}

// sync waits until the disk has everything of the cache's file system: a wait for
// each of a hundred thousand small files would take minutes.
func (b *Batch) sync() error {
	f, err := os.Open(filepath.Join(b.c.root, "files", "md5"))
	if err != nil {
		return err
	}
	defer f.Close()
	return syncAll(f)
}

// place gives a file its name. One that is there stays: its bytes are the same.
func (c *Cache) place(tmp string, oid dvc.OID) error {
	fan, err := strconv.ParseUint(string(oid[:2]), 16, 8)
	if err != nil {
		return err
	}
	path := c.Path(oid)
	c.fans[fan].Do(func() { c.fanErr[fan] = c.mkdir(filepath.Dir(path)) })
	if err := c.fanErr[fan]; err != nil {
		return err
	}
	err = os.Rename(tmp, path)
	if errors.Is(err, fs.ErrNotExist) { // somebody tidied the empty folder away
		if err = c.mkdir(filepath.Dir(path)); err == nil {
			err = os.Rename(tmp, path)
		}
	}
	return err
}

// Drop ends the batch, and forgets what was not kept.
func (b *Batch) Drop() {
	for _, tmp := range b.taken {
		_ = os.Remove(b.name(tmp))
	}
	for _, tmp := range b.dirs {
		_ = os.Remove(b.name(tmp))
	}
	clear(b.taken)
	clear(b.dirs)
	if b.work != nil {
		b.work.Close()
	}
}
