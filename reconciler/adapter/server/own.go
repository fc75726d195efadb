// A process of this machine that serves, behind its wall and on a private port.

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// ownProcess is a process of this machine.
type ownProcess struct {
	*sandbox.Group
	port int           // its private one
	read chan struct{} // closed when its output has ended
}

// begin starts a process of this machine, behind its wall.
func (l launcher) begin(o order, env []string, log io.Writer) (port.Started, error) {
	if err := sandbox.VerifyEnvironment(o.Bin, sandbox.EnvironmentKey(l.key, "")); err != nil {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "start %s: %w", o.Name, err), "run vishwa apply, or wait for the controller: it makes the environment again")
	}
	dir := l.place.release(o.Name, o.Folder)
	program := sandbox.LookPath(o.Command[0], sandbox.Variable(env, "PATH"), dir+"/"+codeFolder)
	if program == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "start %s: %q is not there or not executable", o.Name, o.Command[0]),
			"name a program on PATH or of the requirements, or list its file under spec.target.local.code")
	}
	private, err := freeport.Find("127.0.0.1")
	if err != nil {
		return nil, fault.New(fault.Transient, "start %s: %w", o.Name, err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fault.New(fault.Internal, "start %s: %w", o.Name, err)
	}
	p := &ownProcess{port: private, read: make(chan struct{})}
	cmd := &exec.Cmd{
		Path: program, Args: o.Command, Dir: dir + "/" + codeFolder,
		Env:    append(env[:len(env):len(env)], fmt.Sprintf("VISHWA_PORT=%d", private)),
		Stdout: in, Stderr: in,
	}
	behind, err := l.behind(o, cmd, private)
	if err == nil {
		p.Group, err = sandbox.Start(cmd, l.place.group(o.Name, o.as()), behind)
	}
	in.Close()
	if err != nil {
		out.Close()
		kind := fault.Invalid
		if known := (*fault.Error)(nil); errors.As(err, &known) { // its wall, and not its command
			kind = fault.Of(err)
		}
		return nil, fault.WithHint(fault.New(kind, "start %s: %w", o.Name, err), "%s", wayOr(err, "correct spec.target.local.run"))
	}
	fault.Go(func() {
		defer close(p.read)
		defer out.Close()
		io.Copy(log, out)
	}, func(err error) { fmt.Fprintln(log, "vishwa: copy what the release says:", err) })
	return p, nil
}

// behind is the wall around a served process: it reads its release, writes its scratch
// folders, listens on its port and reaches nothing. Nil is no wall.
func (l launcher) behind(o order, cmd *exec.Cmd, private int) (*wall.Spec, error) {
	spec, err := o.Wall.Under(o.Least)
	if spec == nil || err != nil {
		return nil, err
	}
	dir := l.place.release(o.Name, o.Folder)
	spec.Give, spec.Port = []string{dir}, private
	for _, name := range scratch {
		spec.Write = append(spec.Write, filepath.Join(dir, name))
	}
	spec.Tmp = l.place.temporary(o.Name, o.as())
	if err := sandbox.Remove(spec.Tmp); err != nil {
		return nil, err
	}
	if err := os.Mkdir(spec.Tmp, 0o700); err != nil {
		return nil, err
	}
	if o.Bin != "" {
		spec.Read = append(spec.Read, filepath.Dir(o.Bin))
	}
	for _, program := range []string{cmd.Path, filepath.Join(o.Bin, "python")} {
		spec.Read = append(spec.Read, wall.Programs(sandbox.Variable(cmd.Env, "PATH"), program, append(spec.Hidden, string(l.place)))...)
	}
	return spec, nil
}

// Dial connects to the process, in whichever network it is.
func (p *ownProcess) Dial(ctx context.Context) (net.Conn, error) { return p.Group.Dial(ctx, p.port) }

// Changed is nothing: what is done to a process of this machine by hand ends it, or it answers.
func (p *ownProcess) Changed(context.Context) string { return "" }

func (p *ownProcess) Report() port.Isolation { return port.Isolation(p.Group.Report()) }
func (p *ownProcess) String() string         { return "process " + strconv.Itoa(p.PID()) }

// How tells how the process ended, once it has.
func (p *ownProcess) How() string {
	end, err := p.End()
	if err != nil {
		return "ended in an unknown way"
	}
	if end.Success() {
		return "ended by itself with exit status 0"
	}
	return "ended with " + end.String()
}

// Stop ends the process and all that it began, and waits for its last words.
func (p *ownProcess) Stop(grace time.Duration) error {
	err := p.Group.Stop(grace)
	select {
	case <-p.read:
	case <-time.After(time.Second): // only what hangs in the kernel still holds the pipe
	}
	return err
}
