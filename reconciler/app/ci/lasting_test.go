// The laws of what outlives a job: a state that the next job would not find is
// refused, and one that is kept elsewhere is not.

package ci

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/schemas"
)

func infra(state schemas.State) schemas.Declaration {
	return schemas.Declaration{
		Kind: "Infrastructure", Metadata: schemas.Metadata{Name: "serving"}, Pos: schemas.Position{File: "vishwa/infra.yaml", Line: 3},
		Spec: &schemas.Infrastructure{Module: "infra", State: state},
	}
}

func TestAStateOnTheRunnersDiskIsRefused(t *testing.T) {
	path, s3 := schemas.State{Path: "/srv/state.tfstate"}, schemas.State{Backend: map[string]string{"bucket": "b"}}
	for name, c := range map[string]struct {
		state   schemas.State
		file    string
		text    string
		hosted  bool
		refused bool
	}{
		"no backend":                     {schemas.State{}, "main.tf", "resource \"x\" \"y\" {}", true, true},
		"no backend, own machine":        {schemas.State{}, "main.tf", "", false, true},
		"a path, hosted":                 {path, "main.tf", "", true, true},
		"a path, own machine":            {path, "main.tf", "", false, false},
		"a local backend":                {schemas.State{}, "main.tf", "terraform {\n  backend \"local\" {}\n}", true, true},
		"a remote backend":               {s3, "main.tf", "terraform {\n  required_version = \">= 1\"\n  required_providers {\n    a = { source = \"b\" }\n  }\n  backend \"s3\" {}\n}", true, false},
		"a backend in another file":      {schemas.State{}, "backend.tofu", "terraform {\n  backend \"gcs\" {}\n}", true, false},
		"a cloud block":                  {schemas.State{}, "main.tf", "terraform {\n  cloud {\n    organization = \"acme\"\n  }\n}", true, false},
		"a backend in a comment":         {schemas.State{}, "main.tf", "terraform {\n  # backend \"s3\" {}\n/*\n  backend \"s3\" {}\n*/\n}", true, true},
		"a backend outside of terraform": {schemas.State{}, "main.tf", "terraform {\n}\nlocals {\n  backend \"s3\" {}\n}", true, true},
		"JSON":                           {schemas.State{}, "main.tf.json", `{"terraform":{"backend":{"s3":{}}}}`, true, false},
		"a list in JSON":                 {schemas.State{}, "main.tf.json", `{"terraform":[{"required_version":"1"},{"cloud":{}}]}`, true, false},
		"broken JSON":                    {schemas.State{}, "main.tf.json", `{"terraform":`, true, true},
		"a file that is not Terraform's": {schemas.State{}, "notes.txt", "terraform {\n  backend \"s3\" {}\n}", true, true},
		"a backend's settings alone":     {s3, "main.tf", "", true, true},
	} {
		tree := fstest.MapFS{"infra/" + c.file: {Data: []byte(c.text)}}
		got := LocalStateProblems([]schemas.Declaration{infra(c.state)}, tree, c.hosted)
		if (len(got) == 1) != c.refused {
			t.Errorf("%s: %v", name, got)
		}
		for _, p := range got {
			if p.Pos.Line != 3 || !strings.Contains(p.Message, "infrastructure/serving") || !strings.Contains(p.Message, "remote backend") {
				t.Errorf("%s: %v", name, p)
			}
		}
	}
}

func TestABackendBehindALinkIsNotRead(t *testing.T) {
	tree := fstest.MapFS{"infra/main.tf": {Data: []byte("../secret.tf"), Mode: fs.ModeSymlink}, "secret.tf": {Data: []byte("terraform {\n  backend \"s3\" {}\n}")}}
	if got := LocalStateProblems([]schemas.Declaration{infra(schemas.State{})}, tree, true); len(got) != 1 {
		t.Error(got)
	}
}

func TestWhatEndsWithTheJobIsSaid(t *testing.T) {
	decls := []schemas.Declaration{
		{Kind: "Deployment", Metadata: schemas.Metadata{Name: "b"}, Spec: &schemas.Deployment{Target: schemas.Target{Local: &schemas.LocalTarget{}}}},
		{Kind: "Deployment", Metadata: schemas.Metadata{Name: "a"}, Spec: &schemas.Deployment{Target: schemas.Target{Local: &schemas.LocalTarget{}}}},
		{Kind: "Project", Metadata: schemas.Metadata{Name: "p"}, Spec: &schemas.Project{Store: &schemas.Store{Dir: "/srv/store"}}},
	}
	got := strings.Join(EphemeralWarnings(decls, true), "\n")
	if !strings.Contains(got, "deployment/a, deployment/b") || !strings.Contains(got, "spec.store.dir") {
		t.Error(got)
	}
	if got := EphemeralWarnings(decls, false); got != nil {
		t.Errorf("a machine of one's own keeps what it has: %v", got)
	}
}
