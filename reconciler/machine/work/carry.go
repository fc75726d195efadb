// Package work carries out one job in a folder: it lays out what the job may read, makes its
// environment, begins its command behind a wall, waits, ends all of its processes, and keeps
// what it made. The local runner's supervisor does so on the machine that reconciles, a worker
// wherever it was begun.
package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
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

// Order is a job, and how it is carried out.
type Order struct {
	ID    string        `json:"id"` // of the group of processes
	Job   port.Job      `json:"job"`
	Grace time.Duration `json:"grace"` // between SIGTERM and SIGKILL
	Log   int64         `json:"log"`   // bytes of log kept
	Wall  wall.Policy   `json:"wall"`
	// Pack has the environment made and packed, as the output PackOutput; no command is begun.
	Pack bool `json:"pack,omitempty"`
	// Resumes is an attempt that goes on from what the one before it kept.
	Resumes bool `json:"resumes,omitempty"`
	// Doubted is an attempt that goes on from what the one before it went on from, and may have been ended by: once more, and no more.
	Doubted bool `json:"doubted,omitempty"`
	// Given names what it goes on from, as it was handed over: whether it added to that is seen by it.
	Given digest.Digest `json:"given,omitempty"`
	// Anew is an attempt that is not given what the one before it had: that may have been what ended it.
	Anew bool `json:"anew,omitempty"`
}

// PackOutput is the output of an Order that packs.
const PackOutput = "environment"

// Config is what a job is carried out with.
type Config struct {
	Now    func() time.Time
	Lookup func(name string) (string, bool) // the variables that a job may name
	Store  port.Store
	Envs   sandbox.Environments
	Dial   egress.Dial       // connects to the hosts that are declared; nil is plainly
	Vars   map[string]string // more variables of the command's

	Dir    string // of the job, which must not be there
	Tmp    string // its temporary folder, which must not be there
	Around string // holds both and what the job must not see
	Log    string // the file of what it prints

	Checkpoint string // the folder of what an earlier attempt kept, which is taken over; "" is none

	// Follower is one of several nodes and not the first: what it writes is not kept.
	Follower bool

	Running func() error // called when the command is about to begin
	Asked   func() bool  // whether a stop was asked for: else what ends it is the machine
}

// worker carries out one job.
type worker struct {
	Config
	Order
	log       *journal
	layout    *sandbox.Layout
	python    sandbox.Environment
	isolation *port.Isolation // nil until its command was begun
}

// Carry does the job of o and tells how it ended. What it left in Dir is there for people
// where it ended badly, and gone where it ended well. Of the process that calls, every
// descendant is ended: it does nothing else.
func Carry(ctx context.Context, cfg Config, o Order) (port.Result, error) {
	started := cfg.Now()
	file, err := os.OpenFile(cfg.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return port.Result{}, fmt.Errorf("make log: %w", err)
	}
	w := &worker{Config: cfg, Order: o, log: &journal{file: file, limit: o.Log}}
	r := w.carry(ctx)
	if err := sandbox.KillDescendants(stragglers); err != nil {
		fmt.Fprintln(w.log, "vishwa:", err)
	}
	r.Started, r.Finished, r.Host, r.Python, r.Isolation = started, cfg.Now(), Host(), w.python.Python, w.isolation
	if r.Cause != "" {
		r.Tail = w.log.tail(cfg.Dir)
	}
	if err := w.log.finish(); err != nil && r.Cause == "" {
		r = port.Result{Cause: port.Lost, Message: "its log could not be kept: " + explain(err), Started: r.Started, Finished: r.Finished, Host: r.Host}
	}
	// The log is evidence, but not worth a run: without it the result stands.
	if !cfg.Follower {
		if art, err := artifact.PutFile(context.WithoutCancel(ctx), cfg.Store, cfg.Log); err == nil {
			r.Log = art.Digest
		}
	}
	if err := sandbox.Remove(cfg.Tmp); err != nil {
		fmt.Fprintln(os.Stderr, "remove temporary folder:", err)
	}
	if r.Cause != "" { // it is kept for people, who may do with it as they like
		if err := artifact.Disown(cfg.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(os.Stderr, "take out of the work directory what the store has:", err)
		}
	} else if err := sandbox.Remove(cfg.Dir); err != nil {
		fmt.Fprintln(os.Stderr, "remove work directory:", err)
	}
	return r, nil
}

// Host is the operating system and architecture.
func Host() string { return runtime.GOOS + "/" + runtime.GOARCH }

// carry does the run and tells how it ended.
func (w *worker) carry(ctx context.Context) port.Result {
	if err := w.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return w.interrupted()
		}
		return port.Result{Cause: port.BadEnv, Message: "it could not be begun: " + explain(err)}
	}
	if err := w.Running(); err != nil {
		return port.Result{Cause: port.Lost, Message: "it could not be begun: " + explain(err)}
	}
	if ctx.Err() != nil || w.Asked() {
		return w.interrupted()
	}
	if w.Pack {
		return w.packed(ctx)
	}
	e := w.execute(ctx)
	if e.how == port.Stopped {
		return w.interrupted()
	}
	if e.how == port.BadEnv {
		return port.Result{Cause: port.BadEnv, Message: "it could not be begun: " + e.why}
	}
	if r := verdict(e, w.log.tail(w.Dir)); r.Cause != "" {
		return r
	}
	if w.Follower {
		return port.Result{}
	}
	// What was made before a late signal came is kept all the same.
	return w.collect(context.WithoutCancel(ctx))
}

