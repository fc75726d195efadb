// Runs that are carried out elsewhere: a launcher begins a worker, the worker writes what it
// made below a prefix of its own, and what it wrote is read, hashed and kept here. What is
// known of a run lies sealed on this machine, as that of local runs does.

package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// RemoteConfig says what begins workers, and by which way things reach them.
type RemoteConfig struct {
	Name     string // of the runner, for people
	Launcher port.Launcher
	Env      port.Env
	Store    port.Store
	Dir      string   // where runs are kept, one folder a key; absolute
	Seal     seal.Key // seals what is kept of runs, and makes what only a launch knows
	Owner    string   // whose tasks they are: a label's value
	Pull     bool     // of code that nobody reviewed
	Program  string   // this vishwa's version
	Grace    time.Duration
	Log      int64
	Wall     wall.Policy     // of the runs, as far as it goes where they are
	Guard    *dispatch.Guard // of the hosts that they declare; nil is none

	// Shelf and Object are the shared store's: what a worker writes lies there below
	// staging/, and content under Object's names. Without them, folders of this machine are
	// mounted, which the launcher must be able to do.
	Shelf  port.Bucket
	Object func(digest.Digest) string
	// External begins work of the team's on the same tool; nil: it has none. Outside is the
	// address of the shelf as that work knows it, s3://bucket/prefix.
	External func(schemas.External) port.Launcher
	Outside  string
	Part     dispatch.Part  // of large objects, as workers write them
	Packs    dispatch.Packs // of environments
	// Worker is the worker's program for an architecture of Go's, on this machine.
	Worker      func(arch string) (path string, err error)
	Brought     bool   // the launcher brings the worker to WorkerProgram before the job's image begins
	Interpreter string // of the job's image, which fetches the worker where neither a mount nor an image brings it
}

// remote implements port.Runner.
type remote struct {
	RemoteConfig
	mu    sync.Mutex
	begun map[string]time.Time // attempts whose command was seen to have begun
	logs  dispatch.Logs
	loans map[string]watched          // what attempts' workers are lent
	quiet map[digest.Digest]time.Time // runs: since when there is no answer about them
}

// Remote runs jobs by a launcher.
func Remote(cfg RemoteConfig) port.Runner {
	if cfg.Grace <= 0 {
		cfg.Grace = 10 * time.Second
	}
	if cfg.Log <= 0 {
		cfg.Log = 256 << 20
	}
	return &remote{RemoteConfig: cfg, begun: map[string]time.Time{}, loans: map[string]watched{}, quiet: map[digest.Digest]time.Time{}}
}

// launch is one attempt, in job.json.
type launch struct {
	Job    port.Job      `json:"job"`
	Digest digest.Digest `json:"digest"` // of the job
	Name   string        `json:"name"`   // of the task
	Nonce  string        `json:"nonce"`
	Label  string        `json:"label"` // tells the launches of a name apart, and nothing else
	Begun  time.Time     `json:"begun"`
	Pack   bool          `json:"pack,omitempty"` // it packs an environment, and runs nothing
}

// taskFile has the TaskID of what was launched.
const taskFile = "task.json"

// mostPreempted is how often in a row a run is begun anew by itself, after its machine was
// taken back.
const mostPreempted = 20

// Start takes the key's lock, so that two processes that start one key get one run.
func (r *remote) Start(ctx context.Context, job port.Job) (port.Run, error) {
	dir, err := attempt.Dir(r.Dir, job.Key)
	if err == nil {
		err = work.CheckJob(job)
	}
	if err != nil {
		return port.Run{}, err
	}
	held, err := holder.Told(r.Env.Log).Lock(ctx, dir+".lock")
	if err != nil {
		return port.Run{}, fmt.Errorf("start %s: %w", job.Ref, artifact.Disk(err, r.Dir))
	}
	defer held.Close()
	run, err := r.Poll(ctx, job.Key)
	switch kind := fault.Of(err); {
	case err == nil && run.State != port.Done:
		a, err := attempt.Newest(dir, r.Seal)
		if err == nil {
			err = r.launched(ctx, a)
		}
		return run, err
	case err == nil:
		if keep, err := counts(ctx, r.Store, run, job.Isolation); keep || err != nil {
			return run, err
		}
	case kind != fault.Missing && kind != fault.Corrupt:
		return port.Run{}, err
	}
	return r.begin(ctx, dir, job, false)
}

