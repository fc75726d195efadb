// The inner side: the process that builds the wall around itself, begins the command
// and stays with it. On the first rung it is process 1 of a process table of its own, so
// that the kernel ends all of the command with it; on the second it adopts whatever the
// command leaves, and ends that itself. It ends when whoever began it is gone.
package wall

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Straggling is how long what a command leaves running may take to end by itself.
const Straggling = time.Second

// firstToEnd is how much sooner than others the kernel picks a command where memory has
// run out (proc_pid_oom_score_adj(5)).
const firstToEnd = "500"

// marker is the variable by which the inner side knows that vishwa itself began it.
const marker = "VISHWA_SANDBOX"

// The program is its own inner side: whichever program has this package, a test's too,
// becomes it before anything else of it is set up, since a run waits for that.
func init() {
	if len(os.Args) > 1 && os.Args[1] == Verb && os.Getenv(marker) != "" {
		os.Exit(asInner(os.Args[2:]))
	}
	beginAhead()
}

// asInner is the body of `vishwa sandbox`: its arguments are none, or enter.
func asInner(args []string) int {
	runtime.LockOSThread() // capabilities, rules and filters are a thread's own, and what it begins inherits them
	if len(args) == 1 && args[0] == enter {
		return entered()
	}
	i := &inside{socket: inner}
	if err := keepDescriptors(); err != nil {
		fmt.Fprintln(os.Stderr, "vishwa sandbox:", err)
		return 2
	}
	// These are meant for the command. They are taken and not ignored: what is ignored stays so in the command.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP)
	if len(args) > 0 || i.hear() != nil {
		fmt.Fprintln(os.Stderr, "vishwa sandbox is begun by vishwa itself, and by nobody else")
		return 2
	}
	if err := i.build(); err != nil {
		m := message{Failed: err.Error(), Machine: refusedByMachine(err)}
		if errors.Is(err, errLacks) {
			m = message{Lacks: true, Report: &i.report}
		}
		_ = i.say(m, -1)
		i.clear() // it may have begun already, with nobody left to be told
		return 1
	}
	return i.stay()
}

// keepDescriptors keeps what this process was begun with, a lock of the caller's among it,
// from the command: held here, it is held for as long as anything of the command lives.
func keepDescriptors() error {
	if unix.CloseRange(inner, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd") // before Linux 5.11
	for _, d := range open {
		if fd, err := strconv.Atoi(d.Name()); err == nil && fd >= inner {
			unix.CloseOnExec(fd)
		}
	}
	return err
}

// refusedByMachine tells a machine that does not allow the wall from a wall that cannot
// be: the next level may do on the former.
func refusedByMachine(err error) bool {
	for _, e := range []unix.Errno{unix.EPERM, unix.ENOSYS, unix.EINVAL, unix.ENOSPC, unix.EOPNOTSUPP, unix.EUSERS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.Is(err, errNoLandlock) || errors.Is(err, errConfined)
}

type inside struct {
	socket int
	work   work
	report Report
	child  int // the command's process
}

func (i *inside) say(m message, fd int) error { return send(i.socket, m, fd) }

// hear takes the work.
func (i *inside) hear() error {
	m, fds, err := receiveAll(i.socket)
	if err != nil || !m.Work || len(fds) == 0 {
		return errors.Join(err, errors.New("no work"))
	}
	for to, fd := range fds[1:] {
		if err := unix.Dup3(fd, to+1, 0); err != nil { // 1 and 2
			return err
		}
		unix.Close(fd)
	}
	i.work, err = unpack(fds[0])
	return err
}

// build raises the wall and begins the command behind it.
func (i *inside) build() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // nobody of the same user reads or traces this process
		return fmt.Errorf("conceal: %w", err)
	}
	// Where memory runs out, the command is ended and not who looks after it; it is a hint, and Landlock keeps it.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(firstToEnd), 0)
	i.report = Report{Level: string(i.work.Stage), Landlock: landlockVersion(), Network: i.work.Spec.Network.String()}
	if i.work.UID != 0 {
		i.report.User = "own"
	}
	listener := -1
	var err error
	if i.work.Stage == Namespaces {
		if listener, err = i.enclose(); err == nil {
			err = i.enough()
		}
		if err == nil {
			err = i.beginHere()
		}
	} else {
		err = i.beginEntered()
	}
	if err != nil {
		return err
	}
	if err := i.say(message{Begun: true, Report: &i.report}, listener); err != nil {
		return err
	}
	if listener >= 0 {
		unix.Close(listener)
	}
	return nil
}

