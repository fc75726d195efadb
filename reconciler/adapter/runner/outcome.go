// How a run ended, in words: one cause, what happened, and what to do.

package runner

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

func (e *ending) read(end wall.End, command string) {
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
		r.Cause, r.Message = port.Lost, "its end could not be observed: "+e.why
	case e.how == port.TimedOut:
		r.Cause = port.TimedOut
		r.Message = fmt.Sprintf("it took longer than its time-out of %s and was ended: raise spec.timeout, or make it faster", e.timeout)
	case e.over != "":
		r.Cause = port.OverLimit
		r.Message = "it was ended, as " + e.over + ": let it use less, or raise the limit in the controller's file (spec.isolation.limits)"
	case e.signal == syscall.SIGKILL && e.oom != "":
		r.Cause = port.OutOfMemory
		r.Message = fmt.Sprintf("the kernel killed it (SIGKILL) for want of memory, as the count of %s says: give it more memory, or let it use less", e.oom)
	case e.signal == syscall.SIGKILL:
		r.Cause = port.Signal
		r.Message = "it was killed by SIGKILL, which Vishwa did not send, and no out-of-memory kill was counted: see who ended it, as the system's log may tell"
	case e.signal != 0:
		r.Cause = port.Signal
		r.Message = fmt.Sprintf("it was killed by %s (%s): read the end of its log, and look at native libraries first", unix.SignalName(e.signal), e.signal)
	case e.command != "":
		r.Cause = port.Exit
		r.Message = fmt.Sprintf("its command %q could not be begun: %s: correct spec.run or spec.env", e.command, e.why)
	case e.code != 0:
		r.Cause, r.Message = port.Exit, failed(e, tail)
	}
	return r
}

// failed explains an exit code as far as that is honest: a Python MemoryError is
// an exit like any other, and a shell reports its child's signal as 128 and more.
func failed(e ending, tail string) string {
	msg := fmt.Sprintf("it ended with exit code %d", e.code)
	switch last := lastLine(tail); {
	case strings.HasPrefix(last, "MemoryError") || strings.HasPrefix(last, "numpy.") && strings.Contains(last, "MemoryError"):
		return msg + ", on a MemoryError of its own: give it more memory, or let it use less"
	case e.code == 128+int(syscall.SIGKILL) && e.oom != "":
		return msg + ", as shells report a SIGKILL, while an out-of-memory kill was counted on " + e.oom + ": give it more memory, or let it use less"
	case e.code > 128 && unix.SignalName(syscall.Signal(e.code-128)) != "":
		return msg + ", as shells report " + unix.SignalName(syscall.Signal(e.code-128)) + ": read the end of its log"
	case strings.HasPrefix(last, "ModuleNotFoundError"):
		return msg + ", on a module that is not there: add it to the lock file, or its file to spec.code"
	case strings.HasPrefix(last, "FileNotFoundError"):
		return msg + ", on a file that is not there: a run sees only what spec.code and spec.inputs declare"
	default:
		return msg + ": read the end of its log and correct it"
	}
}

func stopped(r port.Result) port.Result {
	r.Cause, r.ExitCode = port.Stopped, -1
	r.Message = "it was stopped on request: the next pass begins it anew"
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

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
