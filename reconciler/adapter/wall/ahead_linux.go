// A supervisor begins its inner side as the very first thing: it is set up while the
// supervisor still is, and while a run's folder is laid out. A run waits that much less.
package wall

import (
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
)

// AheadVariable tells a process that it will begin one command behind the first rung: all
// where the command is to have the machine's network, own where it has its own.
const AheadVariable = "VISHWA_SANDBOX_AHEAD"

// Ahead is the value of AheadVariable for a process that will begin a command under the
// policy; "" is none.
func Ahead(p Policy, network bool) string {
	switch {
	case p.Level != "" && p.Level != Namespaces:
		return ""
	case network:
		return "all"
	default:
		return "own"
	}
}

// early is the inner side that waits, or nil.
var early atomic.Pointer[Inside]

// beginAhead begins it where this process was told to. Where that fails, it is begun when
// it is needed, and fails with a reason then.
func beginAhead() {
	network := os.Getenv(AheadVariable)
	if network != "all" && network != "own" {
		return
	}
	in, theirs, err := newInside()
	if err != nil {
		return
	}
	defer theirs.Close()
	outer := asInnerSide(theirs)
	namespaces(outer.SysProcAttr, network == "all")
	if outer.Start() != nil { // its end is that of this thread, the first one, which lives as long as the process
		in.close()
		return
	}
	in.cmd, in.ahead = outer, true
	early.Store(in)
}

// takeAhead is the inner side that was begun ahead, where it is the one that is needed.
func takeAhead(cmd *exec.Cmd, s Spec, level Level) *Inside {
	in := early.Swap(nil)
	if in == nil {
		return nil
	}
	_, out := cmd.Stdout.(*os.File)
	_, errs := cmd.Stderr.(*os.File)
	fits := slices.Contains([]string{"all", "own"}, os.Getenv(AheadVariable)) && (os.Getenv(AheadVariable) == "all") == s.Network.All
	if level == Namespaces && out && errs && fits && len(cmd.ExtraFiles) == 0 {
		return in
	}
	_ = in.cmd.Process.Kill()
	_ = in.cmd.Wait()
	in.close()
	return nil
}
