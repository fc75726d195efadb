// What the kernel does for the tests: the process moves into a network of its own, and nodes have processes and mounts of their own.

package enginetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

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

// first is what a node's first process does: it mounts a /proc of its own, and empty folders where engines keep things whatever
// they are told; then it buries those whose parents have ended.
func first() {
	for at, kind := range map[string]string{"/proc": "proc", "/run": "tmpfs", "/var/lib": "tmpfs", "/var/log": "tmpfs"} {
		if err := unix.Mount(kind, at, kind, 0, ""); err != nil {
			fmt.Fprintf(os.Stderr, "enginetest: mount %s: %v\n", at, err)
			os.Exit(1)
		}
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD)
	signal.Ignore(os.Interrupt)
	fmt.Println("ready")
	for range signals {
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}

// begin starts the first process and takes this thread into its namespaces.
func (n *node) begin() error {
	n.first = exec.Command("/proc/self/exe")
	n.first.Env = append(os.Environ(), firstEnv+"=1")
	n.first.Stderr = os.Stderr
	n.first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	ready, err := n.first.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.first.Start(); err != nil {
		return err
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("the first process of a node did not begin: %w", err)
	}
	of := fmt.Sprintf("/proc/%d/ns/", n.first.Process.Pid)
	processes, err := os.Open(of + "pid")
	if err != nil {
		return err
	}
	defer processes.Close()
	mounts, err := os.Open(of + "mnt")
	if err != nil {
		return err
	}
	defer mounts.Close()
	// A thread that shares its working folder with others may not change its mounts.
	return errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(processes.Fd()), unix.CLONE_NEWPID), unix.Setns(int(mounts.Fd()), unix.CLONE_NEWNS))
}
