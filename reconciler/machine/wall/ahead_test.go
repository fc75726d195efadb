//go:build linux

// An inner side that is gone when it is needed.

package wall

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAnInnerSideThatIsGoneSaysNothingOfTheMachine: else its command would be begun
// behind a weaker wall, or none.
func TestAnInnerSideThatIsGoneSaysNothingOfTheMachine(t *testing.T) {
	runtime.LockOSThread()
	in, theirs, err := newInside()
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	in.cmd, in.ahead = exec.Command("/bin/true"), true
	if err := in.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	early.Store(in)
	out, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	work := t.TempDir()
	_, err = Start(&exec.Cmd{Path: "/bin/true", Args: []string{"true"}, Dir: work, Env: []string{"PATH=/bin"}, Stdout: out, Stderr: out}, Spec{Write: []string{work}})
	if err == nil || errors.Is(err, ErrUnavailable) || fault.Of(err) != fault.Internal || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}