// errLacks says that the wall would not be what is asked for.
var errLacks = errors.New("guarantees that are asked for lack")

// enough refuses before anything of the command runs: a moment would do for code that
// nobody reviewed.
func (i *inside) enough() error {
	if i.work.Spec.Strict && len(Lacks(i.report)) > 0 {
		return errLacks
	}
	return nil
}

// beginHere begins the command from this thread, restricted by now.
func (i *inside) beginHere() error {
	s := i.work.Spec
	r := rules{
		read: slices.Concat([]string{"/proc", "/etc", "/dev"}, systemTrees, kernelTrees, s.Read, s.Give), write: slices.Concat([]string{"/tmp", "/dev/shm"}, s.Shared, s.Write),
		devices: append(expand(s.Devices), plainDevices...),
	}
	if err := limit(s.Limits, i.work.UID, 0); err != nil {
		return err
	}
	if err := restrictFilesWhere(r, i.report.Landlock); err != nil {
		return err
	}
	// In the machine's own network lie abstract sockets of others, which older kernels let everybody connect to.
	apart := !s.Network.All || i.report.Landlock >= scopedSignals
	if _, err := restrictCalls(sockets{inet: true, unixAny: apart || !s.Strict, loopback: true}); err != nil {
		return err
	}
	attr := &syscall.ProcAttr{Dir: i.work.Dir, Env: i.work.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true}}
	if i.work.UID != 0 {
		id := uint32(i.work.UID)
		attr.Sys.Credential = &syscall.Credential{Uid: id, Gid: id}
	} else if err := dropCapabilities(); err != nil {
		return err
	}
	pid, err := syscall.ForkExec(i.work.Path, i.work.Args, attr)
	if err != nil {
		return i.noExec(err)
	}
	i.child = pid
	return dropCapabilities()
}

// restrictFilesWhere lets a kernel without Landlock do with namespaces alone.
func restrictFilesWhere(r rules, abi int) error {
	if abi == 0 {
		return nil
	}
	return restrictFiles(r, abi)
}

// noExec ends the inner side: the wall stood, and the command was none.
func (i *inside) noExec(err error) error {
	_ = i.say(message{Begun: true, Report: &i.report}, -1)
	_ = i.say(message{End: &End{Code: 126, NoExec: err.Error()}}, -1)
	os.Exit(0)
	return nil
}

