// Laws of a plan's own folder.

package provisioner

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// TestAPlanThatWaitsForItsFolderIsCancelled: what ended the command is told, and no fault of the disk.
func TestAPlanThatWaitsForItsFolderIsCancelled(t *testing.T) {
	stack := filepath.Join(t.TempDir(), "net")
	held, err := sandbox.Lock(t.Context(), filepath.Join(stack, "turn"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := new(proposal).makeFolder(ctx, stack); fault.Of(err) != fault.Cancelled {
		t.Errorf("%v is %v", err, fault.Of(err))
	}
}
