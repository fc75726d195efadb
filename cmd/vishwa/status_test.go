// What status says of a deployment is what is known of it.

package main

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestADeploymentThatDoesNotAnswerIsNotSaidToBeNotServed(t *testing.T) {
	at := func(name string) schemas.Ref { return schemas.Ref{Kind: schemas.KindDeployment, Name: name} }
	w := &pass.Snapshot{Intent: &pass.Intent{}, Observed: plan.Observed{Facts: &ledger.Facts{},
		Live:         map[schemas.Ref]port.Live{at("ready"): {Key: digest.Of(nil), Health: port.Ready}},
		Unobservable: map[schemas.Ref]string{at("silent"): "no answer within 20s"}}}
	p := plan.Plan{Steps: []plan.Step{{Ref: at("ready"), Do: plan.Keep}, {Ref: at("silent"), Do: plan.Remake, Held: plan.NotAsked + "no answer within 20s"}, {Ref: at("gone"), Do: plan.Remake}}}
	states := map[string]string{"ready": "ready", "silent": "not known", "gone": "not served"}
	for _, s := range standings(w, p) {
		if s.State != states[s.Ref.Name] || (s.Message != "") != (s.Ref.Name == "silent") {
			t.Errorf("%s is %q: %q", s.Ref, s.State, s.Message)
		}
	}
}
