// How much memory a controller takes that works on many repositories with one
// controller's keys.

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

// A controller of 100 local repositories, each with something to sign, stays within
// 150 MiB: a key takes 64 MiB while it is opened, and all passes share those that are open.
// Where VISHWA_REAL is not set, there are 20, with as much less room.
func TestManyRepositoriesTakeLittleMemory(t *testing.T) {
	repositories, most := 20, 140<<10 // KiB
	if os.Getenv("VISHWA_REAL") != "" {
		repositories, most = 100, 150<<10
	}
	if runtime.GOOS != "linux" {
		t.Skip("how much memory a process took at most is read from /proc")
	}
	if testing.Short() {
		t.Skip("many repositories take a while")
	}
	s, cost := passAll(t, built.Program(t, "vishwa", t.TempDir()), repositories)
	peak := int(cost.Peak >> 10)
	t.Logf("%d repositories, at most %d MiB", repositories, peak>>10)
	if peak > most {
		t.Errorf("%d repositories took %d KiB at most, and may take %d", repositories, peak, most)
	}
	if out := s.run(filepath.Join(s.dir, "r7.git"), "git", "log", "--format=%s", "vishwa/ledger"); !strings.Contains(out, "pin dataset/d") {
		t.Errorf("nothing was signed:\n%s", out)
	}
}

// passAll is what a controller takes from its start until it has passed each of n new repositories once, and where they are.
func passAll(t testing.TB, program string, n int) (shell, beside.Cost) {
	t.Helper()
	dir := t.TempDir()
	s := shell{t, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "VISHWA_KEY_PASSWORD=pw",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com"}}
	config := s.repositories(program, n)

	cmd := exec.CommandContext(t.Context(), program, "controller", "--config", config)
	cmd.Dir, cmd.Env = dir, s.env
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(4*time.Minute, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	done := map[string]bool{}
	for lines := bufio.NewScanner(log); len(done) < n && lines.Scan(); {
		line := lines.Text()
		if _, of, ok := strings.Cut(line, "repository="); ok && strings.Contains(line, `msg="pass done"`) {
			done[strings.Fields(of)[0]] = true
		}
	}
	cost := beside.Cost{Wall: time.Since(began), Peak: int64(peakOf(t, cmd.Process.Pid)) << 10}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, log)
	_ = cmd.Wait()
	cost.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if len(done) < n {
		t.Fatalf("%d of %d repositories were passed", len(done), n)
	}
	return s, cost
}

// peakOf is the most memory that a process had, in KiB.
func peakOf(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest + " x")[0])
	if err != nil {
		t.Fatalf("VmHWM: %v", err)
	}
	return n
}

type shell struct {
	t   testing.TB
	dir string
	env []string
}

func (s shell) run(dir string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// repositories makes n bare ones that declare a dataset, and the controller's file.
func (s shell) repositories(program string, n int) (config string) {
	s.t.Helper()
	work := filepath.Join(s.dir, "work")
	put(s.t, filepath.Join(work, "vishwa.yaml"), "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {}\n---\napiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata: {name: d}\nspec: {source: {path: d.csv}}\n")
	put(s.t, filepath.Join(work, "d.csv"), "a,b\n1,2\n")
	s.run(work, "git", "init", "-q", "-b", "main")
	s.run(work, program, "keys", "generate")
	s.run(work, "git", "add", "-A")
	s.run(work, "git", "commit", "-qm", "first")
	address, err := freeport.Address("127.0.0.1")
	if err != nil {
		s.t.Fatal(err)
	}
	var c strings.Builder
	c.WriteString("apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec:\n  listen: " + address + "\n  webhook: {off: true}\n  log: {format: text}\n  repositories:\n")
	for i := range n {
		at := filepath.Join(s.dir, fmt.Sprintf("r%d.git", i))
		s.run(s.dir, "git", "clone", "-q", "--bare", work, at)
		s.run(at, "git", "remote", "remove", "origin")
		fmt.Fprintf(&c, "    - {path: %q, branches: [main]}\n", at)
	}
	config = filepath.Join(s.dir, "controller.yaml")
	put(s.t, config, c.String())
	return config
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
