// Finding the program, and the environment that it gets.

package provisioner

import (
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// program writes a script that answers `version` with banner.
func program(t *testing.T, dir, name, banner string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\nprintf '%s\\n' '"+banner+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheToolIsFoundAndNamed(t *testing.T) {
	both, only, old, odd, text := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	program(t, both, "terraform", "Terraform v1.11.4\non linux_amd64")
	program(t, both, "tofu", "OpenTofu v1.9.0\non linux_amd64")
	tofu := program(t, only, "tofu", "OpenTofu v1.6.0\non linux_amd64")
	program(t, old, "terraform", "Terraform v1.3.9")
	program(t, odd, "terraform", "something else")
	if err := os.WriteFile(filepath.Join(text, "terraform"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, override, want string
		kind                 fault.Kind
	}{
		"terraform first":       {path: both, want: "terraform 1.11.4"},
		"tofu where it is not":  {path: only, want: "tofu 1.6.0"},
		"said by hand":          {path: both, override: tofu, want: "tofu 1.6.0"},
		"neither":               {path: t.TempDir(), kind: fault.Missing},
		"no program":            {path: text, kind: fault.Missing},
		"no PATH":               {kind: fault.Missing},
		"relative PATH":         {path: ".", kind: fault.Missing},
		"said and not there":    {path: both, override: "/nowhere/terraform", kind: fault.Missing},
		"too old":               {path: old, kind: fault.Invalid},
		"another program":       {path: odd, kind: fault.Missing},
		"the first that is one": {path: t.TempDir() + string(os.PathListSeparator) + only, want: "tofu 1.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Terraform(Config{Tool: c.override}).tool(t.Context(), map[string]string{"PATH": c.path})
			if c.want != "" && (err != nil || got.String() != c.want) {
				t.Fatalf("got %s, %v, want %s", got, err, c.want)
			}
			if c.want == "" && (fault.Of(err) != c.kind || !strings.Contains(fault.HintOf(err), "install")) {
				t.Fatalf("got %v (%v), way %q", err, fault.Of(err), fault.HintOf(err))
			}
		})
	}
}

func TestMissingTerraformSaysHowToGetIt(t *testing.T) {
	p := Terraform(at(t.TempDir(), world(map[string]string{"PATH": t.TempDir()})))
	_, err := p.Diff(t.Context(), stack("a", good))
	if fault.Of(err) != fault.Missing || !strings.Contains(fault.HintOf(err), "make demo") {
		t.Errorf("got %v; %s", err, fault.HintOf(err))
	}
	if _, err := p.Apply(t.Context(), stack("a", good), port.Change{File: "x"}); fault.Of(err) != fault.Missing {
		t.Errorf("apply: %v", err)
	}
}

func TestTheEnvironmentIsNamedVariablesOnly(t *testing.T) {
	caller := map[string]string{
		"PATH": "/bin", "HOME": "/home/x", "HTTPS_PROXY": "http://p", "TF_PLUGIN_CACHE_DIR": "/c", "AWS_ACCESS_KEY_ID": "id",
		"AWS_SECRET_ACCESS_KEY": secret, "TF_CLI_ARGS": "-x", "TF_CLI_ARGS_plan": "-x", "TF_VAR_size": "7", "TF_WORKSPACE": "w",
		"TF_LOG": "TRACE", "TF_DATA_DIR": "/d", "VISHWA_KEY_PASSWORD": secret, "TF_TOKEN_app_terraform_io": secret,
	}
	lookup := func(name string) (string, bool) { v, ok := caller[name]; return v, ok }
	env, passed, err := environ(lookup, []string{"AWS_ACCESS_KEY_ID", "TF_TOKEN_app_terraform_io", "ABSENT"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"AWS_ACCESS_KEY_ID", "CHECKPOINT_DISABLE", "HOME", "HTTPS_PROXY", "PATH", "TF_PLUGIN_CACHE_DIR", "TF_TOKEN_app_terraform_io"}
	if got := slices.Sorted(maps.Keys(env)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !slices.Equal(passed, []string{"id", secret}) {
		t.Errorf("%d passed values are known", len(passed))
	}
	for _, name := range []string{"TF_CLI_ARGS", "TF_CLI_ARGS_apply", "TF_VAR_size", "TF_WORKSPACE", "TF_LOG", "TF_DATA_DIR", "TF_REATTACH_PROVIDERS", "VISHWA_KEY_PASSWORD", "", "A=B", mark} {
		if _, _, err := environ(lookup, []string{name}); fault.Of(err) != fault.Invalid {
			t.Errorf("%q may be passed: %v", name, err)
		}
	}
}

func TestProbingStopsWithItsCaller(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "terraform"), []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	p := Terraform(at(t.TempDir(), world(map[string]string{"PATH": dir + string(os.PathListSeparator) + "/usr/bin:/bin"})))
	if _, err := p.Diff(ctx, stack("a", good)); fault.Of(err) != fault.Cancelled {
		t.Errorf("got %v", err)
	}
}

func TestLongAndBrokenLinesAreHeard(t *testing.T) {
	var p progress
	line := `{"type":"apply_complete","hook":{"resource":{"addr":"a.b"},"action":"create","id_value":"` + strings.Repeat("x", 1<<20) + "\"}}\n"
	for _, part := range []string{"no json\n", line[:7], line[7:100000], line[100000:], `{"type":"apply_start"`} {
		if n, err := io.WriteString(&p, part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(p.completed) != 1 || p.completed[0] != (port.ResourceAction{Address: "a.b", Action: "create"}) || p.started() {
		t.Errorf("heard %+v", p.completed)
	}
}
