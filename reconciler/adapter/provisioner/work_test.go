// Modules, good and bad, and their work directories.

package provisioner

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAWrongDeclarationSaysWhere(t *testing.T) {
	real(t)
	for name, c := range map[string]struct {
		s    port.Infrastructure
		kind fault.Kind
		want []string
	}{
		"syntax":          {port.Infrastructure{Source: module("\n\nresource \"terraform_data\" {\n")}, fault.Invalid, []string{"main.tf:3"}},
		"argument":        {stack("", wrong), fault.Invalid, []string{"main.tf:10", "Unsupported argument"}},
		"needed variable": {port.Infrastructure{Source: module("\nvariable \"x\" {}")}, fault.Invalid, []string{"main.tf:2", "No value for required variable"}},
		"misspelt":        {port.Infrastructure{Source: module(`variable "size" { default = 1 }`), Vars: map[string]any{"sise": secret}}, fault.Invalid, []string{"spec.vars.sise"}},
		"type":            {port.Infrastructure{Source: module(`variable "n" { type = number }`), Vars: map[string]any{"n": secret}}, fault.Invalid, []string{"Invalid value for"}},
		"rule":            {port.Infrastructure{Source: module("variable \"n\" {\n validation {\n condition = length(var.n) > 99\n error_message = \"bad ${var.n}\"\n}\n}"), Vars: map[string]any{"n": secret}}, fault.Invalid, []string{"Invalid value for variable"}},
		"precondition": {port.Infrastructure{Source: module("variable \"n\" {}\nresource \"terraform_data\" \"a\" {\nlifecycle {\nprecondition {\ncondition = var.n == \"\"\nerror_message = \"not ${var.n}\"\n}\n}\n}"), Vars: map[string]any{"n": secret}},
			fault.Invalid, []string{"main.tf:5", "Resource precondition failed"}},
		"no module":        {port.Infrastructure{}, fault.Invalid, []string{"no module"}},
		"empty module":     {port.Infrastructure{Source: fstest.MapFS{"README": {}}}, fault.Invalid, []string{"no .tf file"}},
		"link":             {port.Infrastructure{Source: fstest.MapFS{"main.tf": {}, "x": {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}}}, fault.Invalid, []string{"symbolic link"}},
		"our own file":     {port.Infrastructure{Source: fstest.MapFS{"main.tf": {}, overrideFile: {}}}, fault.Invalid, []string{overrideFile}},
		"missing module":   {port.Infrastructure{Source: module("module \"m\" {\n  source = \"./gone\"\n}")}, fault.Invalid, []string{"Unreadable module"}},
		"no backend block": {port.Infrastructure{Source: module(""), State: schemas.State{Backend: map[string]string{"path": "x"}}}, fault.Invalid, []string{"the module declares none"}},
		"relative state":   {port.Infrastructure{Source: module(""), State: schemas.State{Path: "state"}}, fault.Invalid, []string{"absolute"}},
		"two states":       {port.Infrastructure{Source: module(""), State: schemas.State{Path: "/s", Backend: map[string]string{"path": "x"}}}, fault.Invalid, []string{"keep one"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.s.Name = "a"
			_, err := Terraform(at(t.TempDir(), world(nil))).Diff(t.Context(), c.s)
			if fault.Of(err) != c.kind {
				t.Fatalf("got %v (%v)", err, fault.Of(err))
			}
			for _, want := range append(c.want, "stack a") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q tells the secret", err)
			}
		})
	}
	for _, name := range []string{"", "..", "a/b", "A", "-a"} {
		s := stack(name, good)
		if _, err := Terraform(at(t.TempDir(), world(nil))).Diff(t.Context(), s); fault.Of(err) != fault.Invalid {
			t.Errorf("stack named %q: %v", name, err)
		}
	}
}

func TestADeclaredBackendHoldsTheState(t *testing.T) {
	real(t)
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "declared.tfstate")
	p := Terraform(at(dir, world(nil)))
	s := stack("a", "terraform {\n  backend \"local\" {}\n}\n"+good)
	s.State.Backend = map[string]string{"path": elsewhere}
	mustApply(t, p, s)
	if _, err := os.Stat(elsewhere); err != nil {
		t.Errorf("the state is not in the declared backend: %v", err)
	}
	if c := mustDiff(t, p, s); !c.Empty {
		t.Errorf("diff after apply: %+v", c)
	}
	c := mustDiff(t, p, port.Infrastructure{Name: "a", Source: s.Source, Vars: s.Vars, State: s.State, Remove: true})
	if len(c.Actions) != 2 {
		t.Errorf("destroy: %+v", c.Actions)
	}
}

func TestAModuleIsInitialisedOnce(t *testing.T) {
	real(t)
	dir := t.TempDir()
	s := stack("a", good)
	mustApply(t, Terraform(at(dir, world(nil))), s)
	witness := filepath.Join(dir, "a", "module", "witness") // a new layout would sweep it away
	if err := os.WriteFile(witness, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustDiff(t, Terraform(at(dir, world(nil))), s)
	if _, err := os.Stat(witness); err != nil {
		t.Error("an unchanged module was laid out and initialised again")
	}
	mustDiff(t, Terraform(at(dir, world(nil))), stack("a", good+"\n"))
	if _, err := os.Stat(witness); err == nil {
		t.Error("what another module left is still there")
	}
	if c := mustDiff(t, Terraform(at(dir, world(nil))), s); !c.Empty {
		t.Error("the state went with the work directory")
	}
}

func TestLeftoversOfAnInitInTheWorkTreeAreNoPartOfTheModule(t *testing.T) {
	real(t)
	tree := t.TempDir()
	for name, text := range map[string]string{
		"main.tf": good, "run.sh": "#!/bin/sh\n", ".terraform.lock.hcl": "# kept\n",
		".terraform/terraform.tfstate": "not for us", "sub/.terraform/x": "nor this",
	} {
		file := filepath.Join(tree, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s := stack("a", "")
	s.Source = os.DirFS(tree)
	mustDiff(t, Terraform(at(dir, world(nil))), s)
	laid := filepath.Join(dir, "a", "module")
	if info, err := os.Stat(filepath.Join(laid, "run.sh")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the script is %v, %v", info, err)
	}
	if raw, _ := os.ReadFile(filepath.Join(laid, ".terraform.lock.hcl")); !strings.HasPrefix(string(raw), "# kept") {
		t.Errorf("the lock file is %q", raw)
	}
	if _, err := os.Stat(filepath.Join(laid, "sub")); err == nil {
		t.Error("a .terraform folder was copied")
	}
}

func BenchmarkUnchangedDiff(b *testing.B) {
	if _, err := exec.LookPath("terraform"); err != nil {
		b.Skip("terraform is not on PATH: make tools installs it")
	}
	dir := b.TempDir()
	s := stack("a", good)
	p := Terraform(at(dir, world(nil)))
	c, err := p.Diff(b.Context(), s)
	if err == nil {
		_, err = p.Apply(b.Context(), s, c)
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if c, err := Terraform(at(dir, world(nil))).Diff(b.Context(), s); err != nil || !c.Empty {
			b.Fatal(c.Actions, err)
		}
	}
}
