// The supervisor of a run: lays out its directory, makes its environment, begins
// its command, waits, ends all of its processes, keeps what it made, and writes
// the result as the very last.

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// preparing bounds how long an environment may take to be made.
const preparing = time.Hour

// stragglers is how long what a command left running may take to end by itself.
const stragglers = time.Second

// Supervise carries out the attempt in dir and returns the exit code of its
// process. Local begins it as `vishwa supervise DIR`; nobody else can, because
// the attempt's lock is handed down.
func Supervise(ctx context.Context, dir string, cfg Config) int {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	defer wall.DropAhead()
	a := attempt{dir, cfg.Seal}
	held, err := inherit(a)
	if err == nil {
		defer held.Close()
		err = errors.Join(sandbox.SetNonDumpable(), sandbox.SetSubreaper())
	}
	var o order
	if err == nil {
		o, err = a.order()
	}
	if err == nil {
		s := &supervisor{Config: cfg, attempt: a, order: o}
		err = s.supervise(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "supervise:", err) // becomes part of the message of a lost run
		return 1
	}
	return 0
}

// inherited is the descriptor of the attempt's lock, the first of ExtraFiles.
const inherited = 3

func inherit(a attempt) (*os.File, error) {
	var got, want unix.Stat_t
	err := errors.Join(unix.Fstat(inherited, &got), unix.Stat(a.file("alive"), &want))
	if err != nil || got.Ino != want.Ino || got.Dev != want.Dev {
		return nil, fault.WithHint(fault.New(fault.Invalid, "inherit lock: this process was not begun by vishwa for this run"), "Use vishwa apply, which begins supervisors itself")
	}
	unix.CloseOnExec(inherited) // the run must not keep the lock of a dead supervisor
	f := os.NewFile(inherited, "alive")
	return f, sandbox.Hold(f)
}

type supervisor struct {
	Config
	attempt   attempt
	order     order
	log       *journal
	layout    *sandbox.Layout
	python    sandbox.Environment
	isolation *port.Isolation // nil until its command was begun
}

func (s *supervisor) supervise(ctx context.Context) error {
	now := s.Env.Now
	started := now()
	if err := s.attempt.setStatus(status{PID: os.Getpid(), State: port.Waiting, Started: started}); err != nil {
		return err
	}
	file, err := os.OpenFile(s.attempt.file("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	s.log = &journal{file: file, limit: s.order.Log}
	r := s.carry(ctx, started)
	if err := sandbox.KillDescendants(stragglers); err != nil {
		fmt.Fprintln(s.log, "vishwa:", err)
	}
	r.Started, r.Finished, r.Host, r.Python, r.Isolation = started, now(), host(), s.python.Python, s.isolation
	if r.Cause != "" {
		r.Tail = strings.ReplaceAll(s.log.tail(), s.attempt.work()+string(filepath.Separator), "")
	}
	if err := s.log.finish(); err != nil && r.Cause == "" {
		r = port.Result{Cause: port.Lost, Message: "its log could not be kept: " + explain(err), Started: r.Started, Finished: r.Finished, Host: r.Host}
	}
	// The log is evidence, but not worth a run: without it the result stands.
	if art, err := artifact.PutFile(context.WithoutCancel(ctx), s.Store, s.attempt.file("log")); err == nil {
		r.Log = art.Digest
	}
	if err := sandbox.Remove(s.attempt.file("tmp")); err != nil {
		fmt.Fprintln(os.Stderr, "supervise: remove temporary folder:", err)
	}
	if r.Cause == "" {
		if err := sandbox.Remove(s.attempt.work()); err != nil {
			fmt.Fprintln(os.Stderr, "supervise: remove work directory:", err)
		}
	} else if _, err := os.Stat(s.attempt.work()); err == nil {
		r.Kept = s.kept()
	}
	return s.attempt.conclude(r)
}

// kept names the work directory without where the state directory is.
func (s *supervisor) kept() string {
	key := filepath.Dir(s.attempt.dir)
	return filepath.Join(filepath.Base(filepath.Dir(key)), filepath.Base(key), filepath.Base(s.attempt.dir), "work")
}

// carry does the run and tells how it ended.
func (s *supervisor) carry(ctx context.Context, started time.Time) port.Result {
	if err := s.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return s.interrupted()
		}
		return port.Result{Cause: port.BadEnv, Message: "it could not be begun: " + explain(err)}
	}
	if err := s.attempt.setStatus(status{PID: os.Getpid(), State: port.Running, Started: started}); err != nil {
		return port.Result{Cause: port.Lost, Message: "it could not be begun: " + explain(err)}
	}
	if ctx.Err() != nil || s.asked() {
		return s.interrupted()
	}
	e := s.execute(ctx)
	if e.how == port.Stopped {
		return s.interrupted()
	}
	if e.how == port.BadEnv {
		return port.Result{Cause: port.BadEnv, Message: "it could not be begun: " + e.why}
	}
	if r := verdict(e, s.log.tail()); r.Cause != "" {
		return r
	}
	// What was made before a late signal came is kept all the same.
	return s.collect(context.WithoutCancel(ctx))
}

