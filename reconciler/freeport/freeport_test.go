package freeport

import (
	"net"
	"os"
	"strconv"
	"strings"
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
	next.Store(41)
	taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(First+42))
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
