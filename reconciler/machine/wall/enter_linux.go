// The second rung: one process adopts and ends what the command leaves, and another,
// begun by it, restricts itself by Landlock and seccomp and becomes the command. They
// are two, so that the command's rules do not hold for the one that ends it.

package wall

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const enter = "enter"

var errNoLandlock = errors.New("this kernel has no Landlock, or it is not enabled")

// beginEntered begins the process that becomes the command.
func (i *inside) beginEntered() error {
	if i.report.Landlock == 0 {
		return errNoLandlock
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt orphans: %w", err)
	}
	s := i.work.Spec
	switch {
	case s.Network.All:
	case len(s.Network.Hosts) > 0, s.Port != 0 && i.report.Landlock < tcpPorts:
		i.report.Network = unlimited
	}
	if err := i.enough(); err != nil {
		return err
	}
	packed, err := pack(i.work)
	if err != nil {
		return err
	}
	defer packed.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("begin command: %w", err)
	}
	defer unix.Close(pair[0])
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"vishwa", Verb, enter}, &syscall.ProcAttr{
		Dir: "/", Env: basics(), Files: []uintptr{0, 1, 2, packed.Fd(), uintptr(pair[1])}, Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	unix.Close(pair[1])
	if err != nil {
		return fmt.Errorf("begin command: %w", err)
	}
	i.child = pid
	for { // until exec closes the other end
		m, fd, err := receive(pair[0])
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
			return nil
		case err != nil:
			return fmt.Errorf("begin command: %w", err)
		case fd >= 0:
			go i.answer(fd)
		case m.End != nil:
			_, _ = unix.Wait4(pid, nil, 0, nil)
			return i.noExec(errors.New(m.End.NoExec))
		default:
			_, _ = unix.Wait4(pid, nil, 0, nil)
			return errors.New(m.Failed)
		}
	}
}

// basics is the environment of the program's own processes inside: what the race
// detector and coverage need in tests, and nothing else.
func basics() []string {
	env := []string{marker + "=1"}
	for _, name := range []string{"GORACE", "GOCOVERDIR", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// entered restricts this process and becomes the command; it comes back where it cannot.
func entered() int {
	const packed, errs = 3, 4
	unix.CloseOnExec(errs)
	tell := func(err error) int {
		_ = send(errs, message{Failed: err.Error()}, -1)
		return 1
	}
	w, err := unpack(packed)
	if err != nil {
		return tell(err)
	}
	s, abi := w.Spec, landlockVersion()
	r := rules{
		read:    slices.Concat([]string{"/proc", "/etc/passwd", "/etc/group"}, systemTrees, systemFiles, kernelTrees, s.Read, s.Give),
		write:   slices.Concat([]string{s.Tmp}, s.Shared, s.Write),
		devices: append(expand(s.Devices), plainDevices...),
		ports:   !s.Network.All, bind: uint16(s.Port),
	}
	if !s.Strict { // it is everybody's here, and what is left in it stays
		r.write = append(r.write, "/dev/shm")
	}
	calls := sockets{}
	switch {
	case s.Network.All || len(s.Network.Hosts) > 0 && !s.Strict:
		calls, r.ports = sockets{inet: true, unixAny: !s.Strict || abi >= namedSockets, loopback: true}, false
	case s.Port != 0:
		calls = sockets{tcp: true, unixAny: abi >= namedSockets}
	default:
		calls = sockets{unixAny: abi >= namedSockets}
	}
	calls.bare = true
	if err := unix.Chdir(w.Dir); err != nil {
		return tell(fmt.Errorf("go to %s: %w", w.Dir, err))
	}
	if err := limit(s.Limits, 0, tasks(os.Getuid())); err != nil {
		return tell(err)
	}
	if err := restrictFiles(r, abi); err != nil {
		return tell(err)
	}
	listener, err := restrictCalls(calls)
	if err != nil {
		return tell(err)
	}
	if listener >= 0 {
		if err := send(errs, message{}, listener); err != nil {
			return tell(err)
		}
		unix.Close(listener)
	}
	if err := dropCapabilities(); err != nil {
		return tell(err)
	}
	err = unix.Exec(w.Path, w.Args, w.Env)
	_ = send(errs, message{End: &End{Code: 126, NoExec: err.Error()}}, -1)
	return 126
}

// tasks counts the threads of a user, which is what a limit of processes counts.
func tasks(uid int) (n int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+e.Name(), &st) != nil || int(st.Uid) != uid {
			continue
		}
		list, _ := os.ReadDir("/proc/" + e.Name() + "/task")
		n += len(list)
	}
	return n
}
