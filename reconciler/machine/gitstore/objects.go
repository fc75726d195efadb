// Objects, read and written one by one. What is read is
// checked against its name: go-git takes a loose object's word for it.

package gitstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// maxObject bounds an object that is read whole, in bytes.
const maxObject = 64 << 20

// Objects reads from one repository; it is not for several goroutines at once.
type Objects struct{ Store *Store }

// Objects opens the place to read objects of it one by one.
func (p Place) Objects() Objects {
	return Objects{p.Open(cache.NewObjectLRU(8 * cache.MiByte))}
}

// ManyObjects is Objects for who reads very many: packs stay open until Close.
func (p Place) ManyObjects() Objects {
	return Objects{p.open(cache.NewObjectLRU(8*cache.MiByte), mostPacks)}
}

// mostPacks are kept open at once: a ledger has few, as fetches are packed together.
const mostPacks = 4

// Close closes what was kept open; nothing is read after it.
func (o Objects) Close() error { return o.Store.Close() }

// Read is an object's bytes. An absent one is Missing.
func (o Objects) Read(t plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	obj, err := o.Store.EncodedObject(t, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		o.Store.Reindex() // another program may have packed the objects meanwhile
		obj, err = o.Store.EncodedObject(t, h)
	}
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, o.Store.Missing(t.String(), h)
	}
	if err != nil {
		return nil, Damaged("read %s %s: %w", t, h, err)
	}
	if obj.Size() > maxObject {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read %s %s: %d bytes are more than %d", t, h, obj.Size(), maxObject), "keep large files as data and not in Git: vishwa data add PATH")
	}
	r, err := obj.Reader()
	if err != nil {
		return nil, Damaged("read %s %s: %w", t, h, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, Damaged("read %s %s: %w", t, h, err)
	}
	if got := plumbing.ComputeHash(t, b); got != h {
		return nil, Damaged("%s %s holds the bytes of %s", t, h, got)
	}
	return b, nil
}

// Has tells whether the object is on this machine.
func (o Objects) Has(h plumbing.Hash) bool {
	if o.Store.HasEncodedObject(h) == nil {
		return true
	}
	o.Store.Reindex()
	return o.Store.HasEncodedObject(h) == nil
}

// Item is one line of a tree.
type Item struct {
	Mode string // 40000 for a folder, 100644 for a file
	Name string
	Hash plumbing.Hash
}

// FolderMode and FileMode are the modes that the ledger and our commits hold.
const FolderMode, FileMode = "40000", "100644"

// sortKey orders items as Git does: a folder as if its name ended in a slash.
func (i Item) sortKey() string {
	if i.Mode == FolderMode {
		return i.Name + "/"
	}
	return i.Name
}

func parseTree(raw []byte) ([]Item, error) {
	var out []Item
	for len(raw) > 0 {
		head, rest, ok := bytes.Cut(raw, []byte{0})
		mode, name, ok2 := strings.Cut(string(head), " ")
		if !ok || !ok2 || len(rest) < len(plumbing.Hash{}) {
			return nil, errors.New("the tree is malformed")
		}
		var i Item
		i.Mode, i.Name = mode, name
		copy(i.Hash[:], rest)
		raw = rest[len(i.Hash):]
		if n := len(out); n > 0 && out[n-1].sortKey() >= i.sortKey() {
			return nil, fmt.Errorf("the tree holds %q out of order", name)
		}
		out = append(out, i)
	}
	return out, nil
}

// EncodeTree is a tree object of items, which are in order.
func EncodeTree(items []Item) []byte {
	var b bytes.Buffer
	for _, i := range items {
		b.WriteString(i.Mode + " " + i.Name + "\x00")
		b.Write(i.Hash[:])
	}
	return b.Bytes()
}

// With is items with i in its place.
func With(items []Item, i Item) []Item {
	items = slices.DeleteFunc(slices.Clone(items), func(o Item) bool { return o.Name == i.Name })
	at, _ := slices.BinarySearchFunc(items, i.sortKey(), func(o Item, k string) int { return strings.Compare(o.sortKey(), k) })
	return slices.Insert(items, at, i)
}

// Lookup is the object under a name; zero: none.
func Lookup(items []Item, name string) plumbing.Hash {
	for _, i := range items {
		if i.Name == name {
			return i.Hash
		}
	}
	return plumbing.ZeroHash
}

// Tree is what a tree holds; the zero hash is the empty one.
func (o Objects) Tree(h plumbing.Hash) ([]Item, error) {
	if h.IsZero() {
		return nil, nil
	}
	raw, err := o.Read(plumbing.TreeObject, h)
	if err != nil {
		return nil, err
	}
	items, err := parseTree(raw)
	if err != nil {
		return nil, Damaged("read tree %s: %w", h, err)
	}
	return items, nil
}

// Batch is objects that are new, in memory until they are stored or sent.
type Batch struct {
	From  Objects
	fresh *memory.Storage
	names []plumbing.Hash
}

// Batch begins an empty one.
func (o Objects) Batch() *Batch { return &Batch{From: o, fresh: memory.NewStorage()} }

// Add adds an object, and is its name.
func (b *Batch) Add(t plumbing.ObjectType, raw []byte) plumbing.Hash {
	obj := &plumbing.MemoryObject{}
	obj.SetType(t)
	_, _ = obj.Write(raw) // to memory: never fails
	h := obj.Hash()
	if _, ok := b.fresh.Objects[h]; !ok {
		_, _ = b.fresh.SetEncodedObject(obj)
		b.names = append(b.names, h)
	}
	return h
}

