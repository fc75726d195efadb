// Package dvccache is DVC's cache on this machine: objects by their MD5 names, in the
// layout of DVC 3, and read also in that of DVC 2. A name stands for whole bytes:
// what is half-written has another one.
//
//	<root>/files/md5/<2>/<30>[.dir]   objects, mode 0444
//	<root>/<2>/<30>[.dir]             the same, as DVC 2 left them
//	<root>/files/md5/.vishwa/         what is under way: unseen by DVC, cleared by the next program when nobody is at work
package dvccache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

// Options say how files are linked to their objects.
type Options struct {
	Types  []string // reflink, hardlink, symlink, copy, in the order in which they are tried; none is reflink, copy
	Shared bool     // cache.shared = group: the group may write (0664 and 02775)
}

// Cache is open. It is safe for concurrent use, by several processes too.
type Cache struct {
	root    string
	types   []string
	shared  bool
	fans    [256]sync.Once // folders of two digits, made when first needed
	fanErr  [256]error
	pending atomic.Uint64 // numbers temporary names
	noClone atomic.Bool   // the file system makes no reflinks
	dos     bool          // laid out and named as DVC 2 did
	twin    *Cache        // as DVC 2 laid it out; nil where that is this one
}

const underway = ".vishwa"

// desks is how many folders writers spread over: a folder takes in one name at a time.
const desks = 8

func (c *Cache) desk(n uint64) string {
	return filepath.Join(c.root, "files", "md5", underway, strconv.FormatUint(n%desks, 10))
}

// Open opens the cache at root, and makes it where it is absent.
func Open(root string, o Options) (*Cache, error) {
	c := &Cache{root: root, types: o.Types, shared: o.Shared}
	if len(c.types) == 0 {
		c.types = []string{"reflink", "copy"}
	}
	for _, t := range c.types {
		switch t {
		case "reflink", "hardlink", "symlink", "copy":
		default:
			return nil, fault.WithHint(fault.New(fault.Invalid, "cache.type %q is unknown", t), "choose of reflink, hardlink, symlink, copy")
		}
	}
	for i := range desks {
		if err := c.mkdir(c.desk(uint64(i))); err != nil {
			return nil, artifact.Disk(fmt.Errorf("open cache: %w", err), root)
		}
	}
	c.sweep()
	c.twin = &Cache{root: root, types: c.types, shared: o.Shared, dos: true}
	return c, nil
}

// Root is the cache's folder.
func (c *Cache) Root() string { return c.root }

func (c *Cache) mkdir(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil || !c.shared {
		return err
	}
	return os.Chmod(path, 0o775|fs.ModeSetgid)
}

// Path is where an object is, or would be.
func (c *Cache) Path(oid dvc.OID) string {
	key := oid.Key()
	if c.dos {
		key = oid.LegacyKey()
	}
	return filepath.Join(c.root, filepath.FromSlash(key))
}

// top is the folder that objects are in, by two digits of their names.
func (c *Cache) top() string {
	if c.dos {
		return c.root
	}
	return filepath.Join(c.root, "files", "md5")
}

// object is where an object is, or would be, from the open top; nil: by its path.
func (c *Cache) object(top *os.File, oid dvc.OID) Spot {
	if top == nil {
		return Spot{nil, c.Path(oid)}
	}
	return Spot{top, oid.LegacyKey()}
}

// find is where an object is: "" is nowhere.
func (c *Cache) find(oid dvc.OID) string {
	if at := c.object(nil, oid); at.isFile() {
		return at.Name
	}
	return ""
}

// Has tells whether the object is there.
func (c *Cache) Has(oid dvc.OID) bool { return c.find(oid) != "" }

// Size is how large an object is, in bytes; -1: it is not there.
func (c *Cache) Size(oid dvc.OID) int64 {
	var st unix.Stat_t
	if unix.Stat(c.Path(oid), &st) != nil {
		return -1
	}
	return st.Size
}

