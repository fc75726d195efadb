// Package transfer brings objects from a cache to a DVC remote and back: which are
// missing, and getting them over. A directory's manifest goes last, so that one
// that is there means that all of its files are there.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Remote is a DVC remote: objects by their names in a bucket.
type Remote struct {
	Name   string
	Bucket port.Bucket
	Jobs   int // requests under way at once; zero is 32
	// Pieces says that large objects come in pieces side by side, and that a fetch goes on
	// where an earlier one was cut off: the way to the remote is the narrow place.
	Pieces bool
	// Legacy says that objects are laid out and named as DVC 2 did. The cache that they
	// come from and go to must be of that layout, too.
	Legacy bool
}

// key is where an object is kept.
func (r *Remote) key(oid dvc.OID) string {
	if r.Legacy {
		return oid.LegacyKey()
	}
	return oid.Key()
}

// atOnce is how many objects are made durable together.
const atOnce = 10_000

// Moved is what a transfer came to.
type Moved struct {
	Objects int64 `json:"objects"` // that were sent or received
	Bytes   int64 `json:"bytes"`
	Present int64 `json:"present"` // that were there already

	// Apart are the outputs that were left out, as they name another remote than the one that is meant.
	Apart []string `json:"apart,omitempty"`

	// Come is how many bytes of what is meant are there: of objects that were, that have come
	// and that are coming. Only a fetch says so.
	Come int64 `json:"-"`
}

func (r *Remote) jobs() int {
	if r.Jobs > 0 {
		return r.Jobs
	}
	return 32
}