// prepare lays out the directory and makes the environment.
func (w *worker) prepare(ctx context.Context) error {
	job := w.Job
	l, err := sandbox.NewLayout(w.Dir)
	if err != nil {
		return err
	}
	w.layout = l
	l.Set(port.NodeCount, "1") // what is written for several machines asks for these on one, too
	l.Set(port.NodeRank, "0")
	for name, value := range w.Vars {
		l.Set(name, value)
	}
	if err := l.Code(ctx, w.Store, job.Code); err != nil {
		return err
	}
	for name, art := range job.Inputs {
		if err := l.Input(ctx, w.Store, name, art); err != nil {
			return err
		}
	}
	for name, rel := range job.Outputs {
		if err := l.Output(name, rel); err != nil {
			return err
		}
	}
	if err := w.checkpoints(); err != nil {
		return err
	}
	if job.Model {
		if err := errors.Join(l.Training(), l.Tracking()); err != nil {
			return err
		}
	}
	if job.Scores != nil {
		if err := l.Scoring(ctx, w.Store, *job.Scores); err != nil {
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
	w.python, err = w.Envs.Prepare(bounded, lock, w.log)
	if bounded.Err() != nil && ctx.Err() == nil {
		err = fault.WithHint(fault.New(fault.Transient, "make environment: it took longer than %s", preparing), "Check that the package index can be reached")
	}
	return err
}

// execute begins the command, waits for its end, its time-out or a signal, and
// leaves none of its processes behind.
func (w *worker) execute(ctx context.Context) ending {
	job := w.Job
	cmd, e := w.command(job)
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
	behind, err := w.behind(cmd)
	if err != nil {
		in.Close()
		out.Close()
		return ending{how: port.Lost, why: explain(err)}
	}
	g, err := sandbox.Start(cmd, w.ID, behind)
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
	w.isolation = &report
	if said := unheld(job, report.Limits); said != "" {
		fmt.Fprintln(w.log, "vishwa:", said)
	}
	copied := make(chan struct{})
	fault.Go(func() {
		defer close(copied)
		defer out.Close()
		_, _ = io.Copy(w.log, out)
	}, func(err error) { fmt.Fprintln(w.log, "vishwa: copy what the command says:", err) })
	timeout := job.Timeout
	if timeout <= 0 {
		timeout = time.Hour
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	e = ending{timeout: timeout}
	grace := w.Grace
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
	e.fillOutcome(end, job.Command[0])
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
func (w *worker) behind(cmd *exec.Cmd) (*wall.Spec, error) {
	spec := w.Wall.Spec()
	if spec == nil {
		return nil, nil
	}
	spec.Tmp = w.Tmp
	if err := os.Mkdir(spec.Tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make temporary folder: %w", err)
	}
	spec.Write = append(spec.Write, w.Dir)
	if w.python.Bin != "" {
		spec.Read = append(spec.Read, filepath.Dir(w.python.Bin))
	}
	path := sandbox.Variable(cmd.Env, "PATH")
	for _, program := range []string{w.known(cmd.Path, path), filepath.Join(w.python.Bin, "python")} {
		spec.Read = append(spec.Read, wall.Programs(path, program, append(spec.Hidden, w.Around))...)
	}
	spec.Network = wall.Network{All: w.Job.Network.All(), Hosts: w.Job.Network.Hosts()}
	spec.Network.Proxy = func() wall.Proxy { return egress.New(spec.Network.Hosts, w.Dial) }
	return spec, nil
}

// known is program where the run may name it: a program of its PATH, its environment, its
// own folder or the system. A declaration that names another path would have the wall
// show what lies around it.
func (w *worker) known(program, path string) string {
	folder := filepath.Dir(filepath.Clean(program))
	if wall.System(folder) || wall.Within(folder, w.Dir) || !w.Wall.Strict || slices.Contains(filepath.SplitList(path), folder) {
		return program
	}
	return ""
}

// command finds the program on the PATH of the run, not of this process.
func (w *worker) command(job port.Job) (*exec.Cmd, ending) {
	env := w.layout.Environ(w.Lookup, job.Pass, w.python)
	program := sandbox.LookPath(job.Command[0], sandbox.Variable(env, "PATH"), w.layout.CodeDir())
	if program == "" {
		return nil, ending{code: 127, why: "no such program on the run's PATH or in its code, or it is not executable", command: job.Command[0]}
	}
	args, err := arguments(job, env)
	if err != nil {
		return nil, ending{how: port.BadEnv, why: explain(err)}
	}
	return &exec.Cmd{Path: program, Args: args, Dir: w.layout.CodeDir(), Env: env}, ending{}
}

// interrupted tells a stop that was asked for from the end of the machine's session.
func (w *worker) interrupted() port.Result {
	if w.Asked() {
		return Stopped(port.Result{})
	}
	return port.Result{Cause: port.Lost, Message: "it was ended by a signal, as when its machine shuts down: the next pass begins it anew"}
}
