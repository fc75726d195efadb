// Groups of processes: what a command begins ends with it, grandchildren that
// ignore SIGTERM and daemons that leave the process group included.

package sandbox

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// mark is the variable by which a process is known to belong to a group even
// after it has left its session and its parent has died. Environments are
// inherited, so only a process that clears its own escapes, and that one is found
// by its parent.
const mark = "VISHWA_GROUP"

// patience bounds how long a killed process may take to be gone; only one that
// hangs in the kernel takes longer.
const patience = 10 * time.Second

// Group is a command with every process that it began.
type Group struct {
	id     string
	pid    int
	done   chan struct{}
	gone   chan struct{} // closed when nothing of it is left to be waited for
	inside *wall.Inside  // nil where there is no wall
	end    wall.End
	err    error
	warn   error // of what came after the leader's end
}

// Start begins cmd as the leader of a new session, in the group called id. The
// name is unique on this machine: Sweep finds the group by it, in whichever
// process. The leader is killed when this process dies. A command that has a wall to
// stand behind is begun without one where the machine offers none, unless the wall is
// strict or a least level is asked for; Report tells.
func Start(cmd *exec.Cmd, id string, behind *wall.Spec) (*Group, error) {
	g := &Group{id: id, done: make(chan struct{}), gone: make(chan struct{})}
	if cmd.Env == nil {
		return nil, fault.New(fault.Internal, "start group: the command has no environment of its own")
	}
	cmd.Env = append(cmd.Env, mark+"="+id)
	cmd.SysProcAttr = attributes()
	started := make(chan error, 2) // and a fault before it has begun
	fault.Go(func() {
		// The signal at a parent's death is the death of the thread that began the
		// child, so that thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := g.begin(cmd, behind)
		started <- err
		if err == nil {
			g.wait(cmd)
		}
	}, func(err error) { started <- err })
	if err := <-started; err != nil {
		return nil, err
	}
	return g, nil
}

// begin begins the command on this thread.
func (g *Group) begin(cmd *exec.Cmd, behind *wall.Spec) (err error) {
	if behind != nil {
		if g.inside, err = wall.Start(cmd, *behind); err == nil {
			g.pid = g.inside.PID()
			return nil
		}
		if behind.Strict || behind.Least != "" || !errors.Is(err, wall.ErrUnavailable) {
			return err
		}
	}
	if err = cmd.Start(); err == nil {
		g.pid = cmd.Process.Pid
	}
	return err
}

// wait notes how the command ends. A fault of that is an error of the command, as it would else count as one that ended well.
func (g *Group) wait(cmd *exec.Cmd) {
	defer close(g.gone)
	g.err = fault.Guard(func() error { return g.ends(cmd) })
	close(g.done)
	if g.inside != nil {
		g.warn = fault.Guard(g.inside.Close)
	}
}

func (g *Group) ends(cmd *exec.Cmd) (err error) {
	if g.inside != nil {
		g.end = g.inside.Wait()
		return nil
	}
	if err = cmd.Wait(); errors.As(err, new(*exec.ExitError)) {
		err = nil
	}
	if st := cmd.ProcessState; st != nil {
		g.end.Code = st.ExitCode()
		if w, ok := st.Sys().(syscall.WaitStatus); ok && w.Signaled() {
			g.end.Signal = w.Signal()
		}
	}
	return err
}

// Report tells which wall the command stands behind.
func (g *Group) Report() wall.Report {
	if g.inside == nil {
		return wall.Report{Level: string(wall.None), Network: wall.Network{All: true}.String()}
	}
	return g.inside.Report
}

// Dial connects to a port of the command's on 127.0.0.1.
func (g *Group) Dial(ctx context.Context, port int) (net.Conn, error) {
	if g.inside == nil {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	return g.inside.Dial(ctx, port)
}

// Refused lists hosts that the command asked for and that were not declared.
func (g *Group) Refused() []string {
	if g.inside == nil {
		return nil
	}
	return g.inside.Refused()
}

// OutOfMemory tells how often the kernel ended a process of the command's for want of
// memory; known is false where that is not counted for the command alone.
func (g *Group) OutOfMemory() (n int64, known bool) {
	if g.inside == nil {
		return 0, false
	}
	return g.inside.OutOfMemory()
}

// PID is the leader's.
func (g *Group) PID() int { return g.pid }

// Done is closed when the leader has ended; the rest of the group may go on until Stop.
func (g *Group) Done() <-chan struct{} { return g.done }

// End waits for the leader and tells how it ended.
func (g *Group) End() (wall.End, error) {
	<-g.done
	return g.end, g.err
}

// Stop ends every process of the group: SIGTERM, and SIGKILL for what is still
// there after grace. It returns when none is left. Stopping twice is once.
func (g *Group) Stop(grace time.Duration) error {
	err := sweep(func() []process { return members(g.id, g.pid) }, grace)
	if err == nil {
		<-g.gone
		err = g.warn
	}
	return err
}

// Sweep ends what is left of the group called id, whichever process began it and
// whether that one still lives.
func Sweep(id string, grace time.Duration) error {
	return sweep(func() []process { return members(id, 0) }, grace)
}

// KillDescendants ends every descendant of this process; after AdoptOrphans that is
// everything that its children ever began. No Group may be under way.
func KillDescendants(grace time.Duration) error {
	deadline := time.Now().Add(grace + patience)
	err := sweep(below, grace)
	// A look at /proc may miss what changes its parent meanwhile; who has no child has no descendant.
	for !reap() && err == nil && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
		err = sweep(below, 0)
	}
	return err
}

func sweep(find func() []process, grace time.Duration) error {
	left := find()
	for _, p := range left {
		p.signal(syscall.SIGTERM)
		p.signal(syscall.SIGCONT) // a stopped process would not see SIGTERM
	}
	left = settle(find, left, grace, func(process) {})
	if len(left) == 0 {
		return nil
	}
	left = settle(find, left, patience, func(p process) { p.signal(syscall.SIGKILL) })
	if len(left) > 0 {
		return fault.WithHint(fault.New(fault.Internal, "kill process %d: it is still there after %s", left[0].pid, patience),
			"It hangs in the kernel, often on a dead network file system: look at it with ps -o stat,wchan -p %d", left[0].pid)
	}
	return nil
}

// settle waits until find finds nothing or the time is over, and tells what is
// left. Each thing found goes through do first: a killed process may have begun
// another just before.
func settle(find func() []process, left []process, within time.Duration, do func(process)) []process {
	deadline := time.Now().Add(within)
	for wait := time.Millisecond; len(left) > 0; wait = min(2*wait, 50*time.Millisecond) {
		for _, p := range left {
			do(p)
		}
		rest := time.Until(deadline)
		if rest <= 0 {
			break
		}
		time.Sleep(min(wait, rest))
		left = find()
	}
	return left
}

// process is one process of this machine; the parent, group and session tell
// where it belongs.
type process struct {
	pid, parent, group, session int
}

func (p process) signal(s syscall.Signal) {
	_ = syscall.Kill(p.pid, s) // gone already is what is wanted
}

// withDescendants adds to chosen every process of all that descends from one of them.
func withDescendants(all []process, chosen map[int]bool) []process {
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if !chosen[p.pid] && chosen[p.parent] {
				chosen[p.pid], grew = true, true
			}
		}
	}
	var found []process
	for _, p := range all {
		if chosen[p.pid] && p.pid != os.Getpid() {
			found = append(found, p)
		}
	}
	return found
}
