//go:build linux

// What is refused never runs, and what is ended is ended whole.

package wall_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// shell is a command of a shell's in the room.
func (r room) shell(script string) *exec.Cmd {
	return &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Dir: r.work, Env: []string{"PATH=/usr/bin:/bin"}}
}

// TestACommandWhoseWallLacksAGuaranteeIsNeverBegun: a moment would do to signal every
// process of the user. On the second rung, hosts cannot be kept.
func TestACommandWhoseWallLacksAGuaranteeIsNeverBegun(t *testing.T) {
	r := newRoom(t)
	for range 5 {
		in, err := startHere(r.shell("echo > ran; sleep 20"), wall.Spec{
			Level: wall.Landlock, Strict: true, Write: []string{r.work}, Tmp: r.tmp, Network: wall.Network{Hosts: []string{"example.com:443"}},
		})
		if err == nil {
			_ = in.Close()
		}
		if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "network") || fault.HintOf(err) == "" {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.work, "ran")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was refused, and ran: %v", err)
	}
}

// TestWhatGoesOverALimitIsEndedWhole: where no control group holds it, too.
func TestWhatGoesOverALimitIsEndedWhole(t *testing.T) {
	rungs(t, func(t *testing.T, level wall.Level) {
		r := newRoom(t)
		in, err := startHere(r.shell("sleep 300 & echo $$ $! > pids; head -c 3000000 /dev/zero > big; sleep 300"),
			wall.Spec{Level: level, Write: []string{r.work}, Tmp: r.tmp, Network: wall.Network{All: true}, Limits: wall.Limits{Disk: 1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		if end := in.Wait(); end.Over == "" {
			t.Errorf("it ended by itself: %+v", end)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		raw, err := os.ReadFile(filepath.Join(r.work, "pids"))
		if err != nil {
			t.Fatal(err)
		}
		if level == wall.Namespaces {
			return // the numbers are of its own process table, which has ended with process 1
		}
		for _, f := range strings.Fields(string(raw)) {
			if pid, err := strconv.Atoi(f); err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				t.Errorf("process %s goes on", f)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
}

// TestADialAfterTheEndTouchesNoOtherDescriptor: the socket's number is used again.
func TestADialAfterTheEndTouchesNoOtherDescriptor(t *testing.T) {
	r := newRoom(t)
	in, err := startHere(r.shell("exit 0"), wall.Spec{Level: wall.Namespaces, Write: []string{r.work}, Tmp: r.tmp})
	if err != nil {
		t.Fatal(err)
	}
	in.Wait()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	var pairs [][2]int
	for range 32 { // one of them has the number now
		p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, p)
	}
	if _, err := in.Dial(t.Context(), 1); err == nil {
		t.Error("it was reached")
	}
	for _, p := range pairs {
		for _, fd := range p {
			if n, _ := syscall.Read(fd, make([]byte, 64)); n > 0 {
				t.Error("another connection was written to")
			}
			syscall.Close(fd)
		}
	}
}
