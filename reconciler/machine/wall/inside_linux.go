// The inner side: the process that builds the wall around itself, begins the command
// and stays with it. On the first rung it is process 1 of a process table of its own, so
// that the kernel ends all of the command with it; on the second it adopts whatever the
// command leaves, and ends that itself. It ends when whoever began it is gone.

package wall

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

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
		_ = i.sendMessage(m, -1)
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
	hosts  string
}

func (i *inside) sendMessage(m message, fd int) error { return send(i.socket, m, fd) }

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
	if err := i.sendMessage(message{Begun: true, Report: &i.report}, listener); err != nil {
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
	_ = i.sendMessage(message{Begun: true, Report: &i.report}, -1)
	_ = i.sendMessage(message{End: &End{Code: 126, NoExec: err.Error()}}, -1)
	os.Exit(0)
	return nil
}
