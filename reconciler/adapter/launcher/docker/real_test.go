// The launcher on a real engine: the same suite, and what only a kernel can show.

package docker

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

const hog = `x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done`

// inForce prints bytes of memory, a quota and its period, for both kinds of control groups.
const inForce = `cd /sys/fs/cgroup; if [ -e memory.max ]; then cat memory.max cpu.max; else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us; fi`

func TestDockerEngineIsALauncher(t *testing.T) {
	engine := enginetest.Docker(t)
	image := enginetest.Python(t)
	registry, _, _ := strings.Cut(image, "/")
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		b, c := newBetween(t, engine), engineClient(t, engine)
		return porttest.LauncherBench{
			Launcher: launcherOn(t, b.Socket),
			Task:     port.Task{Image: image, Isolated: true},
			Well:     []string{"sh", "-c", "exit 0"}, Badly: []string{"sh", "-c", "echo it broke; exit 7"}, Forever: []string{"sleep", "infinity"},
			Hog:     []string{"sh", "-c", hog},
			NoImage: registry + "/vishwa/none@sha256:" + strings.Repeat("d", 64),
			Never:   schemas.Resources{CPU: "4096"},
			Lacks:   map[porttest.Ability]string{porttest.CanWait: "an engine begins a container at once or never"},
			Kill: func(t *testing.T, id port.TaskID) {
				if _, err := c.ContainerKill(t.Context(), id.UID, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
					t.Fatal(err)
				}
			},
			Stranger: func(t *testing.T, name string) {
				made, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Image: image})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { remove(t, c, made.ID) })
			},
			Alive: func(t *testing.T, id port.TaskID) int { return living(t, id.UID) },
			Ticket: func(t *testing.T, id port.TaskID) ([]byte, fs.FileMode) {
				text, mode, _ := strings.Cut(inside(t, c, id.UID, "cat "+port.TicketFile+"; echo; stat -c %a "+port.TicketFile), "\n")
				n, err := strconv.ParseUint(strings.TrimSpace(mode), 8, 32)
				if err != nil {
					t.Fatal(err)
				}
				return []byte(text), fs.FileMode(n)
			},
			Shown: func(t *testing.T, id port.TaskID) string { return shown(t, c, id.UID) },
			InForce: func(t *testing.T, id port.TaskID) (memory int64, cores float64) {
				var quota, period float64
				if _, err := fmt.Sscan(inside(t, c, id.UID, inForce), &memory, &quota, &period); err != nil {
					t.Fatal(err)
				}
				return memory, quota / period
			},
			Asked:  func() int { return int(b.asked.Load()) },
			Outage: func(*testing.T) func() { return b.outage() },
		}
	})
	if left, err := engineClient(t, engine).VolumeList(t.Context(), client.VolumeListOptions{}); err != nil || len(left.Items) > 0 {
		t.Errorf("%d volumes are left, %v", len(left.Items), err)
	}
}

