// Whoever is asked has to answer: what does not come, or comes by the byte, is given up.
// Time counts only while we wait: who reads slowly cuts off nobody.

package dial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Pace is how fast an answer has to come. An honest transfer of any size keeps it.
type Pace struct {
	Window time.Duration // of waiting, in which Least bytes go over; connecting counts. Zero is without end
	Least  int64
	Whole  time.Duration // of one exchange; zero is without end
}

// Connect is how long a connection may take to be there, and TLS to begin.
const Connect = 10 * time.Second

// Slow is an answer that was given up.
type Slow struct{ Pace Pace }

func (s *Slow) Error() string {
	if s.Pace.Least <= 1 {
		return fmt.Sprintf("nothing came in %s", s.Pace.Window)
	}
	return fmt.Sprintf("less than %d bytes came in %s", s.Pace.Least, s.Pace.Window)
}

// Late is an exchange that took too long as a whole.
type Late struct{ Pace Pace }

func (l *Late) Error() string { return fmt.Sprintf("it was not done after %s", l.Pace.Whole) }

// Meter holds one exchange to its pace.
type Meter struct {
	pace Pace
	end  func(error) // ends what is waited for

	mu    sync.Mutex
	waits int // how many wait
	since time.Time
	left  time.Duration // of the window
	got   int64
	timer *time.Timer
	whole *time.Timer
	why   error
}

// NewMeter begins an exchange. Where its pace is not kept, end is called, once, with the reason.
func NewMeter(p Pace, end func(error)) *Meter {
	m := &Meter{pace: p, end: end, left: p.Window}
	if p.Whole > 0 {
		m.whole = time.AfterFunc(p.Whole, func() { m.over(&Late{p}) })
	}
	return m
}

func (m *Meter) over(why error) {
	m.mu.Lock()
	if m.why != nil {
		m.mu.Unlock()
		return
	}
	m.why = why
	m.mu.Unlock()
	m.end(why)
}

// Wait says that something is waited for; each has its Arrived.
func (m *Meter) Wait() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waits++; m.waits == 1 {
		m.since = time.Now()
		m.arm()
	}
}

func (m *Meter) arm() {
	if m.pace.Window <= 0 {
		return
	}
	if m.timer != nil {
		m.timer.Stop()
	}
	m.timer = time.AfterFunc(m.left, func() { m.over(&Slow{m.pace}) })
}

// Moved says that n bytes went over.
func (m *Meter) Moved(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved(n)
}

func (m *Meter) moved(n int) {
	if m.got += int64(n); m.got < m.pace.Least || n <= 0 {
		return
	}
	m.got, m.left = 0, m.pace.Window
	if m.waits > 0 {
		m.since = time.Now()
		m.arm()
	}
}

// Arrived says that what was waited for is there, with n bytes.
func (m *Meter) Arrived(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waits--; m.waits == 0 && m.timer != nil {
		m.timer.Stop()
		m.left = max(0, m.left-time.Since(m.since))
	}
	m.moved(n)
}

// Done ends the exchange.
func (m *Meter) Done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer != nil {
		m.timer.Stop()
	}
	if m.whole != nil {
		m.whole.Stop()
	}
}

// Why is the reason for which the exchange was ended, or err where it was not.
func (m *Meter) Why(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && m.why != nil {
		return m.why
	}
	return err
}

// Paced holds each request of next to pace.
func Paced(next http.RoundTripper, pace Pace) http.RoundTripper { return paced{next, pace} }

type paced struct {
	next http.RoundTripper
	pace Pace
}

func (p paced) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	m := NewMeter(p.pace, cancel)
	req = req.Clone(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = sending{req.Body, m}
		if again := req.GetBody; again != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				b, err := again()
				return sending{b, m}, err
			}
		}
	}
	m.Wait()
	resp, err := p.next.RoundTrip(req)
	m.Arrived(0)
	if err != nil {
		m.Done()
		cancel(nil)
		return nil, m.Why(err)
	}
	resp.Body = &receiving{body: resp.Body, m: m, cancel: cancel}
	return resp, nil
}

// sending counts what goes out.
type sending struct {
	io.ReadCloser
	m *Meter
}

func (s sending) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.m.Moved(n)
	return n, err
}

// receiving counts what comes in.
type receiving struct {
	body   io.ReadCloser
	m      *Meter
	cancel context.CancelCauseFunc
}

func (r *receiving) Read(p []byte) (int, error) {
	r.m.Wait()
	n, err := r.body.Read(p)
	r.m.Arrived(n)
	if err != nil && err != io.EOF {
		return n, r.m.Why(err)
	}
	return n, err
}

func (r *receiving) Close() error {
	err := r.body.Close()
	r.m.Done()
	r.cancel(nil)
	return err
}
