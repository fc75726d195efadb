//go:build linux

// The list of escapes, each named after what it tries.
package wall_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/wall"
)

func limited(l wall.Limits) func(*machine, *wall.Spec) {
	return func(_ *machine, s *wall.Spec) { s.Limits = l }
}

// overLimit says that it was not ended for this limit.
func overLimit(words string) func(*machine, outcome) string {
	return func(_ *machine, o outcome) string {
		if !strings.Contains(o.end.Over, words) {
			return fmt.Sprintf("it ended with %+v, and was not ended for its limit", o.end)
		}
		return ""
	}
}

var escapes = map[string]escape{
	"ReadsTheKeys": {control: true, program: `
attempt("open", lambda: has(A["secret"]))
attempt("link", lambda: (os.symlink(A["secret"], "l"), has("l"))[1])
attempt("hard link", lambda: (os.link(A["secret"], "h"), has("h"))[1])
attempt("move", lambda: (os.rename(A["secret"], "m"), has("m"))[1])
attempt("by another's root", lambda: has("/proc/%d/root%s" % (A["victim"], A["secret"])))
attempt("by another's folder", lambda: has("/proc/%d/cwd/../secret" % A["victim"]))
if os.path.exists("m"): os.rename("m", A["secret"])
`},
	"ListsOtherRuns": {control: true, program: `
attempt("list", lambda: "store" in os.listdir(".."))
attempt("list by absolute path", lambda: os.listdir(os.path.dirname(A["secret"])).index("store") >= 0)
`},
	"ReadsTheSystemsSecrets": {program: `
for p in ("/etc/shadow", "/etc/ssl/private", "/root", "/home", "/var/run/docker.sock", "/run/systemd", "/proc/kcore", "/dev/mem", "/boot", "/var/log", "/etc/ssh"):
    attempt(p, lambda: os.listdir(p) if os.path.isdir(p) else open(p, "rb").read(1))
`},
	"ReadsTheParentsEnvironment": {control: true, program: `
for p in [A["victim"], os.getppid(), 1]:
    if p == os.getpid(): continue
    attempt("environ of %d" % p, lambda: has("/proc/%d/environ" % p) or p != A["victim"])
    if p != A["victim"] or os.getpid() < 0: continue
    attempt("memory of %d" % p, lambda: open("/proc/%d/mem" % p, "rb") is None)
for d in os.listdir("/proc"):
    if d.isdigit() and int(d) != os.getpid():
        try: ok = b"CONTROLLER=" in open("/proc/%s/environ" % d, "rb").read()
        except OSError: continue
        if ok: print("ESCAPED environ of", d)
`},
	"TakesOverTheInnerSide": {program: `
p = os.getppid()
for f in ("environ", "mem", "maps", "exe", "cwd/.", "root/."): attempt(f, lambda: open("/proc/%d/%s" % (p, f), "rb") if "." not in f and f != "exe" else os.readlink("/proc/%d/%s" % (p, f.split("/")[0])))
attempt("descriptors", lambda: [os.readlink("/proc/%d/fd/%s" % (p, f)) for f in os.listdir("/proc/%d/fd" % p)])
attempt("attach", lambda: c(libc.ptrace, 16, p, 0, 0) == 0)
os.system("true")
try: os.kill(p, signal.SIGKILL)
except OSError as e: print("held", e)
time.sleep(0.2)
attempt("the inner side is gone", lambda: os.getppid() != p)
`},
	"SignalsTheController": {control: true, program: `
attempt("kill", lambda: os.kill(A["victim"], signal.SIGSTOP) is None)
attempt("its group", lambda: os.killpg(os.getpgid(A["victim"]), 0) is None)
attempt("by a descriptor", lambda: signal.pidfd_send_signal(os.pidfd_open(A["victim"]), signal.SIGSTOP) is None)
`, after: func(m *machine, _ outcome) string {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.Victim))
		if err != nil || strings.Contains(string(raw), ") T ") {
			return "the controller was stopped"
		}
		return ""
	}},
	"ChangesTheControllersLimits": {control: true, program: `
attempt("prlimit", lambda: resource.prlimit(A["victim"], resource.RLIMIT_CPU, (1, 1)) and False or True)
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, A["victim"], 19) is None)
attempt("its user's", lambda: A["victim"] and os.getuid() and os.setpriority(os.PRIO_USER, os.getuid(), 19) is None if "WALL" in A else False)
attempt("cores", lambda: os.sched_setaffinity(A["victim"], [sorted(os.sched_getaffinity(0))[0]]) is None)
attempt("scheduler", lambda: os.sched_setscheduler(A["victim"], os.SCHED_IDLE, os.sched_param(0)) is None)
attempt("disk priority", lambda: call(30 if ARM else 251, 1, A["victim"], 3 << 13) == 0)
p = os.fork()
if p == 0: time.sleep(60); os._exit(0)
resource.prlimit(p, resource.RLIMIT_NOFILE, (16, 16)); os.setpriority(os.PRIO_PROCESS, p, 19); os.sched_setaffinity(p, os.sched_getaffinity(0))  # its own may be
os.kill(p, 9)
`},
	"ChangesModes": {control: true, program: `
for p in (A["secret"], A["store"], A["store"] + "/object", A["environment"] + "/module.py"):
    n = p.replace(os.path.dirname(A["secret"]), "")
    attempt("mode of " + n, lambda: os.chmod(p, 0o777) is None)
    attempt("times of " + n, lambda: os.utime(p, (1, 1)) is None)
    attempt("owner of " + n, lambda: os.chown(p, os.getuid(), os.getgid()) is None)
    attempt("attribute of " + n, lambda: os.setxattr(p, "user.evil", b"x") is None)
    attempt("mode behind a link", lambda: (os.path.lexists("l") and os.unlink("l"), os.symlink(p, "l"), os.chmod("l", 0o777))[2] is None)
    attempt("mode from a folder", lambda: os.chmod("../../" * 20 + p, 0o777) is None)
f = os.open(A["environment"] + "/module.py", os.O_RDONLY)
attempt("mode by a descriptor", lambda: os.fchmod(f, 0o777) is None)
attempt("mode by a descriptor's path", lambda: os.chmod("/proc/self/fd/%d" % f, 0o777) is None)
attempt("times by a descriptor", lambda: os.utime(f, (1, 1)) is None)
open("own", "w").close(); os.chmod("own", 0o711); os.utime("own", (5, 7)); assert os.stat("own").st_mode & 0o777 == 0o711 and os.stat("own").st_mtime == 7
os.mkdir("d"); open("d/f", "w").close(); d = os.open("d", os.O_RDONLY); os.chmod("f", 0o600, dir_fd=d); os.utime("f", ns=(10**9, 2 * 10**9), dir_fd=d); assert os.stat("d/f").st_mtime == 2
g = os.open("d/f", os.O_RDONLY); os.fchmod(g, 0o640); assert os.stat("d/f").st_mode & 0o777 == 0o640; os.utime(g); assert os.stat("d/f").st_mtime > 1e9
try: os.chmod("nothing", 0o600); print("ESCAPED sense")
except FileNotFoundError: pass
`},
	"WritesTheStore": {control: true, program: `
o = A["store"] + "/object"
attempt("write", lambda: put(o)); attempt("append", lambda: put(o, "a")); attempt("truncate", lambda: os.truncate(o, 0) is None)
attempt("add", lambda: put(A["store"] + "/new")); attempt("remove", lambda: os.unlink(o) is None)
attempt("link", lambda: (os.link(o, "x"), put("x"))[1]); attempt("folder", lambda: os.mkdir(A["store"] + "/d") is None)
attempt("replace", lambda: (put("y"), os.replace("y", o))[0]); attempt("pipe", lambda: os.mkfifo(A["store"] + "/p") is None)
attempt("swap", lambda: (os.rename(A["store"], A["store"] + "2"), os.symlink(os.getcwd(), A["store"]))[1] is None)
`},
	"WritesTheEnvironment": {control: true, program: `
o = A["environment"] + "/module.py"
attempt("write", lambda: put(o)); attempt("truncate", lambda: os.truncate(o, 0) is None)
attempt("truncate by opening", lambda: os.open(o, os.O_RDONLY | os.O_TRUNC) and os.stat(o).st_size == 0)
attempt("add", lambda: put(A["environment"] + "/sitecustomize.py")); attempt("link", lambda: (os.link(o, "x"), put("x"))[1])
attempt("map", lambda: __import__("mmap").mmap(os.open(o, os.O_RDWR), 0) is not None)
attempt("reopen", lambda: (lambda f: put("/proc/self/fd/%d" % f))(os.open(o, os.O_RDONLY)))
attempt("flags", lambda: __import__("fcntl").ioctl(os.open(o, os.O_RDONLY), 0x40086602, struct.pack("l", 0x40)) and False or True)
`},
	"WritesToControlGroups": {program: `
for d, dirs, files in os.walk("/sys/fs/cgroup"):
    if d.count("/") > 6: dirs[:] = []
    for f in files:
        if f in ("cgroup.procs", "tasks", "memory.max", "memory.limit_in_bytes", "pids.max", "release_agent"):
            try: open(os.path.join(d, f), "w").close(); print("ESCAPED", d, f)
            except OSError: pass
    try: os.mkdir(d + "/evil"); print("ESCAPED made", d)
    except OSError: pass
for p in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/sys/vm/drop_caches", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/1/oom_score_adj"):
    attempt(p, lambda: open(p, "w").write("0") and False or True)
`},
	"InheritsDescriptors": {control: true, program: `
attempt("open ones", lambda: [os.readlink("/proc/self/fd/" + f) for f in os.listdir("/proc/self/fd") if int(f) > 2 and os.path.exists("/proc/self/fd/" + f) and not os.readlink("/proc/self/fd/" + f).startswith("/proc")])
if not ("/lock" in str([os.readlink("/proc/self/fd/" + f) for f in os.listdir("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + f)])): print("held")
`},
	"ReadsTheProxysPassword": {control: true, program: `attempt("environment", lambda: "CANA" + "RY" in str({k: v for k, v in os.environ.items()}) and "user:" in os.environ.get("HTTPS_PROXY", ""))`},
	"LeavesADaemon": {program: `
for clear in ({}, os.environ):
    if os.fork() == 0:
        os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if os.fork() == 0:
            for fd in range(3): os.close(fd)
            os.execve("/bin/sh", ["sh", "-c", "trap '' TERM HUP; while :; do sleep 1; done", A["mark"]], clear)
        os._exit(0)
    os.wait()
`},
	"ForksWithoutEnd": {ends: true, change: limited(wall.Limits{Processes: 64, OpenFiles: 256, Memory: 2 << 30}), program: `
n = 0
try:
    while n < 500:
        if os.fork() == 0: time.sleep(30); os._exit(0)
        n += 1
except OSError: pass
print("ESCAPED" if n > 300 else "held", n, flush=True)
`},
	"OpensFilesWithoutEnd": {program: `
n = []
try:
    while len(n) < 5000: n.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
print("ESCAPED" if len(n) > 1024 else "held", len(n))
for f in n: os.close(f)
attempt("raise", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)) is None)
`},
	"FillsTheDisk": {ends: true, change: limited(wall.Limits{Disk: 32 << 20}), after: overLimit("32 MiB is its limit"), program: `
for n in range(48):
    with open("f%d" % n, "wb") as f: f.write(b"x" * (1 << 20))
time.sleep(20)
`},
	"FillsTheDiskWithoutAName": {ends: true, change: limited(wall.Limits{Disk: 32 << 20}), after: overLimit("32 MiB is its limit"), program: `
f = open("f", "wb"); os.unlink("f"); libc.prctl(4, 1, 0, 0, 0)
for n in range(48): f.write(b"x" * (1 << 20)); f.flush()
time.sleep(20)
`},
	"FillsTheDiskTooDeepToSee": {ends: true, change: limited(wall.Limits{Disk: 32 << 20}), after: overLimit("deeper than"), program: `
for n in range(40): os.mkdir("d" * 200); os.chdir("d" * 200)
time.sleep(20)
`},
	"EatsTheMemory": {ends: true, change: limited(wall.Limits{Memory: 128 << 20}), after: ranOut, program: `
x = bytearray(300 << 20); x[::4096] = b"x" * len(x[::4096]); time.sleep(20)
`},
	"EatsTheMemoryUnseen": {ends: true, change: limited(wall.Limits{Memory: 128 << 20}), after: ranOut, program: `
libc.prctl(4, 0, 0, 0, 0); x = bytearray(300 << 20); x[::4096] = b"x" * len(x[::4096]); time.sleep(20)
`},
	"EatsTheMemoryByFiles": {ends: true, change: limited(wall.Limits{Memory: 128 << 20}), after: ranOut, program: `
f = os.memfd_create("x")
for n in range(300): os.write(f, b"x" * (1 << 20))
time.sleep(20)
`},
	"LeavesMemory": {program: `
attempt("System V memory", lambda: c(libc.shmget, 0, 4096, 0o1600) >= 0 and os.getppid() != 1)
attempt("System V queue", lambda: c(libc.msgget, 0, 0o1600) >= 0 and os.getppid() != 1)
attempt("semaphores", lambda: c(libc.semget, 0, 1, 0o1600) >= 0 and os.getppid() != 1)
attempt("queue", lambda: c(libc.mq_open, ("/" + A["mark"]).encode(), os.O_CREAT | os.O_RDWR, 0o600, None) >= 0 and os.getppid() != 1)
attempt("shared memory", lambda: put("/dev/shm/" + A["mark"]) and os.getppid() != 1)
`},
	"ReachesTheNetwork": {control: true, program: `
def reach(family, kind, address, flags=None, proto=0):
    s = socket.socket(family, kind, proto); s.settimeout(2)
    if flags is not None: s.sendto(b"x", flags, address)
    elif kind == socket.SOCK_DGRAM: s.sendto(b"x", address)
    else: s.connect(address)
    return True
attempt("TCP", lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", A["tcp"])))
attempt("TCP, sending at once", lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", A["tcp"]), 0x20000000))
attempt("TCP of many paths", lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", A["tcp"]), None, 262))
attempt("TCP by version 6", lambda: reach(socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", A["tcp"])))
try: s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", A["udp"]))
except OSError as e: print("held UDP", e)
for f, k, p in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 3), (40, socket.SOCK_STREAM, 0), (38, socket.SOCK_SEQPACKET, 0), (16, socket.SOCK_RAW, 15), (31, socket.SOCK_RAW, 1)):
    if "CONTROL" not in os.environ: attempt("socket %d %d %d" % (f, k, p), lambda: socket.socket(f, k, p) and os.getuid() != 0 and False)
time.sleep(0.2)
`},
	"ReachesTheNetworkAsAServer": {change: func(_ *machine, s *wall.Spec) { s.Port = 4711 }, program: `
for flags in (0x20000000, 0x20000000 | 0x4000):
    def fast():
        s = socket.socket(); s.settimeout(2); return s.sendto(b"x", flags, ("127.0.0.1", A["tcp"]))
    attempt("sending at once", fast)
    attempt("and as a message", lambda: socket.socket().sendmsg([b"x"], [], flags, ("127.0.0.1", A["tcp"])))
attempt("connecting", lambda: socket.create_connection(("127.0.0.1", A["tcp"]), 2))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", A["udp"])) and os.getppid() != 1)
l = socket.socket(); l.bind(("127.0.0.1", 4711)); l.listen()  # its own port it has
attempt("socket of the machine", lambda: socket.socket(socket.AF_UNIX).connect(A["socket"]) is None)
time.sleep(0.2)
`},
	"ReachesTheMetadataAddress": {program: `
for a in ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "8.8.8.8"):
    attempt(a, lambda: socket.create_connection((a, 80), 2))
`},
	"ConnectsToAUnixSocketOfTheMachine": {control: true, program: `
def to(kind, path):
    s = socket.socket(socket.AF_UNIX, kind); s.connect(path); s.send(b"x"); return True
attempt("stream", lambda: to(socket.SOCK_STREAM, A["socket"])); attempt("datagram", lambda: to(socket.SOCK_DGRAM, A["datagrams"]))
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
    attempt("half of a pair, %d" % kind, lambda: socket.socketpair(socket.AF_UNIX, kind)[0].sendto(b"x", A["datagrams"]) and True)
a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"  # a pair of its own it has
os.symlink(A["socket"], "s"); attempt("by a link", lambda: to(socket.SOCK_STREAM, "s"))
time.sleep(0.2)
`},
	"ConnectsToAnAbstractSocket": {control: true, program: `
def to():
    s = socket.socket(socket.AF_UNIX); s.connect("\0" + A["abstract"]); return True
attempt("stream", to); time.sleep(0.2)
`},
	"Ptraces": {control: true, program: `
buf = ctypes.create_string_buffer(64)
attempt("attach", lambda: c(libc.ptrace, 16, A["victim"], 0, 0) == 0)
attempt("seize", lambda: c(libc.ptrace, 0x4206, A["victim"], 0, 0) == 0)
if os.fork() == 0: attempt("by its parent", lambda: c(libc.ptrace, 0, 0, 0, 0) == 0); os._exit(0)
os.wait()
attempt("take a descriptor", lambda: call(438, os.pidfd_open(A["victim"]), 0, 0) >= 0)
attempt("memory", lambda: open("/proc/%d/mem" % A["victim"], "rb") and os.listdir("/proc/%d/fd" % A["victim"]))
`},
	"MakesANamespace": {program: `
for name, flag in dict(user=0x10000000, mount=0x20000, net=0x40000000, pid=0x20000000, ipc=0x8000000, uts=0x4000000, cgroup=0x2000000, time=0x80).items():
    attempt("unshare " + name, lambda: c(libc.unshare, flag) == 0)
    def clone():
        p = call(220 if ARM else 56, flag | 17, 0, 0, 0, 0)
        if p == 0: os._exit(0)
        os.waitpid(p, 0); return name != "time"
    attempt("clone " + name, clone)
attempt("enter", lambda: c(libc.setns, os.open("/proc/self/ns/net", os.O_RDONLY), 0) == 0)
args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
def clone3():
    p = call(435, ctypes.byref(args), 88)
    if p == 0: os._exit(0)
    os.waitpid(p, 0); return True
attempt("clone3", clone3)
`},
	"Mounts": {program: `
os.mkdir("m")
attempt("mount", lambda: c(libc.mount, b"x", b"m", b"tmpfs", 0, None) == 0)
attempt("bind", lambda: c(libc.mount, b"/", b"m", None, 4096, None) == 0)
attempt("remount", lambda: c(libc.mount, b"", b"/", None, 4096 | 32, None) == 0)
attempt("unmount", lambda: c(libc.umount2, b"/proc", 2) == 0)
attempt("chroot", lambda: os.chroot("m") is None)
attempt("pivot", lambda: call(41 if ARM else 155, b"m", b"m") == 0)
for nr in (428, 429, 430, 431, 432, 433, 442, 467): attempt("call %d" % nr, lambda: call(nr, -1, b"", 0, 0, 0) >= 0 or True)
attempt("device", lambda: os.mknod("dev", 0o600 | stat.S_IFBLK, os.makedev(8, 0)) is None)
`},
	"OpensByHandle": {program: `
buf = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128); n = ctypes.c_int()
attempt("name", lambda: c(libc.name_to_handle_at, -100, b".", buf, ctypes.byref(n), 0) == 0)
attempt("open", lambda: c(libc.open_by_handle_at, os.open(".", os.O_RDONLY), buf, 0) >= 0)
`},
	"UsesTheKernelsOddCorners": {program: `
def errno_of(nr, *a):
    try: call(nr, *a); return 0
    except OSError as e: return e.errno
page = ctypes.create_string_buffer(4096)
for name, arm, amd, args in (("io_uring_setup", 425, 425, (8, page)), ("io_uring_enter", 426, 426, (0, 0, 0, 0)), ("io_uring_register", 427, 427, (0, 0, 0, 0)), ("keyctl", 219, 250, (0, -3, 0)), ("add_key", 217, 248, (b"user", b"x", b"x", 1, -3)),
    ("request_key", 218, 249, (b"user", b"x", 0, 0)), ("bpf", 280, 321, (0, page, 64)), ("perf_event_open", 241, 298, (page, 0, -1, -1, 0)), ("userfaultfd", 282, 323, (1,)), ("fanotify_init", 262, 300, (0, 0)),
    ("kcmp", 272, 312, (os.getpid(), os.getpid(), 0, 0, 0)), ("process_vm_readv", 270, 310, (os.getpid(), 0, 0, 0, 0, 0)), ("acct", 89, 163, (0,)), ("syslog", 116, 103, (3, page, 1)), ("quotactl", 60, 179, (0, 0, 0, 0)), ("init_module", 105, 175, (0, 0, 0)), ("swapon", 224, 167, (b"x", 0))):
    e = errno_of(arm if ARM else amd, *args)
    print("held" if e == errno.EPERM else "ESCAPED", name, e)
`},
	"UsesAnotherArchitecturesCalls": {program: `
def child(f):
    p = os.fork()
    if p == 0:
        try: f()
        except OSError: pass
        os._exit(0)
    return os.waitpid(p, 0)[1]
if not ARM:
    import mmap
    def old():
        m = mmap.mmap(-1, 4096, prot=7); m.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid by int 0x80
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
    for name, f in (("int 0x80", old), ("x32", lambda: call(0x40000000 + 39))):
        print("held" if os.WTERMSIG(child(f)) == signal.SIGSYS else "ESCAPED", name)
`},
	"DumpsCore": {program: `
attempt("raise", lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20)) is None and resource.getrlimit(resource.RLIMIT_CORE)[0] > 1)
attempt("lower, for a program in core_pattern", lambda: (resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))[1] and os.getuid() < 0)
if os.fork() == 0: os.abort()
print("dumped", os.WCOREDUMP(os.wait()[1])); attempt("core file", lambda: [f for f in os.listdir(".") if f.startswith("core")])
`},
	"TypesIntoATerminal": {program: `
import fcntl
for name, nr in (("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541c)):
    for fd in (0, 1, 2):
        try: fcntl.ioctl(fd, nr, b"x"); print("ESCAPED", name)
        except OSError as e: print("held" if e.errno == errno.EPERM else "ESCAPED (asked the kernel)", name, e)
attempt("/dev/tty", lambda: open("/dev/tty", "w"))
attempt("others", lambda: [f for f in os.listdir("/dev/pts") if f.isdigit() and open("/dev/pts/" + f, "w")])
`},
	"GainsRights": {program: `
attempt("become root", lambda: os.setuid(0) is None and os.getuid() != os.geteuid())
for p in ("/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/mount"):
    if os.path.exists(p): print("setuid program is there, and no_new_privs is", [l for l in open("/proc/self/status") if l.startswith("NoNewPrivs")])
s = {l.split(":")[0]: l.split(":")[1].strip() for l in open("/proc/self/status")}
print("ESCAPED" if s["NoNewPrivs"] != "1" or int(s["CapEff"], 16) or int(s["CapPrm"], 16) or int(s["CapAmb"], 16) or s["Seccomp"] != "2" else "held", s["CapEff"], s["NoNewPrivs"])
open("x", "w").write("#!/bin/sh\nid -u"); os.chmod("x", 0o4755); print("mode", oct(os.stat("x").st_mode))
`},
}

// ranOut says that it was neither ended for its limit nor by the kernel.
func ranOut(m *machine, o outcome) string {
	if o.end.Signal != 9 && o.end.Over == "" {
		return fmt.Sprintf("it ended with %+v", o.end)
	}
	if _, err := os.Stat(filepath.Join(m.work, "done")); err == nil {
		return "it had all the memory that it asked for"
	}
	return ""
}
