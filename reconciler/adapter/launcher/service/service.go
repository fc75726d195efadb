// Package service launches tasks on tools that are asked by REST and have no watch: what is the
// same for all of them is here, and one file a tool says how that one is asked.
package service

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/keyed"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// tool is one that is asked by REST.
type tool interface {
	// fits refuses what the tool cannot give a task.
	fits(task port.Task) error
	// submit begins task under its name, at most once. Where one of that name may be there it
	// is a Conflict, and is looked for.
	submit(ctx context.Context, task port.Task, at time.Time) (record, error)
	// find has the tasks of these names that are there, in as few requests as it takes.
	find(ctx context.Context, names []string) (map[string]record, error)
	// cancel asks for a task's end. One that has ended or is gone is none of its errors.
	cancel(ctx context.Context, r record) error
	// drop takes away what has ended.
	drop(ctx context.Context, r record) error
}

// record is what a tool has under a name.
type record struct {
	name, uid          string
	handle             string    // what the tool calls it otherwise
	owner, job, launch string    // empty where it is not Vishwa's
	begun              time.Time // by our clock, when it was submitted
	deadline           time.Duration
	lasted             time.Duration // until its end, by the tool's clock; zero where it does not tell
	status             port.TaskStatus
}

const (
	pace      = 250 * time.Millisecond // a tool is asked how tasks stand once in so long, whoever wants to know
	awaitStep = 4                      // of these paces lie between two looks at what is awaited
	awaitMost = time.Minute            // then who waits is told what is known
	askAgain  = 10 * time.Second       // for the end of a task that has not come
	askedMost = 2 * time.Minute        // one question, with all of its repetitions
)

type launcher struct {
	tool
	who  string // the tool, for people
	at   string // which one it is: TaskID.Tool
	env  port.Env
	pace time.Duration
	// images: it begins containers, and nothing else.
	images bool

	names   keyed.Lock
	asking  sync.Mutex // held while the tool is asked how tasks stand
	last    time.Time  // when that was, by the machine's steady clock
	mu      sync.Mutex
	round   *round               // that gathers names, for the next time
	overdue map[string]time.Time // tasks whose end was asked for at their deadline, and when that was last
}

// round is one time that a tool is asked, for all who want to know by then.
type round struct {
	names map[string]bool
	done  chan struct{}
	found map[string]record
	err   error
}

func newLauncher(t tool, who, url string, o Options) *launcher {
	l := &launcher{tool: t, who: who, at: strings.ToLower(who) + " " + strings.TrimRight(url, "/"), env: o.Env, pace: o.pace, overdue: map[string]time.Time{}}
	if l.pace <= 0 {
		l.pace = pace
	}
	return l
}

// Ready tells whether the token can be read.
func (l *launcher) Ready() error {
	if asks, is := l.tool.(interface{ token() (string, error) }); is {
		_, err := asks.token()
		return err
	}
	return nil
}

func (l *launcher) Launch(ctx context.Context, task port.Task) (port.TaskID, error) {
	if err := task.Check(); err != nil {
		return port.TaskID{}, err
	}
	if err := l.plain(task); err != nil {
		return port.TaskID{}, err
	}
	unlock, err := l.names.Hold(ctx, task.Name)
	if err != nil {
		return port.TaskID{}, err
	}
	defer unlock()
	for range 3 {
		r, there, err := l.named(ctx, task.Name)
		if err != nil {
			return port.TaskID{}, err
		}
		if !there {
			// Somebody else may submit it before we do, or take it away before we look again.
			if r, err = l.submit(ctx, task, l.env.Now()); fault.Of(err) == fault.Conflict && err != nil {
				continue
			}
			if err != nil {
				return port.TaskID{}, err
			}
		}
		if err := l.owned(task, r); err != nil {
			return port.TaskID{}, err
		}
		return port.TaskID{Name: r.name, UID: r.uid, Tool: l.at}, nil
	}
	return port.TaskID{}, fault.WithHint(fault.New(fault.Transient, "launch %s: %s refuses it as one that is there, and does not show it", task.Name, l.who),
		"look for %s on %s", task.Name, l.at)
}

