//go:build linux

// What is refused never runs.
package wall_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/wall"
	"github.com/vishwaops/vishwa/reconciler/fault"
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
		if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "network") || fault.Way(err) == "" {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.work, "ran")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was refused, and ran: %v", err)
	}
}
