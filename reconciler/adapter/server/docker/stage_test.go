// A stage is a serving host whose releases are containers of an engine: of the double, or of a real one
// where a test asks for it. The test binary is also that host.

package docker

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "host" {
		if err := server.Host(context.Background(), os.Args[2], os.Args[3], testEnv(), rows()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "own" { // a process of this machine that serves
		err := http.ListenAndServe("127.0.0.1:"+os.Getenv("VISHWA_PORT"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Args[2]) }))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(enginetest.Main(m))
}

func testEnv() port.Env {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: os.LookupEnv, Self: self}
}

func rows() map[string]port.Starter {
	return map[string]port.Starter{port.TargetDocker: New(Options{Env: testEnv(), User: os.Getuid()})}
}

// quick is a pace that tests can wait for.
var quick = server.Timeouts{
	Probation: 150 * time.Millisecond, Drain: 3 * time.Second, Grace: time.Second, Hold: 2 * time.Second,
	Again: 20 * time.Millisecond, AgainMost: 200 * time.Millisecond,
}

type stage struct {
	t      *testing.T
	dir    string
	store  port.Store
	server port.Server
	host   string            // the engine's address
	vars   map[string]string // of the caller's environment, before the process's own
	image  string
	// words are the command that serves a version, and behaves as told.
	words func(version string, how string) []string
}

func newStage(t *testing.T, host, image string, words func(version, how string) []string) *stage {
	t.Helper()
	top, err := os.MkdirTemp("", "serving")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: filepath.Join(top, "state"), host: host, image: image, words: words}
	if s.store, err = store.Dir(filepath.Join(top, "store")); err != nil {
		t.Fatal(err)
	}
	s.server = s.open()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if t.Failed() {
			for _, f := range []string{"host.log", "host.err"} {
				raw, _ := os.ReadFile(filepath.Join(s.dir, f))
				t.Logf("%s:\n%s", f, raw)
			}
		}
		if _, err := server.Down(ctx, s.dir, s.key()); err != nil {
			t.Errorf("end the host: %v", err)
		}
		if raw, _ := os.ReadFile(filepath.Join(s.dir, "host.err")); len(raw) > 0 {
			t.Errorf("the host fell:\n%s", raw) // a panic, or what the race detector found
		}
		if err := sandbox.Remove(top); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stage) key() string { return filepath.Join(filepath.Dir(s.dir), "seal", "key") }

func (s *stage) open() port.Server {
	env := testEnv()
	env.Lookup = func(name string) (string, bool) {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}
	starters := map[string]port.Starter{port.TargetDocker: New(Options{Env: env, User: os.Getuid()})}
	return server.Local(server.Config{Env: env, Store: s.store, Dir: s.dir, Seal: s.key(), Pace: quick, Wall: wall.Policy{Level: wall.None}, Starters: starters})
}

// release serves version, behaving as how says.
func (s *stage) release(name, version string, how ...string) port.Release {
	s.t.Helper()
	put := func(text string) (digest.Digest, int64) {
		d, n, err := s.store.Put(s.t.Context(), strings.NewReader(text))
		if err != nil {
			s.t.Fatal(err)
		}
		return d, n
	}
	d, n := put("weights of " + version)
	files := digest.Manifest{{Path: "model.json", Digest: d, Size: n}}
	code, size := put(serveCode)
	return port.Release{
		Name: name, Key: digest.Of([]byte(name + version + strings.Join(how, " "))),
		Model: port.Artifact{Digest: files.Digest(), Size: n, Files: files},
		Ready: "/v2/health/ready", Timeout: 20 * time.Second,
		Docker: &port.DockerRelease{Hosted: port.Hosted{
			Command: s.words(version, strings.Join(how, " ")),
			Code:    digest.Manifest{{Path: "src/serve.py", Digest: code, Size: size}},
		}, Host: s.host, Image: s.image, ContainerPort: 8080},
	}
}

func (s *stage) apply(r port.Release) port.Live {
	s.t.Helper()
	return porttest.Serve(s.t, s.server, r)
}

func (s *stage) observe(name string) port.Live {
	s.t.Helper()
	return porttest.Look(s.t, s.server, name)
}

// ask has the public port answer 200.
func (s *stage) ask(l port.Live, path string) string {
	s.t.Helper()
	return porttest.Answer(s.t, http.DefaultClient, l.URL+path)
}

func (s *stage) until(what string, is func() bool) {
	s.t.Helper()
	porttest.Until(s.t, 30*time.Second, what, is, func() any { return s.observe("one") })
}

// killHost ends the host as the kernel does when memory is short.
func (s *stage) killHost() {
	s.t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*") // with a name behind it, Glob would list what is in each
	for _, p := range all {
		raw, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		if strings.Contains(string(raw), "\x00host\x00"+s.dir+"\x00") {
			var pid int
			if _, err := fmt.Sscanf(p, "/proc/%d", &pid); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	s.until("the host is gone", func() bool {
		held, err := sandbox.Held(filepath.Join(s.dir, "host.lock"))
		return err == nil && !held
	})
}

// forget takes away the record of what is tried.
func (s *stage) forget(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, "served", name, "trial.json")); err != nil {
		s.t.Fatal(err)
	}
}

// serveCode is a server for a container that has Python.
const serveCode = `
import http.server, os, sys
version, how = sys.argv[1], sys.argv[2:]
if "exit" in how:
    print("cannot load the model: no such column", flush=True)
    sys.exit(3)

def can(do):
    try:
        do()
        return "can"
    except OSError as e:
        return "cannot"

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(7)
        text = version
        if self.path == "/inside":
            model = os.environ["VISHWA_MODEL_DIR"]
            text = "\n".join([
                "model " + open(model + "/model.json").read(),
                "input " + open(os.environ["VISHWA_INPUT_SERVING"]).read(),
                "params " + open(os.environ["VISHWA_PARAMS"]).read(),
                "write model " + can(lambda: open(model + "/x", "w")),
                "change model " + can(lambda: open(model + "/model.json", "w")),
                "write root " + can(lambda: open("/x", "w")),
                "write tmp " + can(lambda: open("/tmp/x", "w")),
                "user " + str(os.getuid()),
                "passed " + os.environ.get("DECLARED", "-") + os.environ.get("UNDECLARED", "-"),
                [l for l in open("/proc/self/status") if l.startswith("CapBnd")][0].strip(),
                [l for l in open("/proc/self/status") if l.startswith("NoNewPrivs")][0].strip(),
            ])
        self.send_response(503 if "never" in how else 200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *a): pass

print("serving", version, flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["VISHWA_PORT"])), Handler).serve_forever()
`