// PutFile sets the file at path below the tree root, and is the new root.
func (b *Batch) PutFile(root plumbing.Hash, path string, blob plumbing.Hash) (plumbing.Hash, error) {
	return b.Put(root, path, Item{Mode: FileMode, Hash: blob})
}

// Put is root with i at path, whatever its name; where i is the zero item, root without what is there, and without the folders
// that this leaves empty.
func (b *Batch) Put(root plumbing.Hash, path string, i Item) (plumbing.Hash, error) {
	items, err := b.tree(root)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	name, rest, deeper := strings.Cut(path, "/")
	if deeper {
		if at := slices.IndexFunc(items, func(o Item) bool { return o.Name == name }); at >= 0 && items[at].Mode != FolderMode {
			return plumbing.ZeroHash, fault.WithHint(fault.New(fault.Conflict, "%s is a file by now, and not a folder", name), "move the file away, or name another folder")
		}
		below, err := b.Put(Lookup(items, name), rest, i)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if i = (Item{Mode: FolderMode, Hash: below}); below == emptyTree {
			i = Item{}
		}
	}
	if i == (Item{}) {
		items = slices.DeleteFunc(slices.Clone(items), func(o Item) bool { return o.Name == name })
	} else {
		i.Name = name
		items = With(items, i)
	}
	return b.Add(plumbing.TreeObject, EncodeTree(items)), nil
}

// emptyTree is the tree that holds nothing.
var emptyTree = plumbing.ComputeHash(plumbing.TreeObject, nil)

// Find is what root has at path, without its name; the zero item is nothing.
func (b *Batch) Find(root plumbing.Hash, path string) (Item, error) {
	items, err := b.tree(root)
	if err != nil {
		return Item{}, err
	}
	name, rest, deeper := strings.Cut(path, "/")
	at := slices.IndexFunc(items, func(i Item) bool { return i.Name == name })
	switch {
	case at < 0 || deeper && items[at].Mode != FolderMode:
		return Item{}, nil
	case deeper:
		return b.Find(items[at].Hash, rest)
	}
	return Item{Mode: items[at].Mode, Hash: items[at].Hash}, nil
}

// Blob is the content of a file, also of one that the batch holds.
func (b *Batch) Blob(h plumbing.Hash) ([]byte, error) {
	if obj, ok := b.fresh.Objects[h]; ok {
		r, err := obj.Reader()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	return b.From.Read(plumbing.BlobObject, h)
}

// DropFile takes the file at path away below the tree root, with folders that nothing is left in, and is the new root;
// the zero hash where nothing is left of all.
func (b *Batch) DropFile(root plumbing.Hash, path string) (plumbing.Hash, error) {
	items, err := b.tree(root)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	name, rest, deeper := strings.Cut(path, "/")
	var below plumbing.Hash
	if deeper {
		if at := Lookup(items, name); !at.IsZero() {
			if below, err = b.DropFile(at, rest); err != nil {
				return plumbing.ZeroHash, err
			}
		}
	}
	if !below.IsZero() {
		return b.Add(plumbing.TreeObject, EncodeTree(With(items, Item{FolderMode, name, below}))), nil
	}
	left := slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return i.Name == name })
	if len(left) == 0 {
		return plumbing.ZeroHash, nil
	}
	return b.Add(plumbing.TreeObject, EncodeTree(left)), nil
}

func (b *Batch) tree(h plumbing.Hash) ([]Item, error) {
	obj, ok := b.fresh.Objects[h]
	if !ok {
		return b.From.Tree(h)
	}
	r, err := obj.Reader()
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return parseTree(raw)
}

// Save writes the batch into the repository.
func (b *Batch) Save() error {
	for _, h := range b.names {
		if b.From.Store.HasEncodedObject(h) == nil {
			continue
		}
		if _, err := b.From.Store.SetEncodedObject(b.fresh.Objects[h]); err != nil {
			return fault.WithHint(fault.New(fault.Internal, "write Git object: %w", err), "free some space, or make the repository writable, and try again")
		}
	}
	return nil
}

// Pack is the batch as a pack file, without deltas: it never looks at history.
func (b *Batch) Pack() ([]byte, error) {
	var out bytes.Buffer
	if _, err := packfile.NewEncoder(&out, b.fresh, false).Encode(b.names, 0); err != nil {
		return nil, fault.New(fault.Internal, "pack objects: %w", err)
	}
	return out.Bytes(), nil
}

// CopyTree copies into the batch what tree h has and tree base has not.
func (b *Batch) CopyTree(h, base plumbing.Hash) error {
	if h == base {
		return nil
	}
	raw, err := b.From.Read(plumbing.TreeObject, h)
	if err != nil {
		return err
	}
	items, err := parseTree(raw)
	if err != nil {
		return Damaged("read tree %s: %w", h, err)
	}
	old, err := b.From.Tree(base)
	if err != nil {
		return err
	}
	had := make(map[string]plumbing.Hash, len(old))
	for _, i := range old {
		had[i.Name] = i.Hash
	}
	for _, i := range items {
		switch {
		case had[i.Name] == i.Hash:
		case i.Mode == FolderMode:
			if err := b.CopyTree(i.Hash, had[i.Name]); err != nil {
				return err
			}
		default:
			blob, err := b.From.Read(plumbing.BlobObject, i.Hash)
			if err != nil {
				return err
			}
			b.Add(plumbing.BlobObject, blob)
		}
	}
	b.Add(plumbing.TreeObject, raw)
	return nil
}
