// Proposing: the pin of data that has moved becomes a commit, on a branch of its own
// for people to merge, or on the tracked branch where its declaration says so.

package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Proposed is a pin as a commit.
type Proposed struct {
	Branch string `json:"branch"`
	SHA    string `json:"sha"`
	Pull   int    `json:"pull,omitempty"`
	URL    string `json:"url,omitempty"` // of the pull request
}

// Proposer makes the commits.
type Proposer struct {
	Repo     *repo.Repo
	Base     string                     // the tracked branch
	Head     string                     // its commit
	Dir      string                     // folder to work in, apart from any checkout
	Checkout *data.Workspace            // whose cache is used; nil: there is none
	For      string                     // who asked for it, as Name <address>; "": a schedule
	Sign     func() (ssh.Signer, error) // nil: commits are not signed
	Trust    *trust.Trust               // of the tracked branch: whose commits are a controller's
	// Tip is what a branch is at; "" where it is not there.
	Tip func(ctx context.Context, branch string) (sha string, err error)
	// Move makes branch sha where it is still at was.
	Move func(ctx context.Context, branch, was, sha string) error
	// Ask opens a pull request of branch into Base, or finds it; nil: people do.
	Ask func(ctx context.Context, p templates.PinText, branch, sha string) (number int, url string, err error)
	// Facts is what was made so far; nil: nobody knows.
	Facts *ledger.Facts
	// Releases are the releases of a deployment, oldest first; nil: the newest alone is known, by Facts.
	Releases func(ctx context.Context, ref schemas.Ref) ([]ledger.Entry, error)
	// Remember is what commits were found to declare before; nil: nothing is kept.
	Remember *remembered
	// Push has the data at its remote before its pin is proposed; without a remote, nothing is.
	Push bool
}

// Proposals begins the names of branches on which pins are proposed.
const Proposals = "vishwa/refresh/"

// PinBranch is the branch on which the pin of a dataset of the branch base is proposed.
func PinBranch(base string, ref schemas.Ref) string { return Proposals + base + "/" + ref.Name }

// Propose looks at the sources that Head declares, and proposes the pins of those that
// have moved. The same data is proposed once. What fails is told with its dataset, and
// keeps no other from being looked at.
func (p *Proposer) Propose(ctx context.Context, o RefreshOptions) ([]Refreshed, []error) {
	tree, err := p.Repo.Open(ctx, p.Head)
	if err != nil {
		return nil, []error{err}
	}
	decls, err := o.refreshable(ctx, tree)
	if err != nil {
		return nil, []error{err}
	}
	var out []Refreshed
	var failed []error
	for _, d := range decls {
		r, err := p.one(ctx, d, o)
		if err != nil {
			failed = append(failed, about(d, err))
			continue
		}
		out = append(out, r)
	}
	return out, failed
}

func (p *Proposer) one(ctx context.Context, d schemas.Declaration, o RefreshOptions) (Refreshed, error) {
	tree, err := p.Repo.Open(ctx, p.Head)
	if err != nil {
		return Refreshed{}, err
	}
	s, err := o.inspectSource(ctx, tree, d)
	if err != nil || !s.moved {
		return s.Refreshed, err
	}
	to, parent := p.Base, p.Head
	was := p.Head
	direct := d.Spec.(schemas.Data).Data().Source.Refresh.Direct()
	if !direct {
		to = PinBranch(p.Base, d.Ref())
		if was, err = p.Tip(ctx, to); err != nil {
			return s.Refreshed, err
		}
		if parent, err = p.below(ctx, was); err != nil {
			return s.Refreshed, err
		}
		if there, err := p.same(ctx, was, s); err != nil || there != nil {
			if err != nil {
				return s.Refreshed, err
			}
			s.told(there)
			s.Proposed = &Proposed{Branch: to, SHA: was}
			return s.Refreshed, p.ask(ctx, &s.Refreshed)
		}
	}
	if p.Checkout != nil { // until a branch points to what is taken in
		held, err := p.Checkout.Cache().Hold()
		if err != nil {
			return s.Refreshed, err
		}
		defer held.Close()
	}
	r, files, err := p.fetchForCommit(ctx, s, parent, o)
	if err != nil {
		return r, err
	}
	message := PinText(r).Message()
	if p.For != "" {
		message = strings.TrimRight(message, "\n") + "\n\nRequested-by: " + p.For + "\n"
	}
	sha, err := p.Repo.Write(ctx, repo.CommitDraft{Parent: parent, Files: files, Message: message, Time: o.Env.Now(), Sign: p.Sign})
	if err != nil {
		return r, err
	}
	if err := p.Move(ctx, to, was, sha); err != nil {
		return r, err
	}
	r.Proposed = &Proposed{Branch: to, SHA: sha}
	if direct {
		p.Head = sha
		return r, nil
	}
	return r, p.ask(ctx, &r)
}