// begin makes a new attempt, and has it launched; pack is for one that packs an environment.
func (r *remote) begin(ctx context.Context, dir string, job port.Job, pack bool) (port.Run, error) {
	name, err := dispatch.JobDigest(job)
	if err != nil {
		return port.Run{}, fmt.Errorf("start %s: %w", job.Ref, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return port.Run{}, artifact.Disk(fmt.Errorf("start %s: %w", job.Ref, err), r.Dir)
	}
	a, held, err := attempt.Next(dir, r.Seal, func(a attempt.Attempt, n int) any {
		l := r.launchOf(job, name, n)
		l.Pack = pack
		return l
	})
	if err != nil {
		return port.Run{}, fmt.Errorf("start %s: %w", job.Ref, err)
	}
	held.Close() // nothing of this machine lives as long as the run
	if err := attempt.Forget(dir); err != nil {
		return port.Run{}, err
	}
	if err := r.launched(ctx, a); err != nil {
		return port.Run{}, err
	}
	run, err := r.observeAttempt(ctx, a, asking)
	run.Key = job.Key
	return run, err
}

// Poll tells how the newest attempt stands.
func (r *remote) Poll(ctx context.Context, key digest.Digest) (port.Run, error) {
	return r.poll(ctx, key, asking)
}

// way is how it is known how a task stands: by its tool's own word, or as who watches the tool
// has heard, where it is watched and the task runs.
type way bool

const (
	asking   way = false
	watching way = true
)

// stands is how a task stands.
func stands(ctx context.Context, by port.Launcher, id port.TaskID, how way) (port.TaskStatus, error) {
	if w, hears := by.(port.Watcher); hears && how == watching {
		if s, known := w.Known(ctx, id); known {
			return s, nil
		}
	}
	return by.Observe(ctx, id)
}

func (r *remote) poll(ctx context.Context, key digest.Digest, how way) (port.Run, error) {
	dir, err := attempt.Dir(r.Dir, key)
	if err != nil {
		return port.Run{}, err
	}
	if err := ctx.Err(); err != nil {
		return port.Run{}, fault.New(fault.Cancelled, "poll run: %w", err)
	}
	a, err := attempt.Newest(dir, r.Seal)
	if err != nil {
		return port.Run{}, err
	}
	run, err := r.observeAttempt(ctx, a, how)
	run.Key = key
	return run, err
}

// look tells how an attempt stands, and keeps what it made once it has ended.
func (r *remote) observeAttempt(ctx context.Context, a attempt.Attempt, how way) (port.Run, error) {
	if run, err := ended(a); fault.Of(err) != fault.Missing {
		return run, err
	}
	var l launch
	var id port.TaskID
	if err := a.ReadSealed(attempt.OrderFile, &l); err != nil {
		return port.Run{}, err
	}
	if err := a.ReadSealed(taskFile, &id); fault.Of(err) == fault.Missing {
		return port.Run{State: port.Waiting, Started: l.Begun, Reason: r.notGiven(a)}, nil
	} else if err != nil {
		return port.Run{}, err
	}
	st, err := stands(ctx, r.launcherOf(l), id, how)
	gone := fault.Of(err) == fault.Missing
	if err != nil && !gone {
		return port.Run{}, err
	}
	if gone || st.Phase == port.TaskEnded {
		return r.conclude(ctx, a, l, st, gone)
	}
	run := port.Run{State: port.Waiting, Started: l.Begun, Reason: st.Reason}
	if st.Phase != port.TaskRunning {
		return run, nil
	}
	r.renew(ctx, a, l)
	began, overdue := r.began(ctx, a, l), overdue
	if l.Job.External != nil {
		overdue = 0 // it writes nothing after its end
	}
	if began.IsZero() {
		run.Reason = "its worker makes it ready"
		return run, nil
	}
	limit := l.Job.Timeout
	if limit <= 0 {
		limit = time.Hour
	}
	if r.Env.Now().After(began.Add(limit + overdue)) {
		return r.conclude(ctx, a, l, port.TaskStatus{Phase: port.TaskEnded, Cause: port.TimedOut,
			Reason: fmt.Sprintf("it did not end %s after its time-out of %s: its machine may be gone", overdue, limit)}, false)
	}
	return port.Run{State: port.Running, Started: began, Reason: st.Reason}, nil
}

// notGiven says why an attempt has no task: somebody is at it, or whoever was had no luck, or has ended.
func (r *remote) notGiven(a attempt.Attempt) string {
	if held, err := sandbox.Held(filepath.Dir(a.Dir) + ".lock"); err == nil && !held {
		return "it is not given to " + r.Name + " yet: the next pass does so"
	}
	return "it is being given to " + r.Name
}

// overdue is how long after its time-out a run may take to end and to write what it made.
const overdue = time.Hour

// began is when the command of an attempt began, or zero.
func (r *remote) began(ctx context.Context, a attempt.Attempt, l launch) time.Time {
	r.mu.Lock()
	at, ok := r.begun[a.Dir]
	r.mu.Unlock()
	if ok {
		return at
	}
	if l.Job.External == nil {
		raw, err := r.staged(ctx, a, l, dispatch.StatusName, 1<<10)
		if err != nil || len(raw) == 0 {
			return time.Time{}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun[a.Dir] = r.Env.Now() // by our clock: the worker's may be another
	return r.begun[a.Dir]
}

// Wait goes by what the launcher learns; the log is looked for every second.
func (r *remote) Wait(ctx context.Context, key digest.Digest, seen port.RunState, offset int64) (port.Run, error) {
	run, err := r.poll(ctx, key, watching)
	if err != nil || run.State != seen || run.State == port.Done {
		return r.borne(ctx, key, seen, run, err)
	}
	dir, err := attempt.Dir(r.Dir, key)
	if err != nil {
		return run, err
	}
	a, err := attempt.Newest(dir, r.Seal)
	var id port.TaskID
	var l launch
	if err == nil {
		err = a.ReadSealed(taskFile, &id)
	}
	if err == nil {
		err = a.ReadSealed(attempt.OrderFile, &l)
	}
	by := r.launcherOf(l)
	short, stop := context.WithTimeout(ctx, r.patience())
	defer stop()
	news := false
	if err == nil {
		st, oerr := stands(short, by, id, watching)
		news = oerr == nil && st.Phase == port.TaskEnded
		for oerr == nil && !news && short.Err() == nil { // a reason alone is no news
			var then port.TaskStatus
			then, oerr = by.Await(short, id, st) // whatever it brings, Poll tells
			news, st = oerr == nil && then.Phase != st.Phase, then
		}
	} else if fault.Of(err) != fault.Missing {
		return run, err
	}
	if seen == port.Waiting && !news && short.Err() == nil { // what waits has no log to look for
		<-short.Done()
	}
	if ctx.Err() != nil {
		return port.Run{}, fault.New(fault.Cancelled, "wait for the run: %w", context.Cause(ctx))
	}
	run, err = r.poll(ctx, key, watching)
	return r.borne(ctx, key, seen, run, err)
}

func (r *remote) patience() time.Duration {
	if r.Shelf == nil {
		return 100 * time.Millisecond
	}
	return time.Second
}

// Stop ends the task, and keeps nothing of what it made but its log.
func (r *remote) Stop(ctx context.Context, key digest.Digest) error {
	dir, err := attempt.Dir(r.Dir, key)
	if err != nil {
		return err
	}
	a, err := attempt.Newest(dir, r.Seal)
	if err != nil {
		return err
	}
	var l launch
	if err := a.ReadSealed(attempt.OrderFile, &l); err != nil {
		return err
	}
	if _, err := a.Result(); err == nil {
		return r.clear(ctx, a, l)
	}
	var id port.TaskID
	if err := a.ReadSealed(taskFile, &id); err == nil {
		if err := r.launcherOf(l).Remove(ctx, id); err != nil {
			return fmt.Errorf("stop %s: %w", l.Job.Ref, err)
		}
	} else if fault.Of(err) != fault.Missing {
		return err
	}
	res := work.Stopped(port.Result{Started: l.Begun, Finished: r.Env.Now()})
	if err := r.keepLog(ctx, a, l, &res); err != nil {
		return err
	}
	if err := a.Conclude(res); err != nil {
		return err
	}
	r.forgetAttempt(a)
	return r.clear(ctx, a, l)
}
