// The suite of Launcher: a name is one task, whoever asks and however often, and how it ended
// is told so that nobody has to guess.

package porttest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Ability is something that a tool, or the double of one, may be without.
type Ability string

// The abilities. A bench gives each, or says in Lacks why it does not.
const (
	EndsForMemory   Ability = "a task that takes too much memory is ended"            // Hog
	HasImages       Ability = "a task has an image"                                   // NoImage
	KnowsItsRoom    Ability = "what nothing will ever have room for is told"          // Never
	CanWait         Ability = "a task may have to wait"                               // Busy
	IsKilled        Ability = "a task is killed by somebody"                          // Kill
	HasStrangers    Ability = "another program has something of the same name"        // Stranger
	ShowsProcesses  Ability = "the processes of a task can be counted"                // Alive
	HasTicketFile   Ability = "the ticket is a file of the task"                      // Ticket
	ShowsTasks      Ability = "the tool shows what it knows of a task"                // Shown
	ShowsLimits     Ability = "what a task is given can be read where it is in force" // InForce
	CountsQuestions Ability = "what the tool is asked can be counted"                 // Asked
	HasOutages      Ability = "the tool can be away for a while"                      // Outage
	TellsExitCodes  Ability = "with which exit code a task ended is told"             // no field: it is had where Lacks does not say otherwise
)

// LauncherBench is what a Launcher is tested with. The suite gives tasks names that no other has.
type LauncherBench struct {
	Launcher port.Launcher
	// Task is what the suite's tasks have besides what it sets itself: an image, where the
	// tool wants one.
	Task port.Task
	// Well is a command that ends well at once, Badly one that ends with exit code 7, Forever
	// one that never ends by itself.
	Well, Badly, Forever []string

	// Lacks has, for what the bench does not give, the reason; its laws are skipped by that reason.
	Lacks map[Ability]string

	Hog     []string          // takes memory without end; it is given 32Mi
	NoImage string            // an image, by digest, that cannot be had
	Never   schemas.Resources // more than there will ever be
	// Busy has the next task wait, until what it returns is called.
	Busy func(t *testing.T) (free func())
	// Kill ends a task behind the launcher's back, and leaves what the tool knows of it.
	Kill func(t *testing.T, id port.TaskID)
	// Stranger makes something called name that is not Vishwa's. The test's end takes it away.
	Stranger func(t *testing.T, name string)
	// Alive counts the processes of the task of that id, whatever the tool says of it.
	Alive func(t *testing.T, id port.TaskID) int
	// Ticket is the ticket as the running task finds it.
	Ticket func(t *testing.T, id port.TaskID) ([]byte, fs.FileMode)
	// Shown is all that the tool shows of a task, to whoever may look but not read its files
	// or secrets: its specification, environment and command line.
	Shown func(t *testing.T, id port.TaskID) string
	// InForce is what holds for the running task: bytes of memory, and cores.
	InForce func(t *testing.T, id port.TaskID) (memory int64, cores float64)
	// Asked counts the requests that the tool has had.
	Asked func() int
	// Outage has the tool answer nobody until what it returns is called.
	Outage func(t *testing.T) (end func())
}

// Launcher insists on port.Launcher's promises. open gives a bench; several may be of one tool.
func Launcher(t *testing.T, open func(t *testing.T) LauncherBench) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, LauncherBench){
		"LaunchingTwiceIsOnce":         launchTwice,
		"LaunchedTogetherIsOneTask":    launchTogether,
		"ANamesakeIsLeftAlone":         launchNamesake,
		"AStrangerIsLeftAlone":         launchStranger,
		"UnknownIsMissing":             launchUnknown,
		"TheUIDTellsNamesakesApart":    launchAnew,
		"AnotherToolIsAConflict":       launchElsewhere,
		"RemovingTwiceIsOnce":          launchRemove,
		"AwaitBringsNews":              launchAwait,
		"AwaitEndsWithItsCaller":       launchCancelled,
		"AwaitDoesNotKeepAsking":       launchAsked,
		"EndedWell":                    launchWell,
		"EndedBadly":                   launchBadly,
		"OutOfMemoryIsTold":            launchHog,
		"AnImageThatCannotBeHadIsTold": launchNoImage,
		"WhatNothingHasRoomForIsTold":  launchNever,
		"KilledBySomebodyIsTold":       launchKilled,
		"TheDeadlineEndsIt":            launchDeadline,
		"WhatWaitsSaysWhy":             launchBusy,
		"TheTicketIsSecret":            launchTicket,
		"TheTicketIsAFileOfItsOwn":     launchTicketFile,
		"ResourcesAreInForce":          launchLimits,
		"AnOutagePasses":               launchOutage,
		"WhatIsNoTaskIsNeverBegun":     launchInvalid,
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			b.insist(t)
			law(t, b)
		})
	}
}

