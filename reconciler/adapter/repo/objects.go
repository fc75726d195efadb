// Objects of the ledger branch, read and written one by one. What is read is
// checked against its name: go-git takes a loose object's word for it.

package repo

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

// maxObject bounds an object of the ledger, in bytes.
const maxObject = 64 << 20

// objects reads from one repository; it is not for several goroutines at once.
type objects struct{ store *store }

func (p place) objects() objects {
	return objects{p.storage(cache.NewObjectLRU(8 * cache.MiByte))}
}

// readObject is an object's bytes. An absent one is Missing.
func (o objects) readObject(t plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	obj, err := o.store.EncodedObject(t, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		o.store.Reindex() // another program may have packed the objects meanwhile
		obj, err = o.store.EncodedObject(t, h)
	}
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, o.store.missing(t.String(), h)
	}
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read %s %s: %w", t, h, err)
	}
	if obj.Size() > maxObject {
		return nil, fault.New(fault.Invalid, "read %s %s: %d bytes are more than %d", t, h, obj.Size(), maxObject)
	}
	r, err := obj.Reader()
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read %s %s: %w", t, h, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read %s %s: %w", t, h, err)
	}
	if got := plumbing.ComputeHash(t, b); got != h {
		return nil, fault.New(fault.Corrupt, "%s %s holds the bytes of %s", t, h, got)
	}
	return b, nil
}

func (o objects) has(h plumbing.Hash) bool {
	if o.store.HasEncodedObject(h) == nil {
		return true
	}
	o.store.Reindex()
	return o.store.HasEncodedObject(h) == nil
}

// item is one line of a tree.
type item struct {
	mode string // 40000 for a folder, 100644 for a file
	name string
	hash plumbing.Hash
}

const folderMode, fileMode = "40000", "100644"

// sortKey orders items as Git does: a folder as if its name ended in a slash.
func (i item) sortKey() string {
	if i.mode == folderMode {
		return i.name + "/"
	}
	return i.name
}

func parseTree(raw []byte) ([]item, error) {
	var out []item
	for len(raw) > 0 {
		head, rest, ok := bytes.Cut(raw, []byte{0})
		mode, name, ok2 := strings.Cut(string(head), " ")
		if !ok || !ok2 || len(rest) < len(plumbing.Hash{}) {
			return nil, errors.New("the tree is malformed")
		}
		var i item
		i.mode, i.name = mode, name
		copy(i.hash[:], rest)
		raw = rest[len(i.hash):]
		if n := len(out); n > 0 && out[n-1].sortKey() >= i.sortKey() {
			return nil, fmt.Errorf("the tree holds %q out of order", name)
		}
		out = append(out, i)
	}
	return out, nil
}

func encodeTree(items []item) []byte {
	var b bytes.Buffer
	for _, i := range items {
		b.WriteString(i.mode + " " + i.name + "\x00")
		b.Write(i.hash[:])
	}
	return b.Bytes()
}

// with is items with i in its place.
func with(items []item, i item) []item {
	items = slices.DeleteFunc(slices.Clone(items), func(o item) bool { return o.name == i.name })
	at, _ := slices.BinarySearchFunc(items, i.sortKey(), func(o item, k string) int { return strings.Compare(o.sortKey(), k) })
	return slices.Insert(items, at, i)
}

func lookup(items []item, name string) plumbing.Hash {
	for _, i := range items {
		if i.name == name {
			return i.hash
		}
	}
	return plumbing.ZeroHash
}

func (o objects) tree(h plumbing.Hash) ([]item, error) {
	if h.IsZero() {
		return nil, nil
	}
	raw, err := o.readObject(plumbing.TreeObject, h)
	if err != nil {
		return nil, err
	}
	items, err := parseTree(raw)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read tree %s: %w", h, err)
	}
	return items, nil
}

// batch is objects that are new, in memory until they are stored or sent.
type batch struct {
	from  objects
	fresh *memory.Storage
	names []plumbing.Hash
}

func (o objects) batch() *batch { return &batch{from: o, fresh: memory.NewStorage()} }

func (b *batch) add(t plumbing.ObjectType, raw []byte) plumbing.Hash {
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

// putFile sets the file at path below the tree root, and is the new root.
func (b *batch) putFile(root plumbing.Hash, path string, blob plumbing.Hash) (plumbing.Hash, error) {
	items, err := b.tree(root)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	name, rest, deeper := strings.Cut(path, "/")
	put := item{fileMode, name, blob}
	if deeper {
		below, err := b.putFile(lookup(items, name), rest, blob)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		put = item{folderMode, name, below}
	}
	return b.add(plumbing.TreeObject, encodeTree(with(items, put))), nil
}

func (b *batch) tree(h plumbing.Hash) ([]item, error) {
	obj, ok := b.fresh.Objects[h]
	if !ok {
		return b.from.tree(h)
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

// store writes the batch into the repository.
func (b *batch) store() error {
	for _, h := range b.names {
		if b.from.store.HasEncodedObject(h) == nil {
			continue
		}
		if _, err := b.from.store.SetEncodedObject(b.fresh.Objects[h]); err != nil {
			return fault.WithHint(fault.New(fault.Internal, "write Git object: %w", err), "free some space, or make the repository writable, and try again")
		}
	}
	return nil
}

// pack is the batch as a pack file, without deltas: it never looks at history.
func (b *batch) pack() ([]byte, error) {
	var out bytes.Buffer
	if _, err := packfile.NewEncoder(&out, b.fresh, false).Encode(b.names, 0); err != nil {
		return nil, fault.New(fault.Internal, "pack ledger entries: %w", err)
	}
	return out.Bytes(), nil
}

// copyTree copies into the batch what tree h has and tree base has not.
func (b *batch) copyTree(h, base plumbing.Hash) error {
	if h == base {
		return nil
	}
	raw, err := b.from.readObject(plumbing.TreeObject, h)
	if err != nil {
		return err
	}
	items, err := parseTree(raw)
	if err != nil {
		return fault.New(fault.Corrupt, "read tree %s: %w", h, err)
	}
	old, err := b.from.tree(base)
	if err != nil {
		return err
	}
	had := make(map[string]plumbing.Hash, len(old))
	for _, i := range old {
		had[i.name] = i.hash
	}
	for _, i := range items {
		switch {
		case had[i.name] == i.hash:
		case i.mode == folderMode:
			if err := b.copyTree(i.hash, had[i.name]); err != nil {
				return err
			}
		default:
			blob, err := b.from.readObject(plumbing.BlobObject, i.hash)
			if err != nil {
				return err
			}
			b.add(plumbing.BlobObject, blob)
		}
	}
	b.add(plumbing.TreeObject, raw)
	return nil
}
