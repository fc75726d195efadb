//go:build linux

// Package walltest is what tests of the wall have in common: being a user without rights,
// and finding what was left behind.
package walltest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// unprivileged is the user that tests are run as besides root.
const unprivileged = 61001

// AsUser runs the calling test once more as a user without rights, where this is root.
func AsUser(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "vishwa-") // not of t: its folders are root's alone
	must(err)
	defer os.RemoveAll(dir)
	must(os.Chmod(dir, 0o755))
	program, own := filepath.Join(dir, "test"), filepath.Join(dir, "own")
	must(copyProgram(program))
	must(os.Mkdir(own, 0o700))
	must(os.Chown(own, unprivileged, unprivileged))
	cmd := exec.Command(program, "-test.run", "^"+t.Name()+"$", "-test.timeout", "10m")
	if testing.Verbose() {
		cmd.Args = append(cmd.Args, "-test.v")
	}
	cmd.Dir, cmd.Env = own, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=" + own, "HOME=" + own, "VISHWA_REAL=" + os.Getenv("VISHWA_REAL")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as user %d: %v\n%s", unprivileged, err, out)
	}
}

// copyProgram copies this program to where everybody may begin it.
func copyProgram(to string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, self)
	return err
}

// Marked lists living processes that have mark among their arguments.
func Marked(mark string) (found []int) {
	all, _ := filepath.Glob("/proc/[0-9]*") // with a name behind it, Glob would list what is in each
	for _, p := range all {
		raw, err := os.ReadFile(filepath.Join(p, "cmdline"))
		pid, _ := strconv.Atoi(filepath.Base(p))
		if err == nil && pid != os.Getpid() && slices.Contains(strings.Split(string(raw), "\x00"), mark) {
			found = append(found, pid)
		}
	}
	return found
}