// dropCapabilities gives up every capability of this thread, and what could bring one back.
func dropCapabilities() error {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // there may be none
	for c := 0; unix.Prctl(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0) == nil && c < 64; c++ {
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0) // needs one itself; no_new_privs keeps what is left from mattering
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&head, &none[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}

// stay serves the outer side until the command has ended, and all of it is gone.
func (i *inside) stay() int {
	ended := make(chan End, 1)
	go func() { ended <- i.reap() }()
	gone := make(chan struct{})
	go i.serve(gone)
	select {
	case end := <-ended:
		_ = i.say(message{End: &end}, -1)
		i.sweep(Straggling)
	case <-gone:
		i.clear()
	}
	return 0
}

// clear ends what the command has begun and removes what the outer side, which may be
// gone, would have removed.
func (i *inside) clear() {
	i.sweep(0)
	if i.work.Stage == Landlock && i.work.Spec.Tmp != "" {
		_ = os.RemoveAll(i.work.Spec.Tmp)
	}
}

// serve answers the outer side; gone is closed when there is none any more.
func (i *inside) serve(gone chan<- struct{}) {
	defer close(gone)
	for {
		m, fd, err := receive(i.socket)
		if fd >= 0 {
			unix.Close(fd)
		}
		if err != nil {
			return
		}
		if m.Dial == 0 {
			continue
		}
		fd, err = dialPort(m.Dial)
		if err != nil {
			err = i.say(message{Failed: err.Error()}, -1)
		} else {
			err = i.say(message{Dialed: true}, fd)
			unix.Close(fd)
		}
		if err != nil {
			return
		}
	}
}

// dialPort connects to the command, in its own network.
func dialPort(port int) (int, error) {
	c, err := net.DialTimeout("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 5*time.Second)
	if err != nil {
		return -1, err
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

// reap collects whatever ends, and tells how the command did.
func (i *inside) reap() End {
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(-1, &st, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return End{Code: -1, NoExec: "its end could not be observed: " + err.Error()}
		case pid == i.child && st.Exited():
			return End{Code: st.ExitStatus()}
		case pid == i.child && st.Signaled():
			return End{Code: -1, Signal: syscall.Signal(st.Signal())}
		}
	}
}

// sweep ends what the command has left: asked first, killed after grace.
func (i *inside) sweep(grace time.Duration) {
	deadline := time.Now().Add(grace)
	asked := false
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		left := descendants()
		if len(left) == 0 && childless() {
			return
		}
		late := !time.Now().Before(deadline)
		for _, pid := range left {
			switch {
			case late:
				_ = unix.Kill(pid, unix.SIGKILL)
			case !asked:
				_ = unix.Kill(pid, unix.SIGTERM)
				_ = unix.Kill(pid, unix.SIGCONT)
			}
		}
		asked = true
		if late && i.work.Stage == Namespaces {
			return // the end of this process ends them all
		}
		time.Sleep(wait)
		childless() // the command's own end was collected before
	}
}

// childless collects what has ended and tells whether nothing is left. A look at /proc is
// none at one moment, and may miss what changes its parent meanwhile; whoever has no
// child, and adopts every orphan, has no descendant.
func childless() bool {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(err, unix.ECHILD) {
			return true
		}
		if pid <= 0 && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}

// descendants are the living processes below this one.
func descendants() (found []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	parent := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// pid (name) state parent: the name may hold anything (proc(5)).
		f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if len(f) < 2 || f[0] == "Z" || f[0] == "X" {
			continue
		}
		if p, err := strconv.Atoi(f[1]); err == nil {
			parent[pid] = p
		}
	}
	self := os.Getpid()
	for pid := range parent {
		for at, steps := parent[pid], 0; at > 0 && steps < 4096; at, steps = parent[at], steps+1 {
			if at == self {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}

// limit sets what the kernel bounds for each process; running is how many of the user's
// processes there are already.
func limit(l Limits, uid, running int) error {
	set := func(what int, name string, v uint64) error {
		if v == 0 {
			return nil
		}
		var had unix.Rlimit
		if err := unix.Getrlimit(what, &had); err != nil {
			return fmt.Errorf("limit %s: %w", name, err)
		}
		v = min(v, had.Max)
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit %s: %w", name, err)
		}
		return nil
	}
	// 1 is no core file, and no handing over to a program of the machine's either (core(5)).
	var core unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &core)
	if one := min(1, core.Max); err == nil {
		err = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: one, Max: one})
	}
	if err != nil {
		return fmt.Errorf("limit core files: %w", err)
	}
	processes := uint64(0)
	if l.Processes > 0 {
		processes = uint64(l.Processes + running)
	}
	if err := set(unix.RLIMIT_NPROC, "processes", processes); err != nil {
		return err
	}
	if l.OpenFiles > 0 { // by package syscall, which gives children what is set here
		var had syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
			return fmt.Errorf("limit open files: %w", err)
		}
		v := min(uint64(l.OpenFiles), had.Max)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit open files: %w", err)
		}
	}
	return set(unix.RLIMIT_FSIZE, "file size", uint64(max(0, l.FileSize)))
}
