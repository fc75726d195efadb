package guard

import (
	"encoding/json"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestWhoTakesRequestsOfAGuardedReleaseAsksWhomThatAsks: a front sends them to whoever claims the longer path, wherever else that was released.
func TestWhoTakesRequestsOfAGuardedReleaseAsksWhomThatAsks(t *testing.T) {
	one, two := schemas.Ref{Kind: "deployment", Name: "one"}, schemas.Ref{Kind: "deployment", Name: "two"}
	for name, target := range map[string]schemas.Target{
		"traefik": {Docker: &schemas.DockerTarget{Traefik: &schemas.Traefik{Host: "churn.example.com", Path: "/v1"}}},
		"route":   {Kubernetes: &schemas.KubernetesTarget{Cluster: "prod", Route: &schemas.Route{Gateway: "g", Host: "churn.example.com", Path: "/v1/"}}},
		"ingress": {Kubernetes: &schemas.KubernetesTarget{Cluster: "prod", Route: &schemas.Route{Gateway: "g", Host: "x.example.com"}, Ingress: &schemas.Ingress{Host: "churn.example.com", Path: "/v1"}}},
	} {
		spec, err := json.Marshal(schemas.Deployment{Environment: "production", Target: target})
		if err != nil {
			t.Fatal(err)
		}
		facts := &ledger.Facts{Latest: map[schemas.Ref]*ledger.Entry{one: {Ref: one, Action: ledger.Deploy, Release: &ledger.Release{Environment: "production"}, MadeBy: &port.Recipe{Spec: spec}}}}
		for claim, asks := range map[schemas.Claim]bool{
			schemas.NewClaim("churn.example.com", "/v1"): true, schemas.NewClaim("churn.example.com", "/v1/score/"): true, schemas.NewClaim("Churn.example.com.", "/v1"): true,
			schemas.NewClaim("churn.example.com", "/"): false, schemas.NewClaim("churn.example.com", "/v10"): false, schemas.NewClaim("other.example.com", "/v1"): false,
		} {
			got := entered(Change{Ref: two, To: "staging", Claims: []schemas.Claim{schemas.NewClaim("mine.example.com", ""), claim}}, facts)
			if has := len(got) == 2 && got[1].name == "production" && got[1].why == "takes requests for "+claim.String()+" of deployment/one"; has != asks || !asks && len(got) != 1 {
				t.Errorf("%s, %s: %v", name, claim, got)
			}
			if got := entered(Change{Ref: one, To: "production", Claims: []schemas.Claim{claim}}, facts); len(got) != 2 || got[1].why != "leaves it" {
				t.Errorf("%s: its own release asks %v", name, got)
			}
		}
	}
}

// TestAHostThatKServeGivesIsAClaimOnceItIsDeclared: which one it is else, the declaration does not say.
func TestAHostThatKServeGivesIsAClaimOnceItIsDeclared(t *testing.T) {
	one, two := schemas.Ref{Kind: "deployment", Name: "one"}, schemas.Ref{Kind: "deployment", Name: "two"}
	for host, asks := range map[string]int{"churn.example.com": 2, "": 1} {
		target := schemas.KServeTarget{Cluster: "prod", Expose: true, Host: host}
		spec, err := json.Marshal(schemas.Deployment{Environment: "production", Target: schemas.Target{KServe: &target}})
		if err != nil {
			t.Fatal(err)
		}
		facts := &ledger.Facts{Latest: map[schemas.Ref]*ledger.Entry{one: {Ref: one, Action: ledger.Deploy, Release: &ledger.Release{Environment: "production"}, MadeBy: &port.Recipe{Spec: spec}}}}
		for _, claims := range [][]schemas.Claim{target.Claims(), {schemas.NewClaim(host, "/v1")}} {
			if got := entered(Change{Ref: two, To: "staging", Claims: claims}, facts); len(got) != asks {
				t.Errorf("%q: %v", host, got)
			}
		}
	}
}
