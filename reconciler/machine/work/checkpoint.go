// Where a run keeps how far it has come.

package work

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CheckpointDir is the name of that folder, in the run's own.
const CheckpointDir = "checkpoint"

// checkpoints makes it, out of what an earlier attempt kept where there is that, and names it to the command.
func (w *worker) checkpoints() error {
	at := filepath.Join(w.layout.Dir(), CheckpointDir)
	w.layout.Set("VISHWA_CHECKPOINT_DIR", at)
	var err error
	if w.Checkpoint == "" {
		err = os.Mkdir(at, 0o700)
		if w.Anew {
			fmt.Fprintln(w.log, "vishwa: VISHWA_CHECKPOINT_DIR is empty: the attempt that continued from the kept checkpoint failed, so that checkpoint may be damaged")
		}
	} else {
		err = errors.Join(os.Rename(w.Checkpoint, at), os.Chmod(at, 0o700))
		fmt.Fprintln(w.log, "vishwa: it finds what an earlier attempt kept, at VISHWA_CHECKPOINT_DIR")
	}
	if err != nil {
		return fmt.Errorf("lay out the folder of checkpoints: %w", err)
	}
	return nil
}
