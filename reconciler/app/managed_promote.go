// What registries of others were told to serve is proposed, after they were shown what landed.

package app

import (
	"context"
	"errors"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// promote proposes that environments of branch serve what a tracker was told that they do. What people closed without merging, and what cannot
// be proposed, is declined: the next showing changes it back.
func (s *ManagedRepository) promote(ctx context.Context, branch string, t TrackerState) (declined bool, err error) {
	switch {
	case s.o.Refresh.Off: // a job after a push leaves it for who proposes
		return false, nil
	case len(t.moved) == 0 && t.wishes:
		return false, s.withdrawUnasked(ctx, branch, nil)
	case len(t.moved) == 0:
		return false, nil
	}
	at, err := s.standpoint(ctx, branch)
	if err != nil {
		return false, err
	}
	defer at.h.Close()
	p, err := s.proposer(ctx, at, "promote")
	if err != nil {
		return false, err
	}
	log := s.o.Env.Log
	var failed []error
	asked := map[string]bool{}
	for _, m := range t.moved {
		for i := range at.in.Graph.Nodes {
			n := &at.in.Graph.Nodes[i]
			spec, serves := n.Decl.Spec.(schemas.Serves)
			if !serves || spec.Serves().Environment != m.Environment || spec.Serves().Model.Name != m.Model {
				continue
			}
			asked[n.Ref.Name] = true
			got, err := p.Promote(ctx, n.Ref, t.Tracker, m, s.propose())
			var none Unreverted
			switch {
			case errors.As(err, &none):
				log.WarnContext(ctx, "an alias that was moved is not proposed, and put back", "tracker", t.Tracker, "deployment", n.Ref.String(), "why", none.Why)
				s.decline(branch, m)
				declined = true
			case err != nil:
				failed = append(failed, err)
			case got.URL != "" && got.Pull == 0:
				s.decline(branch, m)
				declined = true
			default:
				if got.Pull > 0 {
					failed = append(failed, s.withdrawOlder(ctx, p.Base, n.Ref, got))
				}
				log.InfoContext(ctx, "an alias that was moved is proposed", "tracker", t.Tracker, "deployment", n.Ref.String(), "branch", got.Branch, "revision", got.SHA, "pull", got.Pull)
			}
		}
	}
	if t.wishes {
		failed = append(failed, s.withdrawUnasked(ctx, p.Base, asked))
	}
	return declined, worst(failed)
}

// withdrawUnasked closes what was proposed for deployments whose aliases are where the branch declares them.
func (s *ManagedRepository) withdrawUnasked(ctx context.Context, base string, asked map[string]bool) error {
	if s.o.Forge == nil {
		return nil
	}
	open, err := s.office.Forge.Open(ctx, base)
	if err != nil {
		return err
	}
	for _, p := range open {
		name, ours := strings.CutPrefix(p.Head, Promotions+base+"/")
		name, _, _ = strings.Cut(name, "/")
		if p.Fork || !ours || asked[name] {
			continue
		}
		if err := s.office.Forge.Withdraw(ctx, p.Number, templates.PromotedBack()); err != nil {
			return err
		}
	}
	return nil
}

// withdrawOlder closes what was proposed for ref when its alias was elsewhere: merged, it would declare what nobody asks for any more.
func (s *ManagedRepository) withdrawOlder(ctx context.Context, base string, ref schemas.Ref, newest Proposed) error {
	open, err := s.office.Forge.Open(ctx, base)
	if err != nil {
		return err
	}
	for _, p := range open {
		if p.Fork || p.Head == newest.Branch || !strings.HasPrefix(p.Head, Promotions+base+"/"+ref.Name+"/") {
			continue
		}
		if err := s.office.Forge.Withdraw(ctx, p.Number, templates.PromotedElsewhere(newest.Pull)); err != nil {
			return err
		}
	}
	return nil
}

// decline notes that people said no.
func (s *ManagedRepository) decline(branch string, m port.TrackerMoved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused[branch] == nil {
		s.refused[branch] = map[port.TrackerMoved]bool{}
	}
	s.refused[branch][m] = true
}

// declines tells whether people said no to what a tracker was told.
func (s *ManagedRepository) declines(branch string) func(port.TrackerMoved) bool {
	return func(m port.TrackerMoved) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.refused[branch][m]
	}
}

// again tells whether what failed is worth another try.
func again(err error) bool {
	k := fault.Of(err)
	return err != nil && (k == fault.Transient || k == fault.Conflict)
}
