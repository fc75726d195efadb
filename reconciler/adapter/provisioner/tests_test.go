// A module's tests are run for the tracked branch and for pull requests alike, and get no more than a pull request's plan does.

package provisioner

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const sized = `
variable "size" { type = number }
resource "terraform_data" "disk" { input = var.size }
output "size" { value = terraform_data.disk.output }
`

const sizes = `
run "size" {
  assert {
    condition     = output.size == 3
    error_message = "the disk is not of 3"
  }
}
run "still_planned" {
  command = plan
}
`

func withTests(name, text string, size int) port.Infrastructure {
	return port.Infrastructure{Name: "db", Vars: map[string]any{"size": size}, Source: fstest.MapFS{
		"main.tf": {Data: []byte(sized), Mode: 0o644}, name: {Data: []byte(text), Mode: 0o644},
	}}
}

// both plans s for the tracked branch, and for a pull request.
func both(t *testing.T, s port.Infrastructure, law func(t *testing.T, diff func(context.Context, port.Infrastructure) (port.Change, error), w town)) {
	t.Helper()
	w := newTown(t)
	c := at(w.states, world(w.env))
	c.Wall = wall.Policy{Level: wall.Namespaces, Hidden: []string{w.keys, w.home}}
	real(t)
	t.Run("tracked branch", func(t *testing.T) { law(t, Terraform(c).Diff, w) })
	t.Run("pull request", func(t *testing.T) { law(t, w.pulls(t, wall.Namespaces).Diff, w) })
}

func TestTestsOfAModuleAreRun(t *testing.T) {
	for _, name := range []string{"size.tftest.hcl", "tests/size.tftest.hcl"} {
		both(t, withTests(name, sizes, 3), func(t *testing.T, diff func(context.Context, port.Infrastructure) (port.Change, error), w town) {
			got, err := diff(t.Context(), withTests(name, sizes, 3))
			if err != nil || got.Tests == nil || got.Tests.Passed != 2 || got.Tests.Failed != 0 || len(got.Actions) != 1 {
				t.Fatalf("%+v %+v, %v", got, got.Tests, err)
			}
			got, err = diff(t.Context(), withTests(name, sizes, 4))
			if err != nil || got.Tests == nil || got.Tests.Passed != 1 || got.Tests.Failed != 1 {
				t.Fatalf("%+v, %v", got.Tests, err)
			}
			if want := name + `:4: run "size": the disk is not of 3`; len(got.Tests.Failures) != 1 || got.Tests.Failures[0] != want {
				t.Errorf("failures are %q, want %q", got.Tests.Failures, want)
			}
			for file := range tree(t, filepath.Join(w.dir, "state")) {
				if strings.Contains(file, "tmp-") || strings.Contains(file, "/home/") || strings.HasSuffix(file, "cli.tfrc") {
					t.Errorf("%s was left behind", file)
				}
			}
		})
	}
}

// prying looks for secrets in all that it can find, and says how many there were, and how much it looked through.
const prying = `
resource "terraform_data" "look" {
  provisioner "local-exec" {
    command = "(env; cat $HOME/.terraformrc $HOME/* ../* ../../* ${path.module}/*) > all.txt 2> /dev/null; echo saw $(grep -c 'CONTROLLER K[E]Y\\|read-only-credenti[a]l\\|state-of-the-tracke[d]' all.txt) of $(wc -l < all.txt) > seen.txt"
  }
}
`

const tells = `
run "look" {}
run "tell" {
  command = plan
  assert {
    condition     = var.size == 3 && startswith(file("seen.txt"), "saw 0 of ") && length(file("seen.txt")) > 11
    error_message = trimspace(file("seen.txt"))
  }
}
`

func TestTestsAreGivenNeitherCredentialsNorState(t *testing.T) {
	s := withTests("pry.tftest.hcl", tells, 3)
	both(t, s, func(t *testing.T, diff func(context.Context, port.Infrastructure) (port.Change, error), w town) {
		before := port.Infrastructure{Name: "db", Source: module(kept), Vars: map[string]any{"secret": stateText}}
		w.stand(t, before)
		s := s
		s.Pass = []string{"READER"}
		s.Source = fstest.MapFS{"pry.tftest.hcl": {Data: []byte(tells), Mode: 0o644}, "main.tf": {Data: []byte(sized + prying), Mode: 0o644}}
		got, err := diff(t.Context(), s)
		if err != nil || got.Tests == nil || got.Tests.Passed != 2 {
			t.Errorf("%+v, %v", got.Tests, err)
		}
	})
}

func TestPassedTestsAreRunAgainWhereSomethingChanged(t *testing.T) {
	real(t)
	w := newTown(t)
	c := at(w.states, world(w.env))
	got, err := Terraform(c).Diff(t.Context(), withTests("size.tftest.hcl", sizes, 3))
	if err != nil || got.Tests == nil || got.Tests.Passed != 2 {
		t.Fatalf("%+v, %v", got.Tests, err)
	}
	c.Patience = time.Nanosecond // none could be run
	got, err = Terraform(c).Diff(t.Context(), withTests("size.tftest.hcl", sizes, 3))
	if err != nil || got.Tests == nil || got.Tests.Passed != 2 {
		t.Errorf("the same again: %+v, %v", got.Tests, err)
	}
	_, err = Terraform(c).Diff(t.Context(), withTests("size.tftest.hcl", sizes, 4))
	if err == nil || !strings.Contains(err.Error(), "it was ended after") {
		t.Errorf("of another size: %v", err)
	}
}

func TestATestFileThatIsWrongIsNamed(t *testing.T) {
	both(t, port.Infrastructure{}, func(t *testing.T, diff func(context.Context, port.Infrastructure) (port.Change, error), _ town) {
		_, err := diff(t.Context(), withTests("size.tftest.hcl", "run \"size\" { nonsense }\n", 3))
		if err == nil || !strings.Contains(err.Error(), "size.tftest.hcl:1") {
			t.Errorf("it is %v", err)
		}
	})
}
