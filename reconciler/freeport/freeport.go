// Package freeport finds a TCP port for a program that is told where to listen, and begins to only later.
//
// A port that the kernel picks (":0") is of the range that it also takes for connections that go out: until the program
// listens, any connection of the machine may get it. The ports here are below that range (32768 on Linux, 49152 elsewhere, unless
// the machine is configured otherwise). A process takes them from blocks of its own: it holds a block by listening at its first port,
// so that another process finds none of what is promised and not listened at yet.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// Ports from First to First+Count-1 are tried, in blocks.
const (
	First = 10000
	Count = 10000

	block = 50
	held  = 8 // blocks of a process; what it promised of one before them is listened at, or is not going to be
)

var ours struct {
	sync.Mutex
	guards    []net.Listener
	next, end int // of the block that ports are taken from
}

// Find is a port of host, an address of this machine, at which nobody listens. The error says that all are taken, or why
// nobody can listen at host.
func Find(host string) (int, error) {
	ours.Lock()
	defer ours.Unlock()
	var last error
	for range Count {
		if ours.next == ours.end {
			if last = takeBlock(); last != nil {
				break
			}
		}
		port := ours.next
		ours.next++
		l, err := listen(host, port)
		if err == nil {
			return port, l.Close()
		}
		if last = err; !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) { // some systems keep ports for themselves
			return 0, fmt.Errorf("find a port that is free: %w", err)
		}
	}
	return 0, fmt.Errorf("find a port that is free, of %d to %d: stop programs that listen there (ss -ltn shows them): %w", First, First+Count-1, last)
}

// Address is Find's port with its host.
func Address(host string) (string, error) {
	port, err := Find(host)
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}

// takeBlock begins a block that no process has; the error is why the last of them could not be begun. Where to look first is random: two
// processes seldom meet.
func takeBlock() (err error) {
	const all = Count / block
	from := rand.IntN(all)
	for i := range all {
		at := First + (from+i)%all*block
		var guard net.Listener
		if guard, err = listen("127.0.0.1", at); err != nil {
			continue
		}
		ours.guards = append(ours.guards, guard)
		if len(ours.guards) > held {
			_ = ours.guards[0].Close()
			ours.guards = ours.guards[1:]
		}
		ours.next, ours.end = at+1, at+block
		return nil
	}
	return err
}

// listen is another one in tests.
var listen = func(host string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}
