// What make does that no other test does, and what it would do on machines that lack something.

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// TestMakeTestsWithoutACompilerOfC: the race detector needs one, and the tests do not.
func TestMakeTestsWithoutACompilerOfC(t *testing.T) {
	for _, program := range []string{"make", "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is missing")
		}
	}
	whole := os.Getenv("PATH")
	without, err := peers.Hide(t.TempDir(), whole, "gcc", "clang", "cc")
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

// TestNoLinkIsCommitted: a checkout would put it in the place of a folder that make has filled, and what is in there would be gone.
func TestNoLinkIsCommitted(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "--stage").Output()
	if err != nil {
		t.Skip("this is no checkout of Git's: ", err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "120000 ") {
			t.Errorf("a link is committed: %s", line)
		}
	}
}

// TestMakeWritesManualsAndCompletions: by the targets' own commands, with this program in place of the one that they build.
func TestMakeWritesManualsAndCompletions(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is missing")
	}
	program, err := exec.LookPath("vishwa")
	if err != nil {
		t.Fatal(err)
	}
	dist := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "make", "-C", "../..", "-o", "build", "BIN="+filepath.Dir(program), "DIST="+dist, "TOOLS="+t.TempDir(), "man", "completions")
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make man completions: %v\n%s", err, out)
	}
	want := pagesOf((&cli{}).root(), manual)
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dist, "man", name)); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(got), len(text))
		}
	}
	if have, err := os.ReadDir(filepath.Join(dist, "man")); err != nil || len(have) != len(want) {
		t.Errorf("%d manuals, want %d (%v)", len(have), len(want), err)
	}
	for shell, begins := range map[string]string{"bash": "# bash completion", "zsh": "#compdef vishwa", "fish": "# fish completion for vishwa"} {
		file := filepath.Join(dist, "completions", "vishwa."+shell)
		raw, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(raw, []byte(begins)) || !bytes.Contains(raw, []byte("__complete")) {
			t.Errorf("%s is no completion of %s: %v", file, shell, err)
			continue
		}
		at, err := exec.LookPath(shell)
		if err != nil {
			continue // its own reader is not here; what it is to read is looked at above
		}
		if out, err := exec.CommandContext(t.Context(), at, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s does not read it: %v\n%s", shell, err, out)
		}
	}
}
