// Merging within an envelope: a retraining that a monitor proposed, and that keeps within what its
// base branch declares, is put on that branch by compare-and-swap: the very commit that was judged,
// on top of the very commit that it was judged on.

package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// envelope is what decides on a pull request whose branch is that of a retraining, where a monitor of
// the base has those merged within an envelope; nil elsewhere.
func (s *ManagedRepository) envelope(ctx context.Context, pull port.PullRequest, rev port.Revision, base *pass.Intent, facts *ledger.Facts) (*watch.Retraining, error) {
	if !strings.HasPrefix(pull.Head, Retrainings+pull.Base+"/") {
		return nil, nil
	}
	monitor, spec, others := enveloped(base, pull, facts)
	if spec == nil {
		return nil, nil
	}
	out := &watch.Retraining{Monitor: monitor, Envelope: *spec.Envelope, Others: others, Facts: facts, Pull: pull, BaseSHA: rev.SHA, Base: base.Graph}
	for _, d := range base.Decls {
		if d.Ref() == spec.Deployment {
			out.Model = d.Spec.(schemas.Serves).Serves().Model
		}
	}
	if pull.Fork {
		return out, nil // and what it holds is not asked for
	}
	var err error
	if out.Commits, err = (Mirrored{s.mirror}).Merges(ctx, pull.HeadSHA, rev.SHA, 2); err != nil {
		return nil, err
	}
	out.Rejected, err = s.rejected(ctx, pull.Number)
	return out, err
}

// rejected lists who asked for changes of a pull request, and did not take it back.
func (s *ManagedRepository) rejected(ctx context.Context, pull int) (out []string, err error) {
	reviews, err := s.o.Forge.Reviews(ctx, pull)
	if err != nil {
		return nil, err
	}
	last := map[string]port.ReviewState{}
	for _, v := range reviews {
		if v.State != port.Commented {
			last[v.By.Login] = v.State
		}
	}
	for login, state := range last {
		if state == port.Rejected {
			out = append(out, login)
		}
	}
	slices.Sort(out)
	return out, nil
}

// enveloped is the monitor of base that has retrainings of this branch merged within its envelope; nil
// where none has. Where several have, it is the one that proposed the commit, and the envelopes of
// the others hold too. One that has people merge what it proposes, or proposes nothing, has no say in
// what others propose: its own are none of an envelope's.
func enveloped(base *pass.Intent, pull port.PullRequest, facts *ledger.Facts) (ref schemas.Ref, found *schemas.Monitor, others map[schemas.Ref]schemas.Envelope) {
	others = map[schemas.Ref]schemas.Envelope{}
	for _, d := range base.Decls {
		if _, is := d.Spec.(schemas.Watches); !is {
			continue
		}
		training, spec, err := trainingBehind(base, d.Ref())
		if err != nil || pull.Head != Retrainings+pull.Base+"/"+training.Metadata.Name {
			continue
		}
		if spec.OnDrift == nil || spec.OnDrift.Retrain != schemas.WithinEnvelope || spec.Envelope == nil {
			continue
		}
		others[d.Ref()] = *spec.Envelope
		if found == nil || proposedLast(facts, d.Ref()) == pull.HeadSHA {
			ref, found = d.Ref(), spec
		}
	}
	delete(others, ref)
	return ref, found, others
}

// proposedLast is the newest commit that a monitor proposed; "": none.
func proposedLast(facts *ledger.Facts, monitor schemas.Ref) string {
	if last := facts.Observed[monitor]; last != nil && last.Watched != nil && len(last.Watched.Proposals) > 0 {
		return last.Watched.Proposals[0].SHA
	}
	return ""
}

// mergeWithin puts a pull request on its base that keeps within an envelope. It is recorded first:
// nothing is merged that the ledger does not know of, and nothing twice. Where the base, or the pull
// request, has moved meanwhile, nothing is merged, and people are asked.
func (s *ManagedRepository) mergeWithin(ctx context.Context, r templates.Report) error {
	asks := r.Within
	if asks == nil || s.o.Refresh.Off {
		return nil
	}
	now, err := s.o.Forge.Pull(ctx, r.Pull)
	if err != nil || now.Closed || now.Draft || now.HeadSHA != asks.Pull.HeadSHA || now.Base != asks.Pull.Base {
		return err // it is looked at again
	}
	if said, err := s.rejected(ctx, r.Pull); err != nil || len(said) > 0 {
		return err // somebody said no meanwhile
	}
	h, err := s.beside(ctx, asks.Pull.Base, false)
	if err != nil {
		return err
	}
	defer h.Close()
	rev, in, err := h.Reconciler.Head(ctx)
	if err != nil || rev.SHA != asks.BaseSHA {
		return err // so is this, on the base as it is now
	}
	if cancelled, err := s.office.Cancelled(ctx, now, in); err != nil || cancelled {
		return err
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil || watch.Let(facts, asks.Pull.HeadSHA) != nil {
		return err // another controller has merged it
	}
	e, err := asks.Entry()
	if err != nil {
		return err
	}
	e.Actor, e.Author = h.Actor.String(), rev.Author
	e.Trigger, e.Machine = h.Trigger, h.Machine
	got, err := h.Ledger.Append(ctx, e)
	if err != nil {
		return fmt.Errorf("record that pull request %d is within its envelope: %w", r.Pull, err)
	}
	if err := s.move(ctx, asks.Pull.Base, asks.BaseSHA, asks.Pull.HeadSHA); err != nil {
		return fault.WithHint(fault.New(fault.Of(err), "merge pull request %d within the envelope of %s (entry %d): %w", r.Pull, asks.Monitor, got.Seq, err), "let a person merge it: the controller does not try twice")
	}
	s.o.Env.Log.InfoContext(ctx, "merged within its envelope", "pull", r.Pull, "monitor", asks.Monitor.String(), "entry", got.Seq, "revision", asks.Pull.HeadSHA)
	return nil
}
