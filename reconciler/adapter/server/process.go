// One served process: begun on a private port, awaited until it answers, ended
// with all that it began.

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// process is one run of an order's command.
type process struct {
	order order
	group *sandbox.Group
	port  int // its private one
	back  *backend
	tail  *tail
	read  chan struct{} // closed when its output has ended
}

// launcher begins the processes of one name.
type launcher struct {
	place folder
	key   seal.Key
	out   io.Writer // their log
}

// launch begins o and returns when it answers. Where it does not, nothing of it is left.
func (l launcher) launch(ctx context.Context, o order, env []string) (*process, error) {
	if err := verify(l.place, o); err != nil {
		return nil, err
	}
	if err := sandbox.VerifyEnvironment(o.Bin, sandbox.EnvironmentKey(l.key, "")); err != nil {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "start %s: %w", o.Name, err), "run vishwa apply, or let the controller: it makes the environment anew")
	}
	p, err := l.begin(o, env)
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx); err != nil {
		p.stop()
		return nil, p.tail.quote(err)
	}
	return p, nil
}

func (l launcher) begin(o order, env []string) (*process, error) {
	dir := l.place.release(o.Name, o.Folder)
	program := sandbox.LookPath(o.Command[0], sandbox.Variable(env, "PATH"), dir+"/"+codeFolder)
	if program == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "start %s: %q is not there or not executable", o.Name, o.Command[0]),
			"name a program on PATH or of the requirements, or list its file under spec.target.local.code")
	}
	private, err := freePort()
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fault.New(fault.Internal, "start %s: %w", o.Name, err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", private)
	p := &process{order: o, port: private, tail: &tail{}, read: make(chan struct{})}
	p.back = newBackend(addr, o.Key, o.Model, p.dial)
	cmd := &exec.Cmd{
		Path: program, Args: o.Command, Dir: dir + "/" + codeFolder,
		Env:    append(env[:len(env):len(env)], fmt.Sprintf("VISHWA_PORT=%d", private)),
		Stdout: in, Stderr: in,
	}
	behind, err := l.behind(o, cmd, private)
	if err == nil {
		p.group, err = sandbox.Start(cmd, l.place.group(o.Name, o.Folder), behind)
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
	go func() {
		defer close(p.read)
		defer out.Close()
		io.Copy(io.MultiWriter(l.out, p.tail), out)
	}()
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
	spec.Tmp = l.place.temporary(o.Name, o.Folder)
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

// dial connects to the process, in whichever network it is.
func (p *process) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return p.group.Dial(ctx, p.port)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fault.New(fault.Transient, "find a private port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// await returns when the process answers 200 at its readiness path.
func (p *process) await(ctx context.Context) error {
	began := time.Now()
	limit := time.NewTimer(p.order.Timeout)
	defer limit.Stop()
	for wait := 10 * time.Millisecond; ; wait = min(wait*3/2, 250*time.Millisecond) {
		answer := p.probe(ctx)
		if answer == "" && !p.ended() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Cancelled, "start %s: stopped before it was ready: %w", p.order.Name, ctx.Err())
		case <-p.group.Done():
			return fault.New(fault.Invalid, "start %s: %s after %.1f s, before it was ready", p.order.Name, p.how(), time.Since(began).Seconds())
		case <-limit.C:
			return fault.New(fault.Invalid, "start %s: not ready after %s: %s", p.order.Name, p.order.Timeout, answer)
		case <-time.After(wait):
		}
	}
}

// prober asks for readiness on a connection of its own each time: a process that
// closes down slowly must not look well over an old one.
func (p *process) prober() *http.Client {
	return &http.Client{
		Timeout:       2 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: p.dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// probe asks whether the process is ready; the answer is empty where it is, and
// otherwise says what is wrong.
func (p *process) probe(ctx context.Context) string {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.back.addr+p.order.Ready, nil)
	if err != nil {
		return fmt.Sprintf("%q is not a path", p.order.Ready)
	}
	answer, err := p.prober().Do(ask)
	if err != nil {
		return "nothing answers at " + p.order.Ready + " on the port in VISHWA_PORT"
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s answers %s", p.order.Ready, answer.Status)
	}
	return ""
}

func (p *process) ended() bool {
	select {
	case <-p.group.Done():
		return true
	default:
		return false
	}
}

// how tells how the process ended, once it has.
func (p *process) how() string {
	end, err := p.group.End()
	if err != nil {
		return "ended in an unknown way"
	}
	if end.Success() {
		return "ended by itself with exit status 0"
	}
	return "ended with " + end.String()
}

// stop ends the process and all that it began.
func (p *process) stop() error {
	err := p.group.Stop(p.order.Pace.Grace)
	p.back.transport.CloseIdleConnections()
	select {
	case <-p.read:
	case <-time.After(time.Second): // only what hangs in the kernel still holds the pipe
	}
	return err
}
