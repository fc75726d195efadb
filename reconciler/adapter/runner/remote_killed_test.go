// A worker is killed at each thing that it writes, before and after it is taken: there is the whole of what it
// made, or nothing of it.

package runner_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func TestAWorkerThatIsKilledWhileItWritesLeavesNoHalf(t *testing.T) {
	for _, taken := range []bool{false, true} {
		kills := 0
		for n := int32(1); ; n++ {
			killed := killedAt(t, n, taken)
			if !killed {
				break
			}
			kills++
		}
		if kills < 4 { // two objects in three parts, the log and the result
			t.Errorf("it was killed at %d writes", kills)
		}
	}
}

// killedAt tells whether the worker was killed: it writes fewer things than n otherwise.
func killedAt(t *testing.T, n int32, taken bool) bool {
	name := fmt.Sprintf("at %d, which is taken: %t", n, taken)
	t.Setenv(partVariable, "4")
	b := newRemoteBench(t)
	b.cfg.Part = 4
	web := newLendingWeb(t, b.cfg.Shelf.(porttest.LendingDir).Bucket, filepath.Join(b.state, "store"), 10*time.Minute)
	b.cfg.Shelf = web
	b.Runner = runner.Remote(b.cfg)
	var writes atomic.Int32
	var killed atomic.Bool
	last := ""
	kill := func(key string) bool {
		if writes.Add(1) != n || killed.Swap(true) {
			return false
		}
		last = key
		b.processes.mu.Lock()
		defer b.processes.mu.Unlock()
		for _, x := range b.processes.all {
			_ = syscall.Kill(x.runs.PID(), syscall.SIGKILL)
		}
		return true
	}
	if taken {
		web.after = func(key string) { kill(key) }
	} else {
		web.before = kill
	}
	one, two := digest.Of([]byte("abcdefgh")), digest.Of([]byte("abc"))
	job := b.job(`echo begins; printf abcdefgh > "$VISHWA_OUTPUT_ONE"; printf abc > "$VISHWA_OUTPUT_TWO"`)
	job.Outputs = map[string]string{"one": "one", "two": "two"}
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	r := porttest.AwaitRun(t, b.Runner, job.Key, porttest.IsDone).Result
	kept := func(d digest.Digest) bool {
		has, err := b.Store.Has(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return has
	}
	if r.Cause != "" {
		if r.Cause != port.Lost || kept(one) || kept(two) {
			t.Errorf("%s, %s: %s: %s; kept of what it made: %t, %t", name, last, r.Cause, r.Message, kept(one), kept(two))
		}
		if _, err := b.Start(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		r = porttest.AwaitRun(t, b.Runner, job.Key, porttest.IsDone).Result
	}
	if r.Cause != "" || r.Outputs["one"].Digest != one || r.Outputs["two"].Digest != two || !kept(one) || !kept(two) {
		t.Errorf("%s, %s: it ends with %s: %s; %v", name, last, r.Cause, r.Message, r.Outputs)
	}
	return killed.Load()
}
