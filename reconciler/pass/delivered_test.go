package pass

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAFolderIsOfOneEnvironmentOfOneCluster: who applies it would take another's for its own.
func TestAFolderIsOfOneEnvironmentOfOneCluster(t *testing.T) {
	of := func(name, environment, cluster, branch, path string) schemas.Declaration {
		return schemas.Declaration{
			Kind: "Deployment", Metadata: schemas.Metadata{Name: name}, Fields: func(string) schemas.Position { return schemas.Position{File: name, Line: 7} },
			Spec: &schemas.Deployment{Environment: environment, Target: schemas.Target{Seldon: &schemas.SeldonTarget{Cluster: cluster}}, Delivery: &schemas.Delivery{Git: &schemas.GitDelivery{Branch: branch, Path: path}}},
		}
	}
	production := of("one", "production", "prod", "environments/production", "models")
	for name, c := range map[string]struct {
		with schemas.Declaration
		bad  bool
	}{
		"another of the same":           {of("two", "Production", "prod", "environments/production", "models"), false},
		"another environment":           {of("two", "staging", "prod", "environments/production", "models"), true},
		"another cluster":               {of("two", "production", "test", "environments/production", "models"), true},
		"in other letters":              {of("two", "staging", "prod", "Environments/production", "Models"), true},
		"a folder in it":                {of("two", "staging", "prod", "environments/production", "models/staging"), true},
		"a folder beside it":            {of("two", "staging", "prod", "environments/production", "models-of-staging"), false},
		"another branch, the same path": {of("two", "staging", "prod", "environments/staging", "models"), false},
	} {
		for _, all := range [][]schemas.Declaration{{production, c.with}, {c.with, production}} {
			got := undeliverable(&Intent{Decls: all}, port.Revision{Branch: "main"})
			if (len(got) > 0) != c.bad || c.bad && (got[0].Field != "spec.delivery.git.path" || got[0].Pos.File != all[1].Metadata.Name) {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

// TestNothingIsDeliveredOnTheBranchThatDeclaresIt: as it stands, and as a pull request would have it.
func TestNothingIsDeliveredOnTheBranchThatDeclaresIt(t *testing.T) {
	declares := func(branch string) *Intent {
		return &Intent{Decls: []schemas.Declaration{{
			Kind: "Deployment", Fields: func(string) schemas.Position { return schemas.Position{File: "d.yaml", Line: 7} },
			Spec: &schemas.Deployment{Delivery: &schemas.Delivery{Git: &schemas.GitDelivery{Branch: branch, Path: "models"}}},
		}}}
	}
	for name, c := range map[string]struct {
		in   *Intent
		rev  string
		base string
		bad  bool
	}{
		"another branch":                    {declares("environments/prod"), "main", "", false},
		"its own":                           {declares("main"), "main", "", true},
		"its own in other letters":          {declares("Main"), "main", "", true},
		"a pull request names its base":     {declares("main"), "feature", "main", true},
		"a pull request names its own head": {declares("feature"), "feature", "main", false},
		"a branch that is not known":        {declares("main"), "", "", false},
		"nothing is delivered":              {&Intent{Decls: []schemas.Declaration{{Kind: "Deployment", Spec: &schemas.Deployment{}}}}, "main", "", false},
	} {
		if c.base != "" {
			c.in.Base = &Intent{Branch: c.base}
		}
		got := undeliverable(c.in, port.Revision{Branch: c.rev})
		if (len(got) > 0) != c.bad || c.bad && got[0].Pos.Line != 7 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
