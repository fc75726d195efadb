// Who neither sends nor takes a byte for a while is let go. What is waited for from the
// served process is not the client's stillness: an inference may take as long as it does.

package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pulse tells when a byte last went through, in either direction. While a body is
// awaited, each beat puts off the end of that: net/http gives a request up for good
// once a read has run out of time.
type pulse struct {
	bound time.Duration
	rc    *http.ResponseController

	mu      sync.Mutex
	last    time.Time
	awaited bool // a body is
}

func newPulse(bound time.Duration, rc *http.ResponseController) *pulse {
	return &pulse{bound: bound, rc: rc, last: time.Now()}
}

func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	if p.awaited {
		_ = p.rc.SetReadDeadline(p.last.Add(p.bound))
	}
}

// await begins, or ends, to wait for a body. After its end only the end of the
// connection is waited for, and that without a bound.
func (p *pulse) await(body bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaited == body {
		return
	}
	p.awaited = body
	until := time.Time{}
	if body {
		until = p.last.Add(p.bound)
	}
	_ = p.rc.SetReadDeadline(until)
}

// end is when who was heard of last has been still for too long.
func (p *pulse) end() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.Add(p.bound)
}

// slow is a request's body under a pulse and a bound of its size.
type slow struct {
	body io.ReadCloser
	*pulse
	left int64
	how  *atomic.Int32
}

// How a body was cut short.
const (
	cutStill int32 = iota + 1
	cutLarge
)

var (
	errStill = errors.New("the request's body does not come")
	errLarge = errors.New("the request's body is too large")
)

func (s *slow) Read(b []byte) (int, error) {
	if s.how.Load() == cutLarge {
		return 0, errLarge
	}
	if int64(len(b)) > s.left+1 {
		b = b[:s.left+1]
	}
	s.await(true)
	n, err := s.body.Read(b)
	if n > 0 {
		s.beat()
	}
	if s.left -= int64(n); s.left < 0 {
		s.how.Store(cutLarge)
		s.await(false)
		return 0, errLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.how.Store(cutStill)
		err = errStill
	}
	if err != nil {
		s.await(false)
	}
	return n, err
}

func (s *slow) Close() error { return s.body.Close() }

// taking is the writer of an answer that must be taken.
type taking struct {
	http.ResponseWriter
	*pulse
}

func (t *taking) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *taking) Write(b []byte) (int, error) {
	_ = t.rc.SetWriteDeadline(time.Now().Add(t.bound))
	n, err := t.ResponseWriter.Write(b)
	if n > 0 {
		t.beat()
	}
	return n, err
}

// FlushError sends what was written.
func (t *taking) FlushError() error {
	_ = t.rc.SetWriteDeadline(time.Now().Add(t.bound))
	return t.rc.Flush()
}

// Hijack gives the connection to who speaks another protocol on it from now on.
func (t *taking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := t.rc.Hijack()
	if err != nil {
		return nil, nil, err
	}
	t.beat()
	return &lively{Conn: c, pulse: t.pulse}, rw, nil
}

// lively is a connection that ends when nothing has gone through it, in either
// direction, for the bound.
type lively struct {
	net.Conn
	*pulse
}

func (l *lively) Read(b []byte) (int, error) {
	for {
		_ = l.SetReadDeadline(l.end())
		n, err := l.Conn.Read(b)
		if n > 0 {
			l.beat()
		}
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(l.end()) {
			continue
		}
		return n, err
	}
}

func (l *lively) Write(b []byte) (int, error) {
	_ = l.SetWriteDeadline(time.Now().Add(l.bound))
	n, err := l.Conn.Write(b)
	if n > 0 {
		l.beat()
	}
	return n, err
}

// CloseWrite tells the other end that nothing more comes.
func (l *lively) CloseWrite() error {
	if w, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return l.Close()
}
