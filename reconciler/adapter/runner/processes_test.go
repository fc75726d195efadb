// A tool that begins workers as processes of this machine, and a bench of a remote runner over it.

package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// partVariable tells a worker how large its parts are.
const partVariable = "PARTS_OF_A_TEST"

// workerMain is this test program as a worker.
func workerMain() int {
	ticket, dir := []byte(os.Getenv(port.TicketVariable)), os.Args[2]
	os.Unsetenv(port.TicketVariable)
	part, _ := strconv.Atoi(os.Getenv(partVariable))
	return dispatch.Work(context.Background(), dispatch.Worker{Part: dispatch.Part(part), Now: time.Now, Lookup: os.LookupEnv, Log: slog.New(slog.DiscardHandler), Program: "test", Ticket: ticket, Dir: dir})
}

// processes is a launcher whose tasks are processes of this machine.
type processes struct {
	dir  string
	mu   sync.Mutex
	all  map[string]*process
	n    int
	gone []*process // that were removed
	// fixed is the folder of every worker, as a container's is; "" is one each.
	fixed string
	// away says that nobody answers who asks how a task stands.
	away atomic.Bool
	// refuse says why a task is not begun now; nil is nothing.
	refuse func(task port.Task) error
	// tamper changes what a worker left, before its task is seen to have ended.
	tamper func(t *process)
}

type process struct {
	task   port.Task
	id     port.TaskID
	runs   *porttest.Process
	others []*porttest.Process // of several nodes, those after the first
	dir    string
	ended  chan struct{}
	status port.TaskStatus
}

func newProcesses(t testing.TB) *processes {
	p := &processes{dir: t.TempDir(), all: map[string]*process{}}
	t.Cleanup(func() {
		for _, x := range p.all {
			_ = p.Remove(context.Background(), x.id)
		}
	})
	return p
}

func (p *processes) Launch(_ context.Context, task port.Task) (port.TaskID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.all[task.Name]; x != nil {
		if x.task.Owner != task.Owner || x.task.Job != task.Job || x.task.Launch != task.Launch {
			return port.TaskID{}, fault.New(fault.Conflict, "%s is another's", task.Name)
		}
		return x.id, nil
	}
	if p.refuse != nil {
		if err := p.refuse(task); err != nil {
			return port.TaskID{}, err
		}
	}
	p.n++
	x := &process{task: task, id: port.TaskID{Name: task.Name, UID: fmt.Sprint(p.n), Tool: "this"}, dir: filepath.Join(p.dir, fmt.Sprint(p.n)), ended: make(chan struct{}), status: port.TaskStatus{Phase: port.TaskRunning}}
	if err := os.Mkdir(x.dir, 0o700); err != nil {
		return port.TaskID{}, err
	}
	if p.fixed != "" {
		if err := errors.Join(os.RemoveAll(p.fixed), os.Mkdir(p.fixed, 0o700)); err != nil {
			return port.TaskID{}, err
		}
		x.dir = p.fixed
	}
	env := append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "VISHWA_") }), port.TicketVariable+"="+string(task.Ticket))
	if err := x.begin(env); err != nil {
		return port.TaskID{}, err
	}
	p.all[task.Name] = x
	go func() {
		told := x.over()
		if p.tamper != nil {
			p.tamper(x)
		}
		p.mu.Lock()
		x.status = port.TaskStatus{Phase: port.TaskEnded, ExitCode: told.Code(), Reason: told.Errors()}
		if x.status.ExitCode != 0 {
			x.status.Cause = port.Exit
		}
		p.mu.Unlock()
		close(x.ended)
	}()
	return x.id, nil
}

// begin begins a worker on each node.
func (x *process) begin(env []string) (err error) {
	nodes := max(1, x.task.Nodes)
	for rank := range nodes {
		dir, of := x.dir, env
		if nodes > 1 {
			of = append(slices.Clone(env), fmt.Sprintf("%s=%d", port.NodeRank, rank), port.NodeAddress+"=first")
		}
		if rank > 0 {
			if dir = fmt.Sprintf("%s-%d", dir, rank); os.Mkdir(dir, 0o700) != nil {
				return os.ErrExist
			}
		}
		one, err := porttest.StartProcess(of, false, "/proc/self/exe", "work", dir)
		if err != nil {
			return err
		}
		if rank == 0 {
			x.runs = one
		} else {
			x.others = append(x.others, one)
		}
	}
	return nil
}

