// The laws of Launcher about which task is which, and about waiting for one.

package porttest

import (
	"context"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func launchTwice(t *testing.T, b LauncherBench) {
	task := b.task(t, b.Well)
	first := b.launch(t, task)
	if again := b.launch(t, task); again != first {
		t.Errorf("launched twice it is %+v and %+v", first, again)
	}
	b.until(t, first, taskEnded)
	if again := b.launch(t, task); again != first {
		t.Errorf("launched after its end it is %+v and %+v", first, again)
	}
	if status := b.until(t, first, func(port.TaskStatus) bool { return true }); status.Phase != port.TaskEnded {
		t.Errorf("launching what has ended begins it again: %+v", status)
	}
}

func launchTogether(t *testing.T, b LauncherBench) {
	task := b.task(t, b.Forever)
	ids := make(chan port.TaskID, 8)
	for range cap(ids) {
		go func() {
			id, err := b.Launcher.Launch(t.Context(), task)
			if err != nil {
				t.Errorf("launch: %v", err)
			}
			ids <- id
		}()
	}
	first := <-ids
	b.gone(t, first)
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("launched together it is %+v and %+v", first, id)
		}
	}
	b.until(t, first, taskRunning)
}

func launchNamesake(t *testing.T, b LauncherBench) {
	task := b.task(t, b.Forever)
	id := b.launch(t, task)
	b.until(t, id, taskRunning)
	for what, change := range map[string]func(*port.Task){
		"owner":  func(o *port.Task) { o.Owner = "another" },
		"job":    func(o *port.Task) { o.Job = digest.Of([]byte("another")) },
		"launch": func(o *port.Task) { o.Launch = "another" },
	} {
		other := task
		change(&other)
		if _, err := b.Launcher.Launch(t.Context(), other); fault.Of(err) != fault.Conflict {
			t.Errorf("launch of a namesake with another %s: %v, want Conflict", what, err)
		}
	}
	if status, err := b.Launcher.Observe(t.Context(), id); err != nil || status.Phase != port.TaskRunning {
		t.Errorf("a namesake's launch disturbed the task: %+v, %v", status, err)
	}
}

func launchStranger(t *testing.T, b LauncherBench) {
	b.needs(t, HasStrangers)
	task := b.task(t, b.Well)
	b.Stranger(t, task.Name)
	if id, err := b.Launcher.Launch(t.Context(), task); fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Errorf("launch under a stranger's name: %+v, %v, want Conflict and what to do", id, err)
	}
}

func launchUnknown(t *testing.T, b LauncherBench) {
	id := b.launch(t, b.task(t, b.Well))
	for what, unknown := range map[string]port.TaskID{
		"another name": {Name: id.Name + "x", UID: id.UID, Tool: id.Tool},
		"another uid":  {Name: id.Name, UID: turned(id.UID), Tool: id.Tool},
	} {
		b.missing(t, what, unknown)
		if err := b.Launcher.Remove(t.Context(), unknown); err != nil {
			t.Errorf("remove what is not there (%s): %v", what, err)
		}
	}
	b.until(t, id, taskEnded)
}

// missing insists that nothing is known of id.
func (b LauncherBench) missing(t *testing.T, what string, id port.TaskID) {
	t.Helper()
	_, observe := b.Launcher.Observe(t.Context(), id)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	_, await := b.Launcher.Await(ctx, id, port.TaskStatus{Phase: port.TaskRunning})
	for call, err := range map[string]error{"Observe": observe, "Await": await} {
		if fault.Of(err) != fault.Missing || err == nil {
			t.Errorf("%s of %s: %v, want Missing", call, what, err)
		}
	}
}

