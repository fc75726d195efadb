// The launcher on a real engine: the same suite, and what only a kernel can show.

package docker

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// between stands between a launcher and its engine.
type between struct {
	Socket string
	asked  atomic.Int64
	away   atomic.Bool
	server *httptest.Server
}

func newBetween(t testing.TB, engine *enginetest.DockerEngine) *between {
	t.Helper()
	dir, err := os.MkdirTemp("", "vishwa") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &between{Socket: filepath.Join(dir, "s")}
	c := engine.Client()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "docker"})
		}, Transport: c.Transport, FlushInterval: -1,
	}
	l, err := net.Listen("unix", b.Socket)
	if err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.away.Load() {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
			return
		}
		b.asked.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	b.server.Listener.Close()
	b.server.Listener = l
	b.server.Start()
	t.Cleanup(func() { b.server.CloseClientConnections(); b.server.Close(); c.CloseIdleConnections() })
	return b
}

func (b *between) outage() (end func()) {
	b.away.Store(true)
	b.server.CloseClientConnections()
	return func() { b.away.Store(false) }
}

// engineClient speaks with the engine as its users do.
func engineClient(t testing.TB, e *enginetest.DockerEngine) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(e.Host))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// inside runs a script in a container, as its own user.
func inside(t *testing.T, c *client.Client, id, script string) string {
	t.Helper()
	made, err := c.ExecCreate(t.Context(), id, client.ExecCreateOptions{Cmd: []string{"sh", "-c", script}, AttachStdout: true, AttachStderr: true, TTY: true})
	if err != nil {
		t.Fatal(err)
	}
	at, err := c.ExecAttach(t.Context(), made.ID, client.ExecAttachOptions{TTY: true})
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	out, err := io.ReadAll(at.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

// living counts the processes of a container by its control group.
func living(t *testing.T, id string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range all {
		if raw, _ := os.ReadFile(file); bytes.Contains(raw, []byte(id)) {
			n++
		}
	}
	return n
}

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

func remove(t *testing.T, c *client.Client, id string) {
	if _, err := c.ContainerRemove(bare(t), id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
		t.Error(err)
	}
}

// shown is what the engine shows of a container to whoever may ask it.
func shown(t *testing.T, c *client.Client, id string) string {
	t.Helper()
	in, err := c.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	top, err := c.ContainerTop(t.Context(), id, client.ContainerTopOptions{Arguments: []string{"auxww"}})
	if err != nil {
		t.Fatal(err)
	}
	return string(in.Raw) + fmt.Sprint(top.Processes) + inside(t, c, id, "cat /proc/1/environ /proc/1/cmdline")
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

func logs(t *testing.T, c *client.Client, id string) string {
	t.Helper()
	r, err := c.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for len(raw) > 8 {
		n := 8 + int(raw[4])<<24 + int(raw[5])<<16 + int(raw[6])<<8 + int(raw[7])
		out, raw = append(out, raw[8:n]...), raw[n:]
	}
	return string(out)
}

// TestDockerEngineKeepsAnImageFromTheWorker: neither its variables nor a link in the place of
// what the worker is given reach it.
func TestDockerEngineKeepsAnImageFromTheWorker(t *testing.T) {
	engine, base := enginetest.Docker(t), enginetest.PythonImage(t)
	l := launcherOn(t, engine.Socket)
	loud := enginetest.Push(t, "vishwa/loud", enginetest.Image{Base: base, Env: []string{"VISHWA_TICKET={}", "HTTPS_PROXY=http://evil", "OWN=1"}})
	id, _ := runReal(t, l, someTask(loud, "sh", "-c", "env; exit 3"))
	if said := logs(t, engineClient(t, engine), id.UID); strings.Contains(said, "VISHWA_TICKET") || strings.Contains(said, "evil") || !strings.Contains(said, "OWN=1\n") {
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

// BenchmarkDockerBeside is a container that does nothing, from submitting to knowing its end
// and having it taken away, as a task alone and as a whole run with its worker, by turns with
// docker run --rm of the same: what else the machine does slows all. The medians count, and hold a run to 1.3 times and 0.3 s.
func BenchmarkDockerBeside(b *testing.B) {
	if os.Getenv("VISHWA_REAL") == "" {
		b.Skip("needs a real engine: make test-docker begins one")
	}
	engine := enginetest.Docker(b)
	image := enginetest.Python(b)
	l := launcherOn(b, engine.Socket)
	ours := func() {
		id, err := l.Launch(b.Context(), someTask(image, "true"))
		var s port.TaskStatus
		for err == nil && s.Phase != port.TaskEnded {
			s, err = l.Await(b.Context(), id, s)
		}
		if err == nil {
			err = l.Remove(b.Context(), id)
		}
		if err != nil || s.Cause != "" {
			b.Fatal(s, err)
		}
	}
	theirs := func() {
		if out, err := exec.CommandContext(b.Context(), "docker", "--host", engine.Host, "run", "--rm", "--network", "none", image, "true").CombinedOutput(); err != nil {
			b.Fatalf("docker run: %v: %s", err, out)
		}
	}
	r := newRuns(b, engine, image)
	whole := func() {
		job := port.Job{Key: digest.Of([]byte(rand.Text())), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "bench"}, Command: []string{"true"}, Network: schemas.Network{schemas.NetworkNone}}
		run, err := r.Start(b.Context(), job)
		for err == nil && run.State != port.Done {
			run, err = r.Wait(b.Context(), job.Key, run.State, 0)
		}
		if err != nil || run.Result.Cause != "" {
			b.Fatal(run.Result, err)
		}
	}
	ours() // fetches the image
	took := map[string][]float64{}
	for b.Loop() {
		for what, do := range map[string]func(){"task": ours, "run": whole, "docker-run": theirs} {
			begun := time.Now()
			do()
			took[what] = append(took[what], time.Since(begun).Seconds())
		}
	}
	median := map[string]float64{}
	for what, t := range took {
		slices.Sort(t)
		median[what] = t[len(t)/2]
		b.ReportMetric(median[what], what+"-s")
	}
	if most := median["docker-run"]*1.3 + 0.3; median["run"] > most {
		b.Errorf("a run takes %.2f s, and may take %.2f", median["run"], most)
	}
}
