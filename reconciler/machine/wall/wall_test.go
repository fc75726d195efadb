//go:build linux

// The wall against real processes, on both rungs: Python takes the part of hostile code.

package wall_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// room is a folder to run in, with a secret beside it.
type room struct {
	dir, work, tmp, secret string
}

func newRoom(t *testing.T) room {
	t.Helper()
	r := room{dir: t.TempDir()}
	r.work, r.tmp, r.secret = filepath.Join(r.dir, "work"), filepath.Join(r.dir, "tmp"), filepath.Join(r.dir, "secret")
	for _, d := range []string{r.work, r.tmp} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(r.secret, []byte("CANARY"), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// python is the interpreter, without a version switcher.
func python(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatalf("python3 is needed: apt-get install python3: %v", err)
	}
	path, err := filepath.EvalSymlinks(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

type outcome struct {
	out    string
	end    wall.End
	report wall.Report
}

// run runs a Python program behind the wall.
func (r room) run(t *testing.T, level wall.Level, program string, change ...func(*wall.Spec)) outcome {
	t.Helper()
	py := python(t)
	var out bytes.Buffer
	cmd := &exec.Cmd{Path: py, Args: []string{py, "-I", "-c", program}, Dir: r.work, Env: []string{"HOME=" + r.work, "PATH=/usr/bin:/bin", "SECRET=" + r.secret}, Stdout: &out, Stderr: &out}
	spec := wall.Spec{Level: level, Write: []string{r.work}, Tmp: r.tmp, Read: wall.Programs("", py, nil), Limits: wall.Limits{Processes: 512, OpenFiles: 1024}}
	for _, c := range change {
		c(&spec)
	}
	in, err := startHere(cmd, spec)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	end := in.Wait()
	if err := in.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return outcome{out.String(), end, in.Report}
}

// startHere keeps the thread that begins the command.
func startHere(cmd *exec.Cmd, spec wall.Spec) (*wall.Inside, error) {
	runtime.LockOSThread() // for as long as the test lives
	return wall.Start(cmd, spec)
}

// rungs runs a test on both.
func rungs(t *testing.T, test func(t *testing.T, level wall.Level)) {
	for _, level := range []wall.Level{wall.Namespaces, wall.Landlock} {
		t.Run(string(level), func(t *testing.T) { test(t, level) })
	}
}

func TestACommandRunsAndItsEndIsTold(t *testing.T) {
	rungs(t, func(t *testing.T, level wall.Level) {
		r := newRoom(t)
		for program, want := range map[string]wall.End{
			"print('hello')":                      {},
			"raise SystemExit(7)":                 {Code: 7},
			"import os; os.kill(os.getpid(), 9)":  {Code: -1, Signal: 9},
			"import os; os.kill(os.getpid(), 15)": {Code: -1, Signal: 15},
			"import os; os.abort()":               {Code: -1, Signal: 6},
		} {
			got := r.run(t, level, program)
			if got.end != want {
				t.Errorf("%s: ended with %+v, want %+v\n%s", program, got.end, want, got.out)
			}
			if got.report.Level != string(level) {
				t.Errorf("the level is %s, want %s", got.report.Level, level)
			}
		}
	})
}

// TestTheWorldsOwnNameLeadsToItself, as what begins several processes of a run asks for it: torchrun --standalone does.
func TestTheWorldsOwnNameLeadsToItself(t *testing.T) {
	r := newRoom(t)
	for name, all := range map[string]bool{"no network": false, "all of it": true} {
		got := r.run(t, wall.Namespaces, `
import socket
name = socket.gethostname()
print(name, socket.gethostbyname(name), socket.gethostbyname("localhost"))
s = socket.create_server((name, 0))
socket.create_connection((name, s.getsockname()[1]), 5)
print("reached")
`, func(s *wall.Spec) { s.Network.All = all })
		if got.out != "vishwa 127.0.0.1 127.0.0.1\nreached\n" || !got.end.Success() {
			t.Errorf("%s: %+v\n%s", name, got.end, got.out)
		}
	}
}

func TestOnlyWhatWasGivenIsSeen(t *testing.T) {
	rungs(t, func(t *testing.T, level wall.Level) {
		r := newRoom(t)
		got := r.run(t, level, `
import os
for p in (os.environ["SECRET"], "/etc/shadow", "/root/.ssh", "/root/.bashrc", "/proc/%d/environ" % os.getppid(), "/home"):
    try:
        open(p).read() if not os.path.isdir(p) else os.listdir(p)
        print("READ", p)
    except OSError as e: pass
open("made", "w").write("x"); open("/tmp/made", "w").write("x") if os.environ.get("TMPDIR") is None else None
print(sorted(os.listdir(".")))
`)
		if strings.Contains(got.out, "READ") || !strings.Contains(got.out, "['made']") || !got.end.Success() {
			t.Errorf("%+v\n%s", got.end, got.out)
		}
	})
}

// TestAFolderOfSharedMemoryIsGivenAsAnyOther: a build machine keeps its work there for speed; what others keep there is not seen.
func TestAFolderOfSharedMemoryIsGivenAsAnyOther(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "vishwa-")
	if err != nil {
		t.Skip("there is no /dev/shm")
	}
	t.Cleanup(func() { os.RemoveAll(shm) })
	t.Setenv("TMPDIR", shm)
	r := newRoom(t)
	got := r.run(t, wall.Namespaces, `
import os
open("made", "w").write("x"); open("/tmp/scratch", "w").write("x"); open("/dev/shm/own", "w").write("x")
print(os.path.exists(os.environ["SECRET"]), sorted(os.listdir("/dev/shm")))
`)
	if want := fmt.Sprintf("False ['own', '%s']\n", filepath.Base(shm)); got.out != want || !got.end.Success() {
		t.Errorf("%+v\n%swant %s", got.end, got.out, want)
	}
	if _, err := os.Stat(filepath.Join(r.work, "made")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/shm/own"); err == nil {
		t.Error("what it keeps in its own shared memory is the machine's")
	}
}

func TestACommandIsEnclosedThatSharesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		is   wall.Report
		want bool
	}{
		"no network":                  {wall.Report{Level: "namespaces", Network: "none"}, true},
		"hosts, by the proxy":         {wall.Report{Level: "namespaces", Network: "pypi.example"}, true},
		"the machine's network":       {wall.Report{Level: "namespaces", Network: "all", Landlock: 5}, false},
		"it, and not its sockets":     {wall.Report{Level: "namespaces", Network: "all", Landlock: 6}, true},
		"a network that is not held":  {wall.Report{Level: "namespaces", Network: "not limited"}, false},
		"a network that is not known": {wall.Report{Level: "namespaces"}, false},
		"the machine's processes":     {wall.Report{Level: "landlock", Network: "none", Landlock: 7}, false},
		"no wall":                     {wall.Report{Level: "none", Network: "none"}, false},
		"nothing is known":            {wall.Report{}, false},
	} {
		if got := c.is.Enclosed(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
