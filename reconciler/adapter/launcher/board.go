// What is known of all tasks of a launcher, from one watch a kind of object: whoever awaits
// reads here and asks the cluster nothing.

package launcher

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// linger is how long it goes on watching after nobody awaits anything.
const linger = 20 * time.Second

// board is followed from the first who awaits to a while after the last.
type board struct {
	c *cluster

	mu      sync.Mutex
	users   int
	stop    context.CancelFunc
	idle    *time.Timer
	loadsAt kube.Resource
	turn    int                              // of following; what an earlier turn tells is not heard
	parts   map[string]error                 // what is followed, and why it is not to be had; errUnheard at first
	known   chan struct{}                    // closed when every part was heard once
	units   map[string]status.Unit           // by name
	pods    map[string]map[string]status.Pod // by name of the unit, by uid
	past    map[string][]status.Pod          // of units that are there, pods that are not, by name of the unit
	refused map[string]status.Event          // by name of the object of events
	loads   map[string]status.Workload       // by uid of the unit
	wakes   map[string]chan struct{}         // by name of the unit
}

func newBoard(c *cluster) *board { return &board{c: c, wakes: map[string]chan struct{}{}} }

// errUnheard is the state of what has not been heard of yet.
var errUnheard = fault.New(fault.Transient, "not yet heard of")

// join has the board followed until leave; loads is where Kueue's workloads are, if they are wanted.
func (b *board) join(loads kube.Resource) (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loadsAt = loads
	b.users++
	if b.idle != nil {
		b.idle.Stop()
		b.idle = nil
	}
	if b.stop == nil {
		b.follow()
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.users--; b.users > 0 {
			return
		}
		turn := b.turn
		b.idle = time.AfterFunc(linger, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.users == 0 && b.turn == turn && b.stop != nil {
				b.stop()
				b.stop = nil
				b.units, b.pods, b.past, b.refused, b.loads = nil, nil, nil, nil, nil
				clear(b.wakes)
			}
		})
	}
}

// follow begins to watch; it is called with the lock held.
func (b *board) follow() {
	ctx, stop := context.WithCancel(context.Background())
	b.turn++
	b.stop, b.known, b.parts = stop, make(chan struct{}), map[string]error{}
	b.units, b.pods, b.past = map[string]status.Unit{}, map[string]map[string]status.Pod{}, map[string][]status.Pod{}
	b.refused, b.loads = map[string]status.Event{}, map[string]status.Workload{}
	ours := kube.Select{Labels: ownerLabel}
	if o := b.c.o.Owner; o != "" {
		ours.Labels += "=" + o
	}
	followed(ctx, b, b.c.kind.resource(), ours, b.setUnits, b.setUnit)
	followed(ctx, b, kube.Pods, ours, b.setPods, b.setPod)
	followed(ctx, b, kube.Events, kube.Select{Fields: "involvedObject.kind=Job,reason=FailedCreate"}, b.setEvents, b.setEvent)
	if b.c.queue != "" {
		followed(ctx, b, b.loadsAt, kube.Select{}, b.setLoads, b.setLoad)
	}
}

// followed has one kind of object told to the board.
func followed[T any](ctx context.Context, b *board, r kube.Resource, s kube.Select, all func([]T), change func(T, bool)) {
	name, turn := r.String(), b.turn
	b.parts[name] = errUnheard
	heard := func(err error, tell func()) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.turn != turn || b.stop == nil {
			return
		}
		b.parts[name] = err
		tell()
		if err != nil || !slices.ContainsFunc(slices.Collect(maps.Values(b.parts)), func(err error) bool { return err != nil }) {
			select {
			case <-b.known:
			default:
				close(b.known)
			}
		}
	}
	fault.Go(func() {
		kube.Follow(ctx, b.c.Client, r, s, kube.Follower[T]{
			All:    func(objects []T) { heard(nil, func() { all(objects) }) },
			Change: func(object T, gone bool) { heard(nil, func() { change(object, gone) }) },
			Lost:   func(err error) { heard(err, b.wakeAll) },
			Back:   func() { heard(nil, func() {}) },
		})
	}, func(err error) { heard(err, b.wakeAll) })
}

// broken is why the board is not to be relied on, or nil.
func (b *board) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.parts)) {
		if err := b.parts[name]; err != nil {
			return err
		}
	}
	return nil
}

// wake is closed at the next change of what is known of a task.
func (b *board) wake(name string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wakes[name] == nil {
		b.wakes[name] = make(chan struct{})
	}
	return b.wakes[name]
}

// changed wakes whoever awaits a task; it is called with the lock held, as is wakeAll.
func (b *board) changed(name string) {
	if ch := b.wakes[name]; ch != nil {
		close(ch)
		delete(b.wakes, name)
	}
}

func (b *board) wakeAll() {
	for _, ch := range b.wakes {
		close(ch)
	}
	clear(b.wakes)
}

// status is how a task stands as far as the board knows, and whether it knows.
func (b *board) status(id port.TaskID) (port.TaskStatus, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, ok := b.units[id.Name]
	if !ok || u.UID != id.UID || u.Deleted != nil {
		return port.TaskStatus{}, false
	}
	f := b.c.facts(u, slices.Collect(maps.Values(b.pods[id.Name])))
	f.Past = b.c.facts(u, b.past[id.Name]).Pods
	if e := b.refused[b.c.kind.events(id.Name)]; !e.Last.Before(u.Created) { // else it was said of a namesake
		f.Refused = e.Message
	}
	if w, ok := b.loads[u.UID]; ok {
		f.Load, f.Ahead = &w, status.Ahead(w, maps.Values(b.loads))
	}
	return f.Task(), true
}

// running is how a task stands that runs, as far as everything that is followed was heard and
// nothing of it is lost.
func (b *board) running(id port.TaskID) (port.TaskStatus, bool) {
	b.mu.Lock()
	followed := b.stop != nil
	b.mu.Unlock()
	if !followed || b.broken() != nil {
		return port.TaskStatus{}, false
	}
	s, known := b.status(id)
	return s, known && s.Phase == port.TaskRunning
}

// leaves forgets a task that is taken away, ahead of what the cluster tells of that.
func (b *board) leaves(id port.TaskID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u, there := b.units[id.Name]; there && u.UID == id.UID {
		delete(b.units, id.Name)
		b.changed(id.Name)
	}
}

// settling is how long a watch may be behind what the cluster answers.
const settling = 5 * time.Second

// settle waits until the board has heard of the end of every pod of a task that it knows, for a
// while at most.
func (b *board) settle(ctx context.Context, name string) {
	late := time.NewTimer(settling)
	defer late.Stop()
	for {
		wake := b.wake(name)
		b.mu.Lock()
		there := len(b.pods[name])
		b.mu.Unlock()
		if there == 0 {
			return
		}
		select {
		case <-wake:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// gone are the pods of a task that were there, as they were last.
func (b *board) gone(u status.Unit) []status.Pod {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.c.facts(u, b.past[u.Name]).Pods
}

// position is where a workload stands in its queue, or -1 where nobody awaits anything.
func (b *board) position(w status.Workload) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop == nil || b.parts[b.loadsAt.String()] != nil {
		return -1
	}
	return status.Ahead(w, maps.Values(b.loads))
}
