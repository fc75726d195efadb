// Approvals that people give on the forge: a review, or a command below the pull
// request. They are weaker than a signature, and an environment says whether they
// count. They hold for what was shown when they were given.

package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

// held is how long an approval on the forge holds.
const held = 30 * 24 * time.Hour

// given is somebody's yes on the forge.
type given struct {
	login string
	sha   string
	at    time.Time
	what  string // review or comment
	id    int64
}

// voids is what became of the approvals on the forge.
type voids struct {
	recorded bool
	why      []string // of those that do not count
}

// assert records the approvals on the forge that hold for p.
func (v *pullRequest) assert(ctx context.Context, h *Session, p *pass.Proposal) (out voids, err error) {
	asked := false
	for _, need := range p.Needs() {
		asked = asked || need.Reviews
	}
	models, wantErr := pass.Want(p.Plan)
	if !asked || wantErr != nil || p.World.Trust == nil {
		return out, nil // nobody is asked, or what they would approve is not known yet
	}
	all, err := v.yeses(ctx)
	if err != nil {
		return out, err
	}
	if len(all) > 0 {
		if err := v.pushed(ctx, h); err != nil {
			return out, err
		}
	}
	for _, g := range all {
		if why := v.stale(g, p); why != "" {
			out.why = append(out.why, v.voided(g, "%s", why))
			continue
		}
		who, known := p.World.Trust.ByLogin("github", g.login)
		if !known {
			out.why = append(out.why, v.voided(g, "the %s of %s does not count: the trust file of %s names no such login", g.what, g.login, v.pull.Base))
			continue
		}
		recorded, err := h.Assert(ctx, p, trust.Request{
			Want:     trust.Want{Plan: p.Plan.Digest(), Policy: p.Plan.Policy, Models: models},
			Revision: v.pull.HeadSHA, Principal: who, Time: g.at, Expires: g.at.Add(held),
			Review: &trust.Review{Forge: "github", Login: strings.ToLower(g.login), What: g.what, ID: g.id, Pull: v.pull.Number},
		})
		switch fault.Of(err) {
		case fault.Denied, fault.Invalid:
			if err != nil {
				out.why = append(out.why, v.voided(g, "the %s of %s does not count: %v", g.what, g.login, err))
				continue
			}
		}
		if err != nil {
			return out, err
		}
		out.recorded = out.recorded || recorded
	}
	if out.recorded {
		failpoint.At(failpoint.Approved)
	}
	return out, nil
}

// pushed has h know who pushed to the pull request: they approve nothing of it.
func (v *pullRequest) pushed(ctx context.Context, h *Session) error {
	who, err := v.Forge.Pushers(ctx, v.pull)
	if err != nil {
		switch fault.Of(err) {
		case fault.Missing, fault.Denied, fault.Invalid:
			v.Log.Info("the forge does not tell who pushed", "pull", v.pull.Number, "error", err)
			h.PushersUnknown = true
			return nil
		}
		return fmt.Errorf("look who pushed to pull request %d: %w", v.pull.Number, err)
	}
	h.Pushers = nil
	for _, login := range who {
		h.Pushers = append(h.Pushers, "github:"+login)
	}
	return nil
}

// voided says why g does not count, also of the command that gave it.
func (v *pullRequest) voided(g given, format string, args ...any) string {
	why := fmt.Sprintf(format, args...)
	for i := range v.orders {
		if o := &v.orders[i]; g.what == "comment" && o.Verb == chatops.Approve && o.remark.ID == g.id {
			o.refuse, o.void = why, true
		}
	}
	return why
}

// yeses are the newest verdicts that approve, one a person, and the commands.
func (v *pullRequest) yeses(ctx context.Context) (out []given, err error) {
	reviews, err := v.Forge.Reviews(ctx, v.pull.Number)
	if err != nil {
		return nil, fmt.Errorf("read the reviews of pull request %d: %w", v.pull.Number, err)
	}
	last := map[string]port.Review{}
	var order []string
	for _, r := range reviews {
		if r.State == port.Commented || r.By.Bot || r.By.Login == "" {
			continue // a remark takes nothing back
		}
		if _, seen := last[r.By.Login]; !seen {
			order = append(order, r.By.Login)
		}
		last[r.By.Login] = r
	}
	for _, login := range order {
		if r := last[login]; r.State == port.Approved {
			out = append(out, given{login, r.SHA, r.Time, "review", r.ID})
		}
	}
	for _, o := range v.orders {
		// One that was answered is recorded, or did not count: the comment's own memory of
		// what was shown when could be edited to make it count for something else.
		if o.Verb == chatops.Approve && o.Err == nil && o.refuse == "" && o.fresh {
			out = append(out, given{o.remark.By.Login, v.pull.HeadSHA, o.remark.Time, "comment", o.remark.ID})
		}
	}
	return out, nil
}

// stale says why g is not about the plan as it is, or "".
func (v *pullRequest) stale(g given, p *pass.Proposal) string {
	switch {
	case strings.EqualFold(g.login, v.pull.Author.Login):
		return fmt.Sprintf("the %s of %s does not count: nobody approves their own pull request", g.what, g.login)
	case slices.ContainsFunc(v.orders, func(o order) bool {
		return o.Verb == chatops.Apply && o.Err == nil && strings.EqualFold(o.remark.By.Login, g.login)
	}):
		return fmt.Sprintf("the %s of %s does not count: who asks for the apply does not approve it", g.what, g.login)
	case g.sha != v.pull.HeadSHA:
		return fmt.Sprintf("the %s of %s was of %.7s, and the pull request is at %.7s: review it again", g.what, g.login, g.sha, v.pull.HeadSHA)
	case v.state.Digest != string(p.Plan.Digest()) || v.state.PlanAt == 0 || g.at.Unix() < v.state.PlanAt:
		return fmt.Sprintf("the %s of %s came before this plan was shown: look at it, and approve it again", g.what, g.login)
	}
	return ""
}

// approvals tells what p needs of people and what it has.
func approvals(p *pass.Proposal, void []string) (out []templates.Approval) {
	for i, need := range p.Needs() {
		a := templates.Approval{Ref: need.Ref, Environment: need.Where, Need: need.Count, Roles: need.Roles, Reviews: need.Reviews}
		for _, by := range need.Given {
			a.Given = append(a.Given, fmt.Sprintf("%s (%s)", by.Principal, by.Class))
		}
		if i == 0 {
			a.Void = void
		}
		out = append(out, a)
	}
	return out
}
