// What a site will need, opened once and told part by part: a pass would say the same,
// later and one by one.

package app

import (
	"context"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Checked is one thing that a site will need.
type Checked struct {
	What string
	Err  error // nil: it is available
}

// Check opens what the site will need: the remote and the forge, each also whether it may be
// written to, and for each tracked branch its declarations, the keys in its trust file, the
// store and the ledger. It writes to nothing but the mirror and, where a place of artifacts
// cannot be tested otherwise, the store's empty content.
func (s *ManagedRepository) Check(ctx context.Context) (out []Checked) {
	refs, err := s.Refs(ctx)
	out = append(out, Checked{"remote", err})
	if err == nil {
		s.asked("push")
		out = append(out, Checked{"push to the remote", s.mirror.MayPush(ctx)})
	}
	out = append(out, s.checkForge(ctx)...)
	if err != nil {
		return out
	}
	for _, branch := range s.tracked() {
		if refs.Branches[branch] == "" {
			out = append(out, Checked{"branch " + branch, fault.WithHint(fault.New(fault.Missing, "the remote has no such branch"), "push it, or correct branches in the configuration")})
			continue
		}
		out = append(out, s.checkBranch(ctx, branch)...)
	}
	return out
}

func (s *ManagedRepository) checkForge(ctx context.Context) (out []Checked) {
	if s.o.Forge == nil {
		return nil
	}
	branch := append(slices.Clone(s.tracked()), "main")[0]
	_, err := s.o.Forge.Open(ctx, branch)
	out = append(out, Checked{"forge", err})
	if f, can := s.o.Forge.(interface{ MayWrite(context.Context) error }); can && err == nil {
		out = append(out, Checked{"results on the forge", f.MayWrite(ctx)})
	}
	return out
}

func (s *ManagedRepository) checkBranch(ctx context.Context, branch string) []Checked {
	what := "branch " + branch
	s.asked("fetch")
	if err := s.mirror.Fetch(ctx, "refs/heads/"+branch); err != nil {
		return []Checked{{what, err}}
	}
	h, err := s.beside(ctx, branch, false)
	if err != nil { // it names the trust file, the keys or the store
		return []Checked{{what, err}}
	}
	defer h.Close()
	_, _, read := h.Head(ctx)
	_, kept := h.Store.Has(ctx, digest.Of(nil))
	if t, can := h.Store.(port.WriteTester); can && kept == nil {
		kept = t.TestWrite(ctx)
	}
	_, err = h.Ledger.Facts(ctx) // fetched, and verified
	return []Checked{{what, read}, {"keys in the trust file of branch " + branch, nil}, {"store of branch " + branch, kept}, {"ledger of branch " + branch, err}}
}