// below is the commit that a proposal goes on top of: the tracked branch, so that it can
// be merged; but what other people put on the proposal's branch is kept.
func (p *Proposer) below(ctx context.Context, tip string) (string, error) {
	if tip == "" {
		return p.Head, nil
	}
	authors, err := p.Repo.Authors(ctx, p.Head, tip)
	if err != nil {
		return "", err
	}
	// Of repo.CommitDraft. What bears it without a controller's signature is nobody's work: who amends or picks a commit is
	// its committer, and what pretends to be a controller's is written over.
	const name = "Vishwa <vishwa@localhost>"
	if !slices.ContainsFunc(authors, func(a string) bool { return a != name }) {
		return p.Head, nil
	}
	in, err := p.Repo.Contains(ctx, p.Head, tip)
	if err != nil || in {
		return p.Head, err
	}
	return tip, nil
}

// same is the pin of the branch at tip, where it is of what was seen, and written by a controller;
// nil elsewhere.
func (p *Proposer) same(ctx context.Context, tip string, s sight) (*data.Pinning, error) {
	if tip == "" {
		return nil, nil
	}
	if ours, err := p.ours(ctx, tip); err != nil || !ours {
		return nil, err
	}
	tree, err := p.Repo.Open(ctx, tip)
	if err != nil {
		return nil, err
	}
	there, err := data.Pinned(tree, s.Pin)
	if err != nil || there == nil || there.Said[data.Token] != s.seen.Token {
		return nil, nil // a pin that cannot be read is written anew
	}
	return there, nil
}

// told takes over what a pin says that was made of what was seen.
func (s *sight) told(p *data.Pinning) {
	s.Size, s.Files = max(p.Size, 0), int64(len(s.seen.Files))
	s.Columns, _ = strconv.Atoi(p.Said[data.Columns])
	if n, err := strconv.ParseInt(p.Said[data.Rows], 10, 64); err == nil {
		s.Rows = n
	}
}

// fetchForCommit has the data in the cache and at the remote, and is what the commit holds.
func (p *Proposer) fetchForCommit(ctx context.Context, s sight, parent string, o RefreshOptions) (Refreshed, map[string][]byte, error) {
	tree, err := p.Repo.Open(ctx, parent)
	if err != nil {
		return s.Refreshed, nil, err
	}
	dir := filepath.Join(p.Dir, s.Ref.Name)
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return s.Refreshed, nil, fault.WithHint(fault.New(fault.Invalid, "make room: %w", err), "make %s writable", p.Dir)
	}
	held, err := sandbox.Lock(ctx, dir+".lock")
	if err != nil {
		return s.Refreshed, nil, err
	}
	defer held.Close()
	w, err := data.NewDetached(tree, s.Pin, dir, p.Checkout, data.Options{Env: o.Env})
	if err != nil {
		return s.Refreshed, nil, err
	}
	if p.Push && !w.Configured() {
		return s.Refreshed, nil, fault.WithHint(fault.New(fault.Missing, "the repository names no DVC remote, and nobody else could have the data"), "set one: vishwa data remote add -d NAME URL")
	}
	r, err := o.fetchAndPin(ctx, w, s)
	if err != nil {
		return r, nil, err
	}
	if p.Push {
		if _, err := w.Push(ctx, "", nil); err != nil {
			return r, nil, fmt.Errorf("push the data: %w", err)
		}
	}
	files, err := w.Written(s.Pin)
	if err != nil {
		return r, nil, err
	}
	return r, files, os.RemoveAll(dir)
}

func (p *Proposer) ask(ctx context.Context, r *Refreshed) error {
	if p.Ask == nil {
		return nil
	}
	n, url, err := p.Ask(ctx, PinText(*r), r.Proposed.Branch, r.Proposed.SHA)
	if err != nil {
		return err
	}
	r.Proposed.Pull, r.Proposed.URL = n, url
	return nil
}

// PinText is what people are told of a pin that moves.
func PinText(r Refreshed) templates.PinText {
	return templates.PinText{
		Ref: r.Ref, Pin: r.Pin, From: r.From, Files: r.Files, WasBytes: r.WasBytes, Bytes: r.Size, WasRows: r.WasRows, Rows: r.Rows,
		WasColumns: r.WasColumns, Cols: r.Columns, Changes: r.Changes, Warnings: r.Warnings,
	}
}
