// A module's tests are run for the tracked branch and for pull requests alike, and get no more than a pull request's plan does.

package provisioner

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
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

// meddling is a helper of tests that changes what the stack's next plan is made of, and leaves a file where that lies.
const meddling = `
resource "terraform_data" "meddle" {
  provisioner "local-exec" {
    command = <<-EOT
      for at in . "$PWD/${path.root}" ../module ../../module; do
        echo 'resource "terraform_data" "mine" {}' >> $at/main.tf
        mkdir -p $at/.terraform/modules && echo x > $at/.terraform/modules/mine
        echo x > $at/mine.tf.json
      done
      echo {} > ../ready.json; echo {} > ../../ready.json
      true
    EOT
  }
}
`

// TestTestsCannotChangeWhatIsPlannedAfterThem: the folder in which a stack is planned and applied is with credentials, and no wall.
func TestTestsCannotChangeWhatIsPlannedAfterThem(t *testing.T) {
	real(t)
	w := newTown(t)
	c := at(w.states, world(w.env))
	c.Wall = wall.Policy{Level: wall.Namespaces, Hidden: []string{w.keys, w.home}}
	s := func(size int) port.Infrastructure {
		return port.Infrastructure{Name: "db", Vars: map[string]any{"size": size}, State: schemas.State{Backend: map[string]string{"path": filepath.Join(w.dir, "declared.tfstate")}}, Source: fstest.MapFS{
			"main.tf":        {Data: []byte("terraform {\n  backend \"local\" {}\n}\n" + sized), Mode: 0o644},
			"maker/main.tf":  {Data: []byte(meddling), Mode: 0o644},
			"db.tftest.hcl":  {Data: []byte("run \"make\" {\n  module { source = \"./maker\" }\n}\nrun \"look\" {\n  command = plan\n  assert {\n    condition = var.size > 0 && !fileexists(\".terraform/terraform.tfstate\")\n    error_message = \"it sees the backend\"\n  }\n}\n"), Mode: 0o644},
			"scripts/run.sh": {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
		}}
	}
	w.stand(t, port.Infrastructure{Name: "db", Vars: s(3).Vars, State: s(3).State, Source: fstest.MapFS{"main.tf": s(3).Source.(fstest.MapFS)["main.tf"]}})
	p := Terraform(c)
	for _, size := range []int{4, 5} {
		got, err := p.Diff(t.Context(), s(size))
		if err != nil || got.Tests == nil || got.Tests.Passed != 2 || show(got.Actions) != "update terraform_data.disk" {
			t.Fatalf("of size %d: %s, %+v, %v", size, show(got.Actions), got.Tests, err)
		}
		if want := []port.TestModule{{Name: "make of db.tftest.hcl", Source: "./maker"}}; !slices.Equal(got.Tests.Modules, want) {
			t.Errorf("the tests run %+v, want %+v", got.Tests.Modules, want)
		}
		for file, text := range tree(t, filepath.Join(w.states, "db")) {
			switch one, declared := s(size).Source.(fstest.MapFS)[strings.TrimPrefix(file, "module/")]; {
			case declared && string(one.Data) != text:
				t.Errorf("the tests changed %s: %q", file, text)
			case strings.Contains(file, "mine"), strings.HasPrefix(file, "tests/"), strings.HasPrefix(file, "module/") && !declared && !strings.HasPrefix(file, "module/.terraform"):
				t.Errorf("the tests left %s: %q", file, text)
			}
		}
		for _, file := range []string{"module", "module/main.tf"} {
			if info, err := os.Stat(filepath.Join(w.states, "db", file)); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
				t.Errorf("%s was given away: %v", file, err)
			}
		}
	}
}

