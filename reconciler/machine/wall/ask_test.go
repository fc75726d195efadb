//go:build linux

package wall

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAnsweringEndsWithTheLastWhoCouldAsk: the kernel keeps the listener open, and says at once that there is no call. Whoever asked again
// took a processor for as long as what the command left had to end.
func TestAnsweringEndsWithTheLastWhoCouldAsk(t *testing.T) {
	listeners := make(chan int)
	go withThreadOfItsOwn(func() { // which ends with it, and its filter too
		fd, err := restrictCalls(sockets{inet: true, unixAny: true, loopback: true, bare: true})
		if err != nil {
			t.Error(err)
		}
		listeners <- fd
	})
	fd := <-listeners
	if fd < 0 {
		t.Skip("no listener is to be had here: a container's engine listens already")
	}
	ended := make(chan struct{})
	go func() { (&inside{}).answer(fd); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it still answers")
	}
}

// withThreadOfItsOwn has f called on a thread that ends after it: one that is locked and not given back, and not the first, which stays.
func withThreadOfItsOwn(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); withThreadOfItsOwn(f) }()
	<-done
	runtime.UnlockOSThread()
}
