// What tests run in a module's place is found, near and far.

package terraform

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCallsOfTestsAreFoundAtWhateverDepth(t *testing.T) {
	files := func(more map[string]string) fstest.MapFS {
		all := fstest.MapFS{
			"main.tf":              {Data: []byte("module \"own\" { source = \"acme/own/aws\" }\n")},
			"a.tftest.hcl":         {Data: []byte("run \"plain\" {}\nrun \"far\" {\n  module {\n    source  = \"acme/testing/aws\"\n    version = \"~> 1.0\"\n  }\n}\n")},
			"tests/b.tftest.json":  {Data: []byte(`{"run": {"near": {"module": {"source": "./maker"}}}}`)},
			"tests/c.tofutest.hcl": {Data: []byte("run \"tofu\" {\n  module { source = \"github.com/acme/tofu\" }\n}\n")},
			"maker/main.tf":        {Data: []byte("module \"deep\" { source = \"git::https://example.com/deep.git\" }\n")},
			".terraform/modules/modules.json": {Data: []byte(`{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"own","Source":"acme/own/aws","Dir":".terraform/modules/own"},
				{"Key":"test.a.far","Source":"acme/testing/aws","Version":"1.0.9","Dir":".terraform/modules/test.a.far"},{"Key":"test.tests.b.near","Source":"./maker","Dir":"maker"}]}`)},
			".terraform/modules/test.a.far/main.tf": {Data: []byte("module \"farther\" {\n  source  = \"acme/more/aws\"\n  version = \"2.0.0\"\n}\n")},
		}
		for name, text := range more {
			all[name] = &fstest.MapFile{Data: []byte(text)}
		}
		return all
	}
	want := []Call{
		{"deep", "git::https://example.com/deep.git", ""}, {"far of a.tftest.hcl", "acme/testing/aws", "~> 1.0"}, {"farther", "acme/more/aws", "2.0.0"},
		{"near of tests/b.tftest.json", "./maker", ""},
	}
	if got, err := TestCalls(files(nil), "terraform"); err != nil || !slices.Equal(got, want) {
		t.Errorf("terraform: %+v, %v", got, err)
	}
	if got, err := TestCalls(files(nil), "tofu"); err != nil || !slices.Contains(got, Call{"tofu of tests/c.tofutest.hcl", "github.com/acme/tofu", ""}) {
		t.Errorf("tofu: %+v, %v", got, err)
	}
	for name, more := range map[string]map[string]string{
		"a.tftest.hcl": {"a.tftest.hcl": "run \"x\" {\n  module {\n"},
		"maker":        {"maker/more.tf": strings.Repeat("# \n", maxFile)},
		"modules.json": {".terraform/modules/modules.json": "{"},
	} {
		if got, err := TestCalls(files(more), "terraform"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s cannot be read: %+v, %v", name, got, err)
		}
	}
}