// Open opens an object for reading; it is not checked.
func (c *Cache) Open(oid dvc.OID) (*os.File, int64, error) {
	path := c.find(oid)
	if path == "" {
		return nil, 0, fault.WithHint(fault.New(fault.Missing, "%s is not in the cache", oid), "fetch it: vishwa data fetch")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, artifact.Disk(fmt.Errorf("open cache: %w", err), c.root)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open cache: %w", err)
	}
	return f, st.Size(), nil
}

// Check reads an object and tells its sums. One that is not what it is named is
// Corrupt; it is taken away, as DVC does, so that it is fetched or made anew.
func (c *Cache) Check(oid dvc.OID) (Sum, error) {
	f, _, err := c.Open(oid)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	sum, err := copyHashed(nil, f)
	if err != nil {
		return Sum{}, fmt.Errorf("read %s in the cache: %w", oid, err)
	}
	k, _ := Know(Stamp{}, sum)
	right, err := c.named(oid, Spot{Name: f.Name()}, k)
	if err != nil {
		return sum, err
	}
	if !right {
		c.spoiled(oid)
		return sum, fault.WithHint(fault.New(fault.Corrupt, "%s in the cache held other bytes, and was removed", oid), "fetch it again, or add the data anew")
	}
	return sum, nil
}

// Tree reads a directory's manifest.
func (c *Cache) Tree(_ context.Context, oid dvc.OID) (dvc.Tree, error) {
	f, size, err := c.Open(oid)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("read %s in the cache: %w", oid, err)
	}
	t, err := dvc.ParseTree(b)
	if err != nil {
		return nil, fmt.Errorf("%s in the cache: %w", oid, err)
	}
	return t, nil
}

// Insert takes in what r yields. Where want is given and is not what came, it is
// Corrupt and nothing is kept. The object is on the disk when Insert returns.
func (c *Cache) Insert(ctx context.Context, r io.Reader, want dvc.OID) (dvc.OID, digest.Digest, int64, error) {
	b := c.Batch()
	defer b.Drop()
	sum, err := b.Take(ctx, r, want)
	if err != nil {
		return "", "", 0, err
	}
	oid := sum.OID
	if want != "" {
		oid = want
	}
	return oid, sum.SHA256, sum.Size, b.Keep()
}

// InsertTree takes in a directory's manifest. All of its files must be there.
func (c *Cache) InsertTree(ctx context.Context, t dvc.Tree) (dvc.OID, error) {
	return c.InsertManifest(ctx, t.Bytes())
}

// InsertManifest is InsertTree of the manifest's bytes.
func (c *Cache) InsertManifest(ctx context.Context, raw []byte) (dvc.OID, error) {
	oid := dvc.TreeOID(raw)
	if c.Has(oid) {
		return oid, nil
	}
	_, _, _, err := c.Insert(ctx, bytes.NewReader(raw), oid)
	return oid, err
}

// Object is one of the cache's.
type Object struct {
	OID  dvc.OID
	Path string
}

// All yields the objects, of either layout, in no order: one name may come twice.
func (c *Cache) All() iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for _, base := range []string{filepath.Join(c.root, "files", "md5"), c.root} {
			for i := range 256 {
				fan := fmt.Sprintf("%02x", i)
				names, err := readNames(filepath.Join(base, fan))
				if err != nil && !yield(Object{}, artifact.Disk(fmt.Errorf("list cache: %w", err), c.root)) {
					return
				}
				for _, name := range names {
					oid, err := dvc.ParseOID(fan + name)
					if err == nil && !yield(Object{oid, filepath.Join(base, fan, name)}, nil) {
						return
					}
				}
			}
		}
	}
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Remove takes an object of All away; an absent one is no error.
func (c *Cache) Remove(o Object) error {
	if err := os.Remove(o.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return artifact.Disk(fmt.Errorf("remove from cache: %w", err), c.root)
	}
	return nil
}
