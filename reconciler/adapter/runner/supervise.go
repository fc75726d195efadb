// The supervisor of a run: has the job carried out in the attempt's folder, says how far
// it is, and writes the result as the very last.

package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/gpu"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Supervise carries out the attempt in dir and returns the exit code of its
// process. Local begins it as `vishwa supervise DIR`; nobody else can, because
// the attempt's lock is handed down.
func Supervise(ctx context.Context, dir string, cfg Config) int {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	defer wall.DropAhead()
	a := attempt.Attempt{Dir: dir, Seal: cfg.Seal}
	held, err := inherit(a)
	if err == nil {
		defer held.Close()
		err = errors.Join(sandbox.SetNonDumpable(), sandbox.SetSubreaper())
	}
	var o attempt.Order
	if err == nil {
		o, err = a.Order()
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

func inherit(a attempt.Attempt) (*os.File, error) {
	var got, want unix.Stat_t
	err := errors.Join(unix.Fstat(inherited, &got), unix.Stat(a.File("alive"), &want))
	if err != nil || got.Ino != want.Ino || got.Dev != want.Dev {
		return nil, fault.WithHint(fault.New(fault.Invalid, "inherit lock: this process was not begun by vishwa for this run"), "Use vishwa apply, which begins supervisors itself")
	}
	unix.CloseOnExec(inherited) // the run must not keep the lock of a dead supervisor
	f := os.NewFile(inherited, "alive")
	return f, sandbox.Hold(f)
}

type supervisor struct {
	Config
	attempt attempt.Attempt
	order   attempt.Order
}

func (s *supervisor) supervise(ctx context.Context) error {
	started := s.Env.Now()
	if err := s.status(port.Waiting, started, ""); err != nil {
		return err
	}
	vars := map[string]string(nil)
	if asks := s.order.Job.RunsOn.Resources; asks.GPU > 0 {
		said := ""
		taken, free, err := s.GPUs.Take(ctx, gpu.Wish{N: asks.GPU, Kind: asks.GPUKind, Asked: s.asked, Tell: func(why string) error {
			if why == said {
				return nil
			}
			said = why
			return s.status(port.Waiting, started, why)
		}})
		if err != nil {
			return s.attempt.Conclude(s.untaken(ctx, started, err))
		}
		defer free()
		vars, s.order.Wall.Devices = gpu.Visible(taken), gpu.Only(taken, s.order.Wall.Devices, filepath.Glob)
	}
	checkpoint := ""
	if s.order.Resumes {
		checkpoint = s.attempt.File(work.CheckpointDir)
	}
	r, err := work.Carry(ctx, work.Config{
		Now: s.Env.Now, Lookup: s.Env.Lookup, Store: s.Store, Envs: s.Envs, Dial: s.Dial, Vars: vars,
		Dir: s.attempt.Work(), Tmp: s.attempt.File("tmp"), Around: s.attempt.Dir, Log: s.attempt.File("log"),
		Checkpoint: checkpoint,
		Running:    func() error { return s.status(port.Running, started, "") },
		Asked:      s.asked,
	}, s.order)
	if err != nil {
		return err
	}
	r.Started = started
	if r.Cause != "" {
		if _, err := os.Stat(s.attempt.Work()); err == nil {
			r.Kept = s.kept()
		}
	}
	return s.attempt.Conclude(r)
}

func (s *supervisor) status(state port.RunState, started time.Time, why string) error {
	return s.attempt.SetStatus(attempt.Status{PID: os.Getpid(), State: state, Started: started, Reason: why})
}

// untaken is the result of a run that got no GPUs.
func (s *supervisor) untaken(ctx context.Context, started time.Time, why error) port.Result {
	r := port.Result{Started: started, Finished: s.Env.Now(), Host: work.Host()}
	switch {
	case errors.Is(why, gpu.ErrStopped), s.asked():
		return work.Stopped(r)
	case ctx.Err() != nil:
		r.Cause, r.Message = port.Lost, "it was ended by a signal while it waited for GPUs: the next pass begins it anew"
	default:
		r.Cause, r.Message = port.BadEnv, "it could not be begun: "+why.Error()
	}
	return r
}

func (s *supervisor) asked() bool {
	_, err := os.Stat(s.attempt.File("stop"))
	return err == nil
}

// kept names the work directory without where the state directory is.
func (s *supervisor) kept() string {
	key := filepath.Dir(s.attempt.Dir)
	return filepath.Join(filepath.Base(filepath.Dir(key)), filepath.Base(key), filepath.Base(s.attempt.Dir), "work")
}
