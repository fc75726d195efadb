// What only reads ends at once.

package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// stuck is a tree that nobody can be got out of.
type stuck struct{ fs.FS }

func (s stuck) Open(name string) (fs.File, error) {
	if name == "." {
		return s.FS.Open(name)
	}
	select {}
}

// TestReadingIsNotWaitedFor: whatever reading is at, a command ends when it is told to.
func TestReadingIsNotWaitedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := readFrom(ctx, stuck{fstest.MapFS{"vishwa.yaml": {}}})
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if fault.Of(err) != fault.Cancelled {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestValidateEndsOnATerm: at once (a busy machine aside), by the exit code of what is interrupted.
func TestValidateEndsOnATerm(t *testing.T) {
	dir := t.TempDir()
	// A pipe that nobody writes to takes the place of the trust file: reading goes on and on.
	declared := "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"
	if err := os.WriteFile(filepath.Join(dir, "vishwa.yaml"), []byte(declared), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "trust.yaml"), 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		cmd := exec.Command(os.Args[0], "validate", "-C", dir)
		cmd.Args[0] = "vishwa" // which is what this program is by that name
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		pipe, err := os.OpenFile(filepath.Join(dir, "trust.yaml"), os.O_WRONLY, 0) // once it is read
		if err != nil {
			t.Fatal(err)
		}
		defer pipe.Close()
		begin := time.Now()
		_ = cmd.Process.Signal(sig)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			t.Fatalf("%v does not end it", sig)
		}
		if took, code := time.Since(begin), cmd.ProcessState.ExitCode(); took > 5*time.Second || code != exitInterrupted || !strings.Contains(said.String(), "interrupted") {
			t.Errorf("%v ended it after %s with %d: %s", sig, took, code, &said)
		}
	}
}
