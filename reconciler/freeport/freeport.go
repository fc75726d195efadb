// Package freeport finds a TCP port for a program that is told where to listen, and begins to only later.
//
// A port that the kernel picks (":0") is of the range that it also takes for connections that go out: until the program
// listens, any connection of the machine may get it. The ports here are below that range (32768 on Linux, 49152 elsewhere, unless
// the machine is configured otherwise), so only another program that names the very port can be first.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
)

// First and Count are the ports that are tried.
const (
	First = 10000
	Count = 10000
)

// next is where the search goes on: no two calls of one process get the same port, and two processes begin apart.
var next atomic.Uint32

func init() { next.Store(rand.Uint32N(Count)) }

// Find is a port of host, an address of this machine, at which nobody listens. The error says that all are taken, or that
// host is not of this machine.
func Find(host string) (int, error) {
	for range Count {
		port := First + int(next.Add(1)%Count)
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			return port, l.Close()
		case !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES): // Windows and some BSDs reserve ranges
			return 0, fmt.Errorf("find a port that is free: %w", err)
		}
	}
	return 0, fmt.Errorf("find a port that is free: all of %d to %d of %s are taken; stop programs that listen there (ss -ltn shows them)", First, First+Count-1, host)
}

// Address is Find's port with its host.
func Address(host string) (string, error) {
	port, err := Find(host)
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}
