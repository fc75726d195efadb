// How a run ended, in words: one cause, what happened, and what to do.

package work

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// ending is what is known of a command that has ended.
type ending struct {
	how     port.Cause // TimedOut, Stopped or Lost where that ended it
	why     string     // where it could not be begun, or how was lost
	command string     // where it could not be begun
	code    int
	signal  syscall.Signal
	over    string // the limit that it was ended for
	oom     string // whose count of out-of-memory kills went up meanwhile
	timeout time.Duration
}

func (e *ending) fillOutcome(end wall.End, command string) {
	e.code, e.signal, e.over = end.Code, end.Signal, end.Over
	if end.NoExec != "" {
		e.why, e.command = end.NoExec, command
	}
}

// verdict is the result that an ending means; its zero Cause says that the
// command ended well. The tail is the end of the log.
func verdict(e ending, tail string) port.Result {
	r := port.Result{ExitCode: e.code}
	switch {
	case e.how == port.Lost:
		r.Cause, r.Message = port.Lost, "How it ended is not known: "+e.why
	case e.how == port.TimedOut:
		r.Cause = port.TimedOut
		r.Message = fmt.Sprintf("Ended after its time-out of %s. Raise spec.timeout, or make it faster.", e.timeout)
	case e.over != "":
		r.Cause = port.OverLimit
		r.Message = "Ended, because " + e.over + ". Let it use less, or raise the limit in the controller's file (spec.isolation.limits)."
	case e.signal == syscall.SIGKILL && e.oom != "":
		r.Cause = port.OutOfMemory
		r.Message = fmt.Sprintf("The kernel killed it (SIGKILL), because memory ran out (by the count of %s). Give it more memory, or let it use less.", e.oom)
	case e.signal == syscall.SIGKILL:
		r.Cause = port.Signal
		r.Message = killed + " Vishwa did not send it, and the kernel counted no out-of-memory kill. The system's log may say who ended it."
	case e.signal != 0:
		r.Cause = port.Signal
		r.Message = fmt.Sprintf("Killed by %s (%s). Read the end of its log, and check native libraries first.", unix.SignalName(e.signal), e.signal)
	case e.command != "":
		r.Cause = port.Exit
		r.Message = fmt.Sprintf("Its command %q did not start: %s. Correct spec.run or spec.env.", e.command, e.why)
	case e.code != 0:
		r.Cause, r.Message = port.Exit, failed(e, tail)
	}
	return r
}

const killed = "Killed by SIGKILL."

// Killed tells of a result whether somebody or something ended the command by SIGKILL, which no program does to itself.
func Killed(r port.Result) bool {
	return r.Cause == port.Signal && strings.HasPrefix(r.Message, killed)
}

// failed explains an exit code as far as that is honest: a Python MemoryError is
// an exit like any other, and a shell reports its child's signal as 128 and more.
func failed(e ending, tail string) string {
	msg := fmt.Sprintf("Exit code %d", e.code)
	switch last := LastLine(tail); {
	case strings.HasPrefix(last, "MemoryError") || strings.HasPrefix(last, "numpy.") && strings.Contains(last, "MemoryError"):
		return msg + " after a MemoryError. Give it more memory, or let it use less."
	case e.code == 128+int(syscall.SIGKILL) && e.oom != "":
		return msg + ": a shell's sign of SIGKILL, and the kernel counted an out-of-memory kill on " + e.oom + ". Give it more memory, or let it use less."
	case e.code > 128 && unix.SignalName(syscall.Signal(e.code-128)) != "":
		return msg + ": a shell's sign of " + unix.SignalName(syscall.Signal(e.code-128)) + "."
	case strings.HasPrefix(last, "ModuleNotFoundError"):
		return msg + ": a Python module is missing. Add it to the lock file, or its file to spec.code."
	case strings.HasPrefix(last, "FileNotFoundError"), strings.HasSuffix(last, "No such file or directory"), strings.HasSuffix(last, ": No such file"):
		return msg + ": a file is missing. A run sees only what spec.code and spec.inputs declare."
	default:
		return msg + "."
	}
}

// Stopped is r of a run that was stopped by whoever began it.
func Stopped(r port.Result) port.Result {
	r.Cause, r.ExitCode = port.Stopped, -1
	r.Message = "Stopped on request. The next pass starts it again."
	return r
}

// explain is an error and its way out in one line for a message.
func explain(err error) string {
	s := err.Error()
	if way := fault.HintOf(err); way != "" {
		s += ": " + way
	}
	return s
}

// LastLine is the last line of s that says something.
func LastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
