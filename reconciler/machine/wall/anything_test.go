//go:build linux

// A law: whatever a command does inside, nothing outside its folders changes, and no
// process of it is left.

package wall_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/wall/walltest"
)

// doer does what it is told, step by step, whatever becomes of it.
const doer = `
P = []
def path(n): return A["paths"][n % len(A["paths"])]
def do(op, x, y, n):
    a, b = path(x), path(y)
    if op == "write": open(a, "wb").write(b"EVIL" * n)
    elif op == "append": open(a, "ab").write(b"EVIL")
    elif op == "truncate": os.truncate(a, n)
    elif op == "sparse": os.truncate(os.open(a, os.O_RDWR | os.O_CREAT), n << 20)
    elif op == "remove": os.unlink(a)
    elif op == "mkdir": os.mkdir(a)
    elif op == "rmdir": os.rmdir(a)
    elif op == "rename": os.rename(a, b)
    elif op == "exchange": call(276 if ARM else 316, -100, a.encode(), -100, b.encode(), 2)
    elif op == "symlink": os.symlink(a, b)
    elif op == "link": os.link(a, b)
    elif op == "link its target": os.link(a, b, follow_symlinks=True)
    elif op == "pipe": os.mkfifo(a)
    elif op == "device": os.mknod(a, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    elif op == "socket": socket.socket(socket.AF_UNIX).bind(a)
    elif op == "chmod": os.chmod(a, n & 0o7777)
    elif op == "chmod by descriptor": os.fchmod(os.open(a, os.O_RDONLY | os.O_NONBLOCK), n & 0o7777)
    elif op == "chown": os.chown(a, os.getuid(), os.getgid())
    elif op == "times": os.utime(a, (n, n))
    elif op == "attribute": os.setxattr(a, "user.x", b"x")
    elif op == "chdir": os.chdir(a)
    elif op == "descriptor": P.append(os.open(a, os.O_PATH))
    elif op == "at descriptor": os.open("../" * (n % 4) + "object", os.O_RDWR | os.O_CREAT, dir_fd=P[n % len(P)])
    elif op == "reopen": open("/proc/self/fd/%d" % P[n % len(P)], "wb").write(b"EVIL")
    elif op == "signal": os.kill(A["victim"], signal.SIGSTOP)
    elif op == "limit": resource.prlimit(A["victim"], resource.RLIMIT_NOFILE, (n & 255, n & 255))
    elif op == "priority": os.setpriority(os.PRIO_PROCESS, A["victim"], 1 + n % 19)
    elif op == "connect": socket.socket(socket.AF_UNIX).connect(a)
    elif op == "memory": libc.shmget(0, 4096, 0o1600)
    elif op == "fork":
        if os.fork() == 0: return
    elif op == "session": os.setsid()
    elif op == "daemon":
        if os.fork() == 0:
            os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for fd in range(3): os.close(fd)
            os.execve("/bin/sh", ["sh", "-c", "trap '' TERM HUP; while :; do sleep 1; done", A["mark"]], {})
signal.alarm(5)
for s in A["steps"]:
    try: do(*s)
    except (OSError, ValueError, ZeroDivisionError): pass
`

// step is one thing to do, with two paths and a number.
func step(r *rapid.T) []any {
	op := rapid.SampledFrom([]string{
		"write", "append", "truncate", "sparse", "remove", "mkdir", "rmdir", "rename", "exchange", "symlink", "link", "link its target", "pipe", "device", "socket",
		"chmod", "chmod by descriptor", "chown", "times", "attribute", "chdir", "descriptor", "at descriptor", "reopen", "signal", "limit", "priority", "connect", "memory",
		"fork", "session", "daemon",
	}).Draw(r, "op")
	n := rapid.IntRange(0, 4095)
	return []any{op, n.Draw(r, "x"), n.Draw(r, "y"), n.Draw(r, "n")}
}

// TestWhateverIsDoneInsideNothingChangesOutside holds the law.
func TestWhateverIsDoneInsideNothingChangesOutside(t *testing.T) {
	walltest.AsUser(t)
	if os.Getenv("VISHWA_REAL") == "" { // a wall each
		must(t, flag.Set("rapid.checks", "6"))
	}
	rungs(t, func(t *testing.T, level wall.Level) {
		rapid.Check(t, func(r *rapid.T) {
			m := newMachine(t)
			defer clear(m.dir)
			outside := []string{m.Secret, m.Store, m.Store + "/object", m.Store + "/new", m.Environment, m.Environment + "/module.py", m.dir, m.dir + "/new", m.Socket, m.lock.Name()}
			inside := []string{"a", "b", "d", "d/a", "d/b", "l", "l/object", "l/module.py", "../store/object", "l/../secret", m.work, m.work + "/d"}
			steps := rapid.SliceOfN(rapid.Custom(step), 1, 60).Draw(r, "steps")
			before := m.state(t)
			got := m.try(t, level, walltest.Program(fmt.Sprintf("A['steps'] = json.loads(%q); A['paths'] = json.loads(%q)\n%s", jsonOf(t, steps), jsonOf(t, append(inside, outside...)), doer)), escape{})
			if strings.Contains(got.out, "Traceback") {
				r.Fatalf("the attempt is broken:\n%s", got.out)
			}
			if after := m.state(t); after != before {
				r.Fatalf("outside it was\n%s\nand is\n%s", before, after)
			}
			if left := walltest.Marked(m.Mark); len(left) > 0 {
				r.Fatalf("left processes %v", left)
			}
			if names, err := filepath.Glob(m.dir + "/*"); err != nil || len(names) != 6 { // env lock secret store tmp work
				r.Fatalf("beside its folder lie %v", names)
			}
			select {
			case what := <-m.heard:
				r.Fatalf("it reached %s", what)
			default:
			}
		})
	})
}

// clear removes a folder whose command may have taken its own rights away.
func clear(dir string) {
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() { // before it is read
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return string(raw)
}