// insist fails where the bench neither gives an ability nor says why it lacks it.
func (b LauncherBench) insist(t *testing.T) {
	t.Helper()
	for ability, given := range map[Ability]bool{
		EndsForMemory: b.Hog != nil, HasImages: b.NoImage != "", KnowsItsRoom: b.Never != schemas.Resources{},
		CanWait: b.Busy != nil, IsKilled: b.Kill != nil, HasStrangers: b.Stranger != nil, ShowsProcesses: b.Alive != nil,
		HasTicketFile: b.Ticket != nil, ShowsTasks: b.Shown != nil, ShowsLimits: b.InForce != nil,
		CountsQuestions: b.Asked != nil, HasOutages: b.Outage != nil, TellsExitCodes: b.Lacks[TellsExitCodes] == "",
	} {
		if why := b.Lacks[ability]; given == (why != "") {
			t.Fatalf("the bench must either give %q or say in Lacks why not: given %t, Lacks %q", ability, given, why)
		}
	}
}

// needs skips a law for what the bench says that it lacks.
func (b LauncherBench) needs(t *testing.T, ability Ability) {
	t.Helper()
	if why := b.Lacks[ability]; why != "" {
		t.Skipf("not that %s: %s", ability, why)
	}
}

// task is one that no other test has, and is gone at the test's end.
func (b LauncherBench) task(t *testing.T, command []string) port.Task {
	t.Helper()
	raw := make([]byte, 8)
	_, _ = rand.Read(raw)
	id := hex.EncodeToString(raw)
	task := b.Task
	task.Name, task.Command = "vishwa-suite-"+id, command
	task.Owner, task.Launch = "suite", "l"+id
	task.Job = digest.Of(raw)
	task.Ref = schemas.Ref{Kind: schemas.KindsThat(func(t schemas.Traits) bool { return t.Runs })[0], Name: "suite"}
	task.Ticket = []byte("ticket " + id)
	if task.Deadline == 0 {
		task.Deadline = time.Hour
	}
	return task
}

func (b LauncherBench) launch(t *testing.T, task port.Task) port.TaskID {
	t.Helper()
	id, err := b.Launcher.Launch(t.Context(), task)
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	b.gone(t, id)
	if id.Name == "" || id.UID == "" {
		t.Fatalf("a task is named %+v, without a name or an uid of the tool's", id)
	}
	return id
}

// gone takes the task away at the test's end.
func (b LauncherBench) gone(t *testing.T, id port.TaskID) {
	t.Cleanup(func() {
		if err := b.Launcher.Remove(context.WithoutCancel(t.Context()), id); err != nil {
			t.Errorf("remove at the end: %v", err)
		}
	})
}

// until awaits what want wants; no longer than three minutes.
func (b LauncherBench) until(t *testing.T, id port.TaskID, want func(port.TaskStatus) bool) port.TaskStatus {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	status, err := b.Launcher.Observe(ctx, id)
	for err == nil && !want(status) {
		status, err = b.Launcher.Await(ctx, id, status)
	}
	if err != nil {
		t.Fatalf("await: %v; last seen %+v", err, status)
	}
	return status
}

func taskEnded(s port.TaskStatus) bool   { return s.Phase == port.TaskEnded }
func taskRunning(s port.TaskStatus) bool { return s.Phase == port.TaskRunning }

// end launches a task and tells how it ended, be it that its tool never takes it.
func (b LauncherBench) end(t *testing.T, task port.Task) port.TaskStatus {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	id, err := b.Launcher.Launch(ctx, task)
	if unfit := (*port.Unfit)(nil); errors.As(err, &unfit) {
		if fault.Of(err) != fault.Invalid {
			t.Errorf("what is never taken is %s, want Invalid: %v", fault.Of(err), err)
		}
		return port.TaskStatus{Phase: port.TaskEnded, Cause: unfit.Cause, Reason: err.Error()}
	}
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	b.gone(t, id)
	return b.until(t, id, taskEnded)
}
