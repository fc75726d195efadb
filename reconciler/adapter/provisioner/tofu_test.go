// OpenTofu does all that Terraform does, under its own name, and each goes on from the
// state of the other.

package provisioner

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// named is terraform of PATH, or tofu of PATH or VISHWA_TOOLS. Where it is absent,
// VISHWA_REAL says of tofu that this is a failure: make test-real installs it.
func named(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), os.Getenv("VISHWA_TOOLS")) {
		if file := filepath.Join(dir, name); filepath.IsAbs(dir) && executable(file) {
			return file
		}
	}
	if name == "tofu" && os.Getenv("VISHWA_REAL") != "" {
		t.Fatal("tofu is missing: make test-real installs it")
	}
	t.Skip(name + " is missing")
	return ""
}

// with is a Config whose program is the given one, and whose PATH has no other.
func with(t *testing.T, dir, tool string) Config {
	t.Helper()
	path, err := peers.Hide(t.TempDir(), os.Getenv("PATH"), "terraform", "tofu")
	if err != nil {
		t.Fatal(err)
	}
	alone := t.TempDir()
	if err := os.Symlink(tool, filepath.Join(alone, filepath.Base(tool))); err != nil {
		t.Fatal(err)
	}
	return at(dir, world(map[string]string{"PATH": path + string(os.PathListSeparator) + alone}))
}

// configured is c with a file of the program's own configuration.
func configured(c Config, file string) Config {
	before := c.Env.Lookup
	c.Env.Lookup = func(name string) (string, bool) {
		if name == "TF_CLI_CONFIG_FILE" {
			return file, true
		}
		return before(name)
	}
	return c
}

func TestOpenTofuIsAProvisioner(t *testing.T) {
	c := with(t, t.TempDir(), named(t, "tofu"))
	p := Terraform(c)
	s := stack("a", good)
	mustApply(t, p, s)
	if c := mustDiff(t, p, s); !c.Empty || !strings.HasPrefix(c.Tool, "tofu 1.") {
		t.Errorf("tool %q, actions %s", c.Tool, show(c.Actions))
	}
	s.Source = module(wrong)
	if _, err := p.Diff(t.Context(), s); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "main.tf:") || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}

// TestEachGoesOnFromTheStateOfTheOther: what one has made, the other finds, changes and
// plans alike; the plan's JSON has the same shape.
func TestEachGoesOnFromTheStateOfTheOther(t *testing.T) {
	dir, tools := t.TempDir(), []string{named(t, "terraform"), named(t, "tofu")}
	s := stack("a", good)
	for size, tool := range []string{tools[0], tools[1], tools[0]} {
		s.Vars = map[string]any{"size": size, "secret": secret}
		p := Terraform(with(t, dir, tool))
		want := "update terraform_data.disk"
		if size == 0 {
			want = "create terraform_data.disk"
		}
		c := mustDiff(t, p, s)
		if !strings.Contains(show(c.Actions), want) || !strings.HasPrefix(c.Tool, filepath.Base(tool)+" ") || len(c.Raw) == 0 {
			t.Fatalf("%s plans %s", c.Tool, show(c.Actions))
		}
		if _, err := p.Apply(t.Context(), s, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range tools {
		c := mustDiff(t, Terraform(with(t, dir, tool)), s)
		if !c.Empty || len(c.Drift) > 0 || string(c.Outputs["size"].Value) != "2" || !c.Outputs["login"].Sensitive {
			t.Errorf("%s plans %s, drift %v", c.Tool, show(c.Actions), c.Drift)
		}
	}
}

// TestAPlanOfTheOneIsNotAppliedByTheOther: it says so, and nothing is done.
func TestAPlanOfTheOneIsNotAppliedByTheOther(t *testing.T) {
	dir := t.TempDir()
	s := stack("a", good)
	c := mustDiff(t, Terraform(with(t, dir, named(t, "terraform"))), s)
	if _, err := Terraform(with(t, dir, named(t, "tofu"))).Apply(t.Context(), s, c); fault.Of(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
}

// TestOpenTofusOwnPlacesAreLookedInto: its configuration and its folders of providers.
func TestOpenTofusOwnPlacesAreLookedInto(t *testing.T) {
	home, config, data := t.TempDir(), t.TempDir(), t.TempDir()
	env := map[string]string{"HOME": home, "XDG_CONFIG_HOME": config, "XDG_DATA_HOME": data}
	get := func(name string) string { return env[name] }
	put(t, filepath.Join(config, "opentofu", "tofurc"), "")
	if got := cliConfig(get, "tofu"); got != filepath.Join(config, "opentofu", "tofurc") {
		t.Errorf("reads %q", got)
	}
	if got := cliConfig(get, "terraform"); got != "" {
		t.Errorf("terraform reads %q", got)
	}
	for _, name := range []string{".terraformrc", ".tofurc"} { // the later goes before
		put(t, filepath.Join(home, name), "")
		if got := cliConfig(get, "tofu"); got != filepath.Join(home, name) {
			t.Errorf("reads %q, not %s", got, name)
		}
	}
	own := filepath.Join(data, "opentofu", "plugins")
	if !slices.Contains(folders(get, "tofu"), own) || slices.Contains(folders(get, "terraform"), own) {
		t.Error("providers of OpenTofu's own folder are not found by it alone")
	}
}

// TestProblemsWithTheConfigurationOfOpenTofuAreTold: it prints them before its JSON. A
// file that is named and not there is none.
func TestProblemsWithTheConfigurationOfOpenTofuAreTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rc")
	for _, name := range []string{"tofu", "terraform"} {
		c := configured(with(t, t.TempDir(), named(t, name)), file)
		if c := mustDiff(t, Terraform(c), stack("a", good)); c.Empty {
			t.Errorf("%s plans nothing", name)
		}
	}
	put(t, file, "credentials \""+secret+"\" {\n")
	c := configured(with(t, t.TempDir(), named(t, "tofu")), file)
	_, err := Terraform(c).Diff(t.Context(), stack("a", good))
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "configuration") || strings.Contains(err.Error(), secret) || !strings.Contains(fault.HintOf(err), "tofu version") {
		t.Errorf("got %v; %s", err, fault.HintOf(err))
	}
}

// TestALockSaysWhichProgramReleasesIt: the way out names the program that ran.
func TestALockSaysWhichProgramReleasesIt(t *testing.T) {
	for _, name := range []string{"terraform", "tofu"} {
		w := &work{stack: port.Infrastructure{Name: "a"}, tool: tool{product: name}, secrets: new(redactor)}
		err := w.failure("plan", []diagnostic{{Severity: "error", Summary: "Error acquiring the state lock", Detail: "Lock Info:"}}, exec.ErrNotFound)
		if !strings.Contains(fault.HintOf(err), name+" force-unlock") {
			t.Errorf("%s: %s", name, fault.HintOf(err))
		}
	}
}
