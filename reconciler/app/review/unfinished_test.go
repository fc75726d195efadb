// What a pass left undone because somebody did not answer is looked at again soon, and blocks nobody.

package review

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func TestADeploymentThatDoesNotAnswerIsAskedAgainSoon(t *testing.T) {
	at := schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}
	silent := plan.Step{Ref: at, Do: plan.Remake, Key: digest.Of(nil), Held: plan.NotAsked + "no answer within 20s", Failed: true, Passing: true}
	p := &pass.Proposal{World: &pass.Snapshot{Intent: &pass.Intent{}, Observed: plan.Observed{Unobservable: map[schemas.Ref]string{at: "no answer within 20s"}}}, Plan: plan.Plan{Steps: []plan.Step{silent}}}
	if err := delayed(p); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "deployment/s: no answer") {
		t.Errorf("in a pull request: %v", err)
	}
	if got := stage(p, nil, true); got != templates.Delayed {
		t.Errorf("the pull request is %v", got)
	}
	o := &Service{}
	if err := o.passing(nil, pass.Result{Plan: p.Plan}); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "deployment/s could not be asked: no answer within 20s") || fault.HintOf(err) == "" {
		t.Errorf("on the tracked branch: %v", err)
	}
	silent.Held = ledger.SuspendedBy + "asha: no"
	if err := o.passing(nil, pass.Result{Plan: plan.Plan{Steps: []plan.Step{silent}}}); err != nil {
		t.Errorf("of what is suspended: %v", err)
	}
}

// TestAReleaseThatWaitsToBePromotedIsNoFailure: people see what it waits for; one that was rolled back is declared still, which is one.
func TestAReleaseThatWaitsToBePromotedIsNoFailure(t *testing.T) {
	p := &pass.Proposal{World: &pass.Snapshot{Intent: &pass.Intent{}}, Plan: plan.Plan{Steps: []plan.Step{{
		Ref: schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}, Do: plan.Remake, Key: digest.Of(nil), Held: plan.InCanary + "step 2 of 2, 50 % of the requests, is held: its steps pause here",
	}}}}
	if got := stage(p, nil, true); got != templates.Awaiting {
		t.Errorf("it is %v", got)
	}
	if text := templates.Title(templates.Report{Stage: templates.Awaiting, Plan: &p.Plan}); !strings.Contains(text, "deployment/s waits: canary, step 2 of 2") {
		t.Errorf("it says %q", text)
	}
	p.Plan.Steps[0].Held = plan.RolledBack + "too slow"
	if got := stage(p, nil, true); got != templates.Blocked {
		t.Errorf("rolled back, it is %v", got)
	}
}
