// Terraform keeps the port's promises, and its own, on the real program.

package provisioner

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

const secret = "correct-horse-battery"

// real is the program of this machine: terraform, or tofu where that is not there.
func real(t *testing.T) string {
	t.Helper()
	path, err := find("", os.Getenv("PATH"))
	if err != nil {
		const way = "neither terraform nor tofu is on PATH: make tools installs tofu"
		if os.Getenv("CI") != "" {
			t.Fatal(way)
		}
		t.Skip(way)
	}
	return path
}

// product is what real's program calls itself in messages.
func product(t *testing.T) string {
	t.Helper()
	return filepath.Base(real(t))
}

func module(hcl string) fs.FS { return fstest.MapFS{"main.tf": {Data: []byte(hcl), Mode: 0o644}} }

// world is the caller's environment, with what must have no effect.
func world(extra map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if v, ok := extra[name]; ok {
			return v, true
		}
		switch name {
		case "PATH", "HOME", "TMPDIR":
			return os.LookupEnv(name)
		case "TF_CLI_ARGS", "TF_CLI_ARGS_plan", "TF_CLI_ARGS_apply":
			return "-no-such-flag", true
		case "TF_VAR_secret", "TF_WORKSPACE", "TF_DATA_DIR":
			return "poison", true
		case "TF_LOG":
			return "TRACE", true
		}
		return "", false
	}
}

func at(dir string, lookup func(string) (string, bool)) Config {
	return Config{
		Env: port.Env{Now: time.Now, Lookup: lookup}, Dir: dir,
		LockTimeout: 2 * time.Second, Grace: 5 * time.Second,
	}
}

const declared = `
variable "size" { type = number }
variable "secret" {
  type      = string
  sensitive = true
}
`

const good = declared + `
resource "terraform_data" "disk" { input = var.size }
resource "terraform_data" "login" { input = var.secret }
output "size" { value = terraform_data.disk.output }
output "login" {
  value     = terraform_data.login.output
  sensitive = true
}
`

const broken = declared + `
resource "terraform_data" "first" { input = var.size }
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = "echo ${var.secret} >&2; exit 3" }
}
resource "terraform_data" "third" { depends_on = [terraform_data.second] }
`

const slow = declared + `
resource "terraform_data" "first" { input = var.size }
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = "sleep 300; echo ${var.secret}" }
}
`

const wrong = declared + `
resource "terraform_data" "disk" {
  input  = var.size
  colour = "${var.secret}"
}
`

func stack(name, hcl string) port.Infrastructure {
	return port.Infrastructure{Name: name, Source: module(hcl), Vars: map[string]any{"size": 1, "secret": secret}}
}

func TestTerraformIsAProvisioner(t *testing.T) {
	real(t)
	dir := t.TempDir()
	n := 0
	make := func(hcl string) func(*testing.T) port.Infrastructure {
		return func(*testing.T) port.Infrastructure {
			n++
			return stack(fmt.Sprintf("s%d", n), hcl)
		}
	}
	stacks := porttest.Stacks{
		Secret: secret, Good: make(good), Broken: make(broken), Slow: make(slow), Wrong: make(wrong),
		Other: func(s port.Infrastructure) port.Infrastructure {
			size := s.Vars["size"].(int) + 1
			s.Vars = map[string]any{"size": size, "secret": secret}
			return s
		},
	}
	porttest.Provisioner(t, stacks, func(t *testing.T) port.Provisioner { return Terraform(at(dir, world(nil))) })
}

func mustDiff(t *testing.T, p port.Provisioner, s port.Infrastructure) port.Change {
	t.Helper()
	c, err := p.Diff(t.Context(), s)
	if err != nil {
		t.Fatalf("diff: %v; %s", err, fault.HintOf(err))
	}
	return c
}

func mustApply(t *testing.T, p port.Provisioner, s port.Infrastructure) port.Outcome {
	t.Helper()
	out, err := p.Apply(t.Context(), s, mustDiff(t, p, s))
	if err != nil {
		t.Fatalf("apply: %v; %s", err, fault.HintOf(err))
	}
	return out
}

func show(actions []port.ResourceAction) string {
	var all []string
	for _, a := range actions {
		all = append(all, a.Action+" "+a.Address)
	}
	return strings.Join(all, ", ")
}