// TestTestsBorrowWhatWasFetched: modules of elsewhere, and links of providers to where they lie.
func TestTestsBorrowWhatWasFetched(t *testing.T) {
	from, to, cache := t.TempDir(), filepath.Join(t.TempDir(), "copy"), t.TempDir()
	put(t, filepath.Join(from, "a", "main.tf"), "x")
	put(t, filepath.Join(cache, "provider"), "y")
	outside, err := filepath.Rel(from, cache)
	if err != nil {
		t.Fatal(err)
	}
	for link, at := range map[string]string{"absolute": cache, "relative": outside, "within": "a"} {
		if err := os.Symlink(at, filepath.Join(from, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := copied(from, to); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(from, "a", "main.tf"), "changed afterwards")
	for file, want := range map[string]string{"absolute/provider": "y", "relative/provider": "y", "a/main.tf": "x", "within/main.tf": "x"} {
		if raw, err := os.ReadFile(filepath.Join(to, file)); err != nil || string(raw) != want {
			t.Errorf("%s is %q, %v", file, raw, err)
		}
	}
	if err := copied(filepath.Join(from, "none"), filepath.Join(to, "none")); err != nil {
		t.Errorf("what is not there: %v", err)
	}
}

// TestTestsAreNotRunWhereNothingKeepsThemApart: not by the machine, and not by its owner's word either.
func TestTestsAreNotRunWhereNothingKeepsThemApart(t *testing.T) {
	real(t)
	for name, one := range map[string]struct {
		level   wall.Level
		network []string
		why     string
	}{
		"turned off":               {wall.None, nil, "isolation is turned off"},
		"hosts on the second rung": {wall.Landlock, []string{"example.com:443"}, "cannot guarantee network"},
	} {
		w := newTown(t)
		c := at(w.states, world(w.env))
		c.Wall = wall.Policy{Level: one.level, Hidden: []string{w.keys, w.home}}
		s := withTests("size.tftest.hcl", "run \"size\" {}\n", 3)
		s.Network = one.network
		mark := filepath.Join(w.dir, "ran")
		s.Source.(fstest.MapFS)["main.tf"].Data = []byte(sized + "resource \"terraform_data\" \"run\" {\n  provisioner \"local-exec\" { command = \"touch " + mark + " || true\" }\n}\n")
		got, err := Terraform(c).Diff(t.Context(), s)
		if err != nil || got.Tests == nil || !strings.Contains(got.Tests.NotRun, one.why) || len(got.Actions) != 2 {
			t.Errorf("%s: %+v %+v, %v", name, got.Tests, got.Actions, err)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Errorf("%s: the test was run", name)
		}
	}
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

// TestTestsThatWentBadlyAreNotRunAtEachLook: a stack is looked at several times a pass, and held meanwhile. After an hour they are run again.
func TestTestsThatWentBadlyAreNotRunAtEachLook(t *testing.T) {
	real(t)
	w := newTown(t)
	now := time.Now()
	c := at(w.states, world(w.env))
	c.Env.Now = func() time.Time { return now }
	diff := func(patience time.Duration, size int) (port.Change, error) {
		c.Patience = patience
		return Terraform(c).Diff(t.Context(), withTests("size.tftest.hcl", sizes, size))
	}
	hung := func(_ port.Change, err error) bool {
		return err != nil && strings.Contains(err.Error(), "it was ended after")
	}
	failed := func(got port.Change, err error) bool {
		return err == nil && got.Tests != nil && got.Tests.Failed == 1 && len(got.Tests.Failures) == 1
	}
	const none, enough = time.Nanosecond, time.Minute
	for _, step := range []struct {
		what     string
		later    time.Duration
		patience time.Duration
		size     int
		want     func(port.Change, error) bool
	}{
		{"they do not end", 0, none, 4, hung},
		{"looked at again", time.Minute, enough, 4, hung},
		{"after an hour", time.Hour, enough, 4, failed},
		{"failed, and looked at again", 30 * time.Minute, none, 4, failed},
		{"an hour after that they failed", 30 * time.Minute, none, 4, hung},
		{"mended", 0, enough, 3, func(got port.Change, err error) bool { return err == nil && got.Tests.Passed == 2 }},
		{"before they were run, by a clock that went back", -48 * time.Hour, none, 3, func(got port.Change, err error) bool { return err == nil && got.Tests.Passed == 2 }},
	} {
		now = now.Add(step.later)
		if got, err := diff(step.patience, step.size); !step.want(got, err) {
			t.Errorf("%s: %+v, %v", step.what, got.Tests, err)
		}
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
