// Waiting for what becomes of a task, and holding tasks to their deadlines.

package docker

import (
	"context"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	awaitAtMost   = 2 * time.Minute  // without news, a task is looked at; the stream should have told
	sweepEvery    = 10 * time.Minute // tasks that nobody awaits are held to their deadlines
	awaitPatience = 30 * time.Second // with an engine that does not answer
)

// matters are the events after which a task may stand otherwise.
var matters = map[events.Action]bool{
	events.ActionStart: true, events.ActionDie: true, "died": true, events.ActionOOM: true, events.ActionDestroy: true, events.ActionRemove: true,
	events.ActionPause: true, events.ActionUnPause: true, events.ActionRename: true, events.ActionStop: true, "cleanup": true,
}

func (d *launcher) events(ctx context.Context, begun func(), tell func(id string)) error {
	stream := d.api.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).Add("type", "container").Add("label", labelLaunch)})
	select {
	case err := <-stream.Err:
		return d.classed(ctx, "watch the engine", err)
	default:
	}
	begun()
	d.sweep(ctx)
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-sweep.C:
			d.sweep(ctx)
		case m := <-stream.Messages:
			if matters[m.Action] {
				tell(m.Actor.ID)
			}
		case err := <-stream.Err:
			if ctx.Err() == nil {
				d.o.Env.Log.Warn("the engine's stream of events ended", "err", err)
				d.forget()
			}
			return d.classed(ctx, "watch the engine", err)
		}
	}
}

// sweep ends what has outlived its deadline although nobody awaits it, whoever began it: an
// engine has no clock of its own for that.
func (d *launcher) sweep(ctx context.Context) {
	eng, err := d.engine(ctx)
	if err != nil {
		return
	}
	now := d.o.Env.Now().Add(eng.ahead)
	all, err := d.api.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("label", labelLaunch)})
	if err != nil {
		d.o.Env.Log.Warn("list tasks, to hold them to their deadlines", "err", err)
		return
	}
	for _, c := range all.Items {
		limit, err := time.ParseDuration(c.Labels[labelDeadline])
		if err != nil || now.Sub(time.Unix(c.Created, 0)) < limit { // it was not begun before it was made
			continue
		}
		full, err := d.inspect(ctx, c.ID)
		if err != nil || remaining(full, now) > 0 {
			continue
		}
		if _, err := d.api.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: "SIGKILL"}); err == nil {
			d.o.Env.Log.Warn("a task that nobody awaited was ended at its deadline", "task", full.Name, "deadline", limit)
		}
	}
}

// Await looks once the stream stands, so that nothing happens between the two.
func (d *launcher) Await(ctx context.Context, id port.TaskID, seen port.TaskStatus) (port.TaskStatus, error) {
	until := time.NewTimer(awaitPatience)
	defer until.Stop()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		s, err := d.await(ctx, id, seen)
		if err == nil || fault.Of(err) != fault.Transient {
			return s, err
		}
		select {
		case <-until.C:
			return s, err
		default:
		}
		if err := pause(ctx, wait); err != nil {
			return s, err
		}
	}
}

func (d *launcher) await(ctx context.Context, id port.TaskID, seen port.TaskStatus) (port.TaskStatus, error) {
	atMost := time.NewTimer(awaitAtMost)
	defer atMost.Stop()
	for {
		s, while, err := d.awaitNews(ctx, id, seen, atMost.C)
		if err != nil || s != seen || while {
			return s, err
		}
	}
}

// look tells how the task stands once that is another than seen or there may be news;
// while tells that there were none for a while.
func (d *launcher) awaitNews(ctx context.Context, id port.TaskID, seen port.TaskStatus, atMost <-chan time.Time) (s port.TaskStatus, while bool, err error) {
	news, leave, err := d.watch.join(ctx, id.UID, d.o.Env.Now)
	if err != nil {
		return s, false, err
	}
	defer leave()
	s, left, err := d.observe(ctx, id)
	if err != nil || s != seen {
		return s, false, err
	}
	deadline := time.NewTimer(left)
	defer deadline.Stop()
	select {
	case <-news:
	case <-deadline.C:
	case <-atMost:
		while = true
	case <-ctx.Done():
		err = fault.New(fault.Cancelled, "await %s: %w", id.Name, context.Cause(ctx))
	}
	return s, while, err
}
