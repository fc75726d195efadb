// What a run keeps of how far it has come, for the attempt after it under the same key.

package runner

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// resumable tells whether the attempt of now may go on from what the one before it kept. That was of the same
// code and data, as the key says, and has to be of as strict a run: what nobody has reviewed leaves nothing to
// a run that somebody has. An attempt that went on, and failed by itself, may have done so for what it went on from.
func resumable(before attempt.Attempt, now attempt.Order) bool {
	was, err := before.Order()
	if err != nil || was.Job.Isolation != now.Job.Isolation || was.Wall.Strict != now.Wall.Strict || was.Wall.Reviewed != now.Wall.Reviewed {
		return false
	}
	if r, err := before.Result(); err == nil && was.Resumes && !endedFromOutside(r.Cause) {
		return false
	}
	info, err := os.Lstat(kept(before))
	return err == nil && info.IsDir()
}

func endedFromOutside(c port.Cause) bool {
	switch c {
	case port.Lost, port.Stopped, port.TimedOut, port.Signal, port.OutOfMemory, port.OverLimit:
		return true
	}
	return false
}

func kept(a attempt.Attempt) string { return filepath.Join(a.Work(), work.CheckpointDir) }

// handOver moves what an attempt kept to the one after it.
func handOver(from, to attempt.Attempt) error {
	if err := os.Rename(kept(from), to.File(work.CheckpointDir)); err != nil {
		return fmt.Errorf("hand over what an earlier attempt kept: %w", err)
	}
	return nil
}
