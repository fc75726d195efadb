// Package gitchain reads the ledger as it lies in Git's commits: along the first-parent line,
// each entry from its commit's own tree. A commit that holds another entry than the branch
// does, or one entry more, shows. Whose signatures count is for who reads.
package gitchain

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
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// Chain reads the ledger's commits, one entry each. It is not for several goroutines at once.
type Chain struct{ gitstore.Objects }

// Link is one commit of the chain.
type Link struct {
	ID     plumbing.Hash
	Raw    []byte
	Commit ledger.Commit
}

// Link reads one.
func (o Chain) Link(h plumbing.Hash) (Link, error) {
	raw, err := o.Read(plumbing.CommitObject, h)
	if err != nil {
		return Link{}, err
	}
	c, err := ledger.ParseCommit(raw)
	if err != nil {
		return Link{}, fault.WithHint(fault.New(fault.Corrupt, "%s (commit %s): %w", numbered(raw), h.String()[:12], err),
			"compare this ledger branch with another clone's")
	}
	return Link{h, raw, c}, nil
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

// Back is the commits after stop up to tip, oldest first; ok is false where tip
// does not descend from stop. Everything descends from the zero hash.
func (o Chain) Back(ctx context.Context, tip, stop plumbing.Hash) (links []Link, ok bool, err error) {
	floor := int64(-1)
	if !stop.IsZero() && tip != stop {
		if !o.Has(stop) {
			return nil, false, nil
		}
		k, err := o.Link(stop)
		if err != nil {
			return nil, false, err
		}
		floor = number(k.Commit.Message)
	}
	for at := tip; at != stop; {
		if err := ctx.Err(); err != nil {
			return nil, false, fault.New(fault.Cancelled, "read ledger: %w", err)
		}
		if at.IsZero() {
			return nil, false, nil
		}
		k, err := o.Link(at)
		if err != nil {
			return nil, false, err
		}
		if n := number(k.Commit.Message); n >= 0 && n <= floor {
			return nil, false, nil // no need to go on to the first: numbers only grow
		}
		links = append(links, k)
		at = plumbing.NewHash(k.Commit.Parent)
	}
	for i, j := 0, len(links)-1; i < j; i, j = i+1, j-1 {
		links[i], links[j] = links[j], links[i]
	}
	return links, true, nil
}

// TreeOf is the tree of a commit.
func (o Chain) TreeOf(commit plumbing.Hash) (plumbing.Hash, error) {
	k, err := o.Link(commit)
	return plumbing.NewHash(k.Commit.Tree), err
}

// shelf is the entries folder as it must be at one commit, grown entry by entry
// so that each commit's own tree is compared without being read.
type shelf struct {
	folders []gitstore.Item // of entries/
	last    []gitstore.Item // of the newest folder
	raw     []byte          // the newest folder as a tree object
}

func (o Chain) shelf(base plumbing.Hash) (*shelf, error) {
	s := &shelf{}
	if base.IsZero() {
		return s, nil
	}
	root, err := o.TreeOf(base)
	if err != nil {
		return nil, err
	}
	items, err := o.Tree(root)
	if err != nil {
		return nil, err
	}
	if s.folders, err = o.Tree(gitstore.Lookup(items, "entries")); err != nil {
		return nil, err
	}
	return s, nil
}

// grow adds entry seq, and is the name of the entries tree that holds it.
func (s *shelf) grow(o Chain, seq int64, blob plumbing.Hash) (plumbing.Hash, error) {
	dir, file := path.Split(strings.TrimPrefix(ledger.Path(seq), "entries/"))
	dir = strings.TrimSuffix(dir, "/")
	switch {
	case seq%ledger.Folder == 0:
		s.last, s.raw = nil, nil
	case s.raw == nil:
		var err error
		if s.last, err = o.Tree(gitstore.Lookup(s.folders, dir)); err != nil {
			return plumbing.ZeroHash, err
		}
		s.raw = gitstore.EncodeTree(s.last)
	}
	s.raw = append(s.raw, gitstore.EncodeTree([]gitstore.Item{{Mode: gitstore.FileMode, Name: file, Hash: blob}})...)
	folder := plumbing.ComputeHash(plumbing.TreeObject, s.raw)
	s.folders = gitstore.With(s.folders, gitstore.Item{Mode: gitstore.FolderMode, Name: dir, Hash: folder})
	return plumbing.ComputeHash(plumbing.TreeObject, gitstore.EncodeTree(s.folders)), nil
}

// Records are the entries of links, whose first is number seq and follows base.
func (o Chain) Records(ctx context.Context, links []Link, base plumbing.Hash, seq int64) iter.Seq2[ledger.Record, error] {
	return func(yield func(ledger.Record, error) bool) {
		if len(links) == 0 {
			return
		}
		s, err := o.shelf(base)
		if err != nil {
			yield(ledger.Record{}, err)
			return
		}
		books := catalogue{Chain: o, tip: links[len(links)-1], folders: map[string]map[string]plumbing.Hash{}}
		for i, k := range links {
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
	Chain
	tip     Link
	folders map[string]map[string]plumbing.Hash
}

func (c catalogue) find(seq int64) (plumbing.Hash, error) {
	dir, file := path.Split(ledger.Path(seq))
	names, ok := c.folders[dir]
	if !ok {
		at := plumbing.NewHash(c.tip.Commit.Tree)
		for part := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
			items, err := c.Tree(at)
			if err != nil {
				return at, err
			}
			at = gitstore.Lookup(items, part)
		}
		items, err := c.Tree(at)
		if err != nil {
			return at, err
		}
		names = make(map[string]plumbing.Hash, len(items))
		for _, i := range items {
			names[i.Name] = i.Hash
		}
		c.folders[dir] = names
	}
	return names[file], nil
}

func (c catalogue) record(s *shelf, k Link, seq int64) (ledger.Record, error) {
	bad := func(format string, args ...any) (ledger.Record, error) {
		if err := errors.Join(causes(args)...); fault.Of(err) == fault.Missing && c.Store.Partial() {
			return ledger.Record{}, fmt.Errorf("entry %d (commit %s): %w", seq, k.ID.String()[:12], err) // the clone was made without it
		}
		return ledger.Record{}, fault.WithHint(fault.New(fault.Corrupt, "entry %d (commit %s): "+format, append([]any{seq, k.ID.String()[:12]}, args...)...),
			"compare this ledger branch with another clone's")
	}
	blob, err := c.find(seq)
	if err != nil {
		return bad("%w", err)
	}
	if blob.IsZero() {
		return bad("the branch holds no %s", ledger.Path(seq))
	}
	bundle, err := c.Read(plumbing.BlobObject, blob)
	if err != nil {
		return bad("%w", err)
	}
	want, err := s.grow(c.Chain, seq, blob)
	if err != nil {
		return bad("%w", err)
	}
	items, err := c.Tree(plumbing.NewHash(k.Commit.Tree))
	if err != nil {
		return bad("%w", err)
	}
	for _, i := range items {
		if i.Mode != gitstore.FolderMode || i.Name != "entries" && i.Name != "facts" {
			return bad("its tree holds %s, which does not belong there", i.Name)
		}
	}
	if gitstore.Lookup(items, "entries") != want {
		return bad("its tree does not hold exactly the entries up to it")
	}
	return ledger.Record{ID: k.ID.String(), Commit: k.Raw, Bundle: bundle}, nil
}

// Before is the commit of the entry before number seq, or of the newest where
// there are fewer.
func (o Chain) Before(ctx context.Context, tip plumbing.Hash, seq int64) (plumbing.Hash, error) {
	for at := tip; !at.IsZero(); {
		if err := ctx.Err(); err != nil {
			return at, fault.New(fault.Cancelled, "read ledger: %w", err)
		}
		k, err := o.Link(at)
		if err != nil {
			return at, err
		}
		if n := number(k.Commit.Message); n >= 0 && n < seq {
			return at, nil
		}
		at = plumbing.NewHash(k.Commit.Parent)
	}
	return plumbing.ZeroHash, nil
}

// Whole tells whether the ledger from tip back to stop is on this machine.
func (o Chain) Whole(ctx context.Context, tip, stop plumbing.Hash) (bool, error) {
	for at := tip; at != stop && !at.IsZero(); {
		if err := ctx.Err(); err != nil {
			return false, fault.New(fault.Cancelled, "read ledger: %w", err)
		}
		if !o.Has(at) {
			return false, nil
		}
		k, err := o.Link(at)
		if err != nil {
			return false, err
		}
		root := plumbing.NewHash(k.Commit.Tree)
		if at != tip && !o.Has(root) || at == tip && !o.wholeTree(root) {
			return false, nil
		}
		at = plumbing.NewHash(k.Commit.Parent)
	}
	return true, nil
}

func (o Chain) wholeTree(root plumbing.Hash) bool {
	if !o.Has(root) {
		return false
	}
	items, err := o.Tree(root)
	if err != nil {
		return true // what is wrong with it is said by who reads it
	}
	for _, i := range items {
		if i.Mode == gitstore.FolderMode && !o.wholeTree(i.Hash) || i.Mode != gitstore.FolderMode && !o.Has(i.Hash) {
			return false
		}
	}
	return true
}

// causes are the errors among args.
func causes(args []any) (out []error) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			out = append(out, err)
		}
	}
	return out
}
