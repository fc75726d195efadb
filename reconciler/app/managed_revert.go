// What was rolled back is reverted: after each pass, where a tracked branch declares it still.

package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/schemas"
)

// revert proposes to revert what the releases of branch were rolled back from. One that cannot be reverted is told, and keeps no other
// from it.
func (s *ManagedRepository) revert(ctx context.Context, branch string) (notes []string, err error) {
	if s.o.Refresh.Off || !s.anyRolledBack(branch) {
		return nil, nil
	}
	at, err := s.standpoint(ctx, branch)
	if err != nil {
		return nil, err
	}
	defer at.h.Close()
	refs, err := at.h.RolledBack(ctx, at.in, at.rev)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	p, err := s.proposer(ctx, at, "revert")
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, ref := range refs {
		n := at.in.Graph.Node(ref)
		if n == nil {
			continue
		}
		spec, can := n.Decl.Spec.(schemas.RolledOut)
		if !can {
			continue
		}
		proposed, direct := spec.Rolls().Reverts()
		if !proposed {
			continue
		}
		got, err := p.Revert(ctx, ref, direct, s.propose())
		var none Unreverted
		switch {
		case errors.As(err, &none):
			notes = append(notes, fmt.Sprintf("What %s was rolled back from is still declared. No revert is proposed: %s.", ref, none.Why))
		case err != nil:
			failed = append(failed, fmt.Errorf("propose to revert what %s was rolled back from: %w", ref, err))
		case got.URL != "" && got.Pull == 0: // people said no
		default:
			s.o.Env.Log.InfoContext(ctx, "reverts what was rolled back", "deployment", ref.String(), "branch", got.Branch, "revision", got.SHA, "pull", got.Pull)
			notes = append(notes, fmt.Sprintf("What %s was rolled back from is reverted on %s.", ref, got.Branch))
			if got.Branch == branch {
				p.Head = got.SHA
			}
			if s.o.Refresh.Consider && got.Pull > 0 {
				if _, err := s.ReconcilePull(ctx, got.Pull); err != nil {
					failed = append(failed, err)
				}
			}
		}
	}
	return notes, worst(failed)
}

// anyRolledBack tells whether something was rolled back that branch declares, as far as is known.
func (s *ManagedRepository) anyRolledBack(branch string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref, st := range s.served.deployed {
		if st.rollout.Phase == rollout.RolledBack && (s.served.by[ref] == branch || s.served.by[ref] == "") {
			return true
		}
	}
	return false
}
