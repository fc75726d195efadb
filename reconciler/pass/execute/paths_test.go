package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAnErrorIsToldWithoutWhereThingsAre: of what the operating system refused its name is left, and all else as it is.
func TestAnErrorIsToldWithoutWhereThingsAre(t *testing.T) {
	at := func(path string) error { return &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES} }
	for want, err := range map[string]error{
		"read infra/main.tf: no":                                     fmt.Errorf("read infra/main.tf: no"),
		"open infra/main.tf: permission denied":                      at("infra/main.tf"),
		"stack db: open db: permission denied":                       fault.WithHint(fault.New(fault.Internal, "stack db: %w", fmt.Errorf("%w", at("/srv/a b/db"))), "x"),
		"open x: permission denied\nopen a: permission denied":       errors.Join(at("/srv/a/x"), at("/srv/a")),
		"rename a b: permission denied":                              &os.LinkError{Op: "rename", Old: "/srv/a", New: "/srv/b", Err: syscall.EACCES},
		"exec: \"tofu\": permission denied":                          &exec.Error{Name: "/opt/tools/tofu", Err: syscall.EACCES},
		"dial unix docker.sock: connect: connection refused":         &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: "/run/user/7/docker.sock", Net: "unix"}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"read unix a.sock->b.sock: broken pipe":                      &net.OpError{Op: "read", Net: "unix", Source: &net.UnixAddr{Name: "/srv/a.sock", Net: "unix"}, Addr: &net.UnixAddr{Name: "/srv/b.sock", Net: "unix"}, Err: syscall.EPIPE},
		"dial tcp 127.0.0.1:1: broken pipe":                          &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: syscall.EPIPE},
		"look at https://example.com/srv: open c: permission denied": fault.New(fault.Internal, "look at https://example.com/srv: %w", at("/srv/x/c")),
	} {
		if got := WithoutPaths(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