// each does f for every oid, some side by side, and ends at the first error.
func (r *Remote) each(ctx context.Context, oids []dvc.OID, f func(ctx context.Context, oid dvc.OID) error) error {
	g, ctx := routine.WithContext(ctx)
	next := atomic.Int64{}
	for range min(r.jobs(), len(oids)) {
		g.Start(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(oids) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return fault.New(fault.Cancelled, "transfer: %w", err)
				}
				if err := f(ctx, oids[i]); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// Push sends the objects of the cache that the remote lacks, and those of the
// directories among them. tell hears of each object that has gone over.
func (r *Remote) Push(ctx context.Context, from *dvccache.Cache, oids []dvc.OID, tell func(Moved)) (Moved, error) {
	files, dirs, lacking, err := r.expand(ctx, from, oids)
	if err != nil {
		return Moved{}, err
	}
	m := &moving{tell: tell}
	err = r.send(ctx, from, files, m)
	if err == nil {
		err = r.send(ctx, from, dirs, m)
	}
	if err == nil && len(lacking) > 0 {
		err = fault.WithHint(fault.New(fault.Missing, "%w", &MissingError{Where: "the cache", OIDs: lacking}), "add the data anew, or pull it from where it is")
	}
	return m.sum(), err
}

// expand lists the files of the directories that the remote does not have, and the
// directories. What neither side has is lacking; a directory of which something is lacking
// is left out, since one that is there has all of its files there.
func (r *Remote) expand(ctx context.Context, from *dvccache.Cache, oids []dvc.OID) (files, dirs, lacking []dvc.OID, err error) {
	seen := make(map[dvc.OID]bool, len(oids))
	add := func(oid dvc.OID) {
		if seen[oid] {
			return
		}
		seen[oid] = true
		if !from.Has(oid) {
			lacking = append(lacking, oid)
		} else if oid.IsDir() {
			dirs = append(dirs, oid)
		} else {
			files = append(files, oid)
		}
	}
	for _, oid := range oids {
		add(oid)
	}
	of := map[dvc.OID][]dvc.OID{} // the directories of what the cache lacks
	for _, d := range slices.Clone(dirs) {
		t, err := from.Tree(ctx, d)
		if err != nil {
			return nil, nil, nil, err
		}
		for _, f := range t {
			if add(f.OID); !from.Has(f.OID) {
				of[f.OID] = append(of[f.OID], d)
			}
		}
	}
	if len(lacking) == 0 {
		return files, dirs, nil, nil
	}
	// What the remote has need not be here.
	there, err := r.Present(ctx, lacking)
	if err != nil {
		return nil, nil, nil, err
	}
	lacking = slices.DeleteFunc(lacking, func(o dvc.OID) bool { _, has := there[o]; return has })
	slices.Sort(lacking)
	half := map[dvc.OID]bool{}
	for _, o := range lacking {
		for _, d := range of[o] {
			half[d] = true
		}
	}
	dirs = slices.DeleteFunc(dirs, func(d dvc.OID) bool { return half[d] })
	return files, dirs, lacking, nil
}

func (r *Remote) send(ctx context.Context, from *dvccache.Cache, oids []dvc.OID, m *moving) error {
	there, err := r.Present(ctx, oids)
	if err != nil {
		return err
	}
	todo := make([]dvc.OID, 0, len(oids))
	for _, o := range oids {
		if size, has := there[o]; !has || size != from.Size(o) { // one of another size is half of it, or spoilt
			todo = append(todo, o)
		}
	}
	m.present.Add(int64(len(oids) - len(todo)))
	return r.each(ctx, todo, func(ctx context.Context, oid dvc.OID) error {
		f, size, err := from.Open(oid)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := r.Bucket.Put(ctx, r.key(oid), f, size); err != nil {
			return fmt.Errorf("push %s to %s: %w", oid, r.Name, err)
		}
		m.add(size)
		return nil
	})
}

// Manifests brings those of directories alone, where the cache lacks them.
func (r *Remote) Manifests(ctx context.Context, into *dvccache.Cache, dirs []dvc.OID) (Moved, error) {
	m, l := &moving{}, &lacking{}
	if err := r.receive(ctx, into, dirs, m, l); err != nil {
		return m.sum(), err
	}
	return m.sum(), l.told(r.Name)
}

// Fetch brings what the cache lacks of oids, and of the directories among them.
// What the remote lacks is named at once, after all the rest has come.
func (r *Remote) Fetch(ctx context.Context, into *dvccache.Cache, oids []dvc.OID, tell func(Moved)) (Moved, error) {
	m := &moving{tell: tell}
	l := &lacking{}
	var dirs, files []dvc.OID
	for _, o := range unique(oids) {
		if o.IsDir() {
			dirs = append(dirs, o)
		} else {
			files = append(files, o)
		}
	}
	if err := r.receive(ctx, into, dirs, m, l); err != nil {
		return m.sum(), err
	}
	for _, d := range dirs {
		t, err := into.Tree(ctx, d)
		if fault.Of(err) == fault.Missing && err != nil {
			continue // it is among what is lacking
		}
		if err != nil {
			return m.sum(), err
		}
		for _, f := range t {
			files = append(files, f.OID)
		}
	}
	if err := r.receive(ctx, into, unique(files), m, l); err != nil {
		return m.sum(), err
	}
	return m.sum(), l.told(r.Name)
}

func (r *Remote) receive(ctx context.Context, into *dvccache.Cache, oids []dvc.OID, m *moving, l *lacking) error {
	todo := make([]dvc.OID, 0, len(oids))
	for _, o := range oids {
		if !into.Has(o) {
			todo = append(todo, o)
		} else if m.tell != nil && !o.IsDir() {
			m.come.Add(max(into.Size(o), 0))
		}
	}
	m.present.Add(int64(len(oids) - len(todo)))
	for some := range slices.Chunk(todo, atOnce) {
		if err := r.together(ctx, into, some, m, l); err != nil {
			return err
		}
	}
	return nil
}

// together fetches objects and makes them durable at once. What has come whole stays,
// whatever went wrong beside it.
func (r *Remote) together(ctx context.Context, into *dvccache.Cache, some []dvc.OID, m *moving, l *lacking) error {
	batch := into.Batch()
	defer batch.Drop()
	err := r.each(ctx, some, func(ctx context.Context, oid dvc.OID) error { return r.one(ctx, batch, oid, m, l) })
	if kept := batch.Keep(); err == nil {
		err = kept
	}
	return err
}

// one fetches an object.
func (r *Remote) one(ctx context.Context, into *dvccache.Batch, oid dvc.OID, m *moving, l *lacking) error {
	sum, err := r.downloadTo(ctx, into, oid, m)
	switch {
	case err == nil:
		m.add(sum.Size)
		return nil
	case fault.Of(err) == fault.Missing && !errors.Is(err, port.ErrAbsent):
		l.add(oid)
		return nil
	}
	var other *dvccache.Other
	if errors.As(err, &other) {
		s := &CorruptError{Remote: r.Name, Key: r.key(oid), OID: oid, Got: other.Got}
		return fault.WithHint(fault.New(fault.Corrupt, "%w", s), "%s", s.Hint())
	}
	return fmt.Errorf("fetch %s from %s: %w", oid, r.Name, err)
}

func (r *Remote) downloadTo(ctx context.Context, into *dvccache.Batch, oid dvc.OID, m *moving) (dvccache.Sum, error) {
	body, o, err := r.open(ctx, oid)
	if err != nil {
		return dvccache.Sum{}, err
	}
	defer body.Close()
	if r.Pieces && o.Size > large && o.ETag != "" {
		half, err := into.Partial(oid)
		if err != nil {
			return dvccache.Sum{}, err
		}
		if half != nil {
			body.Close()
			return r.gather(ctx, into, half, oid, o, m)
		}
	}
	return into.Take(ctx, m.counted(body), oid)
}

// open finds an object in the remote's own layout, else in the other.
func (r *Remote) open(ctx context.Context, oid dvc.OID) (io.ReadCloser, port.Object, error) {
	body, o, err := r.Bucket.Get(ctx, r.key(oid), port.All)
	if fault.Of(err) == fault.Missing && err != nil {
		other := oid.LegacyKey()
		if r.Legacy {
			other = oid.Key()
		}
		return r.Bucket.Get(ctx, other, port.All)
	}
	return body, o, err
}

func unique(oids []dvc.OID) []dvc.OID {
	oids = slices.Clone(oids)
	slices.Sort(oids)
	return slices.Compact(oids)
}

// Object reads one object, as it is there; it is not checked.
func (r *Remote) Object(ctx context.Context, oid dvc.OID) (io.ReadCloser, error) {
	body, _, err := r.open(ctx, oid)
	return body, err
}
