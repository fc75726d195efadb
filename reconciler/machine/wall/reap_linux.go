// The inner side's stay with the command: it serves the outer side, collects what ends,
// and ends what is left.

package wall

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Straggling is how long what a command leaves running may take to end by itself.
const Straggling = time.Second

// stay serves the outer side until the command has ended, and all of it is gone.
func (i *inside) stay() int {
	ended := make(chan End, 1)
	go func() { ended <- i.reap() }()
	gone := make(chan struct{})
	go i.serve(gone)
	select {
	case end := <-ended:
		_ = i.sendMessage(message{End: &end}, -1)
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
			err = i.sendMessage(message{Failed: err.Error()}, -1)
		} else {
			err = i.sendMessage(message{Dialed: true}, fd)
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
