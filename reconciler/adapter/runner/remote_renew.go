// What a worker is lent ends with the credentials that sign it. While its task runs and
// somebody asks how it stands, it is lent anew before that.

package runner

import (
	"bytes"
	"context"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// loan is what was lent to an attempt's worker, in loan.json.
type loan struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Need  time.Time `json:"need"`  // until when the run may need it
	Renew int       `json:"renew"` // the number of the next renewal
}

const loanFile = "loan.json"

// watched is what is remembered of a loan between two looks.
type watched struct {
	loan
	asked time.Time // when it was last tried to lend anew
}

// due tells whether it is time to try.
func (w watched) due(now time.Time) bool {
	life := w.Until.Sub(w.From)
	return w.Until.Before(w.Need) && now.After(w.From.Add(life/3)) && now.Sub(w.asked) >= min(time.Minute, life/20)
}

// lend lends a worker what its job reads, and more, and the place of the next renewal.
func (r *remote) lend(ctx context.Context, l launch, until time.Time, next int, more ...digest.Digest) (dispatch.Renewal, error) {
	return r.lendFor(ctx, l, loanOf{Until: until, Next: next, More: more})
}

// loanOf says for how long something is lent, and what besides.
type loanOf struct {
	Until time.Time
	Next  int // the number of the next renewal
	More  []digest.Digest
	Anew  bool
}

func (r *remote) lendFor(ctx context.Context, l launch, of loanOf) (dispatch.Renewal, error) {
	lender, ok := r.Shelf.(port.Lender)
	if !ok {
		return dispatch.Renewal{}, fault.WithHint(fault.New(fault.Invalid, "the store cannot lend a worker what it reads and writes"), "use a store in S3 for runs elsewhere (spec.store.s3)")
	}
	all, at := dispatch.Reads(l.Job, of.More...), l.prefix()+dispatch.RenewalName(of.Next)
	ask := port.Loan{Read: []string{at}, Write: l.prefix(), Until: of.Until, Anew: of.Anew}
	for _, d := range all {
		ask.Read = append(ask.Read, r.Object(d))
	}
	g, err := lender.Lend(ctx, ask)
	if err != nil {
		return dispatch.Renewal{}, err
	}
	out := dispatch.Renewal{Version: dispatch.Version, Read: map[digest.Digest]string{}, Write: g.Write, Until: g.Until, Next: g.Read[at]}
	for _, d := range all {
		out.Read[d] = g.Read[r.Object(d)]
	}
	return out, nil
}

// renew lends anew what ends before the run has to. What fails is tried again: until what is
// lent has ended nothing is lost.
func (r *remote) renew(ctx context.Context, a attempt.Attempt, l launch) {
	if r.Shelf == nil {
		return
	}
	r.mu.Lock()
	w, known := r.loans[a.Dir]
	r.mu.Unlock()
	if !known && a.ReadSealed(loanFile, &w.loan) != nil {
		return // begun by an earlier version
	}
	now := r.Env.Now()
	due := w.due(now)
	if due {
		w.asked = now
	}
	r.mu.Lock()
	r.loans[a.Dir] = w
	r.mu.Unlock()
	if !due {
		return
	}
	// What signs it may be no newer than what signed the last one: that is seen at little cost.
	short, err := r.lend(ctx, launch{Digest: l.Digest, Nonce: l.Nonce}, w.Need, w.Renew+1)
	if err == nil && short.Until.After(w.Until) {
		err = r.renewed(ctx, a, l, w)
	}
	if err != nil {
		r.Env.Log.Warn("what a run's worker is lent could not be lent anew", "run", l.Name, "until", w.Until, "error", err)
	}
}

func (r *remote) renewed(ctx context.Context, a attempt.Attempt, l launch, w watched) error {
	now := r.Env.Now()
	g, err := r.lend(ctx, l, w.Need, w.Renew+1)
	if err != nil {
		return err
	}
	raw, err := dispatch.WrapRenewal(l.Nonce, g)
	if err != nil {
		return err
	}
	if _, err := r.Shelf.Put(ctx, l.prefix()+dispatch.RenewalName(w.Renew), bytes.NewReader(raw), int64(len(raw))); err != nil {
		return err
	}
	w.loan = loan{From: now, Until: g.Until, Need: w.Need, Renew: w.Renew + 1}
	if err := a.Write(loanFile, w.loan); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loans[a.Dir] = w
	return nil
}

// forgetAttempt drops what is remembered of an attempt that has ended.
func (r *remote) forgetAttempt(a attempt.Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.loans, a.Dir)
	delete(r.begun, a.Dir)
	r.logs.Forget(a.Dir)
}
