// The laws of Launcher about what a task is given and how it ends.

package porttest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func launchWell(t *testing.T, b LauncherBench) {
	if s := b.end(t, b.task(t, b.Well)); s.Cause != "" || s.ExitCode != 0 {
		t.Errorf("what ended well ended as %+v", s)
	}
}

func launchBadly(t *testing.T, b LauncherBench) {
	told := b.Lacks[TellsExitCodes] == ""
	if s := b.end(t, b.task(t, b.Badly)); s.Cause != port.Exit || s.ExitCode == 0 || told && s.ExitCode != 7 || s.Reason == "" {
		t.Errorf("what ended with exit code 7 ended as %+v", s)
	}
}

func launchHog(t *testing.T, b LauncherBench) {
	b.needs(t, EndsForMemory)
	task := b.task(t, b.Hog)
	task.Resources.Memory = "32Mi"
	if s := b.end(t, task); s.Cause != port.OutOfMemory || !strings.Contains(s.Reason, "32Mi") {
		t.Errorf("what took too much memory ended as %+v, want %s and how much it was given", s, port.OutOfMemory)
	}
}

func launchNoImage(t *testing.T, b LauncherBench) {
	b.needs(t, HasImages)
	task := b.task(t, b.Well)
	task.Image = b.NoImage
	if s := b.end(t, task); s.Cause != port.BadImage || !strings.Contains(s.Reason, b.NoImage) {
		t.Errorf("what has no image ended as %+v, want %s and its name", s, port.BadImage)
	}
}

func launchNever(t *testing.T, b LauncherBench) {
	b.needs(t, KnowsItsRoom)
	task := b.task(t, b.Well)
	task.Resources = b.Never
	if s := b.end(t, task); s.Cause != port.Unschedulable || s.Reason == "" {
		t.Errorf("what nothing has room for ended as %+v, want %s", s, port.Unschedulable)
	}
}

func launchKilled(t *testing.T, b LauncherBench) {
	b.needs(t, IsKilled)
	id := b.launch(t, b.task(t, b.Forever))
	b.until(t, id, taskRunning)
	b.Kill(t, id)
	if s := b.until(t, id, taskEnded); s.Cause != port.Stopped || s.Reason == "" {
		t.Errorf("what somebody killed ended as %+v, want %s", s, port.Stopped)
	}
}

func launchDeadline(t *testing.T, b LauncherBench) {
	task := b.task(t, b.Forever)
	task.Deadline = time.Second
	if s := b.end(t, task); s.Cause != port.TimedOut || s.Reason == "" {
		t.Errorf("what outlived its deadline ended as %+v, want %s", s, port.TimedOut)
	}
}

func launchBusy(t *testing.T, b LauncherBench) {
	b.needs(t, CanWait)
	free := b.Busy(t)
	id := b.launch(t, b.task(t, b.Well))
	s := b.until(t, id, func(s port.TaskStatus) bool { return s.Phase != port.TaskWaiting || s.Reason != "" })
	if s.Phase != port.TaskWaiting || s.Reason == "" {
		t.Errorf("what has to wait stands as %+v", s)
	}
	free()
	if s := b.until(t, id, taskEnded); s.Cause != "" {
		t.Errorf("what had to wait ended as %+v", s)
	}
}

func launchTicket(t *testing.T, b LauncherBench) {
	b.needs(t, ShowsTasks)
	task := b.task(t, b.Forever)
	id := b.launch(t, task)
	b.until(t, id, taskRunning)
	shown := b.Shown(t, id)
	if !strings.Contains(shown, task.Launch) {
		t.Errorf("the tool shows nothing of the task's launch, or the bench looks elsewhere: %s", shown)
	}
	for what, secret := range spellings(task.Ticket) {
		if strings.Contains(shown, secret) {
			t.Errorf("the tool shows the ticket, %s", what)
		}
	}
}

func launchTicketFile(t *testing.T, b LauncherBench) {
	b.needs(t, HasTicketFile)
	task := b.task(t, b.Forever)
	id := b.launch(t, task)
	b.until(t, id, taskRunning)
	if text, mode := b.Ticket(t, id); string(text) != string(task.Ticket) || mode.Perm()&^0o440 != 0 {
		t.Errorf("the ticket in the task is %q of mode %o, want %q and nothing but reading for its user or group", text, mode.Perm(), task.Ticket)
	}
}

func launchLimits(t *testing.T, b LauncherBench) {
	b.needs(t, ShowsLimits)
	task := b.task(t, b.Forever)
	task.Resources = schemas.Resources{CPU: "500m", Memory: "96Mi"}
	id := b.launch(t, task)
	b.until(t, id, taskRunning)
	if memory, cores := b.InForce(t, id); memory != 96<<20 || cores != 0.5 {
		t.Errorf("half a core and %d bytes were asked for, %g and %d are in force", 96<<20, cores, memory)
	}
}

func launchOutage(t *testing.T, b LauncherBench) {
	b.needs(t, HasOutages)
	task := b.task(t, b.Forever)
	id := b.launch(t, task)
	seen := b.until(t, id, taskRunning)
	end := b.Outage(t)
	_, observe := b.Launcher.Observe(t.Context(), id)
	_, launch := b.Launcher.Launch(t.Context(), b.task(t, b.Well))
	for what, err := range map[string]error{"Observe": observe, "Launch": launch, "Remove": b.Launcher.Remove(t.Context(), id)} {
		if fault.Of(err) != fault.Transient {
			t.Errorf("%s while the tool is away: %v, want Transient", what, err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	if _, err := b.Launcher.Await(ctx, id, seen); err != nil && fault.Of(err) != fault.Transient && fault.Of(err) != fault.Cancelled {
		t.Errorf("Await while the tool is away: %v, want Transient", err)
	}
	stop()
	end()
	if again := b.launch(t, task); again != id {
		t.Errorf("after the outage the task is %+v, and was %+v", again, id)
	}
	if status := b.until(t, id, taskRunning); status != seen {
		t.Errorf("after the outage the task stands as %+v, and stood as %+v", status, seen)
	}
}

func launchInvalid(t *testing.T, b LauncherBench) {
	for what, change := range map[string]func(*port.Task){
		"no name":          func(o *port.Task) { o.Name = "" },
		"a long name":      func(o *port.Task) { o.Name = strings.Repeat("n", 64) },
		"a path for name":  func(o *port.Task) { o.Name = "../" + o.Name },
		"capitals":         func(o *port.Task) { o.Name = "V" + o.Name },
		"no command":       func(o *port.Task) { o.Command = nil },
		"no owner":         func(o *port.Task) { o.Owner = "" },
		"no launch":        func(o *port.Task) { o.Launch = "" },
		"no job":           func(o *port.Task) { o.Job = "" },
		"no deadline":      func(o *port.Task) { o.Deadline = 0 },
		"a CPU of nothing": func(o *port.Task) { o.Resources.CPU = "many" },
		"memory of words":  func(o *port.Task) { o.Resources.Memory = "much" },
	} {
		task := b.task(t, b.Well)
		change(&task)
		if id, err := b.Launcher.Launch(t.Context(), task); err == nil || fault.Of(err) != fault.Invalid {
			t.Errorf("launch with %s: %+v, %v, want Invalid", what, id, err)
		}
	}
}

// spellings are how bytes may be shown.
func spellings(b []byte) map[string]string {
	return map[string]string{
		"as it is": string(b), "in base64": base64.StdEncoding.EncodeToString(b), "in hex": hex.EncodeToString(b),
	}
}
