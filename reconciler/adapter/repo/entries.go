// Entries are read along the first-parent line, each from its commit's own tree:
// a commit that holds another entry than the branch does, or one entry more, shows.

package repo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// link is one commit of the chain.
type link struct {
	id     plumbing.Hash
	raw    []byte
	commit ledger.Commit
}

func (o objects) link(h plumbing.Hash) (link, error) {
	raw, err := o.readObject(plumbing.CommitObject, h)
	if err != nil {
		return link{}, err
	}
	c, err := ledger.ParseCommit(raw)
	if err != nil {
		return link{}, fault.WithHint(fault.New(fault.Corrupt, "%s (commit %s): %w", numbered(raw), h.String()[:12], err),
			"compare this ledger branch with another clone's")
	}
	return link{h, raw, c}, nil
}

// numbered names the entry that a malformed commit says that it carries.
func numbered(raw []byte) string {
	if n := number(string(raw)); n >= 0 {
		return "entry " + strconv.FormatInt(n, 10)
	}
	return "an entry without a number"
}

// number is the entry's number as the commit's message has it, or -1.
func number(message string) int64 {
	_, after, _ := strings.Cut(message, "\nVishwa-Seq: ")
	digits, _, _ := strings.Cut(after, "\n")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// back is the commits after stop up to tip, oldest first; ok is false where tip
// does not descend from stop. Everything descends from the zero hash.
func (o objects) back(ctx context.Context, tip, stop plumbing.Hash) (chain []link, ok bool, err error) {
	floor := int64(-1)
	if !stop.IsZero() && tip != stop {
		if !o.has(stop) {
			return nil, false, nil
		}
		k, err := o.link(stop)
		if err != nil {
			return nil, false, err
		}
		floor = number(k.commit.Message)
	}
	for at := tip; at != stop; {
		if err := ctx.Err(); err != nil {
			return nil, false, fault.New(fault.Cancelled, "read ledger: %w", err)
		}
		if at.IsZero() {
			return nil, false, nil
		}
		k, err := o.link(at)
		if err != nil {
			return nil, false, err
		}
		if n := number(k.commit.Message); n >= 0 && n <= floor {
			return nil, false, nil // no need to go on to the first: numbers only grow
		}
		chain = append(chain, k)
		at = plumbing.NewHash(k.commit.Parent)
	}
	for i, j := 0, len(chain)-1; i < j; i, j = i+1, j-1 {
		chain[i], chain[j] = chain[j], chain[i]
	}
	return chain, true, nil
}

// descends tells whether tip is base or comes after it.
func (l *Ledger) descends(ctx context.Context, tip, base plumbing.Hash) (bool, error) {
	if base.IsZero() || tip == base {
		return true, nil
	}
	_, ok, err := l.objects.back(ctx, tip, base)
	return ok, err
}

func (o objects) treeOf(commit plumbing.Hash) (plumbing.Hash, error) {
	k, err := o.link(commit)
	return plumbing.NewHash(k.commit.Tree), err
}

// shelf is the entries folder as it must be at one commit, grown entry by entry
// so that each commit's own tree is compared without being read.
type shelf struct {
	folders []item // of entries/
	last    []item // of the newest folder
	raw     []byte // the newest folder as a tree object
}

func (o objects) shelf(base plumbing.Hash) (*shelf, error) {
	s := &shelf{}
	if base.IsZero() {
		return s, nil
	}
	root, err := o.treeOf(base)
	if err != nil {
		return nil, err
	}
	items, err := o.tree(root)
	if err != nil {
		return nil, err
	}
	if s.folders, err = o.tree(lookup(items, "entries")); err != nil {
		return nil, err
	}
	return s, nil
}

// grow adds entry seq, and is the name of the entries tree that holds it.
func (s *shelf) grow(o objects, seq int64, blob plumbing.Hash) (plumbing.Hash, error) {
	dir, file := path.Split(strings.TrimPrefix(ledger.Path(seq), "entries/"))
	dir = strings.TrimSuffix(dir, "/")
	switch {
	case seq%ledger.Folder == 0:
		s.last, s.raw = nil, nil
	case s.raw == nil:
		var err error
		if s.last, err = o.tree(lookup(s.folders, dir)); err != nil {
			return plumbing.ZeroHash, err
		}
		s.raw = encodeTree(s.last)
	}
	s.raw = append(s.raw, encodeTree([]item{{fileMode, file, blob}})...)
	folder := plumbing.ComputeHash(plumbing.TreeObject, s.raw)
	s.folders = with(s.folders, item{folderMode, dir, folder})
	return plumbing.ComputeHash(plumbing.TreeObject, encodeTree(s.folders)), nil
}

// records are the entries of chain, whose first is number seq and follows base.
func (o objects) records(ctx context.Context, chain []link, base plumbing.Hash, seq int64) iter.Seq2[ledger.Record, error] {
	return func(yield func(ledger.Record, error) bool) {
		if len(chain) == 0 {
			return
		}
		s, err := o.shelf(base)
		if err != nil {
			yield(ledger.Record{}, err)
			return
		}
		books := catalogue{objects: o, tip: chain[len(chain)-1], folders: map[string]map[string]plumbing.Hash{}}
		for i, k := range chain {
			if err := ctx.Err(); err != nil {
				yield(ledger.Record{}, fault.New(fault.Cancelled, "read ledger: %w", err))
				return
			}
			r, err := books.record(s, k, seq+int64(i))
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// catalogue finds entries in the tree of the newest commit.
type catalogue struct {
	objects
	tip     link
	folders map[string]map[string]plumbing.Hash
}

func (c catalogue) find(seq int64) (plumbing.Hash, error) {
	dir, file := path.Split(ledger.Path(seq))
	names, ok := c.folders[dir]
	if !ok {
		at := plumbing.NewHash(c.tip.commit.Tree)
		for part := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
			items, err := c.tree(at)
			if err != nil {
				return at, err
			}
			at = lookup(items, part)
		}
		items, err := c.tree(at)
		if err != nil {
			return at, err
		}
		names = make(map[string]plumbing.Hash, len(items))
		for _, i := range items {
			names[i.name] = i.hash
		}
		c.folders[dir] = names
	}
	return names[file], nil
}

func (c catalogue) record(s *shelf, k link, seq int64) (ledger.Record, error) {
	bad := func(format string, args ...any) (ledger.Record, error) {
		if err := errors.Join(causes(args)...); fault.Of(err) == fault.Missing && c.store.partial() {
			return ledger.Record{}, fmt.Errorf("entry %d (commit %s): %w", seq, k.id.String()[:12], err) // the clone was made without it
		}
		return ledger.Record{}, fault.WithHint(fault.New(fault.Corrupt, "entry %d (commit %s): "+format, append([]any{seq, k.id.String()[:12]}, args...)...),
			"compare this ledger branch with another clone's")
	}
	blob, err := c.find(seq)
	if err != nil {
		return bad("%w", err)
	}
	if blob.IsZero() {
		return bad("the branch holds no %s", ledger.Path(seq))
	}
	bundle, err := c.readObject(plumbing.BlobObject, blob)
	if err != nil {
		return bad("%w", err)
	}
	want, err := s.grow(c.objects, seq, blob)
	if err != nil {
		return bad("%w", err)
	}
	items, err := c.tree(plumbing.NewHash(k.commit.Tree))
	if err != nil {
		return bad("%w", err)
	}
	for _, i := range items {
		if i.mode != folderMode || i.name != "entries" && i.name != "facts" {
			return bad("its tree holds %s, which does not belong there", i.name)
		}
	}
	if lookup(items, "entries") != want {
		return bad("its tree does not hold exactly the entries up to it")
	}
	return ledger.Record{ID: k.id.String(), Commit: k.raw, Bundle: bundle}, nil
}

// Entries are the raw records of this clone's ledger from number from on, for
// log and verify. They are not verified: ledger.Verify does that. The remote is
// not asked. An error ends them.
func (l *Ledger) Entries(ctx context.Context, from int64) iter.Seq2[ledger.Record, error] {
	return func(yield func(ledger.Record, error) bool) {
		o := l.place.objects() // of its own: reading goes on while others append
		fail := func(err error) { yield(ledger.Record{}, err) }
		l.mu.Lock()
		tip, err := l.ref(l.branch)
		l.mu.Unlock()
		if err != nil {
			fail(err)
			return
		}
		base := plumbing.ZeroHash
		if from > 0 && !tip.IsZero() {
			if base, err = o.before(ctx, tip, from); err != nil {
				fail(err)
				return
			}
		}
		chain, _, err := o.back(ctx, tip, base)
		if err != nil {
			fail(err)
			return
		}
		if base.IsZero() {
			from = 0
		}
		o.records(ctx, chain, base, from)(yield)
	}
}

// before is the commit of the entry before number seq, or of the newest where
// there are fewer.
func (o objects) before(ctx context.Context, tip plumbing.Hash, seq int64) (plumbing.Hash, error) {
	for at := tip; !at.IsZero(); {
		if err := ctx.Err(); err != nil {
			return at, fault.New(fault.Cancelled, "read ledger: %w", err)
		}
		k, err := o.link(at)
		if err != nil {
			return at, err
		}
		if n := number(k.commit.Message); n >= 0 && n < seq {
			return at, nil
		}
		at = plumbing.NewHash(k.commit.Parent)
	}
	return plumbing.ZeroHash, nil
}
