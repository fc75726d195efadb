package pass

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

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
