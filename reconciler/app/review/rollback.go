// Rolling back below a merged pull request: what people ask for there is done on the tracked branch, once a comment.

package review

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// rollBack does what people ask for. What cannot be done is said in the answer; an error is a reason to try again.
func (v *pullRequest) rollBack(ctx context.Context) error {
	var h *Session
	for i := range v.orders {
		o := &v.orders[i]
		if o.Verb != chatops.Rollback || !o.fresh || !o.counts(v.careful) {
			continue
		}
		if h == nil {
			var err error
			if h, err = v.Open(ctx, Scope{Branch: v.pull.Base}); err != nil {
				return err
			}
			defer h.Close()
		}
		err := h.MayGoBack(ctx, v.base, v.rev, o.Ref, "github", o.remark.By.Login)
		if err != nil && fault.Of(err) != fault.Denied {
			return err
		}
		if err != nil {
			o.refuse = advised(err)
			continue
		}
		reason := fmt.Sprintf("asked for by github:%s in comment %d", o.remark.By.Login, o.remark.ID)
		said, err := rolledBack(ctx, h, o.Ref, reason)
		switch k := fault.Of(err); {
		case err == nil:
			o.said = said
		case k == fault.Transient || k == fault.Cancelled:
			return fmt.Errorf("roll back %s: %w", o.Ref, err)
		default:
			o.said, o.puzzles = advised(err), true
		}
	}
	return nil
}

// advised is an error with what to do about it.
func advised(err error) string {
	if way := fault.HintOf(err); way != "" {
		return err.Error() + ": " + way
	}
	return err.Error()
}

// rolledBack has what served before ref's newest release serve again, or ends what is tried beside it. It is done once for one reason:
// whoever was killed before they answered does not go back one release further.
func rolledBack(ctx context.Context, h *Session, ref schemas.Ref, reason string) (string, error) {
	if !ref.Kind.Traits().Serves {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s is not a deployment: nothing of it is rolled back", ref), "name a deployment")
	}
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
	for _, e := range releases {
		if !strings.HasSuffix(e.Reason, reason) {
			continue
		}
		if last := facts.Latest[ref]; last == nil || last.Seq != e.Seq {
			return fmt.Sprintf("%s went back to the release of entry %d, and another was released since, by entry %d: ask once more where that is not meant", ref, e.Release.Restores, seqOf(last)), nil
		}
		if facts.Suspension(ref) == nil { // it was killed before it said so
			if _, err := h.Suspend(ctx, rev, ref, e.Reason); err != nil {
				return "", err
			}
		}
		return servesAgain(ref, e.Release.Restores), nil
	}
	to := ledger.ReleaseBefore(releases)
	if to == nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s has no release before the one that is served", ref), "vishwa log %s --action deploy lists its releases", ref)
	}
	result, err := h.Rollback(ctx, pass.Rollback{To: to, Reason: reason})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return "", err
	}
	return servesAgain(ref, to.Seq), nil
}

func seqOf(e *ledger.Entry) int64 {
	if e == nil {
		return 0
	}
	return e.Seq
}

func servesAgain(ref schemas.Ref, entry int64) string {
	return fmt.Sprintf("%s serves the release of entry %d again, and is suspended, so that no pass undoes it; correct the branch; then somebody who has a key runs vishwa resume %s", ref, entry, ref)
}
