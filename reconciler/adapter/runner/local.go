// Package runner carries out jobs. The local runner needs nothing but this
// machine: each run has a supervisor, a process of its own that goes on when
// whoever began it dies, and whoever comes next with the same key finds it.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/gpu"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Config says where runs are kept and what they are made with. The process that
// begins runs and the supervisor are given the same one.
type Config struct {
	Env   port.Env
	Store port.Store
	Dir   string               // where runs are kept, one folder a key; absolute
	Envs  sandbox.Environments // Python environments
	Own   []string             // variables that a supervisor needs for the store; runs do not see them
	Args  []string             // follow `supervise DIR` on the supervisor's command line, so that it finds the same store
	Grace time.Duration        // between SIGTERM and SIGKILL; zero is 10 seconds
	Log   int64                // bytes of log kept a run; zero is 256 MiB
	Seal  seal.Key             // seals what is kept of runs
	Dial  egress.Dial          // connects runs to the hosts that are declared; nil is plainly
	Wall  wall.Policy          // what the machine's owner says of how runs are kept apart

	GPUs gpu.Machine // those of this machine
}

// local implements port.Runner.
type local struct{ Config }

// Local runs jobs as processes of this machine. A run that ended badly leaves its
// directory for people to look at until the key is begun anew.
func Local(cfg Config) port.Runner {
	if cfg.Grace <= 0 {
		cfg.Grace = 10 * time.Second
	}
	if cfg.Log <= 0 {
		cfg.Log = 256 << 20
	}
	return local{cfg}
}

// Start takes the key's lock, so that two processes that start one key get one run.
func (l local) Start(ctx context.Context, job port.Job) (port.Run, error) {
	dir, err := l.keyDir(job.Key)
	if err == nil {
		err = work.CheckJob(job)
	}
	if err == nil && job.External != nil {
		err = fault.WithHint(fault.New(fault.Invalid, "start %s: this machine begins no external work", job.Ref), "name a runner of the tool that has it")
	}
	if err != nil {
		return port.Run{}, err
	}
	held, err := holder.Told(l.Env.Log).Lock(ctx, dir+".lock")
	if err != nil {
		return port.Run{}, fmt.Errorf("start %s: %w", job.Ref, artifact.Disk(err, l.Dir))
	}
	defer held.Close()
	if run, err := l.Poll(ctx, job.Key); err == nil {
		keep, err := counts(ctx, l.Store, run, job.Isolation)
		if keep || err != nil {
			return run, err
		}
		if err := l.clear(dir); err != nil {
			return port.Run{}, fmt.Errorf("start %s: %w", job.Ref, err)
		}
	} else if k := fault.Of(err); k != fault.Missing && k != fault.Corrupt {
		return port.Run{}, err
	}
	if err := work.Enough(job, l.Wall, l.GPUs); err != nil {
		return port.Run{}, err
	}
	if err := l.begin(dir, job); err != nil {
		return port.Run{}, fmt.Errorf("start %s: %w", job.Ref, artifact.Disk(err, l.Dir))
	}
	return port.Run{Key: job.Key, State: port.Waiting, Started: l.Env.Now()}, nil
}

// counts tells whether a run is under way, or ended well, at the level of isolation that is
// asked for, with all that it made still in the store.
func counts(ctx context.Context, store port.Store, run port.Run, least string) (bool, error) {
	if run.State != port.Done {
		return true, nil
	}
	if run.Result.Cause != "" || !run.Result.Isolation.Reaches(least) {
		return false, nil
	}
	made := make([]port.Artifact, 0, len(run.Result.Outputs)+1)
	for _, art := range run.Result.Outputs {
		made = append(made, art)
	}
	if run.Result.Model != nil {
		made = append(made, *run.Result.Model)
	}
	for _, art := range made {
		if has, err := artifact.Has(ctx, store, art); err != nil || !has {
			return false, err
		}
	}
	return true, nil
}

// clear ends what the last attempt.Attempt may have left running: its supervisor is gone.
func (l local) clear(dir string) error {
	a, err := attempt.Newest(dir, l.Seal)
	if err != nil {
		return err
	}
	o, err := a.Order()
	if err != nil {
		return nil // without a job nothing was begun
	}
	return sandbox.Sweep(o.ID, l.Grace)
}

