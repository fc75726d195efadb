// What a site will need, opened once and told part by part: a pass would say the same,
// later and one by one.

package app

import (
	"context"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Checked is one thing that a site will need.
type Checked struct {
	What string
	Err  error // nil: it can be had
}

// Check opens what the site will need: the forge, the remote, and for each tracked
// branch its declarations, the store and the keys in its trust file. It writes to
// nothing but the mirror.
func (s *ManagedRepository) Check(ctx context.Context) (out []Checked) {
	refs, err := s.Refs(ctx)
	out = append(out, Checked{"remote", err})
	if err != nil {
		return append(out, s.checkForge(ctx)...)
	}
	out = append(out, s.checkForge(ctx)...)
	for _, branch := range s.tracked() {
		if refs.Branches[branch] == "" {
			out = append(out, Checked{"branch " + branch, fault.WithHint(fault.New(fault.Missing, "the remote has no such branch"), "push it, or correct branches in the configuration")})
			continue
		}
		out = append(out, s.checkBranch(ctx, branch)...)
	}
	return out
}

func (s *ManagedRepository) checkForge(ctx context.Context) []Checked {
	if s.o.Forge == nil {
		return nil
	}
	for _, branch := range slices.Concat(s.tracked(), []string{"main"}) {
		_, err := s.o.Forge.Open(ctx, branch)
		return []Checked{{"forge", err}}
	}
	return nil
}

func (s *ManagedRepository) checkBranch(ctx context.Context, branch string) []Checked {
	what := "branch " + branch
	s.asked("fetch")
	if err := s.mirror.Fetch(ctx, "refs/heads/"+branch); err != nil {
		return []Checked{{what, err}}
	}
	h, err := s.beside(ctx, branch, true)
	if err != nil { // it names the trust file, the keys or the store
		return []Checked{{what, err}}
	}
	defer h.Close()
	_, _, read := h.Head(ctx)
	_, kept := h.Store.Has(ctx, digest.Of(nil))
	return []Checked{{what, read}, {"store of branch " + branch, kept}}
}
