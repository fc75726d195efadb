// Transfers against a bucket that is a map: what goes in which order, what is sent
// anew, and how a remote is asked.

package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// held is a bucket in memory. It notes what is asked of it, and refuses puts once it has room no more.
type held struct {
	mu                sync.Mutex
	objects           map[string][]byte
	puts              []string
	stats, lists      int
	room              int // puts that are taken; below zero: all
	manifestTooEarly  string
	everythingIsThere func(key string, body []byte) bool
}

func (h *held) Stat(_ context.Context, key string) (port.Object, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats++
	b, ok := h.objects[key]
	if !ok {
		return port.Object{}, fault.New(fault.Missing, "%s is not there", key)
	}
	return port.Object{Key: key, Size: int64(len(b))}, nil
}

func (h *held) size(key string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(len(h.objects[key]))
}

func (h *held) List(_ context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		h.mu.Lock()
		h.lists++
		keys := slices.Sorted(maps.Keys(h.objects))
		h.mu.Unlock()
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && !yield(port.Object{Key: k, Size: h.size(k)}, nil) {
				return
			}
		}
	}
}

func (h *held) Get(_ context.Context, key string, _ port.Range) (io.ReadCloser, port.Object, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.objects[key]
	if !ok {
		return nil, port.Object{}, fault.New(fault.Missing, "%s is not there", key)
	}
	return io.NopCloser(bytes.NewReader(b)), port.Object{Key: key, Size: int64(len(b))}, nil
}

func (h *held) Put(_ context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	b, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || h.room == 0 {
		return port.Object{}, errors.Join(err, fault.New(fault.Denied, "put %s: the quota is used up", key))
	}
	h.room--
	if strings.HasSuffix(key, ".dir") && h.everythingIsThere != nil && !h.everythingIsThere(key, b) {
		h.manifestTooEarly = key
	}
	h.objects[key], h.puts = b, append(h.puts, key)
	return port.Object{Key: key, Size: size}, nil
}

func (h *held) Delete(_ context.Context, keys ...string) error {
	for _, k := range keys {
		delete(h.objects, k)
	}
	return nil
}

func empty() *held { return &held{objects: map[string][]byte{}, room: -1} }

