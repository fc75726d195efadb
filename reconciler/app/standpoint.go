// A standpoint: a tracked branch as it is when somebody looks at it on schedule, and what proposes
// changes of it.

package app

import (
	"context"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// standpoint is a tracked branch, opened. Whoever has it closes h.
type standpoint struct {
	h     *Repository
	rev   port.Revision
	in    *pass.Intent
	facts *ledger.Facts
}

func (s *ManagedRepository) standpoint(ctx context.Context, branch string) (*standpoint, error) {
	h, err := s.beside(ctx, branch, false)
	if err != nil {
		return nil, err
	}
	at := &standpoint{h: h}
	if at.rev, at.in, err = h.Reconciler.Head(ctx); err == nil {
		at.facts, err = h.Ledger.Facts(ctx)
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return at, nil
}

// proposer proposes changes of the branch that at stands on, and works in a folder of that name. It
// knows what the ledger says now: a window takes minutes to read.
func (s *ManagedRepository) proposer(ctx context.Context, at *standpoint, folder string) (*Proposer, error) {
	facts, err := at.h.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	return &Proposer{
		Repo: at.h.Repo, Base: at.rev.Branch, Head: at.rev.SHA, Dir: filepath.Join(at.h.Paths.State, folder, filepath.FromSlash(at.rev.Branch)),
		Sign: at.h.Keys.SSH, Trust: at.h.Trust, Tip: s.tip, Move: s.move, Push: true, Facts: facts, Releases: at.h.Releases, Remember: &s.stated,
	}, nil
}

// answering is how data is looked at that a proposal to train again moves.
func (s *ManagedRepository) answering(ctx context.Context, h *Repository) RefreshOptions {
	return RefreshOptions{
		Env: s.o.Env, Store: h.Store, Serving: h.Paths.Serving(), Allow: s.o.Refresh.Allow,
		Tell: func(line string) { s.o.Env.Log.InfoContext(ctx, line) },
	}
}