// prepare lays out the directory and makes the environment.
func (s *supervisor) prepare(ctx context.Context) error {
	job := s.order.Job
	l, err := sandbox.NewLayout(s.attempt.work())
	if err != nil {
		return err
	}
	s.layout = l
	if err := l.Code(ctx, s.Store, job.Code); err != nil {
		return err
	}
	for name, art := range job.Inputs {
		if err := l.Input(ctx, s.Store, name, art); err != nil {
			return err
		}
	}
	for name, rel := range job.Outputs {
		if err := l.Output(name, rel); err != nil {
			return err
		}
	}
	if job.Model {
		if err := l.Training(); err != nil {
			return err
		}
	}
	if err := l.Params(job.Params); err != nil || job.Lock == "" {
		return err
	}
	lock, err := os.ReadFile(filepath.Join(l.CodeDir(), filepath.FromSlash(job.Lock)))
	if err != nil {
		return fmt.Errorf("read lock file: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, preparing)
	defer cancel()
	s.python, err = s.Envs.Prepare(bounded, lock, s.log)
	if bounded.Err() != nil && ctx.Err() == nil {
		err = fault.WithHint(fault.New(fault.Transient, "make environment: it took longer than %s", preparing), "Check that the package index can be reached")
	}
	return err
}

// execute begins the command, waits for its end, its time-out or a signal, and
// leaves none of its processes behind.
func (s *supervisor) execute(ctx context.Context) ending {
	job := s.order.Job
	cmd, e := s.command(job)
	if cmd == nil {
		return e
	}
	out, in, err := os.Pipe()
	if err != nil {
		return ending{how: port.Lost, why: explain(err)}
	}
	cmd.Stdout, cmd.Stderr = in, in // one pipe keeps the order of both
	machine := os.DirFS("/")
	before, scope := oomKills(machine)
	behind, err := s.behind(cmd)
	if err != nil {
		in.Close()
		out.Close()
		return ending{how: port.Lost, why: explain(err)}
	}
	g, err := sandbox.Start(cmd, s.order.ID, behind)
	in.Close()
	if err != nil {
		out.Close()
		switch known := (*fault.Error)(nil); {
		case fault.Of(err) == fault.Transient:
			return ending{how: port.Lost, why: explain(err)}
		case errors.As(err, &known): // its wall, and not its command
			return ending{how: port.BadEnv, why: explain(err)}
		}
		return ending{code: 126, why: explain(err), command: job.Command[0]}
	}
	report := port.Isolation(g.Report())
	s.isolation = &report
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(s.log, out)
		out.Close()
	}()
	timeout := job.Timeout
	if timeout <= 0 {
		timeout = time.Hour
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	e = ending{timeout: timeout}
	grace := s.order.Grace
	select {
	case <-g.Done():
		grace = stragglers
	case <-timer.C:
		e.how = port.TimedOut
	case <-ctx.Done():
		e.how = port.Stopped
	}
	// First the group, then whatever has left it: by now this process is its parent.
	if err := errors.Join(g.Stop(grace), sandbox.KillDescendants(0)); err != nil {
		return ending{how: port.Lost, why: explain(err)}
	}
	_ = out.SetReadDeadline(time.Now().Add(stragglers)) // all writers are dead; what they wrote is there
	<-copied
	end, err := g.End()
	if err != nil {
		return ending{how: port.Lost, why: explain(err)}
	}
	e.read(end, job.Command[0])
	if n, own := g.OutOfMemory(); own {
		if n > 0 {
			e.oom = "its control group"
		}
	} else if after, _ := oomKills(machine); scope != "" && after > before {
		e.oom = scope
	}
	return e
}

// behind is the wall that the machine's owner asks for, around what this run needs: its
// own folder, its environment and the programs of its PATH. Nil is no wall.
func (s *supervisor) behind(cmd *exec.Cmd) (*wall.Spec, error) {
	spec := s.order.Wall.Spec()
	if spec == nil {
		return nil, nil
	}
	spec.Tmp = s.attempt.file("tmp")
	if err := os.Mkdir(spec.Tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make temporary folder: %w", err)
	}
	spec.Write = append(spec.Write, s.attempt.work())
	if s.python.Bin != "" {
		spec.Read = append(spec.Read, filepath.Dir(s.python.Bin))
	}
	path := sandbox.Variable(cmd.Env, "PATH")
	for _, program := range []string{s.known(cmd.Path, path), filepath.Join(s.python.Bin, "python")} {
		spec.Read = append(spec.Read, wall.Programs(path, program, append(spec.Hidden, s.attempt.dir))...)
	}
	spec.Network = wall.Network{All: s.order.Job.Network.All(), Hosts: s.order.Job.Network.Hosts()}
	spec.Network.Proxy = func() wall.Proxy { return egress.New(spec.Network.Hosts, s.Dial) }
	return spec, nil
}

// known is program where the run may name it: a program of its PATH, its environment, its
// own folder or the system. A declaration that names another path would have the wall
// show what lies around it.
func (s *supervisor) known(program, path string) string {
	folder := filepath.Dir(filepath.Clean(program))
	if wall.System(folder) || wall.Within(folder, s.attempt.work()) || !s.order.Wall.Strict || slices.Contains(filepath.SplitList(path), folder) {
		return program
	}
	return ""
}

// command finds the program on the PATH of the run, not of this process.
func (s *supervisor) command(job port.Job) (*exec.Cmd, ending) {
	env := s.layout.Environ(s.Env.Lookup, job.Pass, s.python)
	program := sandbox.LookPath(job.Command[0], sandbox.Variable(env, "PATH"), s.layout.CodeDir())
	if program == "" {
		return nil, ending{code: 127, why: "no such program on the run's PATH or in its code, or it is not executable", command: job.Command[0]}
	}
	return &exec.Cmd{Path: program, Args: job.Command, Dir: s.layout.CodeDir(), Env: env}, ending{}
}

func (s *supervisor) asked() bool {
	_, err := os.Stat(s.attempt.file("stop"))
	return err == nil
}

// interrupted tells a stop that was asked for from the end of the machine's session.
func (s *supervisor) interrupted() port.Result {
	if s.asked() {
		return stopped(port.Result{})
	}
	return port.Result{Cause: port.Lost, Message: "its supervisor was ended by a signal, as when the machine shuts down: the next pass begins it anew"}
}

func host() string { return runtime.GOOS + "/" + runtime.GOARCH }
