// Calls that change files and processes by their owner's right, and that Landlock lets
// pass: chmod(2), utimes(2), prlimit(2) and their like. On the second rung the kernel
// hands each of them to the inner side, which does it in the command's stead where the
// file is the command's own, or lets it pass where the process is
// (seccomp_unotify(2)).

package wall

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// asked is struct seccomp_notif: one call that waits for an answer.
type asked struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// answered is struct seccomp_notif_resp.
type answered struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// change is what a call is to change of a file.
type change struct {
	dir   int    // a descriptor of the caller's, or AT_FDCWD
	path  uint64 // where in its memory; 0 is dir itself
	flags int    // AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
	mode  uint32
	times uint64 // where in its memory; 0 is now
	form  form   // of times; the zero form says that the mode is changed
}

type form int

// Forms of two times.
const (
	noTimes form = iota
	inNanoseconds
	inMicroseconds
	inSeconds
)

// ioctl numbers of seccomp_unotify(2), the same on every architecture that has a wall.
const notifyValid = 0x40082102

// answer answers calls until the command is gone.
func (i *inside) answer(listener int) {
	own := i.own()
	for {
		var c asked
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&c)))
		switch e {
		case 0:
		case unix.EINTR, unix.ENOENT: // whoever asked was ended
			if unasked(listener) {
				return
			}
			continue
		default:
			return
		}
		a := answered{id: c.id}
		switch pid, process := c.process(); {
		case process && descends(pid):
			a.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE // its arguments are numbers, which nobody can change meanwhile
		case process:
			a.err = -int32(unix.EPERM)
		default:
			var no unix.Errno
			if err := c.change(listener, own); errors.As(err, &no) {
				a.err = -int32(no)
			} else if err != nil {
				a.err = -int32(unix.EPERM)
			}
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	}
}

// unasked tells whether nobody is left who could ask. The kernel tells it by poll(2) alone: who reads on is told at once, again and again, that
// there is no call.
func unasked(listener int) bool {
	at := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	_, err := unix.Poll(at, 0)
	return err == nil && at[0].Revents&unix.POLLHUP != 0
}

// own are the folders whose files are the command's to change.
func (i *inside) own() (found []string) {
	s := i.work.Spec
	for _, p := range append(slices.Concat(s.Write, s.Shared), s.Tmp) {
		if real, err := filepath.EvalSymlinks(p); err == nil && p != "" {
			found = append(found, real)
		}
	}
	return found
}

// process is the one that the call is about, where it is about one.
func (c *asked) process() (int, bool) {
	switch c.nr {
	case unix.SYS_PRLIMIT64, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR:
		return int(int32(c.args[0])), true
	case unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_SET:
		return int(int32(c.args[1])), true
	}
	return 0, false
}

// descends tells whether a process, or a thread's, is below this one.
func descends(pid int) bool {
	self := os.Getpid()
	for steps := 0; pid > 1 && steps < 4096; steps++ {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err != nil {
			return false
		}
		parent := 0
		for line := range strings.Lines(string(raw)) {
			if v, ok := strings.CutPrefix(line, "PPid:"); ok {
				parent, _ = strconv.Atoi(strings.TrimSpace(v))
			}
		}
		if parent == self {
			return true
		}
		pid = parent
	}
	return false
}

// change does what the call asks for, on a file of own.
func (c *asked) change(listener int, own []string) error {
	w, ok := oldForm(c)
	if !ok {
		fd := int(int32(c.args[0]))
		switch c.nr {
		case unix.SYS_FCHMOD:
			w = change{dir: fd, mode: uint32(c.args[1])}
		case unix.SYS_FCHMODAT:
			w = change{dir: fd, path: c.args[1], mode: uint32(c.args[2])}
		case unix.SYS_FCHMODAT2:
			w = change{dir: fd, path: c.args[1], mode: uint32(c.args[2]), flags: int(c.args[3])}
		case unix.SYS_UTIMENSAT:
			w = change{dir: fd, path: c.args[1], times: c.args[2], flags: int(c.args[3]), form: inNanoseconds}
		default:
			return unix.EPERM
		}
	}
	task := "/proc/" + strconv.Itoa(int(c.pid))
	times, err := w.readTimes(task)
	if err != nil {
		return err
	}
	file, err := w.open(task)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	// Whoever asked is still the one whose memory was read.
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), notifyValid, uintptr(unsafe.Pointer(&c.id))); e != 0 {
		return e
	}
	name := "/proc/self/fd/" + strconv.Itoa(file)
	real, err := os.Readlink(name)
	if err != nil || !slices.ContainsFunc(own, func(o string) bool { return Within(real, o) }) {
		return unix.EPERM
	}
	if w.form == noTimes {
		return unix.Fchmodat(unix.AT_FDCWD, name, w.mode&0o1777, 0)
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, times, 0)
}

// open finds the file that is meant, as the caller would, and not by a link of /proc's.
func (w change) open(task string) (int, error) {
	from, path := "/", ""
	if w.path != 0 {
		raw, err := remember(task, w.path, unix.PathMax)
		end := slices.Index(raw, 0)
		if err != nil || end < 0 {
			return -1, unix.EFAULT
		}
		path = string(raw[:end])
	}
	switch {
	case strings.HasPrefix(path, "/"):
	case w.dir == unix.AT_FDCWD:
		from = task + "/cwd"
	default:
		from = task + "/fd/" + strconv.Itoa(w.dir)
	}
	base, err := unix.Open(from, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return -1, unix.EBADF
	}
	if err != nil {
		return -1, err
	}
	if path == "" && (w.path == 0 || w.flags&unix.AT_EMPTY_PATH != 0) {
		return base, nil
	}
	defer unix.Close(base)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	if w.flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
		how.Flags |= unix.O_NOFOLLOW
	}
	return unix.Openat2(base, path, &how)
}

// readTimes are the two times that are to be set, last use first.
func (w change) readTimes(task string) ([]unix.Timespec, error) {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	if w.form == noTimes || w.times == 0 {
		return []unix.Timespec{now, now}, nil
	}
	words := map[form]int{inNanoseconds: 4, inMicroseconds: 4, inSeconds: 2}[w.form]
	raw, err := remember(task, w.times, 8*words)
	if err != nil || len(raw) < 8*words {
		return nil, unix.EFAULT
	}
	n := make([]int64, words)
	for k := range n {
		n[k] = int64(binary.NativeEndian.Uint64(raw[8*k:]))
	}
	switch w.form {
	case inSeconds:
		return []unix.Timespec{{Sec: n[0]}, {Sec: n[1]}}, nil
	case inMicroseconds:
		return []unix.Timespec{{Sec: n[0], Nsec: n[1] * 1000}, {Sec: n[2], Nsec: n[3] * 1000}}, nil
	default:
		return []unix.Timespec{{Sec: n[0], Nsec: n[1]}, {Sec: n[2], Nsec: n[3]}}, nil
	}
}

// remember reads at most size bytes of a task's memory, fewer where it ends.
func remember(task string, at uint64, size int) ([]byte, error) {
	f, err := os.Open(task + "/mem")
	if err != nil {
		return nil, unix.EPERM // it hides itself even from us
	}
	defer f.Close()
	raw := make([]byte, size)
	n, err := f.ReadAt(raw, int64(at))
	if n > 0 {
		return raw[:n], nil
	}
	return nil, err
}