// begin makes a new attempt and its supervisor, which holds the attempt's lock
// from its first moment on.
func (l local) begin(dir string, job port.Job) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make run folder: %w", err)
	}
	before, none := attempt.Newest(dir, l.Seal)
	from := ""
	a, held, err := attempt.Next(dir, l.Seal, func(a attempt.Attempt, _ int) any {
		id := digest.Of([]byte(a.Dir)).Hex()[:32] // two state directories may hold the same key
		o := attempt.Order{ID: id, Job: job, Grace: l.Grace, Log: l.Log, Wall: work.Limited(l.Wall, job.RunsOn.Resources)}
		if none == nil {
			from = attempt.GoesOn(before, &o)
		}
		o.Resumes = from != ""
		return o
	})
	if err != nil {
		return err
	}
	defer held.Close()
	if from != "" {
		if err := attempt.HandOver(from, a); err != nil {
			return err
		}
	}
	errs, err := os.Create(a.File("supervisor.log"))
	if err != nil {
		return fmt.Errorf("make run folder: %w", err)
	}
	defer errs.Close()
	cmd := exec.Command(l.Env.Self, append([]string{"supervise", a.Dir}, l.Args...)...)
	cmd.Dir = a.Dir
	cmd.Env = sandbox.Environ(l.Env.Lookup, slices.Concat(job.Pass, sandbox.InstallerVars(), xdg, l.Own), l.secrets())
	if ahead := wall.Ahead(l.Wall, job.Network.All()); ahead != "" {
		cmd.Env = append(cmd.Env, wall.AheadVariable+"="+ahead)
	}
	cmd.Stderr = errs
	cmd.ExtraFiles = []*os.File{held}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a closed terminal does not end a training
	if err := cmd.Start(); err != nil {
		return fault.WithHint(fmt.Errorf("start supervisor: %w", err), "Check that the vishwa program is still where it was when this command began")
	}
	fault.Go(func() { _ = cmd.Wait() }, func(error) {}) // leaves no zombie; how it ended is read from the attempt
	return attempt.Forget(dir)
}

// secrets are those of the store's variables that are Vishwa's own, which the supervisor
// gets and hands on to no run, whatever a declaration names.
func (l local) secrets() map[string]string {
	set := map[string]string{}
	for _, name := range l.Own {
		if v, ok := l.Env.Lookup(name); ok && sandbox.Own(name) {
			set[name] = v
		}
	}
	return set
}

// xdg are the variables by which a supervisor finds the same state and caches.
var xdg = []string{"XDG_STATE_HOME", "XDG_DATA_HOME"}

// Poll reads how the newest attempt stands.
func (l local) Poll(ctx context.Context, key digest.Digest) (port.Run, error) {
	dir, err := l.keyDir(key)
	if err != nil {
		return port.Run{}, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return port.Run{}, fault.New(fault.Cancelled, "poll run: %w", err)
		}
		a, err := attempt.Newest(dir, l.Seal)
		if err != nil {
			return port.Run{}, err
		}
		run, err := l.observeAttempt(ctx, a)
		run.Key = key
		if again, _ := attempt.Newest(dir, l.Seal); again.Dir == a.Dir {
			return run, err
		} // else the key was begun anew while we looked
	}
}

// observeAttempt reads one attempt. The result is asked for again after the supervisor was
// found gone: it may have ended well in between.
func (l local) observeAttempt(ctx context.Context, a attempt.Attempt) (port.Run, error) {
	if run, err := ended(a); fault.Of(err) != fault.Missing {
		return run, err
	}
	alive, err := a.Alive()
	if err != nil {
		return port.Run{}, fmt.Errorf("look for supervisor: %w", err)
	}
	if alive {
		s, err := a.Status()
		if fault.Of(err) == fault.Missing {
			return port.Run{State: port.Waiting}, nil
		}
		return port.Run{State: s.State, Started: s.Started, Reason: s.Reason}, err
	}
	if run, err := ended(a); fault.Of(err) != fault.Missing {
		return run, err
	}
	if err := a.Conclude(l.lost(ctx, a)); err != nil {
		return port.Run{}, err
	}
	return ended(a)
}

func ended(a attempt.Attempt) (port.Run, error) {
	r, err := a.Result()
	if err != nil {
		return port.Run{}, err
	}
	return port.Run{State: port.Done, Started: r.Started, Result: &r}, nil
}

