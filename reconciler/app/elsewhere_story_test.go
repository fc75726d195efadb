// A newcomer's project whose training is given to a container engine, by the program itself.

package app

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

// TestDockerIsDeclaredAndApplied: an apply that is killed while its runs are under way, one that
// finds them, and one that has nothing to do.
func TestDockerIsDeclaredAndApplied(t *testing.T) {
	engine, image := enginetest.Docker(t), enginetest.Python(t)
	bin := built.Once(t, "vishwa")
	builtWorker(t) // next to it, where it is looked for
	home := t.TempDir()
	dir := filepath.Join(home, "homes")
	env := append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home+"/state", "XDG_DATA_HOME="+home+"/data", "XDG_CONFIG_HOME="+home+"/config", "XDG_CACHE_HOME="+home+"/cache",
		"VISHWA_KEY_PASSWORD=a long enough password", "GIT_CONFIG_GLOBAL="+home+"/gitconfig", "GIT_CONFIG_NOSYSTEM=1")
	command := func(in, name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env, cmd.WaitDelay = in, env, time.Second
		return cmd
	}
	do := func(in, name string, args ...string) string {
		t.Helper()
		cmd := command(in, name, args...)
		late := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
		defer late.Stop()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	edit := func(file, old, text string) {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !bytes.Contains(raw, []byte(old)) {
			t.Fatalf("%s does not have %q, %v", file, old, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), bytes.Replace(raw, []byte(old), []byte(text), 1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"user.name", "Asha"}, {"user.email", "asha@example.com"}, {"init.defaultBranch", "main"}} {
		do(home, "git", append([]string{"config", "--global"}, args...)...)
	}
	do(home, bin, "init", "homes")
	do(dir, bin, "keys", "generate")
	edit("vishwa.yaml", "spec:\n", "spec:\n  runners: {box: {docker: {host: \""+engine.Host+"\"}}}\n")
	edit("vishwa/model.yaml", "  run: [python3, src/train.py]\n", "  run: [python3, src/train.py]\n  runner: box\n  image: "+image+"\n  resources: {cpu: \"1\", memory: 512Mi}\n")
	edit("vishwa/model.yaml", "    local:\n", "    docker:\n      host: "+engine.Host+"\n      image: "+image+"\n")
	edit("src/serve.py", "127.0.0.1", "0.0.0.0")
	edit("src/train.py", "\nimport ", "\nimport time; time.sleep(4)\nimport ")
	do(dir, "git", "add", "-A")
	do(dir, "git", "commit", "-qm", "Train in a container")
	if out := do(dir, bin, "plan"); !strings.Contains(out, "box") {
		t.Errorf("the plan does not say where it runs:\n%s", out)
	}

	killed := command(dir, bin, "apply", "--yes")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	tasks := func() int {
		found, _ := filepath.Glob(home + "/state/vishwa/*/runs-box/*/*/task.json")
		return len(found)
	}
	for deadline := time.Now().Add(time.Minute); tasks() == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
	}
	_ = killed.Process.Signal(syscall.SIGKILL)
	_ = killed.Wait()
	begun := tasks()
	if begun == 0 {
		t.Fatal("no run was begun")
	}
	do(dir, bin, "apply", "--yes")
	var entries []struct {
		Action string `json:"action"`
		Run    struct {
			Runner, Image string
			Isolation     struct{ Level string }
		} `json:"run"`
	}
	raw := do(dir, bin, "log", "--format", "json")
	for line := range strings.Lines(raw) {
		var e struct {
			Action string `json:"action"`
			Run    struct {
				Runner, Image string
				Isolation     struct{ Level string }
			} `json:"run"`
		}
		if json.Unmarshal([]byte(line), &e) == nil {
			entries = append(entries, e)
		}
	}
	trained := 0
	for _, e := range entries {
		if e.Action == "train" {
			trained++
			if e.Run.Runner != "box" || e.Run.Image != image || e.Run.Isolation.Level != "landlock" {
				t.Errorf("a run is recorded as %+v", e.Run)
			}
		}
	}
	if trained == 0 {
		t.Errorf("nothing was trained:\n%s", raw)
	}
	if out := do(dir, bin, "plan"); !strings.Contains(out, "Nothing to do") && !strings.Contains(out, "nothing to do") {
		t.Errorf("a second plan has something to do:\n%s", out)
	}
	do(dir, bin, "ledger", "verify")
	containers := func(label string) int {
		ids, err := exec.Command("docker", "-H", engine.Host, "ps", "-aq", "--filter", "label="+label).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, ids)
		}
		return len(strings.Fields(string(ids)))
	}
	if n := containers("vishwa.dev/serves"); n != 1 {
		t.Errorf("%d containers serve", n)
	}
	if out := do(dir, bin, "explain", "deployment/price-staging"); !strings.Contains(out, "namespaces, network all") {
		t.Errorf("what keeps the container apart is not said:\n%s", out)
	}
	do(dir, bin, "down")
	if n := containers("vishwa.dev/owner") + containers("vishwa.dev/serves"); n != 0 {
		t.Errorf("%d containers are left", n)
	}
}