// filled is a cache with a folder of n files.
func filled(t *testing.T, n int) (*dvccache.Cache, dvc.OID, dvc.Tree) {
	t.Helper()
	c, err := dvccache.Open(filepath.Join(t.TempDir(), "cache"), dvccache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := c.Batch()
	defer b.Drop()
	var tree dvc.Tree
	for i := range n {
		p := fmt.Appendf(nil, "file %d", i)
		k := dvccache.Named(dvccache.Stamp{}, p)
		if err := b.TakeBytes(p, k); err != nil {
			t.Fatal(err)
		}
		tree = append(tree, dvc.File{Path: fmt.Sprintf("%06d", i), OID: k.Sums().OID})
	}
	if err := b.Keep(); err != nil {
		t.Fatal(err)
	}
	oid, err := c.InsertTree(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	return c, oid, tree
}

// TestManifestGoesAfterItsFiles, also where the remote was full half-way: what has arrived is
// not sent twice.
func TestManifestGoesAfterItsFiles(t *testing.T) {
	const n = 40
	c, oid, tree := filled(t, n)
	there := empty()
	there.everythingIsThere = func(string, []byte) bool {
		for _, f := range tree {
			if there.objects[f.OID.Key()] == nil {
				return false
			}
		}
		return true
	}
	r := &Remote{Name: "store", Bucket: there, Jobs: 4}
	there.room = n / 2
	if _, err := r.Push(t.Context(), c, []dvc.OID{oid}, nil); fault.Of(err) != fault.Denied {
		t.Fatalf("a full remote is %v", err)
	}
	if there.objects[oid.Key()] != nil {
		t.Fatal("the manifest is there and its files are not")
	}
	there.room = -1
	m, err := r.Push(t.Context(), c, []dvc.OID{oid}, nil)
	if err != nil || m.Objects != n/2+1 || m.Present != n/2 {
		t.Errorf("again: %+v, %v", m, err)
	}
	if there.manifestTooEarly != "" || there.puts[len(there.puts)-1] != oid.Key() {
		t.Errorf("the manifest went before its files: %v", there.puts)
	}
	if len(there.puts) != n+1 {
		t.Errorf("%d puts for %d objects", len(there.puts), n+1)
	}
}

// TestRemoteIsAskedTheCheaperWay: object by object where they are few or the remote is large, else by
// listing it.
func TestRemoteIsAskedTheCheaperWay(t *testing.T) {
	c, oid, _ := filled(t, 2000)
	for name, k := range map[string]struct {
		others int // in the remote's first folder
		oids   int
		listed bool
	}{
		"few objects":                 {oids: few},
		"many, and a small remote":    {oids: 2000, listed: true},
		"many, and a far larger one":  {oids: 2000, others: 9 * page},
		"many, and one that is worth": {oids: 2000, others: 2 * page, listed: true},
	} {
		t.Run(name, func(t *testing.T) {
			there := empty()
			for i := range k.others {
				there.objects[fmt.Sprintf("files/md5/00/%030x", i)] = nil
			}
			tree, err := c.Tree(t.Context(), oid)
			if err != nil {
				t.Fatal(err)
			}
			var oids []dvc.OID
			for i, f := range tree[:k.oids] {
				if oids = append(oids, f.OID); i%2 == 0 {
					there.objects[f.OID.Key()] = []byte{}
				}
			}
			got, err := (&Remote{Name: "store", Bucket: there}).Present(t.Context(), oids)
			if err != nil || len(got) != k.oids/2 {
				t.Fatalf("%d are there, %v", len(got), err)
			}
			if listed := there.stats == 0; listed != k.listed {
				t.Errorf("%d were asked for, %d listings", there.stats, there.lists)
			}
		})
	}
}

// TestAllThatIsLackingIsTold, and what is there comes nevertheless.
func TestAllThatIsLackingIsTold(t *testing.T) {
	c, oid, tree := filled(t, 10)
	there := empty()
	r := &Remote{Name: "store", Bucket: there}
	if _, err := r.Push(t.Context(), c, []dvc.OID{oid}, nil); err != nil {
		t.Fatal(err)
	}
	delete(there.objects, tree[3].OID.Key())
	delete(there.objects, tree[7].OID.Key())
	into, err := dvccache.Open(filepath.Join(t.TempDir(), "cache"), dvccache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Fetch(t.Context(), into, []dvc.OID{oid}, nil)
	var l *MissingError
	if fault.Of(err) != fault.Missing || !errors.As(err, &l) || len(l.OIDs) != 2 || m.Objects != 9 {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, i := range []int{3, 7} {
		if !slices.Contains(l.OIDs, tree[i].OID) {
			t.Errorf("%s is not told", tree[i].OID)
		}
	}
}

// TestLegacyObjectsStayInTheirLayout: they go where DVC 2 had them, and come from there.
func TestLegacyObjectsStayInTheirLayout(t *testing.T) {
	c, _, _ := filled(t, 1)
	old := c.Legacy()
	named := dvccache.NewLegacySum()
	text := []byte("a\r\n")
	_, _ = named.Write(text)
	oid := named.OID()
	if _, _, _, err := old.Insert(t.Context(), bytes.NewReader(text), oid); err != nil {
		t.Fatal(err)
	}
	there := empty()
	r := &Remote{Name: "store", Bucket: there, Legacy: true}
	if _, err := r.Push(t.Context(), old, []dvc.OID{oid}, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(there.puts, []string{oid.LegacyKey()}) {
		t.Errorf("it went to %v", there.puts)
	}
	into, err := dvccache.Open(filepath.Join(t.TempDir(), "cache"), dvccache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Remote{Name: "store", Bucket: there}).Fetch(t.Context(), into, []dvc.OID{oid}, nil); fault.Of(err) != fault.Corrupt {
		t.Errorf("as DVC 3's it is %v", err)
	}
	if _, err := r.Fetch(t.Context(), into.Legacy(), []dvc.OID{oid}, nil); err != nil || !into.Legacy().Has(oid) {
		t.Errorf("it does not come back: %v", err)
	}
}

// TestWhatHasAnotherSizeThereIsSentAnew: half of an object, which something else left.
func TestWhatHasAnotherSizeThereIsSentAnew(t *testing.T) {
	for _, n := range []int{3, few + 10} { // asked one by one, and listed
		from, dir, _ := filled(t, n)
		there := empty()
		r := &Remote{Name: "store", Bucket: there}
		if _, err := r.Push(t.Context(), from, []dvc.OID{dir}, nil); err != nil {
			t.Fatal(err)
		}
		key := there.puts[0]
		whole := there.objects[key]
		there.objects[key] = whole[:len(whole)-1]
		m, err := r.Push(t.Context(), from, []dvc.OID{dir}, nil)
		if err != nil || m.Objects != 1 || !bytes.Equal(there.objects[key], whole) {
			t.Errorf("%d: %+v, %v", n, m, err)
		}
	}
}
