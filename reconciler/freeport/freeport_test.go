package freeport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestNoConnectionGetsAPortThatIsPromised: until its program listens, no connection that goes out may take it.
func TestNoConnectionGetsAPortThatIsPromised(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		port, err := Find("127.0.0.1")
		if err != nil || port < First || port >= First+Count || seen[port] {
			t.Fatalf("%d, %v; given before: %v", port, err, seen[port])
		}
		seen[port] = true
	}
	kept, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("not Linux")
	}
	if low, err := strconv.Atoi(strings.Fields(string(kept))[0]); err != nil || low < First+Count {
		t.Skipf("this machine lets connections out from %s", kept)
	}
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	for range 200 {
		c, err := net.Dial("tcp", far.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if near := c.LocalAddr().(*net.TCPAddr).Port; seen[near] {
			t.Errorf("a connection went out from %d", near)
		}
	}
}

func TestTakenIsPassedOverAndAnotherMachineRefused(t *testing.T) {
	before, err := Find("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(before+1))
	if err != nil {
		t.Skip(err)
	}
	defer taken.Close()
	if at, err := Address("127.0.0.1"); err != nil || at == taken.Addr().String() {
		t.Errorf("%s, %v", at, err)
	}
	if _, err := Find("192.0.2.1"); err == nil {
		t.Error("a port of another machine is found")
	}
}

// TestNoTwoProcessesArePromisedOnePort, though neither listens yet.
func TestNoTwoProcessesArePromisedOnePort(t *testing.T) {
	if os.Getenv("FREEPORT_ASKED") != "" {
		for range 120 {
			port, err := Find("127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println("port", port)
		}
		_, _ = io.Copy(io.Discard, os.Stdin) // it lives for as long as others ask
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i := range 8 {
		c := exec.Command(self, "-test.run", "^"+t.Name()+"$")
		c.Env = append(os.Environ(), "FREEPORT_ASKED=1")
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); _ = c.Wait() })
		for lines, n := bufio.NewScanner(out), 0; n < 120 && lines.Scan(); {
			port, is := strings.CutPrefix(lines.Text(), "port ")
			if !is {
				t.Fatal(lines.Text())
			}
			if by, twice := seen[port]; twice {
				t.Errorf("%s is promised by %d and by %d", port, by, i)
			}
			seen[port], n = i, n+1
		}
	}
	if len(seen) != 8*120 {
		t.Errorf("%d ports", len(seen))
	}
}

// TestThatAllIsTakenIsSaidWithItsReason: of the blocks of ports, too.
func TestThatAllIsTakenIsSaidWithItsReason(t *testing.T) {
	was, next := listen, ours.next
	ours.next = ours.end // the next one begins a block
	t.Cleanup(func() { listen, ours.next = was, next })
	listen = func(string, int) (net.Listener, error) { return nil, syscall.EADDRINUSE }
	if port, err := Find("127.0.0.1"); !errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "%!") || !strings.Contains(err.Error(), "stop programs that listen there") {
		t.Errorf("%d, %v", port, err)
	}
}
