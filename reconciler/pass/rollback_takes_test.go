package pass

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestARollbackTakesNoRequestsOfWhatWasReleasedSince: staging gave a host up, production has it now, and whoever may say that staging goes back
// does not approve what production loses.
func TestARollbackTakesNoRequestsOfWhatWasReleasedSince(t *testing.T) {
	served := func(host string) string {
		return "target: {docker: {image: 'registry.example.com/serve@sha256:" + strings.Repeat("0a", 32) + "', run: [python, s.py], code: [s.py], port: 8080, traefik: {host: " + host + "}}}"
	}
	const local = "target: {local: {run: [python, s.py], code: [s.py]}}"
	h, w := newHouse(tree(replaced(local, served("churn.example.com"))))
	apply(t, h)
	of := ref("deployment/s")
	facts, _ := w.Facts(t.Context())
	first := facts.Latest[of]
	h.commit(w, two, tree(replaced(local, served("try.example.com"))))
	apply(t, h)
	facts, _ = w.Facts(t.Context())
	second := facts.Latest[of]

	spec, err := json.Marshal(schemas.Deployment{Environment: "production", Target: schemas.Target{Docker: &schemas.DockerTarget{Traefik: &schemas.Traefik{Host: "churn.example.com"}}}})
	if err != nil {
		t.Fatal(err)
	}
	e := *second
	e.Ref, e.Release, e.MadeBy = ref("deployment/live"), &ledger.Release{Environment: "production"}, &port.Recipe{Spec: spec}
	if _, err := w.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	_, err = h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"})
	if fault.Of(err) != fault.Denied || err == nil || !strings.Contains(err.Error(), "takes requests for churn.example.com of deployment/live, in production") {
		t.Errorf("it takes what production has: %v", err)
	}
	if facts, _ = w.Facts(t.Context()); facts.Latest[of].Key != second.Key || facts.Suspension(of) != nil || w.served[of.Name].Key != second.Key {
		t.Errorf("what was refused left %+v behind", facts.Suspension(of))
	}
}
