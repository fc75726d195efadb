package holder

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "hold" { // LOCK
		if _, err := (Wait{}).Lock(context.Background(), os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holds begins a process that holds the lock at path, as others do that this program begins, and waits until it does.
func holds(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "hold", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for held := false; !held; time.Sleep(10 * time.Millisecond) {
		raw, _ := os.ReadFile(path)
		held = strings.HasPrefix(string(raw), fmt.Sprintf("%d ", cmd.Process.Pid))
	}
	return cmd
}

// TestWhoWaitsHearsWhoHoldsTheLock: after a few seconds, once; and where its holder is stopped, the wait comes to an end.
func TestWhoWaitsHearsWhoHoldsTheLock(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for half a minute")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "name.lock")
	cmd := holds(t, path)
	pid := cmd.Process.Pid
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var said []string
	began := time.Now()
	f, err := Wait{Tell: func(text string) { said = append(said, text) }}.Lock(t.Context(), path)
	if err == nil {
		f.Close()
	}
	want := fmt.Sprintf("process %d has held it since ", pid)
	if took := time.Since(began); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), ", and is stopped") ||
		!strings.Contains(fault.HintOf(err), fmt.Sprintf("kill -CONT %d;", pid)) || took > time.Minute {
		t.Errorf("after %s: %v (%s)", took, err, fault.HintOf(err))
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], "Waiting for lock name.lock: "+want) {
		t.Errorf("it said %q", said)
	}
}

// TestALockIsWaitedForAsLongAsItsHolderGoesOn: one that is not known up to the bound; and whoever has it next is who is told of.
func TestALockIsWaitedForAsLongAsItsHolderGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "name.lock")
	cmd := holds(t, path)
	within, over := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer over()
	if _, err := (Wait{Most: time.Second}).Lock(within, path); fault.Of(err) != fault.Cancelled { // it is known, and may take a day
		t.Errorf("of one that goes on: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := (Wait{}).Lock(ctx, path); fault.Of(err) != fault.Cancelled {
		t.Errorf("given up: %v", err)
	}
	go func() {
		time.Sleep(200 * time.Millisecond)
		_ = cmd.Process.Kill()
	}()
	f, err := Wait{Most: time.Minute}.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if raw, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(raw), fmt.Sprintf("%d ", os.Getpid())) {
		t.Errorf("%q %v", raw, err)
	}
	// Somebody whose number it is by now, and who does not hold it, is not told of.
	if err := os.WriteFile(path, []byte(fmt.Sprintf("%d 2026-01-01T00:00:00Z\n", os.Getppid())), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Wait{Most: time.Second}).Lock(t.Context(), path); err == nil || !strings.Contains(err.Error(), "another process holds it") || !strings.Contains(fault.HintOf(err), path) {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

// A process that conceals itself, as all do that sign, shows its open files to root alone; the locks of all are told to everybody.
func TestAConcealedHolderIsFoundByItsLock(t *testing.T) {
	f, err := Wait{}.Lock(t.Context(), filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if !locks(os.Getpid(), st) {
		t.Error("the holder is not found")
	}
	if locks(1, st) {
		t.Error("another process is taken for the holder")
	}
	f.Close()
	if locks(os.Getpid(), st) {
		t.Error("it holds the lock still")
	}
}