// turned is s with its last character another.
func turned(s string) string {
	last := byte('0')
	if s[len(s)-1] == last {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}

func launchAnew(t *testing.T, b LauncherBench) {
	task := b.task(t, b.Forever)
	old := b.launch(t, task)
	if err := b.Launcher.Remove(t.Context(), old); err != nil {
		t.Fatalf("remove: %v", err)
	}
	anew := b.launch(t, task)
	if anew.UID == old.UID {
		t.Fatalf("a task made anew has the uid of the one that is gone: %+v", anew)
	}
	b.until(t, anew, taskRunning)
	b.missing(t, "a task whose name another has", old)
	if err := b.Launcher.Remove(t.Context(), old); err != nil {
		t.Errorf("remove what is gone: %v", err)
	}
	if status, err := b.Launcher.Observe(t.Context(), anew); err != nil || status.Phase != port.TaskRunning {
		t.Errorf("removing what is gone took its namesake: %+v, %v", status, err)
	}
}

func launchElsewhere(t *testing.T, b LauncherBench) {
	id := b.launch(t, b.task(t, b.Forever))
	if id.Tool == "" {
		t.Fatal("a task does not say which tool has it")
	}
	elsewhere := id
	elsewhere.Tool = turned(id.Tool)
	_, observe := b.Launcher.Observe(t.Context(), elsewhere)
	_, await := b.Launcher.Await(t.Context(), elsewhere, port.TaskStatus{})
	for what, err := range map[string]error{"Observe": observe, "Await": await, "Remove": b.Launcher.Remove(t.Context(), elsewhere)} {
		if fault.Of(err) != fault.Conflict {
			t.Errorf("%s of a task that another tool has: %v, want Conflict", what, err)
		}
	}
	if _, err := b.Launcher.Observe(t.Context(), id); err != nil {
		t.Errorf("asking for another's task disturbed ours: %v", err)
	}
}

func launchRemove(t *testing.T, b LauncherBench) {
	id := b.launch(t, b.task(t, b.Forever))
	b.until(t, id, taskRunning)
	if b.Alive != nil && b.Alive(t, id) == 0 {
		t.Error("what runs has no process: the bench counts wrongly")
	}
	for range 2 {
		if err := b.Launcher.Remove(t.Context(), id); err != nil {
			t.Fatalf("remove: %v", err)
		}
		if b.Alive == nil {
			continue
		}
		if n := b.Alive(t, id); n != 0 {
			t.Errorf("it is removed, and %d of its processes live", n)
		}
	}
	b.missing(t, "what was removed", id)
	b.needs(t, ShowsProcesses) // says so where they were not counted
}

func launchAwait(t *testing.T, b LauncherBench) {
	id := b.launch(t, b.task(t, b.Forever))
	seen := b.until(t, id, taskRunning)
	type news struct {
		status port.TaskStatus
		err    error
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	brought := make(chan news, 4)
	for range cap(brought) { // several may wait for one task
		go func() {
			status, err := seen, error(nil)
			for err == nil && status == seen {
				status, err = b.Launcher.Await(ctx, id, seen)
			}
			brought <- news{status, err}
		}()
	}
	if err := b.Launcher.Remove(t.Context(), id); err != nil {
		t.Fatalf("remove: %v", err)
	}
	for range cap(brought) {
		if n := <-brought; n.err == nil && n.status.Phase != port.TaskEnded || n.err != nil && fault.Of(n.err) != fault.Missing {
			t.Errorf("who awaits what is removed learns %+v, %v", n.status, n.err)
		}
	}
}

func launchCancelled(t *testing.T, b LauncherBench) {
	id := b.launch(t, b.task(t, b.Forever))
	seen := b.until(t, id, taskRunning)
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	begun := time.Now()
	var err error
	for err == nil {
		_, err = b.Launcher.Await(ctx, id, seen)
		if time.Since(begun) > 10*time.Second {
			t.Fatal("await goes on although its caller gave up")
		}
	}
	if fault.Of(err) != fault.Cancelled {
		t.Errorf("await that is given up: %v, want Cancelled", err)
	}
	if _, err := b.Launcher.Launch(ctx, b.task(t, b.Well)); fault.Of(err) != fault.Cancelled {
		t.Errorf("launch with an ended context: %v, want Cancelled", err)
	}
	if status, err := b.Launcher.Observe(t.Context(), id); err != nil || status.Phase != port.TaskRunning {
		t.Errorf("giving up disturbed the task: %+v, %v", status, err)
	}
}

// launchAsked: a hundred who wait for a second ask a tool a few things and not hundreds.
func launchAsked(t *testing.T, b LauncherBench) {
	b.needs(t, CountsQuestions)
	id := b.launch(t, b.task(t, b.Forever))
	seen := b.until(t, id, taskRunning)
	first, end := context.WithCancel(t.Context()) // who waits already, so that what they share is there on a slow machine too
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for first.Err() == nil {
			_, _ = b.Launcher.Await(first, id, seen)
		}
	}()
	defer func() { end(); <-ended }()
	before := b.Asked() - 1
	for i := 0; i < 20 && before != b.Asked(); i++ { // who asks now and then is never quiet
		before = b.Asked()
		time.Sleep(300 * time.Millisecond)
	}
	before = b.Asked()
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	done := make(chan struct{})
	for range 100 {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				if status, err := b.Launcher.Await(ctx, id, seen); err == nil && status != seen {
					t.Errorf("it stood as %+v and stands as %+v", seen, status)
					return
				}
			}
		}()
	}
	for range 100 {
		<-done
	}
	if n := b.Asked() - before; n > 150 {
		t.Errorf("a hundred who waited for a second asked %d times", n)
	}
}
