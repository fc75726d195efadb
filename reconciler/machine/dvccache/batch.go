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
	"sync/atomic"

	"golang.org/x/sys/unix"

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
	work  *os.File          // says to others that what is under way is not left behind; nil before there is any
	top   *os.File          // the folder that objects are named from
	fans  [256]atomic.Int32 // what is known of the folders of two digits: fanThere, fanAbsent; zero: nothing
	err   error
}

// temporary is the number that the name of a file is made of.
type temporary uint64

// Batch begins one.
func (c *Cache) Batch() *Batch {
	return &Batch{c: c, taken: map[[16]byte]temporary{}, dirs: map[dvc.OID]temporary{}}
}

// begin is called before anything is looked for or written.
func (b *Batch) begin() error {
	b.begun.Do(func() {
		if b.work, b.err = b.c.begin(); b.err != nil {
			return
		}
		if b.top, b.err = os.Open(b.c.top()); b.err != nil {
			b.err = artifact.Disk(fmt.Errorf("write cache: %w", b.err), b.c.root)
		}
	})
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
		k, _ := Know(Stamp{}, sum)
		right, err = b.c.named(want, b.spot(n), k)
	}
	if err == nil && !right {
		err = fault.WithHint(fault.New(fault.Corrupt, "%w", &Other{want, sum.OID}), "the place that it came from holds other bytes under that name: remove it there, and push it anew from where it was added")
	}
	if err != nil || !b.note(oid, n) {
		_ = b.spot(n).remove()
	}
	if err != nil {
		return Sum{}, artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
	}
	return sum, nil
}

const (
	fanThere  = 1
	fanAbsent = 2
)

// lacks tells whether a folder of two digits is not there: then nothing need be looked for in it. What another program
// puts there after the first look is put there once more.
func (b *Batch) lacks(fan byte) bool {
	if b.fans[fan].Load() == 0 {
		is := int32(fanThere)
		if _, err := (Spot{b.top, hex.EncodeToString([]byte{fan})}).stat(0); errors.Is(err, fs.ErrNotExist) {
			is = fanAbsent
		}
		b.fans[fan].Store(is)
	}
	return b.fans[fan].Load() == fanAbsent
}

// Has tells whether the cache has the content that k names.
func (b *Batch) Has(k FileState) bool {
	return b.begin() == nil && !b.lacks(k.Sum[0]) && b.c.object(b.top, k.oid()).isFile()
}

// TakeBytes takes in bytes whose sums are known.
func (b *Batch) TakeBytes(p []byte, k FileState) error {
	if err := b.begin(); err != nil {
		return err
	}
	md5 := [16]byte(k.Sum[:])
	if b.had(md5) || b.Has(k) {
		return nil
	}
	for {
		n := b.next()
		err := writeSmall(b.spot(n), p, b.mode(), nil)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
		}
		if !noted(b, b.taken, md5, n) {
			_ = b.spot(n).remove()
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

// spot is where a file is before it has its name. An object's folder may be the cache's, as DVC 2 has it.
func (b *Batch) spot(n temporary) Spot {
	below := underway + "/" + strconv.FormatUint(uint64(n)%desks, 10) + "/" + process + "-" + strconv.FormatUint(uint64(n), 36)
	if b.c.dos {
		below = "files/md5/" + below
	}
	return Spot{b.top, below}
}

// temp is a new file with the mode of an object.
func (b *Batch) temp() (*os.File, temporary, error) {
	if err := b.begin(); err != nil {
		return nil, 0, err
	}
	for {
		n := b.next()
		f, err := b.spot(n).file(unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, b.mode())
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

func (b *Batch) had(md5 [16]byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, had := b.taken[md5]
	return had
}

func (b *Batch) note(oid dvc.OID, n temporary) bool {
	if k, ok := key(oid); ok {
		return noted(b, b.taken, k, n)
	}
	return noted(b, b.dirs, oid, n)
}

// noted notes a file that is all there; false: there was one of that name.
func noted[K comparable](b *Batch, as map[K]temporary, name K, n temporary) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, had := as[name]; had {
		return false
	}
	as[name] = n
	return true
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
	for i := range b.fans {
		b.fans[i].Store(0)
	}
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
				if err := b.name(o.tmp, dvc.OID(hex.EncodeToString(o.md5[:]))); err != nil {
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
		if err := b.name(tmp, oid); err != nil {
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

// name gives a file its name. One that is there stays: its bytes are the same.
func (b *Batch) name(tmp temporary, oid dvc.OID) error {
	c := b.c
	fan, err := strconv.ParseUint(string(oid[:2]), 16, 8)
	if err != nil {
		return err
	}
	mkdir := func() error { return c.mkdir(filepath.Dir(c.Path(oid))) }
	c.fans[fan].Do(func() { c.fanErr[fan] = mkdir() })
	if err := c.fanErr[fan]; err != nil {
		return err
	}
	from, to := b.spot(tmp), c.object(b.top, oid)
	err = from.rename(to)
	if errors.Is(err, fs.ErrNotExist) { // somebody tidied the empty folder away
		if err = mkdir(); err == nil {
			err = from.rename(to)
		}
	}
	return err
}

// Drop ends the batch, and forgets what was not kept.
func (b *Batch) Drop() {
	for _, tmp := range b.taken {
		_ = b.spot(tmp).remove()
	}
	for _, tmp := range b.dirs {
		_ = b.spot(tmp).remove()
	}
	clear(b.taken)
	clear(b.dirs)
	for _, f := range []*os.File{b.work, b.top} {
		if f != nil {
			f.Close()
		}
	}
}