// over awaits the end of all nodes, and has one that fails end the others, as a Job of a cluster
// does; it is the one that tells.
func (x *process) over() *porttest.Process {
	all := append([]*porttest.Process{x.runs}, x.others...)
	done := make(chan *porttest.Process, len(all))
	for _, one := range all {
		go func() { <-one.Done(); done <- one }()
	}
	var tells *porttest.Process
	for range all {
		if one := <-done; one.Code() != 0 && tells == nil {
			tells = one
			for _, other := range all {
				other.End()
			}
		}
	}
	if tells == nil {
		return x.runs
	}
	return tells
}

func (p *processes) find(id port.TaskID) (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.all[id.Name]; x != nil && x.id == id {
		return x, nil
	}
	return nil, fault.New(fault.Missing, "%s is not there", id.Name)
}

func (p *processes) Observe(_ context.Context, id port.TaskID) (port.TaskStatus, error) {
	if p.away.Load() {
		return port.TaskStatus{}, fault.New(fault.Transient, "it does not answer")
	}
	x, err := p.find(id)
	if err != nil {
		return port.TaskStatus{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return x.status, nil
}

func (p *processes) Await(ctx context.Context, id port.TaskID, _ port.TaskStatus) (port.TaskStatus, error) {
	x, err := p.find(id)
	if err != nil {
		return port.TaskStatus{}, err
	}
	select {
	case <-x.ended:
	case <-ctx.Done():
		return port.TaskStatus{}, fault.New(fault.Cancelled, "%w", ctx.Err())
	}
	return p.Observe(ctx, id)
}

func (p *processes) Remove(_ context.Context, id port.TaskID) error {
	x, err := p.find(id)
	if err != nil {
		return nil
	}
	all := append([]*porttest.Process{x.runs}, x.others...)
	for _, one := range all {
		one.End()
	}
	select {
	case <-x.ended:
	case <-time.After(10 * time.Second):
		for _, one := range all {
			one.Kill()
		}
		<-x.ended
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, id.Name)
	p.gone = append(p.gone, x)
	return nil
}

// remoteBench is a remote runner with its store, its launcher and a count of what began.
type remoteBench struct {
	*bench
	cfg       runner.RemoteConfig
	processes *processes
}

func newRemoteBench(t testing.TB) *remoteBench {
	t.Helper()
	b := newBench(t)
	shelf, err := bucket.Dir(filepath.Join(b.state, "store"))
	if err != nil {
		t.Fatal(err)
	}
	p := newProcesses(t)
	cfg := runner.RemoteConfig{
		Name: "elsewhere", Launcher: p, Env: b.Env, Store: b.Store, Dir: filepath.Join(b.state, "remote"), Seal: sealed, Owner: "suite", Program: "test",
		Grace: b.Grace, Log: b.Log, Wall: wall.Policy{Level: wall.None}, Shelf: porttest.LendingDir{Bucket: shelf, Dir: filepath.Join(b.state, "store")}, Brought: true,
		Object: func(d digest.Digest) string { h := d.Hex(); return "sha256/" + h[:2] + "/" + h[2:] },
	}
	b.Runner = runner.Remote(cfg)
	return &remoteBench{bench: b, cfg: cfg, processes: p}
}

// again is another process with the same state: what the first one knew in memory is gone.
func (b *remoteBench) again() *remoteBench {
	c := *b
	copied := *b.bench
	copied.Runner = runner.Remote(b.cfg)
	c.bench = &copied
	return &c
}

// left is what lies below the prefix of any launch.
func (b *remoteBench) left(t *testing.T) (names []string) {
	t.Helper()
	return b.below("staging")
}

func (b *remoteBench) below(folder string) (names []string) {
	_ = filepath.WalkDir(filepath.Join(b.state, "store", folder), func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, p)
		}
		return nil
	})
	return names
}
