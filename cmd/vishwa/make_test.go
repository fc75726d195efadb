// What make would do on machines that lack something.

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// TestMakeTestsWithoutACompilerOfC: the race detector needs one, and the tests do not.
func TestMakeTestsWithoutACompilerOfC(t *testing.T) {
	for _, program := range []string{"make", "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is missing")
		}
	}
	whole := os.Getenv("PATH")
	without, err := porttest.Hide(t.TempDir(), whole, "gcc", "clang", "cc")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{whole: true, without: false} {
		cmd := exec.CommandContext(t.Context(), "make", "-n", "-C", "../..", "TOOLS="+t.TempDir(), "test")
		cmd.Env = append(os.Environ(), "PATH="+path, "MAKEFLAGS=", "MFLAGS=", "CC=", "CGO_ENABLED=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("make -n test: %v\n%s", err, out)
		}
		if watched := strings.Contains(string(out), " test -race "); watched != want || strings.Contains(string(out), "There is no C compiler") == want {
			t.Errorf("a C compiler: %v; the race detector: %v\n%s", want, watched, out)
		}
	}
}
