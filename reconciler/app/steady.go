// The ledger holds its place: a change of spec.ledger that names another branch or
// remote would forget all that is recorded, and with it who guards what and which
// approvals are spent. It is moved with its history, or not at all.

package app

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// ledgerPlace is where a ledger is.
type ledgerPlace struct{ Remote, Branch string }

// located is where l is, with what is usual in this clone filled in.
func (h *Repository) located(l schemas.Ledger) ledgerPlace {
	return ledgerPlace{Remote: cmp.Or(l.Remote, h.Repo.Place().Remote), Branch: cmp.Or(l.Branch, gitledger.UsualBranch)}
}

// oneRemote refuses a clone of several remotes where nothing says which of them has the ledger:
// to begin another one here would forget what is recorded there.
func (h *Repository) oneRemote(ctx context.Context, l schemas.Ledger) error {
	place := h.Repo.Place()
	if l.Remote != "" || place.Own == nil || place.Address(place.Remote) != "" {
		return nil
	}
	set, err := place.Own.Settings(ctx)
	if err != nil {
		return err
	}
	names := set.Remotes()
	if len(names) == 0 {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "this clone has the remotes %s, none of them is called %s, and its branch follows none: it is not known which of them has the ledger",
		strings.Join(names, " and "), gitremote.Origin), "name it in spec.ledger.remote of %s, or have the branch go with it: git branch --set-upstream-to REMOTE/BRANCH", schemas.Root)
}

// steadyLedger is the ledger that a revision names, once it is known to hold what those hold
// that were named before.
type steadyLedger struct {
	*gitledger.Ledger
	repository *Repository
	options    gitledger.Options
	now        ledgerPlace
	named      func(text string) string // as others read it

	mu   sync.Mutex
	held bool
}

var _ pass.Ledger = (*steadyLedger)(nil)

func (s *steadyLedger) Facts(ctx context.Context) (*ledger.Facts, error) {
	f, err := s.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	return f, s.hold(ctx, f)
}

func (s *steadyLedger) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if !held {
		if _, err := s.Facts(ctx); err != nil {
			return e, err
		}
	}
	return s.Ledger.Append(ctx, e.Named(s.named))
}

// hold looks, once, whether what was recorded elsewhere is in f too.
func (s *steadyLedger) hold(ctx context.Context, f *ledger.Facts) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return nil
	}
	settled, err := s.settled(ctx, f)
	if err == nil && !settled {
		err = s.compare(ctx)
	}
	s.held = err == nil
	return err
}

// settled tells whether the revision at which this ledger began named it: what came
// before that was compared then.
func (s *steadyLedger) settled(ctx context.Context, f *ledger.Facts) (bool, error) {
	if f.Count == 0 || f.Started == "" {
		return false, nil
	}
	tree, err := s.repository.Repo.Open(ctx, f.Started)
	if err != nil {
		return false, ctx.Err() // another repository's, or a clone that ends before: compared
	}
	project, _, err := pass.Settings(tree)
	return err == nil && project != nil && s.repository.located(project.Ledger) == s.now, nil
}

// compare holds the ledger against all that were named before.
func (s *steadyLedger) compare(ctx context.Context) error {
	head, err := s.repository.Repo.Head(ctx)
	if err != nil {
		return err
	}
	versions, err := s.repository.Repo.Versions(ctx, head.SHA, schemas.Root)
	if err != nil {
		return fmt.Errorf("look where the ledger was: %w", err)
	}
	seen := map[ledgerPlace]bool{s.now: true}
	for _, text := range versions {
		was := s.repository.located(pass.ParseProject(text).Ledger)
		if seen[was] {
			continue
		}
		seen[was] = true
		if err := s.continues(ctx, was); err != nil {
			return err
		}
	}
	return nil
}

// continues refuses a ledger that lacks what was recorded where it was before.
func (s *steadyLedger) continues(ctx context.Context, was ledgerPlace) error {
	o := s.options
	o.Branch, o.Remote, o.Fence, o.CacheDir = was.Branch, was.Remote, nil, ""
	o.Held = func() bool { return false } // it is only looked at
	before, err := gitledger.Open(s.repository.Repo.Place(), o)
	if err != nil {
		return nil // no name that a ledger can have
	}
	if _, err := before.Facts(ctx); err != nil {
		return fmt.Errorf("read the ledger %s of %s, which %s named before: %w", was.Branch, was.Remote, schemas.Root, err)
	}
	ok, entries, err := s.Continues(ctx, before)
	if err == nil && entries > 0 && before.Remote() != "" && s.Remote() == "" {
		return fault.WithHint(fault.New(fault.Denied, "%s: spec.ledger names the remote %s, which this clone does not have: what is recorded would stay here, and the ledger of %s at %s would be the last that others see",
			schemas.Root, s.now.Remote, plural.Of(entries, "entry"), was.Remote), "name a remote that every clone has, and move the ledger there with its history, or take the change of spec.ledger back")
	}
	if err != nil || ok {
		return err
	}
	from := was.Branch
	if before.Remote() != "" {
		from = "refs/remotes/" + was.Remote + "/" + was.Branch
	}
	to := "git branch -f " + s.now.Branch + " " + from
	if s.Remote() != "" {
		to = "git push " + s.now.Remote + " " + from + ":refs/heads/" + s.now.Branch
	}
	return fault.WithHint(fault.New(fault.Denied, "%s: spec.ledger names %s of %s, which lacks %s of %s of %s: another ledger would forget what guards the environments and which approvals are spent",
		schemas.Root, s.now.Branch, s.now.Remote, plural.Of(entries, "entry"), was.Branch, was.Remote),
		"move the ledger with its history (%s), or take the change of spec.ledger back", to)
}
