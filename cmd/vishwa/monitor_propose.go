// vishwa monitor run --propose: the answer of people who have no controller. What a monitor asks for
// becomes a commit on a branch of its own.

package main

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
)

// answer proposes what m asks for, and says what became of it.
func (r *refreshing) answer(ctx context.Context, m *measure.Measured) (err error) {
	a := r.cli
	r.root = a.dir
	if r.work, err = a.workspace(0); err != nil && fault.Of(err) != fault.Missing { // without data in DVC's form, none of it moves
		return err
	}
	if err := r.pushable(ctx); err != nil {
		return err
	}
	rev, in, err := r.s.Head(ctx)
	if err != nil {
		return err
	}
	facts, err := r.s.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	p := r.proposer(rev.SHA, rev.Branch, "retrain")
	p.Sign, p.Trust, p.Facts = r.s.Keys.SSH, r.s.Trust, facts
	o := r.options
	o.Store, o.Serving = r.s.Store, r.s.Paths.Serving()
	o.Tell = func(line string) { fmt.Fprintln(a.err, line) }
	made, why, err := p.Answer(ctx, m, app.Answering{Bench: app.Bench(r.s.Repository, o.Env, o.Allow), Intent: in, Now: a.now(), Refresh: o})
	switch {
	case err != nil:
		return err
	case made == nil && why == "":
		fmt.Fprintf(a.err, "%s declares no onDrift: nothing is proposed.\n", m.Ref)
	case made == nil:
		fmt.Fprintf(a.err, "No retraining is proposed: %s.\n", why)
	case r.push:
		fmt.Fprintf(a.err, "A retraining is proposed: pushed to %s as %.7s, with its data.\n", made.Branch, made.SHA)
	default:
		next := "git push " + r.remote() + " " + made.Branch
		if r.work != nil {
			next = "vishwa data push, and " + next
		}
		fmt.Fprintf(a.err, "A retraining is proposed: committed to %s as %.7s. Next: %s.\n", made.Branch, made.SHA, next)
	}
	return nil
}
