//go:build linux

// Nobody has reviewed a pull request's module: these play hostile ones, on both rungs.

package provisioner

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	keyText   = "-----BEGIN CONTROLLER KEY-----"
	stateText = "state-of-the-tracked-branch"
	readOnly  = "read-only-credential"
)

// town is a controller's machine: keys, states, and a home with a token in it.
type town struct {
	dir, keys, states, home string
	env                     map[string]string
}

func newTown(t *testing.T) town {
	t.Helper()
	d := t.TempDir()
	w := town{dir: d, keys: filepath.Join(d, "keys"), states: filepath.Join(d, "state", "terraform"), home: filepath.Join(d, "home")}
	for file, text := range map[string]string{
		filepath.Join(w.keys, "build.key"):      keyText,
		filepath.Join(w.home, ".terraformrc"):   "credentials \"app.terraform.io\" {\n  token = \"" + keyText + "\"\n}\n",
		filepath.Join(w.states, "other", "s"):   keyText,
		filepath.Join(w.dir, "state", "ledger"): keyText,
	} {
		put(t, file, text)
	}
	w.env = map[string]string{"HOME": w.home, "READER": readOnly, "WRITER": keyText, "AWS_SECRET_ACCESS_KEY": keyText}
	return w
}

// pulls plans for pull requests in the town. The second rung is held to all that it can
// give here: on kernels before 6.12 it lacks signals, and would refuse.
func (w town) pulls(t *testing.T, level wall.Level) Pulls {
	t.Helper()
	real(t)
	c := at(filepath.Join(w.dir, "state", "pulls", "terraform"), world(w.env))
	c.States = w.states
	c.Wall = wall.Policy{Level: level, Strict: true, Hidden: []string{w.keys, w.home, filepath.Join(w.dir, "state")}}
	return ForPulls(c)
}

func onBothRungs(t *testing.T, law func(t *testing.T, level wall.Level)) {
	t.Helper()
	for _, level := range []wall.Level{wall.Namespaces, wall.Landlock} {
		t.Run(string(level), func(t *testing.T) { law(t, level) })
	}
}

// stand provisions s as the tracked branch does, so that there is a state with a secret.
func (w town) stand(t *testing.T, s port.Infrastructure) {
	t.Helper()
	c := at(w.states, world(w.env))
	tracked := Terraform(c)
	change, err := tracked.Diff(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tracked.Apply(t.Context(), s, change); err != nil {
		t.Fatal(err)
	}
}

// all is whatever may be shown of a plan.
func all(c port.Change, err error) string {
	raw, _ := json.Marshal(c)
	out := string(raw)
	if err != nil {
		out += "\n" + err.Error() + "\n" + fault.HintOf(err)
	}
	return out
}

// leaks tells whether a secret shows, plainly or as base64 at any offset.
func leaks(text string) string {
	for _, s := range []string{keyText, readOnly, stateText} {
		for cut := range 3 {
			for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s[cut:]))} {
				if form = strings.TrimRight(form, "=")[:12]; strings.Contains(text, form) {
					return form
				}
			}
		}
	}
	return ""
}

const kept = "variable \"secret\" {}\nresource \"terraform_data\" \"kept\" { input = var.secret }\n"

func TestAPullRequestIsPlannedLikeTheTrackedBranch(t *testing.T) {
	onBothRungs(t, func(t *testing.T, level wall.Level) {
		w := newTown(t)
		s := port.Infrastructure{Name: "db", Source: module(kept), Vars: map[string]any{"secret": stateText}}
		w.stand(t, s)
		before := tree(t, w.states)
		same, err := w.pulls(t, level).Diff(t.Context(), s)
		if err != nil || !same.Empty {
			t.Fatalf("what stands: %+v, %v", same, err)
		}
		s.Source = module(kept + "resource \"terraform_data\" \"more\" {\n  for_each = toset([\"blue\"])\n}\n")
		got, err := w.pulls(t, level).Diff(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Actions) != 1 || got.Actions[0] != (port.ResourceAction{Address: `terraform_data.more["blue"]`, Action: "create"}) || got.File != "" {
			t.Errorf("planned %+v", got)
		}
		want, err := Terraform(at(w.states, world(w.env))).Diff(t.Context(), s)
		if err != nil || want.Digest != got.Digest {
			t.Errorf("the tracked branch names the change %s, the pull request %s: %v", want.Digest.Short(), got.Digest.Short(), err)
		}
		delete(before, "db/ready.json")
		for file, text := range before {
			if strings.HasSuffix(file, ".tfstate") && tree(t, w.states)[file] != text {
				t.Errorf("%s was changed", file)
			}
		}
		if left := tree(t, filepath.Join(w.dir, "state", "pulls")); len(left) != 1 {
			t.Errorf("left behind: %v", slices.Sorted(maps.Keys(left)))
		}
		if _, err := w.pulls(t, level).Apply(t.Context(), s, got); fault.Of(err) != fault.Denied {
			t.Errorf("applied: %v", err)
		}
	})
}

