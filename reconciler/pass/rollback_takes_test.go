package pass

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// servedAt has Traefik send the requests for host to the deployment.
func servedAt(host string) func(fstest.MapFS) {
	return replaced("target: {local: {run: [python, s.py], code: [s.py]}}",
		"target: {docker: {image: 'registry.example.com/serve@sha256:"+strings.Repeat("0a", 32)+"', run: [python, s.py], code: [s.py], port: 8080, traefik: {host: "+host+"}}}")
}

// TestARollbackTakesNoRequestsOfWhatWasReleasedSince: staging gave a host up, production has it now, and whoever may say that staging goes back
// does not approve what production loses.
func TestARollbackTakesNoRequestsOfWhatWasReleasedSince(t *testing.T) {
	h, w := newHouse(tree(servedAt("churn.example.com")))
	apply(t, h)
	of := ref("deployment/s")
	facts, _ := w.Facts(t.Context())
	first := facts.Latest[of]
	h.commit(w, two, tree(servedAt("try.example.com")))
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

// TestARollbackServesAtNoHostThatIsNotItsEnvironmentsAnyMore: who owns the host took it out of the list, and an older release does not bring it
// back, neither by the project's list nor by the controller's.
func TestARollbackServesAtNoHostThatIsNotItsEnvironmentsAnyMore(t *testing.T) {
	lets := func(hosts string) func(fstest.MapFS) { return replaced("staging: {}", "staging: {hosts: "+hosts+"}") }
	for name, c := range map[string]struct {
		before, after string
		bounds        *wrap.Reach
		says          string // "": it serves again
	}{
		"listed still":              {"[churn.example.com]", "[try.example.com, '*.example.com']", nil, ""},
		"taken out":                 {"[churn.example.com]", "[try.example.com]", nil, "claims requests for churn.example.com, which is none of the hosts of environment staging any more"},
		"any before, and now a few": {"['*']", "[try.example.com]", nil, "claims requests for churn.example.com, which is none of the hosts of environment staging any more"},
		"taken out by the owner of the machine": {"['*']", "['*']", &wrap.Reach{Bounds: wrap.Bounds{Hosts: &[]string{"try.example.com"}}},
			"the controller's file does not let this repository claim requests for churn.example.com"},
	} {
		h, w := newHouse(tree(servedAt("churn.example.com"), lets(c.before)))
		apply(t, h)
		of := ref("deployment/s")
		facts, _ := w.Facts(t.Context())
		first := facts.Latest[of]
		h.commit(w, two, tree(servedAt("try.example.com"), lets(c.after)))
		apply(t, h)
		facts, _ = w.Facts(t.Context())
		second := facts.Latest[of]
		if c.bounds != nil {
			h.Bounds = c.bounds
		}
		out, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"})
		facts, _ = w.Facts(t.Context())
		if c.says == "" {
			if err != nil || out.Err() != nil || w.served[of.Name].Key != first.Key {
				t.Errorf("%s: %v, %v", name, err, out.Err())
			}
			continue
		}
		says := fmt.Sprint(err, " ", fault.HintOf(err))
		for _, f := range out.Plan.Findings {
			says += " " + f.Message + " " + f.Hint
		}
		if !strings.Contains(says, c.says) || !strings.Contains(says, "hosts of") || err == nil && out.Err() == nil {
			t.Errorf("%s: %v, %v: %s", name, err, out.Err(), says)
		}
		if facts.Latest[of].Key != second.Key || facts.Suspension(of) != nil || w.served[of.Name].Key != second.Key {
			t.Errorf("%s: what was refused left %+v behind", name, facts.Suspension(of))
		}
	}
}