// lost is the result of an attempt whose supervisor left none.
func (l local) lost(ctx context.Context, a attempt.Attempt) port.Result {
	r := l.untold(ctx, a)
	if err := artifact.Disown(a.Work()); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.Env.Log.Warn("the folder of a run that was lost still has files of the store", "folder", a.Work(), "error", err)
	}
	r.Cause = port.Lost
	r.Message = "its supervisor was killed, or this machine restarted, before it ended: the next pass begins it anew"
	if raw, err := os.ReadFile(a.File("supervisor.log")); err == nil && len(raw) > 0 {
		r.Message = "its supervisor failed before it ended (" + work.LastLine(string(raw)) + "): the next pass begins it anew"
	}
	return r
}

// untold is what there is of an attempt whose supervisor left no result: its log, which is
// evidence and not worth a run.
func (l local) untold(ctx context.Context, a attempt.Attempt) port.Result {
	s, _ := a.Status()
	r := port.Result{Tail: work.ReadTail(a.File("log"), a.Work()), Started: s.Started, Finished: l.Env.Now(), Host: work.Host()}
	if art, err := artifact.PutFile(ctx, l.Store, a.File("log")); err == nil {
		r.Log = art.Digest
	} else if fault.Of(err) != fault.Missing {
		l.Env.Log.Warn("the log of a run that left no result could not be kept", "log", a.File("log"), "error", err)
	}
	return r
}

// askEvery is how often files are looked at for news of a run.
const askEvery = 50 * time.Millisecond

// Wait looks at the files that the supervisor writes.
func (l local) Wait(ctx context.Context, key digest.Digest, seen port.RunState, _ int64) (port.Run, error) {
	run, err := l.Poll(ctx, key)
	if err != nil || run.State != seen {
		return run, err
	}
	t := time.NewTimer(askEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return l.Poll(ctx, key)
	case <-ctx.Done():
		return port.Run{}, fault.New(fault.Cancelled, "wait for the run: %w", context.Cause(ctx))
	}
}

// Stop tells the supervisor, and where it is gone does its work.
func (l local) Stop(ctx context.Context, key digest.Digest) error {
	dir, err := l.keyDir(key)
	if err != nil {
		return err
	}
	a, err := attempt.Newest(dir, l.Seal)
	if err != nil {
		return err
	}
	o, err := a.Order()
	if err != nil {
		return err
	}
	if r, err := a.Result(); err == nil {
		if r.Cause == port.Lost {
			return sandbox.Sweep(o.ID, o.Grace)
		}
		return nil
	}
	if err := sandbox.WriteFile(a.File("stop"), nil); err != nil {
		return artifact.Disk(fmt.Errorf("stop %s: %w", o.Job.Ref, err), l.Dir)
	}
	if err := awaitEnd(ctx, a, l.Env.Now().Add(o.Grace+20*time.Second), l.Env.Now); err != nil {
		return fmt.Errorf("stop %s: %w", o.Job.Ref, err)
	}
	if err := sandbox.Sweep(o.ID, o.Grace); err != nil {
		return fmt.Errorf("stop %s: %w", o.Job.Ref, err)
	}
	return a.Conclude(work.Stopped(l.untold(ctx, a)))
}

// awaitEnd asks the supervisor to end and waits until it has; one that does not
// answer in time is killed.
func awaitEnd(ctx context.Context, a attempt.Attempt, deadline time.Time, now func() time.Time) error {
	told := false
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if alive, err := a.Alive(); err != nil || !alive {
			return err
		}
		// The number is the supervisor's own, and it lives: it holds the lock.
		if s, err := a.Status(); err == nil && s.PID > 0 {
			switch {
			case !told:
				told = syscall.Kill(s.PID, syscall.SIGTERM) == nil
			case now().After(deadline):
				_ = syscall.Kill(s.PID, syscall.SIGKILL)
			}
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Cancelled, "wait for its end: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
}

// Logs reads at most 1 MiB at a time.
func (l local) Logs(ctx context.Context, key digest.Digest, offset int64) ([]byte, error) {
	dir, err := l.keyDir(key)
	if err == nil && offset < 0 {
		err = fault.New(fault.Invalid, "read log: offset %d is negative", offset)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	a, err := attempt.Newest(dir, l.Seal)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(a.File("log"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // its supervisor has not come that far
	}
	if err != nil {
		return nil, artifact.Disk(fmt.Errorf("read log: %w", err), l.Dir)
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, offset, 1<<20))
}

func (l local) keyDir(key digest.Digest) (string, error) { return attempt.Dir(l.Dir, key) }
