// Cancelled runs and runs that get in each other's way.

package provisioner

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestCancelLeavesNoProcessAndTellsWhatWasDone(t *testing.T) {
	real(t)
	dir := t.TempDir()
	p := Terraform(at(dir, world(nil)))
	pids := filepath.Join(t.TempDir(), "pids")
	// One child in terraform's process group, one in a session of its own, and one that ignores the interrupt.
	s := stack("a", declared+`
resource "terraform_data" "first" { input = var.size }
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "trap '' INT TERM; (setsid sh -c 'echo $$ >>`+pids+`; sleep 300' &); sleep 300 & echo $! >>`+pids+`; echo $$ >>`+pids+`; wait"
  }
}`)
	c := mustDiff(t, p, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if raw, _ := os.ReadFile(pids); strings.Count(string(raw), "\n") == 3 {
				break
			}
		}
		cancel()
	}()
	out, err := p.Apply(ctx, s, c)
	if fault.Of(err) != fault.Cancelled || !out.Partial || out.State == "" {
		t.Errorf("got %v, %+v", err, out)
	}
	if !strings.HasPrefix(show(out.Done), "create terraform_data.first") {
		t.Errorf("done: %s", show(out.Done))
	}
	raw, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(raw)) {
		gone := false
		for deadline := time.Now().Add(3 * time.Second); !gone && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			stat, err := exec.Command("ps", "-o", "stat=", "-p", pid).Output()
			gone = err != nil || strings.HasPrefix(string(stat), "Z")
		}
		if !gone {
			t.Errorf("process %s is still running", pid)
		}
	}
	if c := mustDiff(t, p, s); show(c.Actions) != "replace terraform_data.second" {
		t.Errorf("left to do: %s", show(c.Actions))
	}
}

func TestAStateThatAnotherHoldsIsTransient(t *testing.T) {
	program := real(t)
	dir := t.TempDir()
	cfg := at(dir, world(nil))
	cfg.LockTimeout = 100 * time.Millisecond
	p := Terraform(cfg)
	s := stack("a", slow)
	mustDiff(t, p, s)
	// Somebody applies by hand, in the stack's own directory.
	hand := exec.Command(program, "apply", "-auto-approve", "-input=false", "-var=size=1", "-var=secret="+secret)
	hand.Dir = filepath.Join(dir, "a", "module")
	hand.Env = []string{"PATH=" + os.Getenv("PATH"), mark + "=by-hand"}
	if err := hand.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { killMarked("by-hand"); hand.Wait() }()
	info := filepath.Join(dir, "a", ".terraform.tfstate.lock.info")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(info); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the state was not locked")
		}
	}
	_, err := p.Diff(t.Context(), s)
	if fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "held by ") || !strings.Contains(err.Error(), "@") {
		t.Errorf("got %v (%v)", err, fault.Of(err))
	}
}

func TestCallsForOneStackTakeTurns(t *testing.T) {
	real(t)
	dir := t.TempDir()
	cfg := at(dir, world(nil))
	cfg.LockTimeout = time.Minute
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s := stack("a", good+strings.Repeat("\n", i)) // other bytes, the same meaning
			if _, err := Terraform(cfg).Diff(t.Context(), s); err != nil {
				t.Errorf("diff: %v", err)
			}
		})
	}
	wg.Wait()

	holder, err := Terraform(cfg).open(t.Context(), stack("a", good))
	if err != nil {
		t.Fatal(err)
	}
	defer holder.close()
	cfg.LockTimeout = 50 * time.Millisecond
	if _, err := Terraform(cfg).Diff(t.Context(), stack("a", good)); fault.Of(err) != fault.Transient {
		t.Errorf("while another call goes on: %v", err)
	}
}
