package guard

import (
	"encoding/json"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestWhoWritesToTheBranchOfAGuardedReleaseAsksWhomThatAsks: who applies that branch applies to that environment.
func TestWhoWritesToTheBranchOfAGuardedReleaseAsksWhomThatAsks(t *testing.T) {
	kind := schemas.Declared("Deployment")
	if !kind.Serves {
		t.Fatal("a Deployment serves nothing")
	}
	one, two := schemas.Ref{Kind: "deployment", Name: "one"}, schemas.Ref{Kind: "deployment", Name: "two"}
	spec, err := json.Marshal(schemas.Deployment{Environment: "production", Target: schemas.Target{Seldon: &schemas.SeldonTarget{Cluster: "prod"}},
		Delivery: &schemas.Delivery{Git: &schemas.GitDelivery{Branch: "environments/production", Path: "models"}}})
	if err != nil {
		t.Fatal(err)
	}
	facts := &ledger.Facts{Latest: map[schemas.Ref]*ledger.Entry{one: {
		Ref: one, Action: ledger.Deploy, Release: &ledger.Release{Environment: "production"}, MadeBy: &port.Recipe{Spec: spec},
	}}}
	for branch, asks := range map[string]bool{"environments/production": true, "Environments/Production": true, "environments/staging": false, "": false} {
		got := entered(Change{Ref: two, To: "staging", Branch: branch}, facts)
		if has := len(got) == 2 && got[1].name == "production"; has != asks || !asks && len(got) != 1 {
			t.Errorf("branch %q: %v", branch, got)
		}
	}
}
