// Who waits for a machine over SSH, and for how long.

package dockerengine

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
)

// through is a way to a machine whose connections are made by dial.
func through(t *testing.T, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *tunnel {
	t.Helper()
	w := dockertest.SSH(t, dockertest.New(t).Socket)
	at, err := url.Parse(w.Host)
	if err != nil {
		t.Fatal(err)
	}
	way, _, err := tunnelTo(at, w.Folder)
	if err != nil {
		t.Fatal(err)
	}
	way.dialer = dial
	return way
}

// An attempt to connect is that of all who wait: nobody stands in a queue, and its failure stands for a moment.
func TestAMachineThatIsAwayIsAskedOnceForAll(t *testing.T) {
	var dials atomic.Int64
	w := through(t, func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials.Add(1)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
			return nil, errors.New("i/o timeout")
		}
	})
	begun := time.Now()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := w.reach(t.Context(), "tcp", "127.0.0.1:1"); fault.Of(err) != fault.Transient || err == nil {
				t.Errorf("reached: %v", err)
			}
		})
	}
	all.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := w.reach(ctx, "tcp", "127.0.0.1:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who may wait 100ms: %v", err)
		}
		if took := time.Since(begun); took > 900*time.Millisecond {
			t.Errorf("who may wait 100ms waited %s", took)
		}
	})
	all.Wait()
	if _, err := w.reach(t.Context(), "tcp", "127.0.0.1:1"); err == nil || dials.Load() != 1 || time.Since(begun) > 1900*time.Millisecond {
		t.Errorf("%d connections were tried, and the last waited until %s: %v", dials.Load(), time.Since(begun), err)
	}
	w.mu.Lock()
	w.try.until = time.Now()
	w.mu.Unlock()
	if _, err := w.reach(t.Context(), "tcp", "127.0.0.1:1"); err == nil || dials.Load() != 2 {
		t.Errorf("afterwards it was not asked again: %d, %v", dials.Load(), err)
	}
}

// Without anybody who waits, nothing goes on, and what others left is in nobody's way.
func TestAnAttemptEndsWithTheLastWhoWaits(t *testing.T) {
	ended := make(chan struct{}, 1)
	var away atomic.Bool
	away.Store(true)
	w := through(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !away.Load() {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.reach(ctx, "tcp", "127.0.0.1:1"); err == nil {
		t.Error("it was reached")
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("it is still tried")
	}
	away.Store(false)
	c, err := w.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if w.mu.Lock(); w.ssh != nil || w.open != 0 {
		t.Errorf("%d still go through it", w.open)
	}
	w.mu.Unlock()
}

// stalls is a connection to a machine that may stop where it is.
type stalls struct {
	net.Conn
	stopped *atomic.Bool
	closed  chan struct{}
	once    *sync.Once
}

func (s stalls) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.stopped.Load() {
		<-s.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (s stalls) Write(p []byte) (int, error) {
	if s.stopped.Load() {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

func (s stalls) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

// A machine that stopped with its connections open is left, by all that goes through them; one that answers is not, however long it takes.
func TestAMachineThatStoppedIsLeft(t *testing.T) {
	var stopped atomic.Bool
	w := through(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return stalls{c, &stopped, make(chan struct{}), &sync.Once{}}, err
	})
	w.each = 50 * time.Millisecond
	c, err := w.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("it was left while it answers: %v", err)
	case <-time.After(20 * w.each):
	}
	stopped.Store(true)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it said something")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it is waited for")
	}
	stopped.Store(false)
	again, err := w.dial(t.Context(), "", "")
	if err != nil {
		t.Fatalf("it is back, and not reached: %v", err)
	}
	again.Close()
}