// plain refuses what no tool of this package gives.
func (l *launcher) plain(task port.Task) error {
	wrong := func(what, way string) error {
		return fault.WithHint(fault.New(fault.Invalid, "launch %s: %s %s", task.Name, l.who, what), "%s", way)
	}
	switch {
	case l.images && task.Image == "" && task.External == nil:
		return wrong("begins containers, and no image is given", "add image, or spec.defaults.image to the Project")
	case task.Image != "" && !l.images:
		return wrong("begins no image", "remove image, or name a runner of docker or kubernetes")
	case task.Nodes > 1:
		return wrong("gives a run one machine", "remove nodes, or name a runner of kubernetes or kubeflow")
	case len(task.Mounts) > 0:
		return wrong("has no folder of this machine", "share the store: spec.store.s3 of the Project")
	case task.Isolated:
		return wrong("cannot keep a task from its network", "name a runner of docker")
	case task.Priority != "":
		return wrong("knows no priorities", "remove priority")
	case task.Resources.GPUKind != "":
		return wrong("does not tell kinds of GPU apart", "remove resources.gpuKind")
	case task.Resources.EphemeralStorage != "":
		return wrong("keeps no room on disk", "remove resources.ephemeralStorage")
	}
	return l.fits(task)
}

// owned tells whether what is there is what task began, and not somebody's of the same name.
func (l *launcher) owned(task port.Task, r record) error {
	if r.launch == "" || r.uid == "" {
		return fault.WithHint(fault.New(fault.Conflict, "launch %s: something of that name on %s is not Vishwa's", task.Name, l.who),
			"remove %s there if it is of no use", task.Name)
	}
	for what, differs := range map[string]bool{"owner": r.owner != task.Owner, "job": r.job != string(task.Job), "launch": r.launch != task.Launch} {
		if differs {
			return fault.WithHint(fault.New(fault.Conflict, "launch %s: one of that name on %s has another %s", task.Name, l.who, what),
				"see whose %s is on %s", task.Name, l.at)
		}
	}
	return nil
}

func (l *launcher) Observe(ctx context.Context, id port.TaskID) (port.TaskStatus, error) {
	r, err := l.findRecord(ctx, id)
	if err != nil || r.deadline <= 0 {
		return r.status, err
	}
	l.mu.Lock()
	_, over := l.overdue[r.uid]
	l.mu.Unlock()
	// Who cancelled it may have been another process of ours, that is gone.
	ended := r.status.Cause == port.Stopped || r.status.Cause == port.Lost
	if late := r.lasted > 0 && r.lasted+min(time.Minute, r.deadline/10) >= r.deadline; ended && (over || late) {
		r.status.Cause, r.status.Reason = port.TimedOut, "it had not ended "+r.deadline.String()+" after it was begun"
	}
	return r.status, nil
}

// Await looks now and then, at the pace that all who wait share.
func (l *launcher) Await(ctx context.Context, id port.TaskID, seen port.TaskStatus) (port.TaskStatus, error) {
	most := time.NewTimer(awaitMost)
	defer most.Stop()
	step := time.NewTicker(awaitStep * l.pace)
	defer step.Stop()
	for {
		s, err := l.Observe(ctx, id)
		if err != nil || s != seen {
			return s, err
		}
		select {
		case <-step.C:
		case <-most.C:
			return s, nil
		case <-ctx.Done():
			return s, cancelled(ctx, id.Name)
		}
	}
}

