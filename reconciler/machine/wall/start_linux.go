// The outer side: begins the program anew as the inner side, in namespaces where the
// machine allows them, hands it the work, and hears how it ended.

package wall

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Inside is a command behind its wall, as seen from outside.
type Inside struct {
	Report Report
	cmd    *exec.Cmd
	socket int
	bounds *bounds
	proxy  Proxy
	tmp    string // to be removed
	ahead  bool   // it was begun before its output was known
	coming coming // where it was begun ahead: what for
	groups chan *groups

	asked  chan answer
	turn   chan struct{}
	closed sync.Once
	ended  chan End
	heard  chan struct{} // closed when nothing more is heard
}

// Start begins cmd behind a wall. The caller's thread must live as long as the command:
// its end is the command's. What cmd says of output and of descriptors to be held while
// it lives is kept; its environment must be set.
func Start(cmd *exec.Cmd, s Spec) (*Inside, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Level == "" {
		s.Level = Namespaces
	}
	var refusals []error
	for _, level := range []Level{Namespaces, Landlock} {
		if s.Level == Landlock && level == Namespaces || s.Least == Namespaces && level == Landlock {
			continue
		}
		in, err := start(cmd, s, level)
		if err == nil || fault.Of(err) != fault.Invalid {
			return in, err
		}
		refusals = append(refusals, err)
	}
	if len(refusals) == 0 {
		return nil, tooWeak(s.Level, s.Least)
	}
	return nil, fault.WithHint(fault.New(fault.Denied, "%w: %w", ErrUnavailable, inOneLine(refusals)), "%s", fault.HintOf(refusals[0]))
}

// start tries one level; its error is Invalid where the machine does not allow it.
func start(cmd *exec.Cmd, s Spec, level Level) (*Inside, error) {
	in, theirs, err := newInside()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	w := work{Spec: s, Stage: level, Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir}
	if len(w.Args) == 0 {
		w.Args = []string{cmd.Path}
	}
	outer := asInnerSide(theirs)
	outer.Stdout, outer.Stderr, outer.WaitDelay = cmd.Stdout, cmd.Stderr, cmd.WaitDelay
	outer.ExtraFiles = append(outer.ExtraFiles, cmd.ExtraFiles...)
	if level == Namespaces {
		namespaces(outer.SysProcAttr, s.Network.All)
		if os.Geteuid() == 0 {
			w.UID = userFor(s)
			if err := chownAll(w.UID, w.UID, slices.Concat(s.Give, s.folders())); err != nil {
				in.close()
				return nil, err
			}
		}
		w.Env = withVariable(w.Env, "TMPDIR", "/tmp")
	} else {
		// A folder of its own with a short path: a Unix socket's may have 108 bytes.
		if in.tmp, err = os.MkdirTemp("", "vishwa-"); err != nil {
			in.close()
			return nil, fault.New(fault.Internal, "make temporary folder: %w", err)
		}
		w.Spec.Tmp = in.tmp
		w.Env = withVariable(w.Env, "TMPDIR", in.tmp)
	}
	switch hosts := len(s.Network.Hosts) > 0; {
	case s.Network.All:
	case hosts && level == Namespaces:
		w.Env = proxied(w.Env)
	case !hosts || s.Strict:
		w.Env = unproxied(w.Env)
	}
	if early := takeAhead(cmd, s, level); early != nil {
		in.close()
		in, outer = early, early.cmd
	} else if err := startMapped(outer); err != nil {
		in.close()
		if refusedByMachine(err) || errors.Is(err, unix.EACCES) { // as security modules answer
			return nil, wrong(level, err.Error())
		}
		return nil, broken(level, err)
	}
	theirs.Close() // so that the end of the inner side is heard, whenever it comes
	in.cmd = outer
	if err := in.begin(w, cmd); err != nil {
		in.kill(level)
		late := time.AfterFunc(patience, func() { _ = outer.Process.Kill() })
		_ = outer.Wait()
		late.Stop()
		in.bounds.close()
		in.close()
		if w.UID != 0 { // another level has another user
			err = errors.Join(err, chownAll(os.Geteuid(), os.Getegid(), slices.Concat(s.Give, s.folders())))
		}
		return nil, err
	}
	return in, nil
}

// patience is for an inner side that is to end by itself.
const patience = 10 * time.Second

// kill ends all of the command, and the inner side with it. On the first rung that one is
// process 1 of their table, without which the kernel leaves none. On the second the inner
// side alone can find them all: it does once it hears nobody any more.
func (in *Inside) kill(level Level) {
	if level == Namespaces {
		_ = in.cmd.Process.Kill()
		return
	}
	_ = unix.Shutdown(in.socket, unix.SHUT_RDWR)
}

// newInside makes the outer side and the inner side's socket.
func newInside() (*Inside, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "isolate command: %w", err)
	}
	return &Inside{
		socket: pair[0], asked: make(chan answer, 1), ended: make(chan End, 1), turn: make(chan struct{}, 1), heard: make(chan struct{}),
	}, os.NewFile(uintptr(pair[1]), "inner"), nil
}

// asInnerSide is the program itself as the inner side.
func asInnerSide(socket *os.File) *exec.Cmd {
	return &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"vishwa", Verb}, Dir: "/", Env: basics(),
		ExtraFiles: []*os.File{socket}, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
}