// tree is all files below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		all[rel] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAHostileModuleShowsNothing: each reads what it can and shows it where it can.
func TestAHostileModuleShowsNothing(t *testing.T) {
	reads := map[string]string{
		"key":           `file("%KEYS%/build.key")`,
		"token":         `file("%HOME%/.terraformrc")`,
		"other state":   `file("%STATES%/other/s")`,
		"ledger":        `file("%STATES%/../ledger")`,
		"above":         `file("${path.module}/../../../../../keys/build.key")`,
		"its state":     `file("${path.module}/../${var.secret == "" ? "" : "state"}/terraform.tfstate")`,
		"real state":    `file("%STATES%/db/terraform.tfstate")`,
		"environment":   `file("/proc/self/environ")`,
		"parent":        `file("/proc/1/environ")`,
		"controller":    `file("/proc/%PID%/environ")`,
		"template":      `templatefile("%KEYS%/build.key", {})`,
		"remote state":  `jsonencode(data.terraform_remote_state.own.outputs)`,
		"listing":       `join(",", fileset("%KEYS%", "**"))`,
		"base64":        `filebase64("/proc/self/environ")`,
		"base64 of key": `filebase64("%KEYS%/build.key")`,
	}
	shows := map[string]string{
		"message": `resource "terraform_data" "x" {
  input = "x"
  lifecycle {
    precondition {
      condition     = length(local.got) == 0
      error_message = "got: ${local.got}"
    }
  }
}`,
		"key": `resource "terraform_data" "x" {
  for_each = toset([local.got, base64encode(local.got)])
}`,
		"validation": `module "inner" {
  source = "./inner"
  in     = local.got
}`,
		"output": `output "x" { value = local.got }`,
		"parse":  `locals { n = jsondecode(local.got) + tonumber(local.got) }`,
	}
	onBothRungs(t, func(t *testing.T, level wall.Level) {
		w := newTown(t)
		s := port.Infrastructure{Name: "db", Source: module(kept), Vars: map[string]any{"secret": stateText}}
		w.stand(t, s)
		p := w.pulls(t, level)
		s.Pass = []string{"READER"}
		fill := strings.NewReplacer("%KEYS%", w.keys, "%HOME%", w.home, "%STATES%", w.states, "%PID%", strconv.Itoa(os.Getpid()))
		ways := slices.Sorted(maps.Keys(shows))
		for i, what := range slices.Sorted(maps.Keys(reads)) {
			read := reads[what]
			for _, how := range []string{ways[i%len(ways)], "key"} {
				show := shows[how]
				text := kept + "data \"terraform_remote_state\" \"own\" {\n  backend = \"local\"\n  config  = { path = \"" + w.states + "/db/terraform.tfstate\" }\n}\n"
				if !strings.Contains(read, "remote_state") {
					text = kept
				}
				text += fmt.Sprintf("locals { got = %s }\n%s\n", fill.Replace(read), show)
				s.Source = fstest.MapFS{"main.tf": {Data: []byte(text), Mode: 0o644}, "inner/main.tf": {Mode: 0o644, Data: []byte(`variable "in" {
  validation {
    condition     = length(var.in) == 0
    error_message = "got: ${var.in}"
  }
}
`)}}
				s.Vars = map[string]any{"secret": "another"}
				c, err := p.Diff(t.Context(), s)
				if form := leaks(all(c, err)); form != "" {
					t.Errorf("%s by %s shows %q:\n%s", what, how, form, all(c, err))
				}
				inWorld := what != "environment" && what != "base64" && what != "its state" && what != "parent"
				if inWorld && what != "listing" && err == nil {
					t.Errorf("%s by %s could be read", what, how)
				}
				if inWorld && strings.Contains(string(c.Raw), "BEGIN CONTROLLER") {
					t.Errorf("%s by %s is in the plan", what, how)
				}
			}
		}
	})
}