func TestActionsNameWhatWouldHappen(t *testing.T) {
	real(t)
	p := Terraform(at(t.TempDir(), world(nil)))
	base := stack("a", good)
	mustApply(t, p, base)
	with := func(hcl string, size int) port.Infrastructure {
		s := stack("a", hcl)
		s.Vars["size"] = size
		return s
	}
	for name, c := range map[string]struct {
		s    port.Infrastructure
		want string
	}{
		"nothing":            {base, ""},
		"update":             {with(good, 2), "update terraform_data.disk"},
		"replace":            {with(strings.Replace(good, "{ input = var.size }", "{\n input = var.size\n triggers_replace = 1\n}", 1), 1), "replace terraform_data.disk"},
		"create":             {with(good+`resource "terraform_data" "more" {}`, 1), "create terraform_data.more"},
		"delete":             {with(strings.Replace(strings.Replace(good, "resource \"terraform_data\" \"login\" { input = var.secret }", "", 1), "terraform_data.login.output", "var.secret", 1), 1), "delete terraform_data.login"},
		"output":             {with(good+`output "more" { value = 1 }`, 1), "update output.more"},
		"move":               {with(strings.NewReplacer(`"disk"`, `"volume"`, "terraform_data.disk", "terraform_data.volume").Replace(good)+"moved {\n from = terraform_data.disk\n to = terraform_data.volume\n}", 1), "update terraform_data.volume"},
		"destroy":            {port.Infrastructure{Name: "a", Source: base.Source, Vars: base.Vars, Remove: true}, "delete terraform_data.disk, delete terraform_data.login"},
		"key in the address": {with(good+`resource "terraform_data" "each" { for_each = toset(["x y"]) }`, 1), `create terraform_data.each["x y"]`},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustDiff(t, p, c.s)
			if show(got.Actions) != c.want || got.Empty != (c.want == "") {
				t.Errorf("got %q, want %q", show(got.Actions), c.want)
			}
			if (got.Digest == "") != got.Empty {
				t.Errorf("digest is %q", got.Digest)
			}
		})
	}
}

func TestOutputsAreHandedOver(t *testing.T) {
	real(t)
	p := Terraform(at(t.TempDir(), world(nil)))
	s := stack("a", good)
	out := mustApply(t, p, s)
	if string(out.Outputs["size"].Value) != "1" || out.Outputs["size"].Sensitive {
		t.Errorf("size is %+v", out.Outputs["size"])
	}
	if string(out.Outputs["login"].Value) != `"`+secret+`"` || !out.Outputs["login"].Sensitive {
		t.Error("the sensitive output is not handed over, or not flagged")
	}
	if raw, err := json.Marshal(out); err != nil || strings.Contains(string(raw), secret) {
		t.Error("the outcome as JSON holds the secret")
	}
	only := port.Infrastructure{Name: "b", Source: module(`output "url" { value = "http://127.0.0.1" }`)}
	if out := mustApply(t, p, only); show(out.Done) != "update output.url" || string(out.Outputs["url"].Value) != `"http://127.0.0.1"` {
		t.Errorf("a change of outputs alone: %+v", out)
	}
	if c := mustDiff(t, p, only); !c.Empty || len(c.Outputs) != 1 {
		t.Errorf("diff after it: %+v", c)
	}
}

func TestDriftOfTheStateIsPutRight(t *testing.T) {
	real(t)
	dir := t.TempDir()
	p := Terraform(at(dir, world(nil)))
	s := stack("a", good)
	mustApply(t, p, s)
	file := filepath.Join(dir, "a", "terraform.tfstate")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bent := regexp.MustCompile(`("(?:input|output)": \{\s*"value": )1,`).ReplaceAllString(string(raw), "${1}9,")
	if bent == string(raw) {
		t.Fatal("the state does not look as expected")
	}
	if err := os.WriteFile(file, []byte(bent), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := mustDiff(t, p, s); show(c.Actions) != "update terraform_data.disk" {
		t.Fatalf("after the state was changed out of band: %s", show(c.Actions))
	}
	mustApply(t, p, s)
	if c := mustDiff(t, p, s); !c.Empty {
		t.Errorf("it was not put right: %s", show(c.Actions))
	}
	if drift, err := p.Drift(t.Context(), s); err != nil || len(drift) != 0 {
		t.Errorf("refresh-only drift: %v, %v", drift, err)
	}
}
