// What was read of a topic, as the objects that readers of a log expect.

package stream

import (
	"cmp"
	"context"
	"encoding/hex"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// object is a part, by its content: topics that keep the same rows are the same log.
func (l *log) object(key string) (port.Object, *part, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.parts[key]
	if p == nil {
		return port.Object{}, nil, fault.New(fault.Missing, "%s: %w", key, port.ErrAbsent)
	}
	sum := p.sum.Sum128().Bytes()
	return port.Object{Key: key, Size: p.size, Modified: p.newer, ETag: hex.EncodeToString(sum[:])}, p, nil
}

// Stat tells of a part.
func (l *log) Stat(ctx context.Context, key string) (port.Object, error) {
	if err := l.bring(ctx); err != nil {
		return port.Object{}, err
	}
	o, _, err := l.object(key)
	return o, err
}

// List yields the parts.
func (l *log) List(ctx context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		if err := l.bring(ctx); err != nil {
			yield(port.Object{}, err)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(l.parts)) {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			if o, _, err := l.object(key); !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// Get reads a piece of a part.
func (l *log) Get(ctx context.Context, key string, r port.Range) (io.ReadCloser, port.Object, error) {
	if err := l.bring(ctx); err != nil {
		return nil, port.Object{}, err
	}
	o, p, err := l.object(key)
	if err != nil {
		return nil, o, err
	}
	if r.ETag != "" && r.ETag != o.ETag {
		return nil, o, fault.New(fault.Conflict, "%s has changed", key)
	}
	pieces := make([]io.Reader, len(p.at))
	for i, e := range p.at {
		pieces[i] = io.NewSectionReader(l.file, e.at, e.n)
	}
	in := io.MultiReader(pieces...)
	if _, err := io.CopyN(io.Discard, in, r.Offset); err != nil {
		return nil, o, fault.New(fault.Invalid, "%s has %d bytes, and is read from %d on", key, o.Size, r.Offset)
	}
	if r.Length >= 0 {
		in = io.LimitReader(in, r.Length)
	}
	return io.NopCloser(in), o, nil
}

// runs are numbers of rows, as ranges that do not touch: those of a part come in order, or nearly so.
type runs struct{ of [][2]int32 } // from the one and before the other

// add is false where the number was there.
func (r *runs) add(n int32) bool {
	i, _ := slices.BinarySearchFunc(r.of, n, func(at [2]int32, n int32) int { return cmp.Compare(at[1], n+1) })
	// i is the first that ends behind n
	if i < len(r.of) && r.of[i][0] <= n && n < r.of[i][1] {
		return false
	}
	before, after := i > 0 && r.of[i-1][1] == n, i < len(r.of) && r.of[i][0] == n+1
	switch {
	case before && after:
		r.of[i-1][1] = r.of[i][1]
		r.of = slices.Delete(r.of, i, i+1)
	case before:
		r.of[i-1][1]++
	case after:
		r.of[i][0]--
	default:
		r.of = slices.Insert(r.of, i, [2]int32{n, n + 1})
	}
	return true
}
