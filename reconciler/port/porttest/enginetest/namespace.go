// A network of the test's own: the process moves into a namespace before anything else runs in it.

package enginetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// insideEnv tells the process that it is in its namespace already.
const insideEnv = "VISHWA_ENGINETEST_INSIDE"

// enter moves this process into a new network namespace. It begins itself anew there, because the threads
// that a Go program has by now would stay where they are.
func enter() error {
	if os.Getenv(insideEnv) != "" {
		return errors.Join(os.Unsetenv(insideEnv), furnish())
	}
	runtime.LockOSThread() // for good: exec follows, or the process gives up
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), insideEnv+"=1"))
}

// furnish gives the namespace a loopback and an address. A bridge without a port is all that a node's address needs; a route
// through it lets engines believe that there is a world, and leads nowhere.
func furnish() error {
	ip, err := debian("ip", "iproute2")
	if err != nil {
		return err
	}
	cmd := exec.Command(ip, "-batch", "-")
	cmd.Stdin = strings.NewReader(`link set lo up
link add node0 type bridge
addr add ` + Address + `/24 dev node0
link set node0 up
route add default dev node0
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, out)
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}
