// What the doubles of launchers are made of: tasks that are processes of this machine, and a folder that
// lends.

package porttest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// Process is a task that is a process of this machine, in a session of its own.
type Process struct {
	cmd  *exec.Cmd
	errs bytes.Buffer
	done chan struct{}
}

// StartProcess begins command with env alone. What it left behind of its session is ended after it, where
// all says so: some tools do that, and to others a worker has to do it itself.
func StartProcess(env []string, all bool, command ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = env, &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
		if all {
			p.Kill()
		}
	}()
	return p, nil
}

// PID is the number of the process, and of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Code is its exit status, once it has ended.
func (p *Process) Code() int { return p.cmd.ProcessState.ExitCode() }

// Most is the most memory that it had, in bytes, once it has ended.
func (p *Process) Most() uint64 {
	usage, _ := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if usage == nil {
		return 0
	}
	return uint64(usage.Maxrss) << 10
}

// Errors is what it wrote on its standard error, once it has ended.
func (p *Process) Errors() string { return strings.TrimSpace(p.errs.String()) }

// End asks it to end.
func (p *Process) End() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Kill ends all of its group.
func (p *Process) Kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// LendingDir is a bucket in the folder Dir that lends by paths, as S3 does by signed requests.
type LendingDir struct {
	port.Bucket
	Dir string
}

// Lend makes the folders of what is lent, too: a path is written to as it is.
func (l LendingDir) Lend(_ context.Context, loan port.Loan) (port.Grant, error) {
	g := port.Grant{Read: map[string]string{}, Until: loan.Until, Write: port.WriteGrant{URL: "file://" + filepath.Join(l.Dir, loan.Write)}}
	for _, k := range loan.Read {
		g.Read[k] = "file://" + filepath.Join(l.Dir, k)
	}
	for _, sub := range []string{"objects", "log"} {
		if err := os.MkdirAll(filepath.Join(l.Dir, loan.Write, sub), 0o700); err != nil {
			return g, err
		}
	}
	return g, nil
}
