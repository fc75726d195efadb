// A supervisor begins its inner side as the very first thing: it is set up while the
// supervisor still is, and while a run's folder is laid out. A run waits that much less.

package wall

import (
	"encoding/json"
	"os"
	"os/exec"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// AheadVariable tells a process that it will begin one command behind the first rung.
const AheadVariable = "VISHWA_SANDBOX_AHEAD"

// coming is what is known of that command.
type coming struct {
	All    bool   `json:"all"` // it is to have the machine's network
	Limits Limits `json:"limits"`
}

// Ahead is the value of AheadVariable for a process that will begin a command under the
// policy; "" is none.
func Ahead(p Policy, network bool) string {
	if p.Level != "" && p.Level != Namespaces {
		return ""
	}
	raw, err := json.Marshal(coming{All: network, Limits: p.Filled(machineMemory()).Limits})
	if err != nil {
		return ""
	}
	return string(raw)
}

// early is the inner side that waits, or nil.
var early atomic.Pointer[Inside]

// beginAhead begins it where this process was told to. Where that fails, it is begun when
// it is needed, and fails with a reason then.
func beginAhead() {
	var c coming
	if text, ok := os.LookupEnv(AheadVariable); !ok || json.Unmarshal([]byte(text), &c) != nil {
		return
	}
	in, theirs, err := newInside()
	if err != nil {
		return
	}
	defer theirs.Close()
	outer := asInnerSide(theirs)
	namespaces(outer.SysProcAttr, c.All)
	if outer.Start() != nil { // its end is that of this thread, the first one, which lives as long as the process
		in.close()
		return
	}
	in.cmd, in.ahead, in.coming, in.groups = outer, true, c, make(chan *groups, 1)
	// The kernel takes some 10 ms to move a process into a control group.
	fault.Go(func() { in.groups <- newGroups(c.Limits, outer.Process.Pid) }, func(error) { in.groups <- nil }) // as where there are none
	early.Store(in)
}

// DropAhead ends an inner side that was begun ahead and that nothing needed.
func DropAhead() {
	if in := early.Swap(nil); in != nil {
		in.drop()
	}
}

func (in *Inside) drop() {
	_ = in.cmd.Process.Kill()
	_ = in.cmd.Wait()
	if in.groups != nil {
		(<-in.groups).remove()
	}
	in.close()
}

// takeAhead is the inner side that was begun ahead, where it is the one that is needed.
func takeAhead(cmd *exec.Cmd, s Spec, level Level) *Inside {
	in := early.Swap(nil)
	if in == nil {
		return nil
	}
	_, out := cmd.Stdout.(*os.File)
	_, errs := cmd.Stderr.(*os.File)
	if level == Namespaces && out && errs && in.coming == (coming{All: s.Network.All, Limits: s.Limits}) && len(cmd.ExtraFiles) == 0 {
		return in
	}
	in.drop()
	return nil
}
