// A stage is a state folder with a host to try, and what the tests ask of it.

package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

// memory is a store that is a map.
type memory map[digest.Digest][]byte

func (m memory) Has(_ context.Context, d digest.Digest) (bool, error) { _, ok := m[d]; return ok, nil }

func (m memory) Get(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
	b, ok := m[d]
	if !ok {
		return nil, fault.New(fault.Missing, "%s is not there", d.Short())
	}
	if digest.Of(b) != d {
		return nil, fault.New(fault.Corrupt, "%s is not what it is named", d.Short())
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m memory) Put(_ context.Context, r io.Reader) (digest.Digest, int64, error) {
	b, err := io.ReadAll(r)
	d := digest.Of(b)
	m[d] = b
	return d, int64(len(b)), err
}

type stage struct {
	t      *testing.T
	dir    string
	store  memory
	server port.Server
}

// quick is a pace that tests can wait for.
var quick = Timeouts{
	Probation: 150 * time.Millisecond, Drain: 3 * time.Second, Grace: 300 * time.Millisecond, Hold: 2 * time.Second,
	Again: 20 * time.Millisecond, AgainMost: 200 * time.Millisecond,
}

var environmentKey, _ = seal.KeyOf(make([]byte, 32))

// sealOf is where a stage keeps the key of the host of dir.
func sealOf(dir string) string { return filepath.Join(filepath.Dir(dir), "seal", "key") }

// recorded is the order that stands under name.
func (s *stage) recorded(name string) order {
	s.t.Helper()
	key, err := seal.Load(sealOf(s.dir))
	if err != nil {
		s.t.Fatal(err)
	}
	o, err := folder(s.dir).readOrder(key, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

func newStage(t *testing.T) *stage { return newStageAt(t, wall.None) }

// newStageAt is a stage whose processes stand behind a wall of this level. Without one,
// a test can know them by their numbers.
func newStageAt(t *testing.T, level wall.Level) *stage {
	t.Helper()
	// Longer than a Unix socket's path may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 24), "state")
	s := &stage{t: t, dir: dir, store: memory{}}
	s.server = Local(Config{Env: testEnv(), Store: s.store, Dir: dir, Seal: sealOf(dir), Envs: sandbox.Environments{Dir: t.TempDir(), Env: testEnv(), Seal: environmentKey}, Pace: quick, Wall: wall.Policy{Level: level}})
	t.Cleanup(func() {
		if t.Failed() {
			for _, f := range []string{"host.log", "host.err"} {
				raw, _ := os.ReadFile(filepath.Join(dir, f))
				t.Logf("%s:\n%s", f, raw)
			}
		}
		if pid := s.hostPID(); pid != 0 {
			syscall.Kill(pid, syscall.SIGTERM)
		}
		s.until("the host has left", func() bool { return s.hostPID() == 0 })
		defer sandbox.Remove(dir)
		if raw, _ := os.ReadFile(filepath.Join(dir, "host.err")); len(raw) > 0 {
			t.Errorf("the host fell:\n%s", raw) // a panic, or what the race detector found
		}
	})
	return s
}

// release serves version with the tiny server, behaving as how says.
func (s *stage) release(name, version string, how ...string) port.Release {
	ctx := context.Background()
	d, n, _ := s.store.Put(ctx, strings.NewReader("weights of "+version))
	files := digest.Manifest{{Path: "model.json", Digest: d, Size: n}}
	code, size, _ := s.store.Put(ctx, strings.NewReader("print('serve')"))
	return port.Release{
		Name: name, Key: digest.Of([]byte(name + version + strings.Join(how, " "))),
		Model: port.Artifact{Digest: files.Digest(), Size: n, Files: files},
		Ready: "/v2/health/ready", Timeout: 20 * time.Second,
		Local: &port.LocalRelease{Hosted: port.Hosted{
			Command: append([]string{built.Once(s.t, "internal/tinyserver"), "tiny", version}, how...),
			Code:    digest.Manifest{{Path: "src/serve.py", Digest: code, Size: size}},
		}},
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

// get asks the public port; an answer other than 200 fails the test.
func (s *stage) get(l port.Live, path string) string {
	s.t.Helper()
	return porttest.Answer(s.t, http.DefaultClient, l.URL+path)
}

func (s *stage) until(what string, is func() bool) {
	s.t.Helper()
	porttest.Until(s.t, 20*time.Second, what, is, nil)
}

// running are the processes with all of these among their arguments.
func running(args ...string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*") // with a name behind it, Glob would list what is in each
	for _, p := range all {
		raw, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		found := len(raw) > 0
		for _, a := range args {
			found = found && strings.Contains("\x00"+string(raw), "\x00"+a+"\x00")
		}
		if pid, err := strconv.Atoi(filepath.Base(p)); found && err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *stage) hostPID() int {
	if pids := running("host", s.dir); len(pids) > 0 {
		return pids[0]
	}
	return 0
}

func (s *stage) killHost() {
	s.t.Helper()
	pid := s.hostPID()
	if pid == 0 {
		s.t.Fatal("no host runs")
	}
	syscall.Kill(pid, syscall.SIGKILL)
	s.until("the host is gone", func() bool {
		held, err := sandbox.Held(folder(s.dir).path(hostLock))
		return err == nil && !held && s.hostPID() == 0
	})
}