func (l *launcher) Remove(ctx context.Context, id port.TaskID) error {
	asked := time.Time{} // a tool may lose sight of what it was asked
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		r, err := l.findRecord(ctx, id)
		if fault.Of(err) == fault.Missing && err != nil {
			l.mu.Lock()
			delete(l.overdue, id.UID)
			l.mu.Unlock()
			return nil
		}
		if err != nil {
			return err
		}
		switch now := l.env.Now(); {
		case r.status.Phase == port.TaskEnded:
			err = l.drop(ctx, r)
		case now.Sub(asked) > askAgain:
			asked, err = now, l.cancel(ctx, r)
		}
		if err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return cancelled(ctx, id.Name)
		}
	}
}

// look is the record that id is.
func (l *launcher) findRecord(ctx context.Context, id port.TaskID) (record, error) {
	if id.Tool != "" && id.Tool != l.at {
		return record{}, fault.WithHint(fault.New(fault.Conflict, "task %s is elsewhere, and not on %s", id.Name, l.at),
			"point the runner's url at the one that has it, or leave it and run anew")
	}
	r, there, err := l.named(ctx, id.Name)
	if err == nil && (!there || r.launch == "" || r.uid != id.UID) {
		err = fault.WithHint(fault.New(fault.Missing, "task %s is not there, or a new one has its name", id.Name), "somebody removed it there: the next pass begins it anew")
	}
	return r, err
}

// named asks for what has this name, together with all who want to know by then.
func (l *launcher) named(ctx context.Context, name string) (record, bool, error) {
	if ctx.Err() != nil {
		return record{}, false, cancelled(ctx, name)
	}
	l.mu.Lock()
	x := l.round
	if x == nil {
		x = &round{names: map[string]bool{}, done: make(chan struct{})}
		l.round = x
		fault.Go(func() { l.ask(context.WithoutCancel(ctx), x) }, func(error) {}) // what reads the answer is guarded
	}
	x.names[name] = true
	l.mu.Unlock()
	select {
	case <-x.done:
		r, there := x.found[name]
		return r, there, x.err
	case <-ctx.Done():
		return record{}, false, cancelled(ctx, name)
	}
}

// ask carries out a round once the one before it is over, and not too soon after.
func (l *launcher) ask(ctx context.Context, x *round) {
	l.asking.Lock()
	defer l.asking.Unlock()
	time.Sleep(l.pace - time.Since(l.last))
	l.mu.Lock()
	l.round = nil
	names := make([]string, 0, len(x.names))
	for n := range x.names {
		names = append(names, n)
	}
	l.mu.Unlock()
	l.last = time.Now()
	ctx, stop := context.WithTimeout(ctx, askedMost)
	defer stop()
	x.err = fault.Guard(func() (err error) { x.found, err = l.find(ctx, names); return err })
	if x.err != nil && fault.Of(x.err) == fault.Cancelled { // nobody gave up but this clock
		x.err = fault.WithHint(fault.New(fault.Transient, "%s did not answer within %s", l.who, askedMost), "try again; its log says more")
	}
	defer close(x.done)
	l.sweep(ctx, x.found)
}

// sweep ends what has outlived its deadline, whoever began it and whether or not somebody asks
// for it: these tools have no clock of their own for that.
func (l *launcher) sweep(ctx context.Context, found map[string]record) {
	now := l.env.Now()
	for _, r := range found {
		if r.launch == "" || r.begun.IsZero() || r.deadline <= 0 || r.status.Phase == port.TaskEnded || now.Sub(r.begun) < r.deadline {
			continue
		}
		l.mu.Lock()
		again := now.Sub(l.overdue[r.uid]) > askAgain
		if again {
			l.overdue[r.uid] = now
		}
		l.mu.Unlock()
		if !again {
			continue
		}
		if err := l.cancel(ctx, r); err != nil {
			l.env.Log.Warn("end a task at its deadline", "task", r.name, "deadline", r.deadline, "err", err)
		}
	}
}

func cancelled(ctx context.Context, name string) error {
	return fault.New(fault.Cancelled, "ask for task %s: %w", name, context.Cause(ctx))
}