// namespaces asks for those of the first rung.
func namespaces(a *syscall.SysProcAttr, network bool) {
	a.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	if !network {
		a.Cloneflags |= syscall.CLONE_NEWNET
	}
	a.Pdeathsig = syscall.SIGKILL
	if os.Geteuid() == 0 {
		return
	}
	uid, gid := os.Geteuid(), os.Getegid()
	a.Cloneflags |= syscall.CLONE_NEWUSER
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP}
}

// begin hands over the work and hears that it has begun.
func (in *Inside) begin(w work, cmd *exec.Cmd) error {
	level := w.Stage
	in.bounds = newBounds(w.Spec.Limits, in.cmd.Process.Pid, in.groups, func() { in.kill(level) })
	packed, err := pack(w)
	if err == nil {
		fds := []int{int(packed.Fd())}
		if in.ahead {
			fds = append(fds, int(cmd.Stdout.(*os.File).Fd()), int(cmd.Stderr.(*os.File).Fd()))
		}
		err = send(in.socket, message{Work: true}, fds...)
		packed.Close()
	}
	m, fd := message{}, -1
	if err == nil {
		m, fd, err = receive(in.socket)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		return in.vanished(level)
	case err != nil && refusedByMachine(err):
		return wrong(level, err.Error())
	case err != nil:
		return fault.New(fault.Internal, "isolate command: %w", err)
	case m.Lacks && m.Report != nil:
		return Refuse(*m.Report)
	case m.Failed != "" && m.Machine:
		return wrong(level, m.Failed)
	case m.Failed != "":
		return broken(level, errors.New(m.Failed))
	case !m.Begun || m.Report == nil:
		return fault.New(fault.Internal, "isolate command: not understood")
	}
	in.Report = *m.Report
	in.Report.Limits = in.bounds.by()
	if fd >= 0 {
		f := os.NewFile(uintptr(fd), "proxy")
		l, err := net.FileListener(f)
		f.Close()
		if err != nil || w.Spec.Network.Proxy == nil {
			return fault.New(fault.Internal, "isolate command: serve its proxy: %w", err)
		}
		in.proxy = w.Spec.Network.Proxy()
		fault.Go(func() { in.proxy.Serve(l) }, func(error) { l.Close() })
	}
	fault.Go(in.hear, func(error) {}) // what waits sees that nothing is heard any more
	in.bounds.watch(w.Spec.folders())
	return nil
}

// broken is an error that says nothing of what the machine allows, such as too many
// processes: a weaker wall, or none, is no answer to it.
func broken(level Level, err error) error {
	return fault.WithHint(fault.New(fault.Internal, "isolate command (%s): %w", level, err), "vishwa doctor tells what this machine allows")
}

// vanished tells why the inner side was gone before the command was begun.
func (in *Inside) vanished(level Level) error {
	_ = in.cmd.Wait()
	if st := in.cmd.ProcessState; st != nil {
		if w, ok := st.Sys().(syscall.WaitStatus); ok && w.Signaled() && w.Signal() == unix.SIGSYS {
			return wrong(level, "a filter of system calls around this program ended it")
		} else if ok && w.Signaled() {
			return fault.WithHint(fault.New(fault.Transient, "isolate command (%s): the inner side was killed (%s) before it had begun the command", level, w.Signal()), "run it again; where memory is short, give it more")
		}
		return broken(level, fmt.Errorf("it ended before the command was begun (%s)", st))
	}
	return broken(level, errors.New("it ended before the command was begun"))
}

// hear takes what the inner side says until it is gone.
func (in *Inside) hear() {
	defer close(in.heard)
	for {
		m, fd, err := receive(in.socket)
		switch {
		case err != nil:
			return
		case m.End != nil:
			in.ended <- *m.End
		case m.Dialed, m.Failed != "":
			a := answer{fd: fd}
			if m.Failed != "" {
				a = answer{fd: -1, err: errors.New(m.Failed)}
			}
			select {
			case in.asked <- a:
			default: // nobody waits any more
				if fd >= 0 {
					unix.Close(fd)
				}
			}
		case fd >= 0:
			unix.Close(fd)
		}
	}
}

// PID is that of the inner side: everything inside descends from it.
func (in *Inside) PID() int { return in.cmd.Process.Pid }

// Wait returns when the command has ended; what it began may go on until Close.
func (in *Inside) Wait() End {
	end := End{Code: -1, Signal: syscall.SIGKILL} // it was killed before it could tell
	select {
	case end = <-in.ended:
	case <-in.heard:
		select {
		case end = <-in.ended:
		default:
		}
	}
	end.Over = in.bounds.why()
	return end
}

// Close returns when all that the command began has ended. It ends nothing itself, but
// what is left once the command has ended is given no more than a second.
func (in *Inside) Close() error {
	err := in.cmd.Wait()
	<-in.heard
	in.bounds.close() // it ends the command by the socket
	in.close()
	var exit *exec.ExitError
	if errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// Refused lists hosts that the command asked its proxy for and that were not declared,
// the first few.
func (in *Inside) Refused() []string {
	if in.proxy == nil {
		return nil
	}
	return in.proxy.Refused()
}

// OutOfMemory tells how often the kernel ended a process of the command's for want of
// memory; known is false where it has no control group of its own.
func (in *Inside) OutOfMemory() (n int64, known bool) { return in.bounds.kills() }

func (in *Inside) close() {
	in.closed.Do(func() {
		in.turn <- struct{}{} // a dial that is under way has heard of the end; a later one finds it
		unix.Close(in.socket)
		in.forget()
		<-in.turn
		if in.proxy != nil {
			_ = in.proxy.Close()
		}
		if in.tmp != "" {
			_ = os.RemoveAll(in.tmp)
		}
	})
}
