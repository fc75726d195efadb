// Running the program so that a cancelled caller gets an answer soon and no
// process stays behind: interrupt, wait for the state to be saved, then kill all
// that the run began.

package provisioner

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// mark is the variable by which the processes of one run are known, wherever in
// the process tree they have gone: a local-exec command outlives an interrupted
// terraform, and a command in a session of its own has left the process group.
const mark = "VISHWA_STACK_RUN"

var runs atomic.Int64

// newMark names one run on this machine.
func newMark(now time.Time) string {
	return fmt.Sprintf("%d-%d-%d", os.Getpid(), now.UnixNano(), runs.Add(1))
}

// run calls do, which runs the program, until it ends or ctx does.
func (w *work) run(ctx context.Context, do func(context.Context) error) error {
	if ctx.Err() != nil {
		return w.cancelled(ctx)
	}
	inner, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()
	ended := make(chan error, 1)
	fault.Go(func() {
		// The kernel kills the program when the thread that began it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		ended <- do(inner)
	}, func(err error) { ended <- err })
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	interrupt()
	patience := time.NewTimer(w.grace)
	defer patience.Stop()
	select {
	case <-ended:
		killMarked(w.mark)
	case <-patience.C:
		w.log.Warn("stack did not stop in time and is killed", "stack", w.stack.Name, "after", w.grace)
		killMarked(w.mark)
		<-ended
	}
	return w.cancelled(ctx)
}

func (w *work) cancelled(ctx context.Context) error {
	return fault.WithHint(fault.New(fault.Cancelled, "stack %s was cancelled: %w", w.stack.Name, context.Cause(ctx)),
		"plan again: what was done before the cancellation is in the state")
}