// runReal launches a script and gives its status and what it printed, as its reason.
func runReal(t *testing.T, l port.Launcher, task port.Task) (port.TaskID, port.TaskStatus) {
	t.Helper()
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Remove(bare(t), id) })
	s, err := l.Observe(t.Context(), id)
	for err == nil && s.Phase != port.TaskEnded {
		s, err = l.Await(t.Context(), id, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id, s
}

// TestDockerEngineGivesATaskNothingOfTheMachine asks from inside.
func TestDockerEngineGivesATaskNothingOfTheMachine(t *testing.T) {
	engine := enginetest.Docker(t)
	task := someTask(enginetest.Python(t), "python3", "-c", `
import os, socket
def can(what, do):
    try: do(); print(what, "can")
    except OSError as e: print(what, "cannot")
print("user", os.getuid(), os.getgid(), os.getgroups())
print("status", [l.split()[1] for l in open("/proc/self/status") if l.startswith(("CapPrm", "CapEff", "CapBnd", "NoNewPrivs"))])
print("network", sorted(os.listdir("/sys/class/net")))
print("folder", os.getcwd(), os.environ["HOME"], os.listdir("."))
can("root", lambda: open("/new", "w"))
can("work", lambda: open("new", "w"))
can("tmp", lambda: open("/tmp/new", "w"))
can("read", lambda: open("/vishwa/in/x").read())
can("in", lambda: open("/vishwa/in/x", "w"))
can("out", lambda: open("/vishwa/out/y", "w").write("made"))
can("ticket", lambda: open("/vishwa/ticket/ticket", "w"))
can("tickets", lambda: open("/vishwa/ticket/other", "w"))
can("socket", lambda: socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock"))
raise SystemExit(3)
`)
	in, out := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(in, "x"), []byte("given"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(out, User, User); err != nil {
		t.Fatal(err)
	}
	task.Mounts = []port.Mount{{From: in, To: port.WorkerDir + "/in"}, {From: out, To: port.WorkerDir + "/out", Write: true}}
	l, c := launcherOn(t, engine.Socket), engineClient(t, engine)
	id, s := runReal(t, l, task)
	said := logs(t, c, id.UID)
	for _, want := range []string{
		"user 65532 65532 [65532]", "status ['0000000000000000', '0000000000000000', '0000000000000000', '1']", "network ['lo']",
		"folder /vishwa/work /vishwa/work []", "root cannot", "work can", "tmp can", "read can", "in cannot", "out can", "ticket cannot", "tickets cannot", "socket cannot",
	} {
		if !strings.Contains(said, want+"\n") {
			t.Errorf("it did not say %q", want)
		}
	}
	if made, err := os.ReadFile(filepath.Join(out, "y")); string(made) != "made" {
		t.Errorf("it wrote %q, %v", made, err)
	}
	if s.ExitCode != 3 || t.Failed() {
		t.Fatalf("%+v\n%s", s, said)
	}
}

// TestDockerEngineKeepsAnImageFromTheWorker: neither its variables nor a link in the place of
// what the worker is given reach it.
func TestDockerEngineKeepsAnImageFromTheWorker(t *testing.T) {
	engine, base := enginetest.Docker(t), enginetest.PythonImage(t)
	l := launcherOn(t, engine.Socket)
	loud := enginetest.Push(t, "vishwa/loud", enginetest.Image{Base: base, Env: []string{"VISHWA_TICKET={}", "HTTPS_PROXY=http://evil", "OWN=1"}})
	id, _ := runReal(t, l, someTask(loud, "sh", "-c", "env; exit 3"))
	if said := logs(t, engineClient(t, engine), id.UID); strings.Contains(said, "VISHWA_TICKET={}") || strings.Contains(said, "evil") || !strings.Contains(said, "OWN=1\n") {
		t.Errorf("it sees %s", said)
	}
	for name, files := range map[string]map[string]string{"a file": {"/vishwa": "x"}, "its ticket": {"/vishwa/ticket/ticket": "x", "/vishwa/work/x": "x"}} {
		image := enginetest.Push(t, "vishwa/squatter", enginetest.Image{Base: base, Files: files})
		task := someTask(image, "sh", "-c", "cat "+port.TicketFile+"; ls -A; exit 3")
		id, err := l.Launch(t.Context(), task)
		if err != nil { // it is in the way, which is said
			if unfitCause(err) != port.BadImage {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		_, _ = runReal(t, l, task)
		if said := logs(t, engineClient(t, engine), id.UID); said != string(task.Ticket) {
			t.Errorf("%s: it sees %q, want its ticket alone", name, said)
		}
	}
}

// TestDockerEngineSaysWhyAnImageIsOfNoUse: what is wrong with it is told by the engine in three ways.
func TestDockerEngineSaysWhyAnImageIsOfNoUse(t *testing.T) {
	engine := enginetest.Docker(t)
	base := enginetest.PythonImage(t)
	garbage := enginetest.Push(t, "vishwa/garbage", enginetest.Image{Base: base, Programs: map[string]string{"/worker": write(t, "garbage")}})
	for name, c := range map[string]struct{ image, program, says string }{
		"without the program":        {enginetest.Python(t), "/vishwa-none", "/vishwa-none"},
		"for another machine":        {garbage, "/worker", "another kind of machine"},
		"with a folder in its place": {garbage, "/tmp", "/tmp"},
	} {
		t.Run(name, func(t *testing.T) {
			l := launcherOn(t, engine.Socket)
			task := someTask(c.image, c.program)
			id, err := l.Launch(t.Context(), task)
			s := port.TaskStatus{Cause: unfitCause(err), Reason: fmt.Sprint(err)}
			if err == nil {
				_, s = runReal(t, l, task)
			}
			if s.Cause != port.BadImage || !strings.Contains(s.Reason, c.says) {
				t.Errorf("%+v", s)
			}
			if err != nil {
				if _, err := engineClient(t, engine).ContainerInspect(t.Context(), task.Name, client.ContainerInspectOptions{}); err == nil {
					t.Errorf("what cannot start is left: %+v", id)
				}
			}
		})
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestDockerEngineThatCrashesIsAwaited: who waits learns what became of the task when the engine is back.
func TestDockerEngineThatCrashesIsAwaited(t *testing.T) {
	engine := enginetest.Docker(t)
	l := launcherOn(t, engine.Socket)
	task := someTask(enginetest.Python(t), "sleep", "infinity")
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Remove(bare(t), id) })
	seen, err := l.Observe(t.Context(), id)
	if err != nil || seen.Phase != port.TaskRunning {
		t.Fatalf("%+v, %v", seen, err)
	}
	type news struct {
		s   port.TaskStatus
		err error
	}
	came := make(chan news)
	go func() {
		s, err := l.Await(t.Context(), id, seen)
		came <- news{s, err}
	}()
	engine.Crash()
	if _, err := l.Observe(t.Context(), id); fault.Of(err) != fault.Transient || fault.HintOf(err) == "" {
		t.Errorf("with the engine down: %v, want Transient and what to do", err)
	}
	engine.Restart(t)
	if n := <-came; n.err != nil || n.s.Phase != port.TaskEnded || n.s.Cause != port.Stopped && n.s.Cause != port.Lost {
		t.Errorf("after the crash it stands as %+v, %v", n.s, n.err)
	}
	if again, err := l.Launch(t.Context(), task); err != nil || again != id {
		t.Errorf("after the crash it is %+v, %v, and was %+v", again, err, id)
	}
	if err := l.Remove(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// TestDockerEngineGivesNoGPUThatIsNotThere: a task that asks for one never runs, and says so.
func TestDockerEngineGivesNoGPUThatIsNotThere(t *testing.T) {
	engine := enginetest.Docker(t)
	task := someTask(enginetest.Python(t), "true")
	task.Resources.GPU = 1
	_, err := launcherOn(t, engine.Socket).Launch(t.Context(), task)
	if unfitCause(err) != port.Unschedulable {
		t.Errorf("%v, want that nothing has it", err)
	}
}
