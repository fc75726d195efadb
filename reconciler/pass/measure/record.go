// Recording: each entry of a monitor is made from the newest one, and follows it or is made anew. What
// another controller found, proposed or sent meanwhile is never copied over.

package measure

import (
	"context"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// mostTries is how often an entry is made anew where others were faster.
const mostTries = 8

// observe is record, of what a monitor found.
func (b *Bench) observe(ctx context.Context, ref schemas.Ref, revision string, follow func(last *ledger.Entry) (w *ledger.Watched, reason string)) (ledger.Entry, error) {
	return b.record(ctx, ref, revision, func(last *ledger.Entry) (seen, string) {
		w, reason := follow(last)
		return seen{Watched: w}, reason
	})
}

// seen is what an observation tells: of a monitor, or of a stack.
type seen struct {
	*ledger.Watched
	*ledger.Stack
}

// record records what follow makes of the newest entry of ref; nothing of it is that there is nothing
// to record. last is nil where there is none.
func (b *Bench) record(ctx context.Context, ref schemas.Ref, revision string, follow func(last *ledger.Entry) (what seen, reason string)) (got ledger.Entry, err error) {
	for range mostTries {
		facts, err := b.Ledger.Facts(ctx)
		if err != nil {
			return got, err
		}
		follows, last := int64(ledger.First), facts.Observed[ref]
		if last != nil {
			follows = last.Seq
		}
		what, reason := follow(last)
		if what == (seen{}) {
			return got, nil
		}
		got, err = b.Ledger.Append(ctx, ledger.Entry{
			Action: ledger.Observe, Ref: ref, Revision: revision, Actor: b.Actor.String(), Trigger: b.Trigger, Machine: b.Machine,
			Reason: reason, Watched: what.Watched, Stack: what.Stack, Follows: follows,
		})
		if err == nil || fault.Of(err) != fault.Conflict {
			return got, err
		}
	}
	return got, fault.WithHint(fault.New(fault.Conflict, "record what %s found: others record something about it all the time", ref), "let one controller measure it")
}

// Record writes down what was found, once: the same evidence is no news.
func (b *Bench) Record(ctx context.Context, m *Measured, revision string) error {
	var same *ledger.Entry
	got, err := b.observe(ctx, m.Ref, revision, func(last *ledger.Entry) (*ledger.Watched, string) {
		if same = nil; last != nil && last.Watched != nil && last.Watched.Evidence == m.Name {
			same = last
			return nil, ""
		}
		m.Watched.Branch = b.Branch
		m.Watched.Proposals = proposals(last, m.Watched.Proposals)
		m.Watched.Incidents = watch.Incidents(m.Ref, last.Incidents(), m.Watched, b.Now())
		return &m.Watched, Line(m.Watched)
	})
	if same != nil {
		m.Seq, m.At, m.Watched = same.Seq, same.Time, *same.Watched
		return err
	}
	m.Seq, m.At = got.Seq, got.Time
	return err
}

// RecordProposal writes down that a retraining was proposed for what was found: nobody is asked
// again for the same reason.
func (b *Bench) RecordProposal(ctx context.Context, m *Measured, made ledger.Proposed, revision string) error {
	var w ledger.Watched
	got, err := b.observe(ctx, m.Ref, revision, func(last *ledger.Entry) (*ledger.Watched, string) {
		w = m.Watched
		if last != nil && last.Watched != nil && last.Seq > m.Seq {
			w = *last.Watched // another window was found meanwhile, and stays the newest
			w.Proposals = append(slices.Clone(w.Proposals), m.Watched.Proposals...)
		}
		w.Proposals = proposals(last, append([]ledger.Proposed{made}, w.Proposals...))
		w.Incidents = last.Incidents()
		return &w, "proposed on " + made.Branch + ": " + Line(w)
	})
	if err == nil {
		m.Watched, m.Seq = w, got.Seq
	}
	return err
}

// proposals are those that are known, and those that the newest entry knows: a window takes
// minutes to read, and another measurement may have proposed by then.
func proposals(last *ledger.Entry, known []ledger.Proposed) []ledger.Proposed {
	all := slices.Clone(known)
	if last != nil && last.Watched != nil {
		all = append(all, last.Watched.Proposals...)
	}
	slices.SortStableFunc(all, func(a, b ledger.Proposed) int { return b.Time.Compare(a.Time) })
	var out []ledger.Proposed
	for _, p := range all {
		if !slices.ContainsFunc(out, func(o ledger.Proposed) bool { return o.Cause == p.Cause && o.Branch == p.Branch && o.SHA == p.SHA }) {
			out = append(out, p)
		}
	}
	return out[:min(len(out), ledger.MostProposals)]
}
