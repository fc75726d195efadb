// A machine that has no Terraform: all that the project does goes by OpenTofu, under its
// own name.

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// hideTerraform leaves tofu alone on PATH, for this test and what it starts. Where there
// is no tofu, VISHWA_REAL says that this is a failure.
func hideTerraform(t *testing.T) {
	t.Helper()
	tools := os.Getenv("VISHWA_TOOLS")
	path := os.Getenv("PATH") + string(os.PathListSeparator) + tools
	path, err := peers.Hide(t.TempDir(), path, "terraform")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path)
	if found, err := exec.LookPath("terraform"); !errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("terraform is still found: %s, %v", found, err)
	}
	if _, err := exec.LookPath("tofu"); err != nil {
		const way = "tofu is missing: make test-real builds it"
		if os.Getenv("VISHWA_REAL") != "" {
			t.Fatal(way)
		}
		t.Skip(way)
	}
}

// TestStoriesOfInfrastructureGoByOpenTofu: those that are told with Terraform.
func TestStoriesOfInfrastructureGoByOpenTofu(t *testing.T) {
	hideTerraform(t)
	keys := quickKeys(t)
	for _, params := range []testscript.Params{
		{Files: []string{"testdata/script/infra.txtar", "testdata/tofu/tofu.txtar"},
			Setup: func(env *testscript.Env) error { return settle(t, env, keys) }},
		{Files: []string{"testdata/forge/stacks.txtar"},
			Setup: func(env *testscript.Env) error {
				return errors.Join(settle(t, env, keys), web(env), begin(t, env))
			}},
	} {
		params.Cmds = forgeCommands()
		t.Run(filepath.Base(filepath.Dir(params.Files[0])), func(t *testing.T) { testscript.Run(t, params) })
	}
}

// TestRealDemoGoesByOpenTofu: the whole main job, as a newcomer without Terraform sees it.
func TestRealDemoGoesByOpenTofu(t *testing.T) {
	if os.Getenv("VISHWA_REAL") == "" {
		t.Skip("it installs the example's Python packages: make test-real runs it")
	}
	hideTerraform(t)
	dir := t.TempDir()
	program := built.Program(t, "vishwa", filepath.Join(dir, "bin"))
	demo := exec.CommandContext(t.Context(), program, "demo", filepath.Join(dir, "demo"))
	var seen bytes.Buffer
	demo.Stdout, demo.Stderr = &seen, &seen
	if err := demo.Run(); err != nil {
		t.Fatalf("%v\n%s", err, seen.String())
	}
	env, err := os.ReadFile(filepath.Join(dir, "demo", "env.sh"))
	if err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), "sh", "-ec", `. ../env.sh; vishwa explain infrastructure/staging; vishwa plan`)
	again.Dir = filepath.Join(dir, "demo", "students")
	again.Env = append(os.Environ(), "PATH=/usr/bin:/bin") // env.sh brings tofu, as make's PATH is gone by then
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "tofu 1.") {
		t.Errorf("%v\n%s\n%s", err, out, env)
	}
}

// TestMakeBuildsOpenTofuWhereNothingProvisions: make's own plan of what it would do, with
// neither program, and with Terraform.
func TestMakeBuildsOpenTofuWhereNothingProvisions(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is missing")
	}
	whole, tools := os.Getenv("PATH"), t.TempDir()
	neither, err := peers.Hide(t.TempDir(), whole, "terraform", "tofu")
	if err != nil {
		t.Fatal(err)
	}
	terraform := t.TempDir()
	if err := os.WriteFile(filepath.Join(terraform, "terraform"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{neither: true, neither + string(os.PathListSeparator) + terraform: false} {
		for _, target := range []string{"tools", "demo", "test", "test-real"} {
			cmd := exec.CommandContext(t.Context(), "make", "-n", "-C", "../..", "TOOLS="+tools, target)
			cmd.Env = append(os.Environ(), "PATH="+path, "MAKEFLAGS=", "MFLAGS=") // of a make around this test
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("make -n %s: %v\n%s", target, err, out)
			}
			if builds := strings.Contains(string(out), "./cmd/tofu"); builds != (want || target == "test-real") {
				t.Errorf("make %s, nothing provisions: %v; builds OpenTofu: %v", target, want, builds)
			}
		}
	}
}
