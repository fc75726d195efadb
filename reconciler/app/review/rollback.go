// Rolling back and going on below a merged pull request: what people ask for there is done on the tracked branch, once a comment.

package review

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// backAndOn has deployments go back, and on again, as people ask for it, in their order. What cannot be done is said in the answer; an
// error is a reason to try again.
func (v *pullRequest) backAndOn(ctx context.Context) error {
	var h *Session // beside passes: who ends a trial, or lets something go on, waits for none
	for i := range v.orders {
		o := &v.orders[i]
		asks, ours := asking[o.Verb]
		if !ours || !o.fresh || !o.counts(v.careful) {
			continue
		}
		if h == nil {
			var err error
			if h, err = v.Open(ctx, Scope{Branch: v.pull.Base, Beside: true}); err != nil {
				return err
			}
			defer h.Close()
		}
		err := h.MaySay(ctx, v.base, v.rev, o.Ref, guard.Speaker{Forge: "github", Login: o.remark.By.Login, Asks: asks})
		if err != nil && fault.Of(err) != fault.Denied {
			return err
		}
		if err != nil {
			o.refuse = advised(err)
			continue
		}
		said, err := v.carried(ctx, h, o)
		switch k := fault.Of(err); {
		case err == nil:
			o.said, o.goesOn = said, o.Verb == chatops.Resume
		case k == fault.Transient || k == fault.Cancelled:
			return fmt.Errorf("%s %s: %w", o.Verb, o.Ref, err)
		default:
			o.said, o.puzzles = advised(err), true
		}
	}
	return nil
}

// asking is what the commands say of a deployment.
var asking = map[chatops.Verb]guard.Asked{chatops.Rollback: guard.GoBack, chatops.Resume: guard.GoOn}

// carried does what o asks for.
func (v *pullRequest) carried(ctx context.Context, h *Session, o *order) (string, error) {
	reason := fmt.Sprintf("asked for by github:%s in comment %d", o.remark.By.Login, o.remark.ID)
	if !o.Ref.Kind.Traits().Serves {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s is not a deployment: %s is for those", o.Ref, o.Verb), "name a deployment")
	}
	if o.Verb == chatops.Resume {
		return resumed(ctx, h, o, reason)
	}
	return v.rolledBack(ctx, h, o.Ref, reason)
}

// resumed lets a deployment go on that was suspended before o was said: what was suspended later was not meant.
func resumed(ctx context.Context, h *Session, o *order, reason string) (string, error) {
	rev, err := h.Repo.Head(ctx)
	if err != nil {
		return "", err
	}
	goesOn := false
	_, err = h.ResumeUnless(ctx, rev, o.Ref, reason, func(e *ledger.Entry) error {
		if goesOn = e == nil; goesOn {
			return fault.New(fault.Invalid, "%s is not suspended", o.Ref)
		}
		if e.Time.After(o.remark.Time.Add(time.Second)) { // the forge tells whole seconds
			return fault.WithHint(fault.New(fault.Conflict, "%s was %s (entry %d), after this was said", o.Ref, ledger.Suspended(e), e.Seq), "say it once more where that is meant")
		}
		return nil
	})
	switch {
	case goesOn:
		return fmt.Sprintf("%s is not suspended: what the branch declares of it goes on", o.Ref), nil
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("%s is resumed: the next pass makes it what the branch declares, if rules and approvals allow that", o.Ref), nil
}

// advised is an error with what to do about it.
func advised(err error) string {
	if way := fault.HintOf(err); way != "" {
		return err.Error() + ": " + way
	}
	return err.Error()
}

// rolledBack has what served before ref's newest release serve again, or ends what is tried beside it. It is done once for one reason,
// and once where it serves suspended what it was rolled back to: whoever was killed before they answered, and whoever asks at the same
// time as somebody else, does not go back one release further.
func (v *pullRequest) rolledBack(ctx context.Context, h *Session, ref schemas.Ref, reason string) (string, error) {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return "", err
	}
	rev, err := h.Repo.Head(ctx)
	if err != nil {
		return "", err
	}
	const ended = "what was tried of %s is rolled back, and the release before serves all requests"
	switch e := facts.Rollouts[ref]; {
	case e != nil && strings.HasSuffix(e.Reason, reason):
		return fmt.Sprintf(ended, ref), nil
	case facts.RolloutOf(ref).Phase.UnderWay():
		if _, err := h.AbortRollout(ctx, rev, pass.RolloutOrder{Ref: ref, Reason: reason}); err != nil {
			return "", err
		}
		return fmt.Sprintf(ended, ref), nil
	}
	releases, err := h.Releases(ctx, ref)
	if err != nil {
		return "", err
	}
	hold := facts.Suspension(ref)
	if text := saidBefore(facts, releases, ref, reason); text != "" {
		return text, nil
	}
	words, err := h.Suspensions(ctx, ref)
	if err != nil {
		return "", err
	}
	if e := ledger.GivenUp(words, reason); e != nil { // after a try that failed: who lets it go on gives it up
		return "", fault.WithHint(fault.New(fault.Conflict, "the rollback of %s is not done, and was given up by entry %d", ref, e.Seq), "say it once more where it is meant")
	}
	to := ledger.RollsBackTo(releases, hold)
	if to == nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s has no release before the one that is served", ref), "vishwa log %s --action deploy lists its releases", ref)
	}
	acting, err := v.Open(ctx, Scope{Branch: v.pull.Base})
	if err != nil {
		return "", err
	}
	defer acting.Close()
	result, err := acting.Rollback(ctx, pass.Rollback{To: to, Reason: reason})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return "", err
	}
	if last := facts.Latest[ref]; len(result.Outcomes) == 0 && last != nil && last.Rollback() && last.Key == to.Key && hold != nil {
		return fmt.Sprintf("%s was rolled back already, to the release of entry %d, and serves that; to go further back, somebody who has a key runs vishwa rollback %s --to ENTRY --reason TEXT", ref, to.Seq, ref), nil
	}
	if facts, err = h.Ledger.Facts(ctx); err != nil { // others may say something meanwhile
		return "", err
	}
	return servesAgain(facts.Suspension(ref), ref, to.Seq), nil
}

// saidBefore is the answer where ref went back for this very reason already; "" where it did not.
func saidBefore(facts *ledger.Facts, releases []ledger.Entry, ref schemas.Ref, reason string) string {
	for _, e := range releases {
		if !strings.HasSuffix(e.Reason, reason) {
			continue
		}
		if last := facts.Latest[ref]; last == nil || last.Seq != e.Seq {
			return fmt.Sprintf("%s went back to the release of entry %d, and another was released since, by entry %d: ask once more where that is not meant", ref, e.Release.Restores, seqOf(last))
		}
		return servesAgain(facts.Suspension(ref), ref, e.Release.Restores)
	}
	return ""
}

func seqOf(e *ledger.Entry) int64 {
	if e == nil {
		return 0
	}
	return e.Seq
}

// servesAgain tells what serves, and what holds it.
func servesAgain(hold *ledger.Entry, ref schemas.Ref, entry int64) string {
	if hold == nil {
		return fmt.Sprintf("%s serves the release of entry %d again, and somebody has let it go on since: the next pass makes it what the branch declares", ref, entry)
	}
	return fmt.Sprintf("%s serves the release of entry %d again, and is suspended, so that no pass undoes it; correct the branch, then say /vishwa resume %s", ref, entry, ref)
}