// TestLinksOfAModuleAreRefused: before anything of it is run.
func TestLinksOfAModuleAreRefused(t *testing.T) {
	w := newTown(t)
	dir := filepath.Join(w.dir, "module")
	put(t, filepath.Join(dir, "main.tf"), `output "x" { value = file("${path.module}/key") }`)
	for link, to := range map[string]string{"key": filepath.Join(w.keys, "build.key"), "folder": w.keys} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		c, err := w.pulls(t, wall.Namespaces).Diff(t.Context(), port.Infrastructure{Name: "db", Source: os.DirFS(dir)})
		if fault.Of(err) != fault.Invalid || leaks(all(c, err)) != "" {
			t.Errorf("%s: %v", link, err)
		}
		if err := os.Remove(filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAPullRequestSeesTheVariablesOfItsBase: those alone, and not before the module is
// found to be in order.
func TestAPullRequestSeesTheVariablesOfItsBase(t *testing.T) {
	onBothRungs(t, func(t *testing.T, level wall.Level) {
		w := newTown(t)
		p := w.pulls(t, level)
		s := port.Infrastructure{Name: "db", Pass: []string{"READER"}}
		see := func(name string) port.Change {
			s.Source = module(`resource "terraform_data" "x" { count = strcontains(file("/proc/self/environ"), "` + name + `") ? 1 : 0 }`)
			c, err := p.Diff(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for name, seen := range map[string]bool{"READER=" + readOnly: true, "WRITER=": false, "AWS_SECRET": false, "TF_VAR_": false, w.home: false} {
			if c := see(name); c.Empty == seen {
				t.Errorf("%s: seen is %v", name, !seen)
			}
		}
		s.Pass = nil
		if c := see("READER="); !c.Empty {
			t.Error("a variable that is not passed is seen")
		}
	})
}

// provider is a program in a mirror: what it does stands in its script.
func (w town) provider(t *testing.T, script string) {
	t.Helper()
	dir := filepath.Join(w.dir, "mirror")
	at := filepath.Join(dir, registries[product(t)], "acme", "evil", "1.0.0", "linux_amd64", "terraform-provider-evil_v1.0.0")
	put(t, at, "#!/bin/sh\n"+script)
	if err := os.Chmod(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for p := filepath.Dir(at); p != w.dir; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.env["TF_PLUGIN_CACHE_DIR"] = dir
}

const evil = `terraform {
  required_providers {
    evil = { source = "acme/evil" }
  }
}
resource "evil_thing" "x" {}
`

// TestAHostileProviderChangesNothing: it runs as code of its own, from a mirror.
func TestAHostileProviderChangesNothing(t *testing.T) {
	onBothRungs(t, func(t *testing.T, level wall.Level) {
		w := newTown(t)
		w.provider(t, `exec >>"$HOME/../module/report" 2>&1
cat `+w.keys+`/build.key
echo poisoned >`+w.keys+`/build.key
echo poisoned >`+w.dir+`/mirror/poisoned
echo poisoned >"$0"
echo poisoned >`+w.states+`/db/terraform.tfstate
rm -rf `+w.states+`
ln -s `+w.keys+`/build.key "$HOME/../state"
ln -sf `+w.keys+`/build.key "$HOME/../module/main.tf"
(setsid sleep 300 &)
touch "$HOME/../module/ran"
`)
		s := port.Infrastructure{Name: "db", Source: module(kept), Vars: map[string]any{"secret": stateText}}
		w.stand(t, s)
		before := tree(t, w.dir)
		s.Source, s.Vars = module(evil), nil
		p := w.pulls(t, level)
		c, err := p.Diff(t.Context(), s)
		if err == nil {
			t.Fatal("a provider that is none was taken")
		}
		if text := all(c, err); leaks(text) != "" || !strings.Contains(text, "evil") && !strings.Contains(text, "plugin") {
			t.Errorf("it says %s", text)
		}
		after := tree(t, w.dir)
		for file := range after {
			if after[file] != before[file] && !strings.HasPrefix(file, "state/pulls/") {
				t.Errorf("%s was changed: %q", file, after[file])
			}
		}
		for file := range before {
			if _, there := after[file]; !there {
				t.Errorf("%s is gone", file)
			}
		}
	})
}
